// Cause and effects: what caused the chosen incident, and what it has caused.
//
// Arrives: the incident and the store. Leaves: a section whose rows lead to the others, each with
// its title, its severity, and whether nobody is called for it. Bounded: EFFECTS_MAX rows.

import { el, shape } from "./dom.js";
import { byUrgency, isOpen, survivor } from "./store.js";
import { waySentence } from "./reasons.js";
import { SEVERITY, clock, plural, spoken } from "./words.js";

/** How many effects are shown. */
export const EFFECTS_MAX = 12;

/** What an incident is called: `Outage, Harbour`; the id of one that is not held any more. */
export function titleIn(store, placeOf) {
  return (id) => {
    const incident = store.incidents.get(survivor(store, id));
    return incident ? `${spoken(incident.kind)}, ${placeOf(incident)}` : id;
  };
}

/** What it has caused, in the order of work. */
export function effectsOf(store, id) {
  const effects = [];
  for (const incident of store.incidents.values()) {
    if (incident.parent !== null && survivor(store, incident.parent) === id) effects.push(incident);
  }
  return effects.sort(byUrgency);
}

/**
 * The section, which ends with what people can say about it; null where it would be empty. `context`
 * has the `store`, `titleOf(id)`, the incident's `decisions` and what people can say, `together`.
 */
export function familyPart(incident, effects, context) {
  const { store, titleOf, decisions, together } = context;
  const cause = incident.parent && causeRow(incident, store, titleOf);
  const way = incident.parent && wayTold(decisions, incident);
  const shown = effects.slice(0, EFFECTS_MAX).map((each) => row("Caused", each, titleOf));
  const left = effects.length - shown.length;
  const kin = cause || shown.length > 0;
  if (!kin && !together) return null;
  const more = left > 0 && el("li", { class: "note" }, plural(left, "more effect"));
  return el(
    "section",
    { "data-testid": "family" },
    el("h3", {}, kin ? "Cause and effects" : "Belongs together"),
    kin && el("ul", { class: "family" }, cause, ...shown, more),
    way && el("p", { class: "note", "data-testid": "way" }, waySentence(way)),
    together,
  );
}

/** The way from its cause, as the last decision that named this parent told it; null if none did. */
export function wayTold(decisions, { id, parent }) {
  const named = (each) => each.incident.id === id && each.incident.parent === parent;
  const links = (type) => type === "incident_opened" || type === "incident_linked";
  const told = decisions.filter((each) => named(each) && links(each.type)).at(-1);
  return told?.cause.way ?? null;
}

function causeRow({ parent }, store, titleOf) {
  const cause = store.incidents.get(survivor(store, parent));
  if (cause) return row("Caused by", cause, titleOf);
  const gone = el("span", { class: "note" }, "is over and not held any more");
  return el("li", {}, el("span", { class: "kin" }, "Caused by"), el("code", {}, parent), gone);
}

function row(kin, incident, titleOf) {
  const { id, severity, condition, handling, suppressed_by } = incident;
  const state = isOpen(incident)
    ? `${condition}, ${handling}`
    : `over since ${clock(Date.parse(incident.ended_at))}`;
  const quiet = suppressed_by ? "suppressed by design" : null;
  const words = [SEVERITY[severity].word.toLowerCase(), state, quiet].filter(Boolean).join(" · ");
  const button = el(
    "button",
    { type: "button", class: "kin-go", "data-other-incident": id, "data-testid": "kin", title: id },
    shape(SEVERITY[severity].shape),
    el("span", { class: "kin-title" }, titleOf(id)),
    el("span", { class: "kin-words" }, words),
  );
  return el("li", { "data-severity": severity }, el("span", { class: "kin" }, kin), button);
}
