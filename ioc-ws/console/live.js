// The socket: hello, resume, signs of life, reconnecting.
//
// Arrives: messages of the server. Leaves: the same to `onMessage`, and the state of the link to
// `onState`. Promise: "live" is said only while the server is heard; after a loss the console
// goes on at its number, and never in a tight loop.

import { delayMs, STEADY_MS } from "./backoff.js";

/** The server beats every 2 s; this long without anything is no life. */
const STALE_MS = 6_000;
/** After this long the connection is given up for a new one. */
const DEAD_MS = 12_000;
const CHECK_MS = 500;

export class Live {
  /**
   * `hello()` makes the hello for the next connection; `onMessage(message)` gets each message and
   * returns false if it does not follow, so that the link must be made anew; `onState(state)`
   * gets `{ name: "connecting" | "live" | "stale" | "waiting", … }`.
   */
  constructor({ url, hello, onMessage, onState }) {
    Object.assign(this, { url, hello, onMessage, onState });
    this.attempt = 0;
    this.commands = new Map();
  }

  start() {
    this.connect();
    this.checker = setInterval(() => this.check(), CHECK_MS);
    addEventListener("online", () => this.retryNow());
  }

  connect() {
    clearTimeout(this.timer);
    this.timer = null;
    const socket = new WebSocket(this.url, "ioc.v1");
    this.socket = socket;
    this.heard = performance.now();
    this.welcomed = null;
    this.tell({ name: "connecting", attempt: this.attempt });
    socket.onopen = () => socket.send(JSON.stringify({ type: "hello", ...this.hello() }));
    socket.onmessage = (event) => this.hear(socket, event);
    socket.onclose = (event) => this.lose(socket, event.reason || null);
  }

  hear(socket, event) {
    if (socket !== this.socket) return;
    this.heard = performance.now();
    const message = JSON.parse(event.data);
    if (message.type === "welcome") {
      this.welcomed = this.heard;
      for (const command of this.commands.values()) this.send(command.message);
    }
    if (message.type === "ok" || message.type === "refused") this.answer(message);
    if (this.onMessage(message) === false) {
      this.lose(socket, "a frame was missing");
      return;
    }
    if (this.welcomed !== null) this.tell({ name: "live" });
  }

  /** Drops the connection and plans the next. */
  lose(socket, reason) {
    if (socket !== this.socket) return;
    this.socket = null;
    socket.close();
    const steady = this.welcomed !== null && performance.now() - this.welcomed > STEADY_MS;
    this.attempt = steady ? 0 : this.attempt + 1;
    const wait = delayMs(this.attempt, Math.random());
    this.retryAt = performance.now() + wait;
    this.timer = setTimeout(() => this.connect(), wait);
    this.tell({ name: "waiting", reason, attempt: this.attempt });
  }

  retryNow() {
    if (this.timer === null) return;
    this.connect();
  }

  check() {
    if (!this.socket) {
      this.tell({ name: "waiting", reason: this.state?.reason ?? null, attempt: this.attempt });
      return;
    }
    const quiet = performance.now() - this.heard;
    if (quiet > DEAD_MS) this.lose(this.socket, "the server says nothing");
    else if (quiet > STALE_MS) this.tell({ name: "stale", seconds: Math.round(quiet / 1000) });
  }

  tell(state) {
    if (state.name === "waiting") {
      state.seconds = Math.max(0, Math.ceil((this.retryAt - performance.now()) / 1000));
    }
    this.state = state;
    this.onState(state);
  }

  /**
   * Gives an order about `subject`; resolves with the answer. It is sent again, with the same request id, when
   * the connection was lost in between: the server follows it once.
   */
  command(action, subject) {
    const request_id = requestId();
    const message = { type: "command", request_id, action, ...subject };
    return new Promise((resolve) => {
      this.commands.set(request_id, { message, resolve });
      if (this.welcomed !== null) this.send(message);
    });
  }

  send(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  answer(message) {
    const command = this.commands.get(message.request_id);
    this.commands.delete(message.request_id);
    command?.resolve(message);
  }
}

function requestId() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return `console-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
