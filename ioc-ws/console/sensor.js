// One sensor: what it said last, how that stands to its levels, and why it led to an incident or
// did not.
//
// Arrives: a sensor's name, and what is decided while it is looked at. Leaves: a dialog with the
// answers of /api/v1/sensors, which is asked again for as long as it is open, and of /api/v1/why,
// which judges its last reading again; and the operator's choice: one of its incidents, or to keep
// it quiet. Bounded: INCIDENTS_MAX incidents, RULES_MAX rules. Next: `again.js`.

import { Again } from "./again.js";
import { form } from "./dialog.js";
import { el, morph } from "./dom.js";
import { question } from "./question.js";
import { levelSentence, stateSentence, takerSentences } from "./reasons.js";
import { clock, plural, span, spoken, value } from "./words.js";

const INCIDENTS_MAX = 6;
const RULES_MAX = 8;
/** How long an answer is waited for: so one that never comes does not end the asking. */
const ANSWER_MS = 10_000;

/** The sensor that is looked at: `{ id, again }`; null while none is. */
let looked = null;

/** What has been decided: the sensor that is looked at is asked for again if it is about that. */
export function heardOfSensors(decisions) {
  if (looked && decisions.some((decision) => isAbout(looked.id, decision))) looked.again.now();
}

/** Whether a decision is about a sensor: names it, or has evidence of it. */
export function isAbout(id, { sensor, cause }) {
  return sensor?.id === id || (cause?.evidence ?? []).some((each) => each.sensor === id);
}

/**
 * Shows a sensor; resolves with `{ incident }` or `{ quiet: true }`, or null where it is left.
 * `known` is what the city says of it, `now()` logical time in milliseconds.
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
  const show = (told) => {
    morph(facts, factsOf(told.sensor, now()));
    const each = (incident) =>
      el("button", { type: "button", class: "step", "data-incident": incident }, titleOf(incident));
    morph(incidents, told.evidence_of.slice(0, INCIDENTS_MAX).map(each));
  };
  const again = new Again({ ask: () => sensorNow(id), onTold: show });
  looked = { id, again };
  again.now();
  question(id, { wanted: () => dialog.open }).then(({ told, trouble }) => {
    reasons.replaceChildren(...(told ? reasonsOf(told) : [el("p", {}, `Not known: ${trouble}.`)]));
  });
  return shown.then((said) => {
    again.end();
    if (looked?.again === again) looked = null;
    return chosen ?? said;
  });
}

async function sensorNow(id) {
  try {
    const signal = AbortSignal.timeout(ANSWER_MS);
    const answer = await fetch(`/api/v1/sensors/${encodeURIComponent(id)}`, { signal });
    return answer.ok ? await answer.json() : null;
  } catch {
    return null; // The link is down, which the banner says; it is asked again.
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
  const each = (look) => {
    const { rule, outcome, levels, state } = look;
    const said = state ? [stateSentence(state)] : (levels?.levels ?? []).map(levelSentence);
    const all = [...said, ...takerSentences(look)].join("; ");
    return el("li", {}, `detection ${rule}: ${outcome}; ${all}`);
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
