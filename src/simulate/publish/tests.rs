use super::*;

/// A simulation for an address where nobody listens.
async fn alone(bounds: Bounds, rate: f64) -> Simulator {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = listener.local_addr().unwrap().to_string().parse().unwrap();
    drop(listener);
    let options = SimulateOptions {
        to,
        stream: None,
        access: Access::default(),
        map: Arc::new(CityMap::compiled_in()),
        seed: 1,
        happenings: Happenings::NONE,
        speed: 1.0,
        rate: Some(rate),
        origin: Timestamp::from_millis(0),
        quality: Quality::AtLeastOnce,
        connections: 1,
        inflight_max: 10,
        bounds,
    };
    let mut simulator = Simulator::new(options, Arc::new(|_| {}));
    simulator.drain_within = Duration::from_millis(10);
    simulator
}

async fn came_to(simulator: Simulator) -> Summary {
    let running = simulator.run(std::future::pending());
    let ended = timeout(Duration::from_secs(60), running).await;
    ended.expect("the run ends by itself").unwrap()
}

#[tokio::test]
async fn a_run_ends_after_so_many_readings_without_a_broker() {
    let bounds = Bounds {
        duration: None,
        count: Some(10),
    };
    let summary = came_to(alone(bounds, 1000.0).await).await;
    assert_eq!((summary.had, summary.not_acknowledged()), (10, 10));
}

#[tokio::test]
async fn a_run_ends_after_so_long_without_a_broker_though_nobody_takes_its_readings() {
    let bounds = Bounds {
        duration: Some(Duration::from_millis(500)),
        count: None,
    };
    let summary = came_to(alone(bounds, 20_000.0).await).await;
    assert!(summary.skipped > 0, "{summary:?}");
    assert_eq!(summary.not_acknowledged(), summary.had);
}
