use std::sync::Mutex;

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

#[test]
fn an_answer_says_what_became_of_its_readings() {
    let answer = br#"{"accepted":2,"dead_lettered":1,"items":[]}"#;
    assert_eq!(
        Answer::read(answer),
        Some(Answer {
            accepted: 2,
            dead_lettered: 1
        })
    );
    assert_eq!(
        Answer::read(br#"{"code":"body_malformed","message":"no"}"#),
        None
    );
    assert_eq!(Answer::read(b"ok"), None);
}

fn message(payload: &'static str) -> Message {
    Message {
        topic: String::new(),
        payload: payload.into(),
        due: None,
    }
}

#[test]
fn a_batch_is_one_reading_a_line() {
    assert_eq!(ndjson(&[message("{1}"), message("{2}")]), "{1}\n{2}\n");
}

/// What the server has heard, and what it says next, last first.
type Script = Arc<Mutex<(Vec<String>, Vec<(StatusCode, &'static str)>)>>;

async fn answer(State(script): State<Script>, body: String) -> (StatusCode, &'static str) {
    let mut script = script.lock().unwrap();
    script.0.push(body);
    script.1.pop().unwrap()
}

/// A poster with three readings to post, two at a time, to a server that answers like this.
async fn posted(
    mut answers: Vec<(StatusCode, &'static str)>,
) -> (Result<(), PostError>, Vec<String>, Arc<Tally>, u64) {
    answers.reverse();
    let script: Script = Arc::new(Mutex::new((Vec::new(), answers)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let routes = Router::new().route("/api/v1/readings", post(answer));
    let serving = axum::serve(listener, routes.with_state(Arc::clone(&script)));
    let serving = tokio::spawn(serving.into_future());
    let options = PosterOptions {
        address: address.parse().unwrap(),
        key: None,
        batch_max: 2,
        patience: Duration::from_secs(30),
    };
    let (tally, dead) = (Arc::<Tally>::default(), Arc::<AtomicU64>::default());
    let poster = Poster::new(
        options,
        Arc::clone(&tally),
        Arc::clone(&dead),
        Arc::new(|_| {}),
    );
    let (sender, source) = mpsc::channel(1);
    sender
        .try_send(["{1}", "{2}", "{3}"].map(message).into())
        .unwrap();
    drop(sender);
    let ended = poster.run(source).await;
    serving.abort();
    let heard = script.lock().unwrap().0.clone();
    (ended, heard, tally, dead.load(Ordering::Relaxed))
}

#[tokio::test]
async fn a_busy_server_is_asked_again_until_it_answers() {
    let (ended, heard, tally, dead) = posted(vec![
        (
            StatusCode::SERVICE_UNAVAILABLE,
            r#"{"code":"overloaded","message":"later"}"#,
        ),
        (
            StatusCode::OK,
            r#"{"accepted":2,"dead_lettered":0,"items":[]}"#,
        ),
        (
            StatusCode::UNPROCESSABLE_ENTITY,
            r#"{"accepted":0,"dead_lettered":1,"items":[]}"#,
        ),
    ])
    .await;
    assert!(ended.is_ok(), "{ended:?}");
    assert_eq!(heard, ["{1}\n{2}\n", "{1}\n{2}\n", "{3}\n"]);
    assert_eq!(
        (tally.sent(), tally.acknowledged(), tally.resent(), dead),
        (3, 3, 2, 1)
    );
}

#[tokio::test]
async fn a_refusal_is_told_in_the_servers_words() {
    let refusal = (
        StatusCode::PAYLOAD_TOO_LARGE,
        r#"{"code":"too_many_readings"}"#,
    );
    let (ended, heard, tally, _) = posted(vec![refusal]).await;
    assert!(ended.unwrap_err().to_string().contains("too_many_readings"));
    assert_eq!((heard.len(), tally.acknowledged()), (1, 0));
}

#[tokio::test]
async fn what_does_not_speak_http_is_named_and_not_asked_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let options = PosterOptions {
        address: address.parse().unwrap(),
        key: None,
        batch_max: 2,
        patience: Duration::from_secs(30),
    };
    let poster = Poster::new(options, Arc::default(), Arc::default(), Arc::new(|_| {}));
    let (sender, source) = mpsc::channel(1);
    sender.try_send(vec![message("{1}")]).unwrap();
    drop(sender);
    let something_else = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_u8().await.unwrap();
        stream.write_all(b"SSH-2.0-something\r\n").await.unwrap();
        stream
    };
    let (ended, _) = tokio::join!(poster.run(source), something_else);
    assert!(matches!(ended, Err(PostError::NotHttp)), "{ended:?}");
}

#[test]
fn p5_a_request_carries_no_more_than_its_bound_but_always_a_reading() {
    let of_bytes = |bytes: usize| Message {
        topic: String::new(),
        payload: vec![b'x'; bytes].into(),
        due: None,
    };
    let half = BATCH_BYTES_MAX / 2 - 1;
    let mut ready: VecDeque<_> = [half, half, half, 2 * BATCH_BYTES_MAX, 1]
        .map(of_bytes)
        .into();
    let sizes: Vec<_> =
        std::iter::from_fn(|| (!ready.is_empty()).then(|| take_batch(&mut ready, 500).len()))
            .collect();
    assert_eq!(sizes, [2, 1, 1, 1]);
}

#[tokio::test]
async fn p5_an_answer_without_end_is_not_read() {
    let answer = r#"{"accepted":2,"dead_lettered":0}"#;
    let endless = format!("{answer}{}", " ".repeat(ANSWER_BYTES_MAX)).leak();
    let answers = vec![(StatusCode::OK, &*endless), (StatusCode::OK, answer)];
    let (ended, ..) = posted(answers).await;
    assert!(matches!(ended, Err(PostError::Answer(_))), "{ended:?}");
}

#[tokio::test]
async fn p5_a_long_refusal_is_told_in_part() {
    let long = "x".repeat(10_000).leak();
    let (ended, ..) = posted(vec![(StatusCode::FORBIDDEN, long)]).await;
    let Err(PostError::Refused { text, .. }) = ended else {
        panic!("{ended:?}");
    };
    assert_eq!(text.len(), REFUSAL_CHARS_MAX);
}
