use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

use super::*;

/// Accepts a watcher and hears its hello.
#[expect(
    clippy::result_large_err,
    reason = "the library's callback is made like that"
)]
async fn accept(listener: &TcpListener) -> (WebSocketStream<TcpStream>, Value) {
    let (stream, _) = listener.accept().await.unwrap();
    let subprotocol = |request: &Request, mut response: Response| {
        let asked = request.headers()["sec-websocket-protocol"].clone();
        assert_eq!(request.uri().path(), "/api/v1/stream");
        response
            .headers_mut()
            .insert("sec-websocket-protocol", asked);
        Ok(response)
    };
    let mut stream = accept_hdr_async(stream, subprotocol).await.unwrap();
    let hello = stream.next().await.unwrap().unwrap();
    (
        stream,
        serde_json::from_str(hello.to_text().unwrap()).unwrap(),
    )
}

async fn say(stream: &mut WebSocketStream<TcpStream>, message: Value) {
    stream
        .send(Message::text(message.to_string()))
        .await
        .unwrap();
}

fn welcome(seq: u64, next: &str) -> Value {
    json!({"type": "welcome", "epoch": "e1", "seq": seq, "hash": format!("h{seq}"),
        "next": next, "reason": if next == "snapshot" { json!("first") } else { json!(null) }})
}

fn snapshot(seq: u64) -> Value {
    json!({"type": "snapshot", "seq": seq, "hash": format!("h{seq}"), "incidents": []})
}

fn frame(from: u64, to: u64) -> Value {
    let decisions: Vec<Value> = (from..=to).map(|seq| json!({"seq": seq})).collect();
    json!({"type": "frame", "from": from, "to": to, "hash": format!("h{to}"),
        "decisions": decisions})
}

fn watcher<'a>(
    listener: &TcpListener,
    out: &'a mut Vec<u8>,
    notes: &'a mut Vec<u8>,
) -> Watcher<&'a mut Vec<u8>, &'a mut Vec<u8>> {
    let address = listener.local_addr().unwrap();
    let address = Address {
        host: address.ip().to_string(),
        port: address.port(),
    };
    let session = Session::new(address, json!({"kind": ["flood"]}));
    Watcher {
        session,
        look: Look::Json,
        absence: Absence::default(),
        out,
        notes,
    }
}

#[tokio::test]
async fn a_watcher_that_was_cut_off_goes_on_without_a_gap() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (mut out, mut notes) = (Vec::new(), Vec::new());
    let server = async {
        let (mut stream, hello) = accept(&listener).await;
        assert!(hello["resume"].is_null());
        assert_eq!(hello["filter"], json!({"kind": ["flood"]}));
        say(&mut stream, welcome(5, "snapshot")).await;
        say(&mut stream, snapshot(5)).await;
        say(&mut stream, frame(6, 7)).await;
        say(&mut stream, json!({"type": "beat", "seq": 7})).await;
        drop(stream);
        let (mut stream, hello) = accept(&listener).await;
        assert_eq!(
            hello["resume"],
            json!({"epoch": "e1", "seq": 7, "hash": "h7"})
        );
        say(&mut stream, welcome(9, "decisions")).await;
        say(&mut stream, frame(8, 9)).await;
        drop(stream);
        let (_stream, hello) = accept(&listener).await;
        assert_eq!(hello["resume"]["seq"], 9);
    };
    tokio::select! {
        ended = watcher(&listener, &mut out, &mut notes).run() => panic!("{ended:?}"),
        () = server => {}
    }
    let out = String::from_utf8(out).unwrap();
    assert_eq!(out, "{\"seq\":6}\n{\"seq\":7}\n{\"seq\":8}\n{\"seq\":9}\n");
    let notes = String::from_utf8(notes).unwrap();
    assert!(notes.contains("after decision 7 without a gap"));
    assert_eq!(
        notes
            .matches("no incident of the kind `flood` to show so far")
            .count(),
        1
    );
}

#[tokio::test]
async fn a_gap_is_noticed_and_a_new_picture_asked_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (mut out, mut notes) = (Vec::new(), Vec::new());
    let server = async {
        let (mut stream, _) = accept(&listener).await;
        say(&mut stream, welcome(5, "snapshot")).await;
        say(&mut stream, snapshot(5)).await;
        say(&mut stream, frame(7, 8)).await;
        let (_stream, hello) = accept(&listener).await;
        assert!(hello["resume"].is_null());
    };
    tokio::select! {
        ended = watcher(&listener, &mut out, &mut notes).run() => panic!("{ended:?}"),
        () = server => {}
    }
    assert!(out.is_empty());
}

#[tokio::test]
async fn a_closed_stdout_ends_it_in_peace_and_a_refusal_does_not() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = async {
        let (mut stream, _) = accept(&listener).await;
        say(&mut stream, welcome(0, "snapshot")).await;
        say(&mut stream, snapshot(0)).await;
        say(&mut stream, frame(1, 1)).await;
        let (mut stream, _) = accept(&listener).await;
        let close = tokio_tungstenite::tungstenite::protocol::CloseFrame {
            code: 4400.into(),
            reason: "filter: no such kind".into(),
        };
        stream.close(Some(close)).await.unwrap();
        stream.next().await
    };
    let (mut first, mut second) = (Vec::new(), Vec::new());
    let closed = {
        let Watcher {
            session,
            look,
            notes,
            ..
        } = watcher(&listener, &mut first, &mut second);
        Watcher {
            session,
            look,
            absence: Absence::default(),
            out: Closed,
            notes,
        }
    };
    let (mut third, mut fourth) = (Vec::new(), Vec::new());
    let watching = async {
        assert!(closed.run().await.is_ok());
        watcher(&listener, &mut third, &mut fourth).run().await
    };
    let (_, refused) = tokio::join!(server, watching);
    assert!(refused.unwrap_err().to_string().contains("no such kind"));
}

#[test]
fn addresses_are_taken_in_any_dress() {
    let parse = |text: &str| text.parse::<StreamAddress>().map(|it| it.0.to_string());
    for text in [
        "http://127.0.0.1:8080",
        "ws://127.0.0.1:8080/api/v1/stream",
        "127.0.0.1:8080/",
    ] {
        assert_eq!(parse(text), Ok("127.0.0.1:8080".to_owned()), "{text}");
    }
    assert!(parse("wss://city.example").unwrap_err().contains("TLS"));
}

#[tokio::test]
async fn what_is_no_stream_is_named() {
    for answer in [
        "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        "SSH-2.0-something\r\n\r\n",
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (mut out, mut notes) = (Vec::new(), Vec::new());
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream
        };
        let watching = watcher(&listener, &mut out, &mut notes).run();
        let (_, ended) = tokio::join!(server, watching);
        let told = ended.unwrap_err().to_string();
        assert!(told.contains("does not speak the ioc stream"), "{told}");
    }
}

#[tokio::test]
async fn p5_a_message_beyond_the_bound_ends_the_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (mut out, mut notes) = (Vec::new(), Vec::new());
    let server = async {
        let (mut stream, _) = accept(&listener).await;
        let padding = "x".repeat(64 << 20);
        let long = json!({"type": "of a later server", "padding": padding});
        // The rest is not waited for: sending it may fail.
        let _ = stream.send(Message::text(long.to_string())).await;
        accept(&listener).await
    };
    tokio::select! {
        ended = watcher(&listener, &mut out, &mut notes).run() => panic!("{ended:?}"),
        _ = server => {}
    }
    assert!(out.is_empty());
    let notes = String::from_utf8(notes).unwrap();
    assert!(notes.contains("too long"), "{notes}");
}
