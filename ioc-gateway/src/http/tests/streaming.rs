//! Bodies of lines: taken as they come, in bounded memory, answered once durable.

use std::io::Write;

use axum::http::header::{ACCEPT, CONTENT_ENCODING};
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::sync::mpsc;

use super::*;
use crate::http::answer::{Teller, Told};

const LINES: &str = "application/x-ndjson";

type Pieces = mpsc::Sender<String>;

/// A body whose pieces are sent one by one.
fn piecewise() -> (Pieces, Body) {
    let (pieces, waiting) = mpsc::channel(1);
    let body = stream::unfold(waiting, async |mut waiting: mpsc::Receiver<String>| {
        let piece = waiting.recv().await?;
        Some((Ok::<_, std::io::Error>(piece), waiting))
    });
    (pieces, Body::from_stream(body))
}

fn line(n: usize) -> String {
    format!(
        r#"{{"id":"e{n}","sensor":"wl-1","kind":"water_level","value":1,"observed_at":"2026-03-14T06:45:10Z"}}"#
    )
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn each_line_is_answered_when_it_is_durable_while_others_come() {
    let Bench {
        router,
        arrivals,
        stop: _running,
        ..
    } = bench(HttpOptions::default(), DoorOptions::default());
    let (pieces, body) = piecewise();
    let mut request = post(LINES, body);
    request.headers_mut().insert(ACCEPT, LINES.parse().unwrap());
    block_on(async {
        let response = router.oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let mut answers = response.into_body().into_data_stream();
        let mut told = String::new();
        for n in 1..=3 {
            // The line's end comes with the next piece.
            pieces
                .send(format!("{}{}", line(n), "\n".repeat(n % 2)))
                .await
                .unwrap();
            pieces.send("\n".repeat(1 - n % 2)).await.unwrap();
            while arrivals.queue(Lane::Telemetry).is_empty() {
                tokio::task::yield_now().await;
            }
            arrivals.queue(Lane::Telemetry).recv().unwrap().ack.settle();
            let part = futures_util::StreamExt::next(&mut answers).await.unwrap();
            told += std::str::from_utf8(&part.unwrap()).unwrap();
        }
        drop(pieces);
        while let Some(part) = futures_util::StreamExt::next(&mut answers).await {
            told += std::str::from_utf8(&part.unwrap()).unwrap();
        }
        expect![[r#"
            {"line":1,"status":"accepted","id":"e1"}
            {"line":2,"status":"accepted","id":"e2"}
            {"line":3,"status":"accepted","id":"e3"}
            {"status":"done","accepted":3,"dead_lettered":0}
        "#]]
        .assert_eq(&told);
    });
}

#[test]
fn a_body_longer_than_one_taken_whole_may_be_is_taken_line_by_line() {
    let options = HttpOptions {
        request_bytes_max: 100,
        readings_max: 3,
        ..HttpOptions::default()
    };
    let body: String = (1..=4).map(|n| format!("{}\n", line(n))).collect();
    let whole = bench(options.clone(), DoorOptions::default());
    block_on(async {
        let refused = refused(&whole.router, post("application/json", body.clone())).await;
        assert_eq!(refused.2, "body_too_long");
    });
    check_of(
        bench(options, DoorOptions::default()),
        post(LINES, body),
        &expect![[r#"
            200 OK
            {"accepted":4,"dead_lettered":0,"items":[{"line":1,"status":"accepted","id":"e1"},{"line":2,"status":"accepted","id":"e2"},{"line":3,"status":"accepted","id":"e3"},{"line":4,"status":"accepted","id":"e4"}]}
            reading e1
            reading e2
            reading e3
            reading e4"#]],
    );
}

#[test]
fn packed_bodies_are_read_as_what_they_were() {
    let lines = format!("{}\n{}", line(1), line(2));
    for (content_type, text, told) in [
        (LINES, &*lines, 2),
        ("application/json", &*line(3), 1),
        (
            "application/senml+json",
            r#"[{"n":"wl-1.water_level","v":1,"t":1773470710}]"#,
            1,
        ),
    ] {
        let mut request = post(content_type, gzip(text));
        let gzip = "gzip".parse().unwrap();
        request.headers_mut().insert(CONTENT_ENCODING, gzip);
        let Bench {
            router,
            arrivals,
            stop: _running,
            ..
        } = bench(HttpOptions::default(), DoorOptions::default());
        let engine = std::thread::spawn(move || settle_all(&arrivals));
        let answer = block_on(async { text_of(router.oneshot(request).await.unwrap()).await });
        let accepted = format!("{{\"accepted\":{told},\"dead_lettered\":0");
        assert!(answer.starts_with(&accepted), "{answer}");
        assert_eq!(engine.join().unwrap().len(), told);
    }
}

async fn text_of(response: Response) -> String {
    text(response).await
}

#[test]
fn p5_a_packed_body_is_bounded_by_what_it_unpacks_to() {
    let options = HttpOptions {
        request_bytes_max: 1000,
        ..HttpOptions::default()
    };
    let Bench { router, .. } = bench(options, DoorOptions::default());
    let mut request = post("application/json", gzip(&" ".repeat(1001)));
    let gzip = "gzip".parse().unwrap();
    request.headers_mut().insert(CONTENT_ENCODING, gzip);
    let refused = block_on(refused(&router, request));
    assert_eq!(refused.2, "body_too_long");
}

#[test]
fn p5_a_line_beyond_the_bound_is_a_dead_letter_and_the_others_are_read() {
    let long = "x".repeat(formats::native::READING_BYTES_MAX + 1);
    let body = format!("{}\n{long}\n{}", line(1), line(2));
    let frames: Vec<_> = body.as_bytes().chunks(10_000).map(<[u8]>::to_vec).collect();
    let frames = stream::iter(frames.into_iter().map(Ok::<_, std::io::Error>));
    check_request(
        post(LINES, Body::from_stream(frames)),
        &expect![[r#"
            207 Multi-Status
            {"accepted":2,"dead_lettered":1,"items":[{"line":1,"status":"accepted","id":"e1"},{"line":2,"status":"dead_lettered","reason":"payload_too_long","detail":"a line of 65537 bytes; a reading has at most 65536"},{"line":3,"status":"accepted","id":"e2"}]}
            reading e1
            dead letter payload_too_long
            reading e2"#]],
    );
}

/// Sends lines for as long as they are taken; returns how many were.
async fn send_until_full(pieces: &Pieces) -> usize {
    const LINES_IN_PIECE: usize = 64;
    let piece = format!("{}\n", line(1)).repeat(LINES_IN_PIECE);
    let mut sent = 0;
    loop {
        let mut is_full = true;
        for _ in 0..100 {
            if pieces.try_send(piece.clone()).is_ok() {
                is_full = false;
                sent += LINES_IN_PIECE;
                break;
            }
            tokio::task::yield_now().await;
        }
        if is_full {
            return sent;
        }
    }
}

#[test]
fn p5_a_body_without_end_is_read_no_further_than_what_is_not_durable() {
    let Bench {
        router,
        arrivals,
        stop: _running,
        ..
    } = bench(HttpOptions::default(), DoorOptions::default());
    block_on(async {
        let (pieces, body) = piecewise();
        let answer = tokio::spawn(router.oneshot(post(LINES, body)));
        let mut taken = send_until_full(&pieces).await;
        let bound = 8_192 + 3 * 64;
        assert!((8_192..=bound).contains(&taken), "{taken}");
        let mut durable = 0;
        while durable < taken {
            let arrival = arrivals.queue(Lane::Telemetry).recv().unwrap();
            arrivals.release(&arrival);
            durable += arrival.inputs.count() as usize;
            arrival.ack.settle();
            taken += send_until_full(&pieces).await;
            assert!(taken - durable <= bound, "{taken} - {durable}");
            if taken > 60_000 {
                break;
            }
        }
        drop(pieces);
        let engine = std::thread::spawn(move || settle_all(&arrivals));
        let told = text(answer.await.unwrap().unwrap()).await;
        assert!(
            told.starts_with(&format!("{{\"accepted\":{taken},")),
            "{}",
            &told[..100]
        );
        assert!(told.ends_with(&format!("\"items_left_out\":{}}}", taken - 1000)));
        drop(engine.join().unwrap());
    });
}

#[test]
fn p7_an_urgent_line_passes_the_telemetry_before_it_that_waits_for_the_door() {
    let urgent = line(4).replace("water_level", "call");
    for when_full in [WhenFull::Wait, WhenFull::Conflate] {
        let door = DoorOptions {
            waiting_bytes_max: Lanes::each(|_| 1),
            when_full,
            ..DoorOptions::default()
        };
        let Bench {
            router,
            arrivals,
            stop: _running,
            ..
        } = bench(HttpOptions::default(), door);
        let (pieces, body) = piecewise();
        let mut request = post(LINES, body);
        request.headers_mut().insert(ACCEPT, LINES.parse().unwrap());
        let told = block_on(async {
            let response = router.oneshot(request).await.unwrap();
            // The first goes through the door, and is not settled; the others find it full.
            for each in [line(1), line(2), line(3), urgent.clone()] {
                pieces.send(format!("{each}\n")).await.unwrap();
            }
            drop(pieces);
            while arrivals.queue(Lane::Urgent).is_empty() {
                tokio::task::yield_now().await;
            }
            assert_eq!(arrivals.queue(Lane::Telemetry).len(), 1);
            let passed = arrivals.queue(Lane::Urgent).recv().unwrap();
            assert_eq!(passed.inputs.count(), 1);
            passed.ack.settle();
            let engine = std::thread::spawn(move || settle_all(&arrivals));
            let told = text(response).await;
            assert_eq!(engine.join().unwrap().len(), 3);
            told
        });
        expect![[r#"
            {"line":1,"status":"accepted","id":"e1"}
            {"line":2,"status":"accepted","id":"e2"}
            {"line":3,"status":"accepted","id":"e3"}
            {"line":4,"status":"accepted","id":"e4"}
            {"status":"done","accepted":4,"dead_lettered":0}
        "#]]
        .assert_eq(&told);
    }
}

#[test]
fn p5_of_many_lines_the_first_are_told_and_then_the_refused() {
    let mut answer = Answer::default();
    let told = (1..=5000).map(|n| Told {
        line: Some(n),
        item: match n % 3 {
            0 => Item::dead_lettered(Reject::new(formats::Reason::IdInvalid, "")),
            _ => Item::accepted("e"),
        },
    });
    block_on(answer.tell(told)).unwrap();
    let json = serde_json::to_value(&answer).unwrap();
    assert_eq!(
        (&json["accepted"], &json["dead_lettered"]),
        (&3334.into(), &1666.into())
    );
    let items = json["items"].as_array().unwrap();
    assert_eq!(items.len(), 2000);
    assert_eq!(json["items_left_out"], 3000);
    assert_eq!(
        (&items[999]["line"], &items[1000]["line"]),
        (&1000.into(), &1002.into())
    );
}

#[test]
fn p5_every_bound_of_a_stream_has_its_answer() {
    let options = HttpOptions {
        streams_max: 1,
        request_wait_max: Duration::from_millis(20),
        stream_wait_max: Duration::from_millis(20),
        durable_wait_max: Duration::from_millis(20),
        ..HttpOptions::default()
    };
    let door = DoorOptions {
        waiting_bytes_max: Lanes::each(|_| 1),
        ..DoorOptions::default()
    };
    let never = || Body::from_stream(stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let Bench {
        router,
        arrivals,
        stop,
        ..
    } = bench(options, door);
    block_on(async {
        let code = async |body: Body| refused(&router, post(LINES, body)).await.2;
        assert_eq!(code(Body::empty()).await, "body_malformed");
        assert_eq!(code(never()).await, "body_too_slow");
        // The first is in the queue and never settled; so the next finds the door full.
        assert_eq!(code(Body::from(line(1))).await, "not_durable");
        assert_eq!(code(Body::from(line(2))).await, "overloaded");
        let slow = tokio::spawn(router.clone().oneshot(post(LINES, never())));
        tokio::task::yield_now().await;
        assert_eq!(code(Body::from(line(1))).await, "too_many_requests");
        drop(slow.await);
        drop(arrivals);
        stop.send(true).unwrap();
        assert_eq!(code(never()).await, "stopping");
    });
}

#[test]
fn what_is_durable_of_a_body_that_breaks_off_is_said() {
    let (pieces, body) = piecewise();
    let Bench {
        router,
        arrivals,
        stop,
        ..
    } = bench(HttpOptions::default(), DoorOptions::default());
    let answer = block_on(async {
        let answer = tokio::spawn(router.oneshot(post(LINES, body)));
        pieces
            .send(format!("{}\n\n{}\n", line(1), line(2)))
            .await
            .unwrap();
        while arrivals.queue(Lane::Telemetry).is_empty() {
            tokio::task::yield_now().await;
        }
        arrivals.queue(Lane::Telemetry).recv().unwrap().ack.settle();
        pieces.send(format!("{}\n", line(3))).await.unwrap();
        while arrivals.queue(Lane::Telemetry).is_empty() {
            tokio::task::yield_now().await;
        }
        stop.send(true).unwrap();
        text(answer.await.unwrap().unwrap()).await
    });
    expect![[r#"{"code":"stopping","message":"the server stops; send it again later, twice does no harm","lines_durable":3}"#]]
        .assert_eq(&answer);
}
