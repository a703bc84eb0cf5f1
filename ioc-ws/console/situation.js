// The city at a glance, shown while no incident is chosen: what is open by kind, who is silent
// or broken.

import { el, picture } from "./dom.js";
import { SEVERITIES, isOpen } from "./store.js";
import { ALERT, TICK, pictogram, plural, span, spoken, watch } from "./words.js";

const SILENT_MAX = 8;
const PARTS_MAX = 12;
/** More than so many in ten minutes are a flood of alarms. */
const FLOOD_CALLS = 10;

/**
 * The pane's elements; `now` is logical time in milliseconds, `heard` as `heardOf` says, `health`
 * what is known of broken sensors, `system` how the server does.
 */
export function situation(store, now, heard, health, system) {
  const open = [...store.incidents.values()].filter(isOpen);
  const head = el("div", { class: "panel-head" }, el("h2", {}, "Situation"),
    el("span", { class: "note" }, "Choose an incident to see why"));
  if (store.hash === null) {
    return [head, el("div", { class: "empty" }, el("p", {}, "Waiting for the picture."))];
  }
  const parts = [kinds(open), load(store), watched(heard), silent(store, now)];
  const others = [...health.sections(now), ...system.sections(now)];
  return [head, el("div", { class: "situation" }, ...parts, ...others)];
}

/**
 * How often people were called in the last ten minutes, as the server counts it, and whether that is
 * a flood: more than one person can see to (EEMUA 191, ISA-18.2).
 */
export function callsOf(store) {
  const { calls } = store;
  return { calls, flood: calls > FLOOD_CALLS };
}

function load(store) {
  const { calls, flood } = callsOf(store);
  const text = calls === null ? "…" : `${plural(calls, "call")} in 10 minutes`;
  const note = flood && el("p", { class: "note" },
    "A flood: more than one person can see to. Symptoms can be suppressed by design, and what is " +
    "known can be shelved.");
  return el(
    "section",
    { "data-testid": "load", class: flood ? "watched poorly" : "watched" },
    el("h3", {}, "Load"),
    el("p", {}, flood ? picture(ALERT) : picture(TICK), text),
    note,
  );
}

/** A sensor's name, which leads to what it says. */
export const sensorButton = (id) =>
  el("button", { type: "button", class: "other", "data-sensor": id }, id);

/** No news is good news only from who is heard. */
function watched(heard) {
  const { text, enough } = watch(heard);
  const note = enough ? null : "Whatever happens where no sensor is heard is not shown here.";
  return el(
    "section",
    { "data-testid": "heard", class: enough ? "watched" : "watched poorly" },
    el("h3", {}, "Sensors"),
    el("p", {}, enough ? picture(TICK) : picture(ALERT), text),
    note && el("p", { class: "note" }, note),
  );
}

function kinds(open) {
  if (open.length === 0) return el("p", { class: "note" }, "No incident is open.");
  const byKind = new Map();
  for (const incident of open) {
    if (!byKind.has(incident.kind)) byKind.set(incident.kind, []);
    byKind.get(incident.kind).push(incident.severity);
  }
  const rows = [...byKind].sort(([, a], [, b]) => b.length - a.length).map(kindRow);
  return el("section", {}, el("h3", {}, "Open by kind"), el("ul", { class: "kinds" }, ...rows));
}

function kindRow([kind, severities]) {
  severities.sort((a, b) => SEVERITIES.indexOf(a) - SEVERITIES.indexOf(b));
  const part = (severity) => el("i", { "data-severity": severity, title: severity });
  const parts = severities.slice(0, PARTS_MAX).map(part);
  return el(
    "li",
    {},
    picture(pictogram(kind)),
    el("span", {}, spoken(kind)),
    el("span", { class: "parts" }, ...parts),
    el("b", { class: "number" }, String(severities.length)),
  );
}

function silent(store, now) {
  if (store.silentTotal === 0) return null;
  const newest = [...store.silent.values()].sort((a, b) => b.seq - a.seq).slice(0, SILENT_MAX);
  const row = ({ id, kind, last_heard_at }) => {
    const since = span(now - Date.parse(last_heard_at));
    const heard = el("span", { title: "since it was last heard" }, since);
    return el("li", {}, sensorButton(id), el("span", {}, spoken(kind)), heard);
  };
  const rows = newest.map(row);
  const left = store.silentTotal - newest.length;
  const more = left > 0 ? el("p", { class: "note" }, plural(left, "more sensor")) : null;
  return el("section", { "data-testid": "silent-list" }, el("h3", {}, "Silent sensors"),
    el("ul", { class: "quiet-sensors" }, ...rows), more);
}
