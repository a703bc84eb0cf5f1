//! Slow and silent clients, on real sockets with small buffers: where the kernel would otherwise
//! hide for megabytes that nobody reads.

use ioc_core::decision::{Decision, DecisionHash};
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::*;
use crate::auth::Token;
use crate::examples::*;
use crate::keeper;
use crate::options::WindowOptions;
use crate::window::Window;

fn options() -> WindowOptions {
    let clock = Arc::new(|| at(0));
    let mut options = WindowOptions::new("epoch".into(), Token::new("t"), clock);
    options.fold_after_decisions = 8;
    options.beat_every = Duration::from_secs(3600);
    options
}

/// A window, and the chain of hashes of what it has been shown.
struct Shown {
    window: Window,
    hash: DecisionHash,
}

impl Shown {
    fn new(options: WindowOptions) -> Self {
        Self {
            window: Window::new(options).0,
            hash: DecisionHash::default(),
        }
    }

    /// Releases decisions and returns when they are in the ring.
    async fn release(&mut self, decisions: Vec<Decision>) {
        let published = publish(self.hash, decisions);
        self.hash = published.last().unwrap().hash;
        self.window.release(published);
        self.window.shared().kept.picture().await;
    }
}

/// A client on a connection whose buffers hold a few kilobytes.
struct Client {
    socket: WebSocketStream<TcpStream>,
    session: JoinHandle<()>,
}

impl Client {
    async fn connect(window: &Window) -> Self {
        let listener = TcpSocket::new_v4().unwrap();
        listener.set_send_buffer_size(4096).unwrap();
        listener.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = listener.listen(1).unwrap();
        let client = TcpSocket::new_v4().unwrap();
        client.set_recv_buffer_size(4096).unwrap();
        let client = client.connect(listener.local_addr().unwrap());
        let (client, server) = tokio::join!(client, listener.accept());
        let server = server.unwrap().0;
        let shared = window.shared();
        let session = tokio::spawn(async move {
            let socket = WebSocketStream::from_raw_socket(server, Role::Server, None).await;
            run(&shared, socket).await;
        });
        let socket = WebSocketStream::from_raw_socket(client.unwrap(), Role::Client, None).await;
        Self { socket, session }
    }

    async fn hello(window: &Window, hello: Value) -> Self {
        let mut client = Self::connect(window).await;
        client.say(hello).await;
        client
    }

    async fn say(&mut self, message: Value) {
        let text = message.to_string();
        self.socket.send(Message::text(text)).await.unwrap();
    }

    async fn hear(&mut self) -> Value {
        loop {
            match self.socket.next().await.unwrap().unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Waits until the session has begun to write something that nobody reads.
    async fn something_waits(&self) {
        self.socket.get_ref().peek(&mut [0]).await.unwrap();
    }

    async fn closed(mut self) -> (u16, String) {
        let close = loop {
            match self.socket.next().await.unwrap().unwrap() {
                Message::Close(close) => break close.unwrap(),
                _ => continue,
            }
        };
        drop(self.socket);
        self.session.await.unwrap();
        (close.code.into(), close.reason.as_str().to_owned())
    }
}

#[tokio::test]
async fn p4_a_welcome_stands_where_the_snapshot_behind_it_does() {
    let (window, _commands, mut keeper) = Window::unattended(options());
    let mut client = Client::hello(&window, json!({"type":"hello"})).await;
    while window.shared().kept.questions() == 0 {
        tokio::task::yield_now().await;
    }
    keeper.step();
    // Released after the picture was made, and before the session goes on with it.
    window.release(publish(DecisionHash::default(), vec![opened(1, "a")]));
    let welcome = client.hear().await;
    let snapshot = client.hear().await;
    assert_eq!((&welcome["seq"], &snapshot["seq"]), (&json!(0), &json!(0)));
    assert_eq!(welcome["hash"], snapshot["hash"]);
    let frame = client.hear().await;
    assert_eq!((&frame["from"], &frame["to"]), (&json!(1), &json!(1)));
}

fn updates(from: u64, to: u64) -> Vec<Decision> {
    let names = ["a", "b", "c"];
    let name = |seq: u64| names[(seq % 3) as usize];
    (from..=to).map(|seq| updated(seq, name(seq))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn centrifuge_255_p5_a_slow_client_is_conflated_rather_than_cut_off() {
    let mut shown = Shown::new(options());
    shown
        .release(vec![opened(1, "a"), opened(2, "b"), opened(3, "c")])
        .await;
    let mut client = Client::hello(&shown.window, json!({"type":"hello"})).await;
    assert_eq!(client.hear().await["type"], "welcome");
    assert_eq!(client.hear().await["seq"], 3);

    shown.release(updates(4, 103)).await;
    client.something_waits().await;
    let mut more = updates(104, 300);
    more.push(rose(301, "b"));
    more.push(cleared(302, "c"));
    more.extend(updates(303, 400));
    shown.release(more).await;

    let (mut next, mut dropped, mut told) = (4, 0, Vec::new());
    while next <= 400 {
        let message = client.hear().await;
        match message["type"].as_str().unwrap() {
            "folded" => {
                assert_eq!(message["from"], next);
                dropped += message["updates_dropped"].as_u64().unwrap();
            }
            "frame" => {
                assert_eq!(message["from"], next, "frames cover every number");
                next = message["to"].as_u64().unwrap() + 1;
                let decisions = message["decisions"].as_array().unwrap();
                told.extend(decisions.iter().map(|each| each["seq"].as_u64().unwrap()));
            }
            other => panic!("{other}"),
        }
    }
    assert!(told.is_sorted() && told.contains(&301) && told.contains(&302));
    assert!(dropped > 0, "what lagged was folded");
    assert_eq!(told.len() as u64 + dropped, 397, "each was told or counted");
    assert_eq!(
        told[told.len() - 3..],
        [398, 399, 400],
        "the newest of each incident"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_a_client_too_slow_for_control_decisions_gets_a_new_snapshot() {
    let mut options = options();
    options.round_bytes_max = 64 << 10;
    let mut shown = Shown::new(options);
    let mut client = Client::hello(&shown.window, json!({"type":"hello"})).await;
    assert_eq!(client.hear().await["type"], "welcome");
    assert_eq!(client.hear().await["type"], "snapshot");

    let open = |from: u64, to: u64| {
        (from..=to)
            .map(|seq| opened(seq, &seq.to_string()))
            .collect()
    };
    shown.release(open(1, 100)).await;
    client.something_waits().await;
    shown.release(open(101, 500)).await;

    assert_eq!(client.hear().await["to"], 100);
    let reset = client.hear().await;
    assert_eq!(
        (&reset["type"], &reset["reason"]),
        (&json!("reset"), &json!("behind"))
    );
    let snapshot = client.hear().await;
    assert_eq!(snapshot["seq"], 500);
    assert_eq!(snapshot["incidents"].as_array().unwrap().len(), 500);
    shown.release(vec![opened(501, "after")]).await;
    assert_eq!(client.hear().await["from"], 501);
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_a_client_that_falls_out_of_the_ring_gets_a_new_snapshot() {
    let mut options = options();
    options.ring_decisions_max = 50;
    let mut shown = Shown::new(options);
    let mut client = Client::hello(&shown.window, json!({"type":"hello"})).await;
    assert_eq!(client.hear().await["type"], "welcome");
    assert_eq!(client.hear().await["type"], "snapshot");
    shown.release(updates(1, 100)).await;
    client.something_waits().await;
    for chunk in (101..=400).collect::<Vec<_>>().chunks(50) {
        shown.release(updates(chunk[0], chunk[49])).await;
    }
    assert_eq!(client.hear().await["to"], 100);
    assert_eq!(client.hear().await["reason"], "behind");
    assert_eq!(client.hear().await["seq"], 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn p5_a_client_that_reads_nothing_is_closed_and_delays_nobody() {
    let mut options = options();
    options.write_stall_max = Duration::from_secs(2);
    let mut shown = Shown::new(options);
    let mut stuck = Client::hello(&shown.window, json!({"type":"hello"})).await;
    stuck.hear().await;
    stuck.hear().await;
    shown.release(updates(1, 250)).await;
    let mut quick = Client::hello(&shown.window, json!({"type":"hello"})).await;
    quick.hear().await;
    assert_eq!(quick.hear().await["seq"], 250);
    shown.release(vec![opened(251, "d")]).await;
    assert_eq!(quick.hear().await["to"], 251);
    stuck.session.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn p5_a_client_that_reads_no_answers_is_not_heard_either() {
    let window = Window::new(options()).0;
    let mut client = Client::hello(&window, json!({"type":"hello"})).await;
    client.hear().await;
    client.hear().await;
    let order = |number: u32| {
        json!({"type":"command","request_id":format!("r-{number}"),"action":"acknowledge",
               "incident":"inc-0000000000"})
    };
    // Far more than the answers that may wait and the buffers between us hold.
    let mut sent = 0;
    while timeout(Duration::from_millis(500), client.say(order(sent)))
        .await
        .is_ok()
    {
        sent += 1;
        assert!(sent < 50_000, "it takes orders for ever");
    }
    for number in 0..sent {
        assert_eq!(client.hear().await["request_id"], format!("r-{number}"));
    }
}

#[tokio::test]
async fn a_client_that_says_nothing_is_closed_with_the_reason() {
    let mut mute = options();
    mute.hello_within = Duration::from_millis(20);
    let window = Window::new(mute).0;
    let (code, reason) = Client::connect(&window).await.closed().await;
    assert_eq!(code, CloseCode::HelloTimeout as u16, "{reason}");

    let mut quiet = options();
    quiet.client_silence_max = Duration::from_millis(20);
    let window = Window::new(quiet).0;
    let client = Client::hello(&window, json!({"type":"hello"})).await;
    let (code, reason) = client.closed().await;
    assert_eq!(code, CloseCode::Silent as u16, "{reason}");
}

#[tokio::test]
async fn what_is_not_understood_is_answered_with_a_sentence() {
    let window = Window::new(options()).0;
    let closed = async |message| Client::hello(&window, message).await.closed().await;
    let (code, reason) = closed(json!({"type":"hi"})).await;
    assert_eq!(code, CloseCode::BadMessage as u16);
    assert!(reason.contains("unknown variant `hi`"), "{reason}");
    let (code, reason) = closed(json!({"type":"hello","filter":{"severity_min":"bad"}})).await;
    assert_eq!(code, CloseCode::BadMessage as u16);
    assert!(reason.contains("extreme"), "{reason}");
    let command = json!({"type":"command","request_id":"1","action":"acknowledge","incident":""});
    assert_eq!(closed(command).await.0, CloseCode::BadMessage as u16);
}

#[tokio::test]
async fn a_server_that_stops_says_so() {
    let window = Window::new(options()).0;
    let mut client = Client::hello(&window, json!({"type":"hello"})).await;
    client.hear().await;
    window.close();
    assert_eq!(client.closed().await.0, CloseCode::GoingAway as u16);
}

#[test]
fn the_keeper_ends_with_the_last_handle() {
    let kept = keeper::start(options());
    let feed = Arc::downgrade(&kept.feed);
    drop(kept);
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while feed.upgrade().is_some() {
        assert!(std::time::Instant::now() < deadline, "the thread goes on");
        std::thread::yield_now();
    }
}
