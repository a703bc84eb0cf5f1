// What happened to an incident, newest first: each decision a step, runs of plain updates folded.
//
// Arrives: the decisions about it, oldest first. Leaves: steps, and the section that shows them.
// Promise: how it opened and every change of its state are shown; only plain updates fold.

import { el } from "./dom.js";
import { passedOn } from "./handling.js";
import { belongsSentence, number } from "./reasons.js";
import { SEVERITIES } from "./store.js";
import { clearedBecause, clock, distance, plural, spoken } from "./words.js";

/** At most so many steps are shown: the newest, and the first. */
const STEPS_MAX = 100;
/** At most so many updates of an unfolded run: the newest. */
const UPDATES_MAX = 200;

/** Of so many readings a step says what they said. */
const EVIDENCE_MAX = 3;

/** What happened; each step names the plain `updates` that it folds, if it is a run of them. */
export function stepsOf(decisions, id, titleOf = (other) => other) {
  const steps = [];
  let severity = null;
  for (const decision of decisions) {
    const { type, incident } = decision;
    const rose = incident.id === id && severity !== null && incident.severity !== severity;
    const fell = rose && SEVERITIES.indexOf(incident.severity) > SEVERITIES.indexOf(severity);
    if (incident.id === id) severity = incident.severity;
    const plain = type === "incident_updated" && !rose;
    const last = steps.at(-1);
    const follows = last?.updates.length > 0 && last.decision.incident.id === incident.id;
    if (plain && follows) {
      last.updates.push(decision);
      last.decision = decision;
    } else {
      steps.push({ decision, rose, fell, updates: plain ? [decision] : [] });
    }
  }
  return steps.map((step) => ({ ...step, text: textOf(step, id, titleOf) }));
}

/** What a person did, each with who did it. */
const DONE = {
  incident_acknowledged: "Acknowledged",
  incident_confirmed: "Confirmed",
  incident_responding: "Units respond",
  incident_contained: "Contained",
  incident_resolved: "Resolved",
  incident_closed: "Closed",
  incident_dismissed: "Dismissed",
  incident_undone: "Last step undone",
};

/** What is about two incidents says so itself; what became part of it is named before its own. */
const OF_TWO = ["incident_merged", "incident_split", "incident_evidence_moved"];

function textOf(step, id, titleOf) {
  const { type, incident } = step.decision;
  const own = incident.id === id || OF_TWO.includes(type);
  const text = sentence(step, id, titleOf);
  return own ? text : `${incident.id}: ${text}`;
}

function sentence(step, id, titleOf) {
  const { actor, note } = step.decision.cause;
  const by = actor ? ` by ${actor}` : "";
  const said = note ? `: ${note}` : "";
  const done = DONE[step.decision.type];
  if (!done) return `${happened(step, id, titleOf)}${by}${said}`;
  const { incident, passed_over } = step.decision;
  const reason = incident.dismissed_as ? ` as ${spoken(incident.dismissed_as).toLowerCase()}` : "";
  const over = passed_over ? `, passing over ${passed_over.join(", ")}` : "";
  return `${done}${reason}${by}${over}${said}`;
}

function happened({ decision, rose, fell, updates }, id, titleOf) {
  const { type, incident, into, from, cause } = decision;
  if (type === "incident_reopened" && cause.actor) return "Reopened";
  if (rose && type === "incident_updated") {
    return `${fell ? "Fell" : "Rose"} to ${incident.severity}`;
  }
  switch (type) {
    case "incident_opened":
      return `Opened as ${incident.severity}`;
    case "incident_updated":
      return `${plural(updates.length, "update")}: ${reach(decision)}`;
    case "incident_merged":
      return into === id ? `${incident.id} became part of it` : `Became part of ${into}`;
    case "incident_split":
      return incident.id === id
        ? `Split off from ${titleOf(from)}`
        : `${titleOf(incident.id)} split off`;
    case "incident_evidence_moved":
      return incident.id === id ? `Evidence came from ${titleOf(from)}` : "Evidence moved away";
    case "incident_cleared":
      return cause.actor ? "Cleared" : `Cleared: ${clearedBecause(decision)}`;
    case "incident_unknown":
      return "Unknown: its sensors fell silent or are broken";
    case "incident_reopened":
      return `Reopened: episode ${incident.episode}`;
    case "incident_linked":
      return incident.parent ? `Caused by ${titleOf(incident.parent)}` : "Its cause is not known";
    case "incident_escalated":
      return passedOn(incident) ?? "Passed on";
    case "incident_shelved":
      return `Shelved until ${clock(Date.parse(incident.shelved_until))}`;
    case "incident_suppressed":
      return `Suppressed by design: caused by ${titleOf(incident.suppressed_by)}`;
    case "incident_unsuppressed":
      return "Suppressed no more: its cause explains it no more";
    case "incident_unshelved":
      return "Shelved no more";
    case "incident_rated":
      return `Rated ${incident.severity}`;
    default:
      return spoken(type);
  }
}

function reach({ incident }) {
  return `${plural(incident.sensors, "sensor")}, ${distance(incident.radius_m)}`;
}

/**
 * The section. `unfolded` holds the first number of each run that is shown update by update;
 * `leftOut` counts the decisions that nobody holds any more.
 */
export function timeline(steps, unfolded, leftOut) {
  const opening = steps.slice(0, 1);
  const later = steps.slice(1).reverse();
  const shown = later.slice(0, STEPS_MAX - 1);
  const rows = shown.flatMap((step) => rowsOf(step, unfolded));
  const hidden = later.length - shown.length;
  if (hidden > 0) rows.push(el("li", { class: "gap" }, plural(hidden, "earlier step")));
  if (leftOut > 0) rows.push(el("li", { class: "gap" }, leftOutText(leftOut)));
  rows.push(...opening.flatMap((step) => rowsOf(step, unfolded)));
  return el(
    "section",
    {},
    el("h3", {}, "Timeline"),
    el("ol", { class: "timeline", "data-testid": "timeline" }, ...rows),
  );
}

function leftOutText(count) {
  return `${plural(count, "decision")} in between not held any more`;
}

function rowsOf(step, unfolded) {
  const { decision, text, rose, updates } = step;
  if (updates.length < 2) return [row(decision, [text, evidenceNote(step)], rose)];
  const run = updates[0].seq;
  const open = unfolded.has(run);
  const button = el(
    "button",
    { type: "button", class: "run", "data-run": run, "aria-expanded": String(open) },
    text,
  );
  const folded = open ? updates.slice(-UPDATES_MAX).reverse() : [];
  const each = (update) => row(update, `${reach(update)}. ${saidBy(update)}`, false, "part");
  return [row(decision, button, false), ...folded.map(each)];
}

/** What its readings said, where a step says what the world did. */
function evidenceNote({ decision }) {
  const text = saidBy(decision);
  return text ? el("small", { class: "said" }, text) : "";
}

function saidBy({ cause: { evidence } }) {
  const each = (own) =>
    `${own.sensor} ${number(own.value)} by ${own.rule}, ${belongsSentence(own)}`;
  const said = evidence.slice(0, EVIDENCE_MAX).map(each).join("; ");
  const left = evidence.length - EVIDENCE_MAX;
  return left > 0 ? `${said}; and ${plural(left, "more reading")}` : said;
}

function row({ type, at, seq, incident }, text, rose, part = null) {
  const grave = rose || type === "incident_opened";
  return el(
    "li",
    { class: part, "data-type": type, "data-severity": grave && incident.severity },
    el("time", { datetime: at, title: at }, clock(Date.parse(at))),
    el("span", {}, ...[text].flat()),
    el("span", { class: "step-seq" }, `#${seq}`),
  );
}
