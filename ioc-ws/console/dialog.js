// The form of what has to be said before something is done: a dialog, from the keyboard too.
//
// Arrives: what is asked for, and how it is sent. Leaves: what was said, or null where it was left.
// Promise: it stays until it is left or what it asks for is done; what the server refuses is told
// where the order was written, and nothing that was typed is lost by it. Next: `asks.js`.

import { el } from "./dom.js";

/** How long a note may be, as on the server. */
export const NOTE_MAX = 512;

/**
 * Asks. `said()` reads what is said, `ready()` whether that is enough, `send(said)` resolves with
 * the server's answer. Resolves with what was said, or null.
 */
export function form({
  title, word = title, lines = [], parts = [], said = () => ({}), ready = () => true,
  send = null, onInput = () => {}, focus = null, wide = false,
}) {
  const hint = parts.length > 0 ? "Ctrl Enter sends" : "";
  const go = el("button", { type: "button", class: "primary", "data-testid": "dialog-go" }, word);
  const away = { type: "button", class: "step", "data-testid": "dialog-leave" };
  const leave = el("button", away, "Leave");
  const refused = el("p", { class: "refused", role: "alert", "data-testid": "refused" });
  refused.hidden = true;
  const dialog = el(
    "dialog",
    { class: wide ? "ask wide" : "ask", "data-testid": "dialog", "aria-label": title },
    el("h2", {}, title),
    ...lines.filter(Boolean).map((line) => el("p", { class: "note" }, line)),
    ...parts,
    refused,
    el("div", { class: "steps" }, el("span", { class: "note" }, hint), leave, go),
  );
  document.body.append(dialog);
  return new Promise((resolve) => {
    let given = null;
    let sending = false;
    const check = () => {
      go.disabled = sending || !ready();
      onInput();
    };
    const tell = async () => {
      if (go.disabled) return;
      const now = said();
      sending = true;
      go.textContent = `${word}…`;
      check();
      const answer = send ? await send(now) : { type: "ok" };
      sending = false;
      go.textContent = word;
      if (answer.type !== "refused") given = now;
      if (answer.type !== "refused" || !dialog.open) {
        dialog.close();
        return;
      }
      refused.textContent = `Not done: ${answer.message}`;
      refused.hidden = false;
      check();
      go.focus();
    };
    dialog.addEventListener("input", () => {
      refused.hidden = true;
      check();
    });
    dialog.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      const writes = event.target.closest("textarea, button");
      if (event.ctrlKey || event.metaKey || !writes) {
        event.preventDefault();
        tell();
      }
    });
    leave.addEventListener("click", () => dialog.close());
    go.addEventListener("click", tell);
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(given);
    });
    check();
    dialog.showModal();
    (focus ?? go).focus();
  });
}

/** Asks whether something shall be done that moves things in the city; resolves with yes or no. */
export async function confirmed({ title, text, word, send = null }) {
  const asked = form({ title, word, lines: [text], send });
  // Enter does what is safe.
  document.querySelector("dialog:last-of-type [data-testid=dialog-leave]")?.focus();
  return (await asked) !== null;
}

/** What people say to it; `rows` high. */
export function noteField(label, max, rows = 3, name = "note") {
  const input = el("textarea", { name, rows: String(rows), maxlength: max });
  return { input, node: el("label", {}, el("span", {}, label), input) };
}

/** One of these: each has a value and a word. Where it is `required`, no value is no choice. */
export function choice(name, label, options, value = null, { required = false } = {}) {
  const each = ([own, word]) => el("option", { value: own, selected: own === value }, word);
  const input = el("select", { name, required }, ...options.map(each));
  return { input, node: el("label", {}, el("span", {}, label), input) };
}

/** A line of text, with what may be `known`: names, or names each with what it is called. */
export function line(name, label, { value = "", known = [], required = false } = {}) {
  const list = known.length > 0 ? el("datalist", { id: `known-${name}` },
    ...known.map((each) => {
      const [value, label] = [each].flat();
      return el("option", { value, label });
    })) : null;
  const input = el("input", {
    name, value, required, list: list && `known-${name}`, autocomplete: "off", spellcheck: "false",
  });
  return { input, node: el("label", {}, el("span", {}, label), input, list) };
}
