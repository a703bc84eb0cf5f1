// What has to be said to a step: a reason, a severity, a note. One dialog, from the keyboard too.
//
// Arrives: which step, about which incident. Leaves: what was said, or null where it was left.
// Nothing is sent from here.

import { el } from "./dom.js";
import { passedOver } from "./handling.js";
import { spoken } from "./words.js";

/** As on the server. */
const NOTE_MAX = 512;

const SEVERITY_OPTIONS = ["extreme", "severe", "moderate", "minor"];

const REASONS = [
  ["false_alarm", "False alarm: it is not so"],
  ["test", "Test: somebody tests"],
  ["planned", "Planned: works, an event"],
  ["not_ours", "Not ours: others see to it"],
];

/** What each step asks for: its title, whether a note must be, and its other fields. */
const ASKS = {
  dismiss: { title: "Dismiss", fields: [["reason", "Why", REASONS]], note: "May be said" },
  reopen: { title: "Reopen", fields: [], note: "Why", must: true },
  rate: { title: "Say how grave it is", fields: [severities("Severity")], note: "May be said" },
  report: {
    title: "Log a call or a radio message",
    fields: [["severity", "How grave it sounds", [["", "Not said"], ...severities("")[2]]]],
    note: "What was said",
    must: true,
  },
  all_clear: { title: "All clear", fields: [], note: "Who saw that it is over, and how", must: true },
  open: {
    title: "Open an incident",
    fields: [["kind", "What kind", null], severities("Severity")],
    note: "What is known of it",
  },
};

function severities(label) {
  return ["severity", label, SEVERITY_OPTIONS.map((word) => [word, spoken(word)])];
}

/** Whether a step is taken at once, or something has to be said first. */
export const asks = (step, incident) =>
  step in ASKS || (incident ? passedOver(incident, step).length > 1 : false);

/**
 * Asks; resolves with what was said, or null. `hints` is a line for each field that people should
 * know of, `kinds` what can be opened.
 */
export function ask(step, incident, { hint = null, kinds = [], initial = {} } = {}) {
  const asked = ASKS[step] ?? { title: spoken(step), fields: [], note: "May be said" };
  const passed = incident ? passedOver(incident, step) : [];
  const fields = asked.fields.map((field) => fieldOf(field, kinds, initial));
  const note = el("textarea", { name: "note", rows: "3", maxlength: NOTE_MAX });
  const words = passed.map((word) => spoken(word).toLowerCase()).join(", ");
  const over = passed.length ? el("p", { class: "note" }, `Passes over: ${words}`) : null;
  const go = el(
    "button",
    { type: "button", class: "primary", "data-testid": "dialog-go" },
    asked.title,
  );
  const leave = el("button", { type: "button", class: "step", "data-testid": "dialog-leave" }, "Leave");
  const dialog = el(
    "dialog",
    { class: "ask", "data-testid": "dialog", "aria-label": asked.title },
    el("h2", {}, asked.title),
    incident && el("p", { class: "note" }, `${spoken(incident.kind)} ${incident.id}`),
    hint && el("p", { class: "note", "data-testid": "dialog-hint" }, hint),
    over,
    ...fields.map(({ node }) => node),
    el("label", {}, el("span", {}, asked.note), note),
    el("div", { class: "steps" }, leave, go),
  );
  document.body.append(dialog);
  return new Promise((resolve) => {
    let said = null;
    const check = () => {
      const missing = asked.must && note.value.trim() === "";
      go.disabled = missing || fields.some(({ input }) => input.required && !input.value);
    };
    dialog.addEventListener("input", check);
    leave.addEventListener("click", () => dialog.close());
    go.addEventListener("click", () => {
      said = Object.fromEntries(fields.map(({ input }) => [input.name, input.value]));
      for (const name of Object.keys(said)) if (said[name] === "") delete said[name];
      if (note.value.trim()) said.note = note.value.trim();
      dialog.close();
    });
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(said);
    });
    check();
    dialog.showModal();
    (fields[0]?.input ?? note).focus();
  });
}

/** Asks whether something shall be done that moves things in the city; resolves with yes or no. */
export function confirmed({ title, text, word }) {
  const go = el(
    "button",
    { type: "button", class: "primary", "data-testid": "dialog-go" },
    word,
  );
  const leave = el("button", { type: "button", class: "step", "data-testid": "dialog-leave" }, "Leave");
  const dialog = el(
    "dialog",
    { class: "ask", "data-testid": "dialog", "aria-label": title },
    el("h2", {}, title),
    el("p", { class: "note" }, text),
    el("div", { class: "steps" }, leave, go),
  );
  document.body.append(dialog);
  return new Promise((resolve) => {
    let yes = false;
    leave.addEventListener("click", () => dialog.close());
    go.addEventListener("click", () => {
      yes = true;
      dialog.close();
    });
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(yes);
    });
    dialog.showModal();
    leave.focus();
  });
}

function fieldOf([name, label, options], kinds, initial) {
  let input;
  if (options) {
    const each = ([value, word]) =>
      el("option", { value, selected: initial[name] === value }, word);
    input = el("select", { name }, ...options.map(each));
  } else {
    input = el("input", { name, required: true, list: "ask-kinds", autocomplete: "off" });
  }
  const list = options ? null : el("datalist", { id: "ask-kinds" }, ...kinds.map((value) => el("option", { value })));
  return { input, node: el("label", {}, el("span", {}, label), input, list) };
}
