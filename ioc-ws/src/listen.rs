//! The half of a session that reads: the hello, then orders.
//!
//! Arrives: a client's messages. Leaves: orders to the host, and answers to the half that writes.
//! Promise: an order is answered once, `ok` only when it is durable; what is not understood closes
//! the session with a sentence that says why. Next: `command.rs`.

use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{Stream, StreamExt};
use ioc_core::decision::How;
use ioc_core::id::RequestId;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use crate::actuators;
use crate::auth::Desk;
use crate::command::Order;
use crate::frame::{self, ClientMessage, CloseCode, CommandText, Hello};
use crate::handling;
use crate::session::Ending;
use crate::suppressions;
use crate::telemetry;
use crate::window::Shared;

/// Waits for the first message, which must be a hello.
pub(crate) async fn hear_hello<M>(messages: &mut M, within: Duration) -> Result<Hello, Ending>
where
    M: Stream<Item = Result<Message, Error>> + Unpin,
{
    let text = match timeout(within, hear(messages)).await {
        Ok(text) => text?,
        Err(_) => {
            let reason = "the first message must be a hello, and it did not come".into();
            return Err(Ending::Close(CloseCode::HelloTimeout, reason));
        }
    };
    match ClientMessage::parse(&text) {
        Ok(ClientMessage::Hello(hello)) => Ok(hello),
        Ok(ClientMessage::Command(_)) => Err(bad("the first message must be a hello".into())),
        Err(sentence) => Err(bad(sentence)),
    }
}

/// The next text.
async fn hear<M>(messages: &mut M) -> Result<Utf8Bytes, Ending>
where
    M: Stream<Item = Result<Message, Error>> + Unpin,
{
    loop {
        if let Some(text) = text_of(messages.next().await)? {
            return Ok(text);
        }
    }
}

/// The text of a message, `None` for a ping or pong.
fn text_of(message: Option<Result<Message, Error>>) -> Result<Option<Utf8Bytes>, Ending> {
    match message {
        Some(Ok(Message::Text(text))) => Ok(Some(text)),
        Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Ok(None),
        Some(Ok(Message::Binary(_))) => {
            let reason = "messages are text".into();
            Err(Ending::Close(CloseCode::NotText, reason))
        }
        Some(Err(Error::Capacity(error))) => {
            Err(Ending::Close(CloseCode::TooLong, error.to_string()))
        }
        Some(Ok(Message::Close(_)) | Err(_)) | None => Err(Ending::Gone),
    }
}

fn bad(sentence: String) -> Ending {
    Ending::Close(CloseCode::BadMessage, sentence)
}

/// An order that was understood.
struct Asked {
    request: RequestId,
    order: Order,
}

/// The half that reads.
pub(crate) struct Listener<'a> {
    shared: &'a Shared,
    desk: Desk,
    answers: mpsc::Sender<Utf8Bytes>,
}

impl<'a> Listener<'a> {
    pub(crate) const fn new(
        shared: &'a Shared,
        desk: Desk,
        answers: mpsc::Sender<Utf8Bytes>,
    ) -> Self {
        Self {
            shared,
            desk,
            answers,
        }
    }

    /// Reads until the client goes or must go.
    pub(crate) async fn run<M>(self, messages: &mut M) -> Ending
    where
        M: Stream<Item = Result<Message, Error>> + Unpin,
    {
        let silence_max = self.shared.options.client_silence_max;
        let mut orders = FuturesUnordered::new();
        let mut heard = Instant::now();
        loop {
            let message = tokio::select! {
                biased;
                Some(answer) = orders.next() => {
                    self.answer(answer).await;
                    continue;
                }
                message = timeout_at(heard + silence_max, messages.next()) => message,
            };
            let Ok(message) = message else {
                let reason = "not even a pong came for too long".into();
                return Ending::Close(CloseCode::Silent, reason);
            };
            heard = Instant::now();
            let text = match text_of(message) {
                Ok(Some(text)) => text,
                Ok(None) => continue,
                Err(ending) => return ending,
            };
            match self.understand(&text, orders.len()).await {
                Ok(Ok(asked)) => orders.push(self.give(asked)),
                Ok(Err(refusal)) => self.answer(refusal).await,
                Err(ending) => return ending,
            }
        }
    }

    /// The order in this text, or the refusal to answer with, or the end of the session.
    async fn understand(
        &self,
        text: &str,
        under_way: usize,
    ) -> Result<Result<Asked, Utf8Bytes>, Ending> {
        let command = match ClientMessage::parse(text).map_err(bad)? {
            ClientMessage::Command(command) => command,
            ClientMessage::Hello(_) => return Err(bad("hello is said once".into())),
        };
        let refused = |code: &'static str, sentence: &str| {
            telemetry::command_answered(code);
            Ok(Err(frame::refused(&command.request_id, code, sentence)))
        };
        if self.desk.actor().is_none() {
            return refused("token_needed", TOKEN_NEEDED);
        }
        if under_way >= self.shared.options.session_commands_max {
            return refused("busy", "too many commands of this session are under way");
        }
        match asked(&command, self.shared).await {
            Ok(asked) => Ok(Ok(asked)),
            Err(sentence) => refused("bad_request", &sentence),
        }
    }

    async fn give(&self, asked: Asked) -> Utf8Bytes {
        let Asked { request, order } = asked;
        let Some(actor) = self.desk.actor() else {
            return frame::refused(request.as_str(), "token_needed", TOKEN_NEEDED);
        };
        let answer = self.shared.command(request.clone(), actor, order).await;
        match answer {
            Ok(seq) => frame::ok(&request, seq),
            Err(refusal) => frame::refused(request.as_str(), refusal.code, &refusal.message),
        }
    }

    async fn answer(&self, text: Utf8Bytes) {
        // The half that writes may be gone already; then the session is about to end.
        let _ = self.answers.send(text).await;
    }
}

/// What to do without the token.
pub(crate) const TOKEN_NEEDED: &str =
    "commands need the console's token, which lies in the data directory";

async fn asked(command: &CommandText, shared: &Shared) -> Result<Asked, String> {
    let missing = |member: &str| format!("{} needs `{member}`", command.action);
    let order = match command.action.as_str() {
        "open" => handling::open(&command.handle)?,
        action if handling::ACTIONS.contains(&action) => {
            let incident = command.incident.as_deref();
            let incident = incident.ok_or_else(|| missing("incident"))?;
            handling::about(action, frame::incident_id(incident)?, &command.handle)?
        }
        "operate" => {
            let actuator = command.actuator.as_deref();
            let actuator = actuator.ok_or_else(|| missing("actuator"))?;
            let now = shared.options.now();
            Order::Operate(actuators::order(actuator, &command.operate, now)?)
        }
        "shelve" | "out_of_service" => {
            let how = match command.action.as_str() {
                "shelve" => How::Shelved,
                _ => How::OutOfService,
            };
            let now = shared.options.now();
            Order::Suppress(suppressions::suppress(how, &command.suppress(), now)?)
        }
        action @ ("extend" | "end") => {
            let id = command.suppression.as_deref();
            let id = suppressions::id(id.ok_or_else(|| missing("suppression"))?)?;
            let now = shared.options.now();
            let text = command.suppress();
            let how = suppressions::how_kept(shared, id).await;
            Order::Resuppress(suppressions::resuppress(action, (id, how), &text, now)?)
        }
        other => {
            return Err(format!(
                "the actions are: {}, open, operate, {}; not {other}",
                handling::ACTIONS.join(", "),
                suppressions::ACTIONS.join(", ")
            ));
        }
    };
    let request = command.request_id.parse();
    Ok(Asked {
        request: request.map_err(|error| format!("{error}"))?,
        order,
    })
}
