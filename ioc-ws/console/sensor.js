// One sensor: what it said last, how that stands to its levels, and why it led to an incident or
// did not.
//
// Arrives: a sensor's name. Leaves: a dialog with the answers of /api/v1/sensors and /api/v1/why,
// which judges its last reading again; and the operator's choice: one of its incidents, or to keep
// it quiet. Bounded: INCIDENTS_MAX incidents, RULES_MAX rules.

import { form } from "./dialog.js";
import { el } from "./dom.js";
import { question } from "./question.js";
import { levelSentence } from "./reasons.js";
import { clock, plural, span, spoken, value } from "./words.js";

const INCIDENTS_MAX = 6;
const RULES_MAX = 8;

/**
 * Shows a sensor; resolves with `{ incident }` or `{ quiet: true }`, or null where it is left.
 * `known` is what the city says of it, `now` logical time in milliseconds.
 */
export function showSensor(id, { known, now, titleOf }) {
  const facts = el("dl", { class: "facts", "data-testid": "sensor-facts" });
  const reasons = el("div", { class: "reasons", role: "status", "data-testid": "sensor-why" },
    el("p", {}, "Its last reading is judged again…"));
  const incidents = el("div", { class: "steps" });
  let chosen = null;
  const shown = form({
    title: known?.name ? `${known.name} (${id})` : id,
    word: "Keep it quiet…",
    parts: [facts, reasons, incidents],
    said: () => chosen ?? { quiet: true },
    wide: true,
  });
  const dialog = facts.closest("dialog");
  incidents.addEventListener("click", ({ target }) => {
    const incident = target.closest("[data-incident]")?.dataset.incident;
    if (!incident) return;
    chosen = { incident };
    dialog.close();
  });
  sensorNow(id).then((told) => {
    if (!told) return;
    facts.replaceChildren(...factsOf(told.sensor, now));
    const each = (incident) =>
      el("button", { type: "button", class: "step", "data-incident": incident }, titleOf(incident));
    incidents.replaceChildren(...told.evidence_of.slice(0, INCIDENTS_MAX).map(each));
  });
  question(id, { wanted: () => dialog.open }).then(({ told, trouble }) => {
    reasons.replaceChildren(...(told ? reasonsOf(told) : [el("p", {}, `Not known: ${trouble}.`)]));
  });
  return shown.then((said) => chosen ?? said);
}

async function sensorNow(id) {
  try {
    const answer = await fetch(`/api/v1/sensors/${encodeURIComponent(id)}`);
    return answer.ok ? await answer.json() : null;
  } catch {
    return null; // The link is down, which the banner says.
  }
}

function factsOf(sensor, now) {
  const { unit, warning, danger, observed_at: at, zone, faults, distrusted } = sensor;
  const heard = at ? `${clock(Date.parse(at))}, ${span(now - Date.parse(at))} ago` : "nothing yet";
  const level = (own) => (own === null || own === undefined ? "of its rules" : value(own, unit));
  // Null: more sensors are broken than the server lists, and this may be one of them.
  const broken = faults?.map(({ fault }) => spoken(fault)).join(", ") ?? "not known";
  const rows = [
    ["Said", sensor.value === null ? "–" : value(sensor.value, unit)],
    ["At", heard],
    ["Kind", spoken(sensor.kind)],
    ["Zone", zone],
    ["Warning", level(warning)],
    ["Danger", level(danger)],
    ["Wrong with it", distrusted ? `${broken}; not trusted` : broken || "nothing"],
  ];
  return rows.map(([word, text]) => el("div", {}, el("dt", {}, word), el("dd", {}, text)));
}

/** The verdict first, then what each rule made of it. */
function reasonsOf({ verdict, rules, correlations }) {
  const each = ({ rule, outcome, levels, taken_by: takers }) => {
    const taken = takers.length > 0
      ? `taken by ${takers.join(", ")}`
      : "no correlation rule takes what it finds";
    const said = (levels?.levels ?? []).map(levelSentence);
    return el("li", {}, `detection ${rule}: ${outcome}; ${[...said, taken].join("; ")}`);
  };
  const weighs = ({ rule, weight, weight_needed }) =>
    el("li", {}, `correlation ${rule}: weighs ${weight}, opens at ${weight_needed}`);
  const left = rules.length - RULES_MAX;
  const rows = [...rules.slice(0, RULES_MAX).map(each), ...correlations.map(weighs)];
  return [
    el("h4", {}, verdict),
    el("ul", { class: "why-lines" }, ...rows),
    left > 0 && el("p", { class: "note" }, plural(left, "more rule")),
  ].filter(Boolean);
}
