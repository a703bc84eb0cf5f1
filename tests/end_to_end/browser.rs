//! A real Chromium, driven over its DevTools protocol.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Instant;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::timeout_at;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::support::{DEADLINE, request, tool, wait_for};

/// One page of a browser of its own. The browser ends when dropped.
pub struct Page {
    process: Child,
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    sent: u64,
    _profile: TempDir,
}

impl Page {
    /// Opens a page.
    pub async fn open(url: &str) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let process = tool("chromium")
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--disable-dev-shm-usage",
                "--remote-debugging-port=0",
                "--window-size=1440,900",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let port = devtools_port(profile.path());
        let target = wait_for("a page of the browser", || {
            let listed = request(([127, 0, 0, 1], port).into(), "GET", "/json", &[], b"");
            let pages: Value = serde_json::from_str(&listed.body).ok()?;
            let page = pages
                .as_array()?
                .iter()
                .find(|page| page["type"] == "page")?;
            Some(page["webSocketDebuggerUrl"].as_str()?.to_owned())
        });
        let (socket, _) = connect_async(target).await.unwrap();
        let mut page = Self {
            process,
            socket,
            sent: 0,
            _profile: profile,
        };
        page.call("Page.enable", json!({})).await;
        page.call("Page.navigate", json!({ "url": url })).await;
        page
    }

    async fn call(&mut self, method: &str, params: Value) -> Value {
        self.sent += 1;
        let id = self.sent;
        let call = json!({ "id": id, "method": method, "params": params });
        self.socket
            .send(Message::text(call.to_string()))
            .await
            .unwrap();
        let until = tokio::time::Instant::now() + DEADLINE;
        loop {
            let message = timeout_at(until, self.socket.next())
                .await
                .expect("the browser answers");
            let Message::Text(text) = message.unwrap().unwrap() else {
                continue;
            };
            let answer: Value = serde_json::from_str(&text).unwrap();
            if answer["id"] == id {
                return answer["result"].clone();
            }
        }
    }

    /// The value of an expression in the page.
    pub async fn evaluate(&mut self, expression: &str) -> Value {
        let params = json!({
            "expression": expression, "returnByValue": true, "awaitPromise": true,
        });
        let answer = self.call("Runtime.evaluate", params).await;
        assert!(
            answer.get("exceptionDetails").is_none(),
            "{expression}: {answer}"
        );
        answer["result"]["value"].clone()
    }

    /// Makes the page so wide and so high.
    pub async fn resize(&mut self, width: u32, height: u32) {
        let params = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false,
        });
        self.call("Emulation.setDeviceMetricsOverride", params)
            .await;
    }

    /// Waits until an expression is true.
    pub async fn until(&mut self, expression: &str) {
        let until = Instant::now() + DEADLINE;
        while self.evaluate(expression).await != Value::Bool(true) {
            assert!(Instant::now() < until, "waited in vain until {expression}");
            // The page lives on its own: a frame of its own is what there is to wait for.
            self.evaluate("new Promise(requestAnimationFrame)").await;
        }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn devtools_port(profile: &Path) -> u16 {
    wait_for("the browser's port", || {
        let text = std::fs::read_to_string(profile.join("DevToolsActivePort")).ok()?;
        text.lines().next()?.parse().ok()
    })
}
