// What has to be said to a step: a reason, a severity, a note.
//
// Arrives: which step, about which incident. Leaves: what was said, or null where it was left.

import { NOTE_MAX, choice, form, line, noteField } from "./dialog.js";
import { passedOver } from "./handling.js";
import { DURATIONS, previewLine } from "./kept.js";
import { spoken } from "./words.js";

const SEVERITY_OPTIONS = ["extreme", "severe", "moderate", "minor"]
  .map((word) => [word, spoken(word)]);

/** Something must be chosen. */
const CHOOSE = ["", "Choose…"];

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
  rate: {
    title: "Say how grave it is",
    fields: [["severity", "Severity", SEVERITY_OPTIONS]],
    note: "May be said",
  },
  report: {
    title: "Log a call or a radio message",
    fields: [["severity", "How grave it sounds", [["", "Not said"], ...SEVERITY_OPTIONS]]],
    note: "What was said",
    must: true,
  },
  all_clear: {
    title: "All clear",
    fields: [],
    note: "Who saw that it is over, and how",
    must: true,
  },
  shelve: {
    title: "Shelve",
    fields: [["for_s", "For how long", DURATIONS]],
    note: "Why",
    must: true,
  },
  extend: { title: "Extend", fields: [["for_s", "From now", DURATIONS]], note: "May be said" },
  open: {
    title: "Open an incident",
    // Nothing is as grave as it can be because nobody has chosen.
    fields: [["kind", "What kind", null], ["severity", "Severity", [CHOOSE, ...SEVERITY_OPTIONS]]],
    note: "What is known of it",
  },
};

/** Whether a step is taken at once, or something has to be said first. */
export const asks = (step, incident) =>
  step in ASKS || (incident ? passedOver(incident, step).length > 1 : false);

/**
 * Asks; resolves with what was said, or null. `hint` is a line that people should know of, `kinds`
 * what can be opened and `places` where, the first unless said; `send(said)` gives the order.
 */
export function ask(step, incident, about) {
  const { title = null, hint = null, kinds = [], places = [], initial = {}, send } = about;
  const asked = ASKS[step] ?? { title: spoken(step), fields: [], note: "May be said" };
  const passed = incident ? passedOver(incident, step) : [];
  const fields = asked.fields.map(([name, label, options]) => options
    ? choice(name, label, options, initial[name], { required: options.includes(CHOOSE) })
    : line(name, label, { known: kinds, required: true }));
  if (places.length > 0) fields.push(choice("place", "Where", places));
  const note = noteField(asked.note, NOTE_MAX);
  const words = passed.map((word) => spoken(word).toLowerCase()).join(", ");
  const preview = step === "shelve" ? previewLine() : null;
  preview?.show({ incident: incident.id });
  const said = () => {
    const each = fields.map(({ input }) => [input.name, input.value.trim()]);
    const given = Object.fromEntries(each.filter(([, value]) => value !== ""));
    const noted = note.input.value.trim();
    return noted ? { ...given, note: noted } : given;
  };
  return form({
    title: asked.title,
    lines: [title, hint, passed.length > 0 ? `Passes over: ${words}` : null],
    parts: [...fields.map(({ node }) => node), note.node, preview?.node],
    said,
    ready: () => {
      const missing = asked.must && note.input.value.trim() === "";
      return !missing && fields.every(({ input }) => !input.required || input.value.trim() !== "");
    },
    send,
    focus: fields[0]?.input ?? note.input,
  });
}
