// The readings that an incident rests on: the newest of each sensor, and by what it belongs.
//
// Arrives: the decisions about the incident. Leaves: a table, and the operator's choice of a
// sensor. Bounded: EVIDENCE_MAX rows, EVIDENCE_ALL_MAX when all are asked for.

import { el } from "./dom.js";
import { belongsBy, belongsSentence } from "./reasons.js";
import { clock, distance, plural, value } from "./words.js";

const EVIDENCE_MAX = 5;
const EVIDENCE_ALL_MAX = 200;

/**
 * The sensors whose readings the incident `id` rests on, the latest first: each with the newest
 * reading, and with how it came to belong (`joined`), which its first one says. `decisions` are in
 * order: its own, and those of what became part of it.
 */
export function evidenceOf(decisions, id) {
  const bySensor = new Map();
  for (const evidence of staying(decisions, id)) {
    const before = bySensor.get(evidence.sensor);
    const readings = before?.readings ?? new Map();
    readings.set(evidence.reading, evidence.at);
    const joined = before?.joined ?? evidence;
    bySensor.delete(evidence.sensor);
    bySensor.set(evidence.sensor, { ...evidence, joined, readings });
  }
  return [...bySensor.values()].reverse();
}

/**
 * The evidence that people have not moved to another incident since. What left is known by the
 * decisions after, so these are looked at first.
 */
function staying(decisions, id) {
  const survivors = new Map();
  const leftLater = new Map();
  const leftOf = (incident) => leftLater.get(incident) ?? [];
  const kept = [];
  for (const { at, cause, incident, into, from, sources } of [...decisions].reverse()) {
    if (into) {
      // What left the whole after they became one left this part of it.
      survivors.set(incident.id, survivors.get(into) ?? into);
      leftLater.set(incident.id, leftOf(into));
    }
    // What was split off and merged again has not left.
    const isElsewhere = from && (survivors.get(incident.id) ?? incident.id) !== id;
    if (isElsewhere) leftLater.set(from, [...leftOf(from), ...sources]);
    const left = new Set(leftOf(incident.id));
    const stays = ({ sensor, reading }) => !left.has(sensor) && !left.has(`${sensor}/${reading}`);
    kept.push(...cause.evidence.filter(stays).map((each) => ({ ...each, at })).reverse());
  }
  return kept.reverse();
}

/** The table; `all` says whether every sensor is shown. */
export function evidenceTable(evidence, incident, { city, store, all }) {
  const shown = evidence.slice(0, all ? EVIDENCE_ALL_MAX : EVIDENCE_MAX);
  const rows = shown.map((each) => evidenceRow(each, incident, city, store));
  const words = [
    ["Sensor", null],
    ["Said", "the newest of its readings that are evidence"],
    ["Rule", "the detection rule that this reading satisfied"],
    ["Belongs by", "how far its first was from what was there, or along which network"],
    ["At", null],
  ];
  const head = words.map(([word, title]) => el("th", { scope: "col", title }, word));
  const table = el(
    "table",
    { class: "evidence", "data-testid": "evidence" },
    el("thead", {}, el("tr", {}, ...head)),
    el("tbody", {}, ...rows),
  );
  return el("div", {}, table, moreOf(evidence.length - shown.length, all),
    unseen(incident.sensors - evidence.length));
}

/** Sensors whose readings are not among the decisions that are held. */
function unseen(count) {
  if (count <= 0) return null;
  const text = `${plural(count, "sensor")} further back, or of what became part of it`;
  return el("p", { class: "note" }, text);
}

function moreOf(left, all) {
  if (left === 0) return null;
  const text = plural(left, "more sensor");
  if (all) return el("p", { class: "note" }, text);
  const about = { type: "button", class: "run", "data-all-evidence": "", "aria-expanded": "false" };
  return el("p", {}, el("button", about, text));
}

function evidenceRow(evidence, incident, city, store) {
  const sensor = city.sensorById.get(evidence.sensor);
  const unit = sensor?.unit ?? store.readings.get(evidence.sensor)?.unit;
  const title = sensor?.name ?? evidence.sensor;
  const look = {
    type: "button", class: "other", "data-sensor": evidence.sensor,
    title: `${title}: what it says, and why…`, "data-testid": "look-at-sensor",
  };
  // Who is not of the city, such as a call centre, says with each reading where it holds.
  const away = city.apart(incident.position, sensor?.position);
  const middle = away === null ? "" : `; ${distance(Math.round(away))} from its middle`;
  const joined = `${belongsSentence(evidence.joined)}${middle}`;
  return el(
    "tr",
    { "data-row": evidence.sensor },
    el("td", { title }, el("button", look, evidence.sensor)),
    el("td", { class: "number" }, value(evidence.value, unit)),
    el("td", { title: evidence.rule }, evidence.rule),
    el("td", { class: "number", title: joined }, belongsBy(evidence.joined)),
    el("td", { class: "number" }, clock(Date.parse(evidence.at))),
  );
}
