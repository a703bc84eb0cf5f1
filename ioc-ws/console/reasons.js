// Why, in sentences: the words of `ioc why`, from the answers of /api/v1/why.
//
// Arrives: the answer about an incident or a reading, and the incident's decisions. Leaves: texts.
// Pure: no DOM, no clock of its own. Next: `why.js`, which asks and shows.

import { SEVERITIES } from "./store.js";
import { clock, distance, plural, spoken } from "./words.js";

const SPANS = [
  [86_400_000, "d"],
  [3_600_000, "h"],
  [60_000, "min"],
  [1_000, "s"],
];

/** A span as the rules write it: in the greatest unit of which it is a whole number. */
export function ruleSpan(ms) {
  if (ms === 0) return "0 s";
  const [size, unit] = SPANS.find(([size]) => ms % size === 0) ?? [1, "ms"];
  return `${ms / size} ${unit}`;
}

/** A number as people would write it. */
export const number = (value) => String(Math.round(value * 1e6) / 1e6);

/** `by flood, which opens at 3 from river-high 3, within 2,000 m and 1 h, clears after 10 min` */
export function ruleSentence(rule) {
  const { name, weights, opens_at, within_m, within_time_ms, clear_after_ms } = rule;
  const from = Object.entries(weights).map(([rule, weight]) => `${rule} ${weight}`).join(", ");
  const near = within_m > 0 ? `${near_m(within_m)} and` : "near by their cause alone, within";
  const [within, clear] = [ruleSpan(within_time_ms), ruleSpan(clear_after_ms)];
  return `by ${name}, which opens at ${opens_at} from ${from}, ${near} ${within}, ` +
    `and clears after ${clear}`;
}

const near_m = (within_m) => `within ${within_m.toLocaleString("en")} m`;

/** `1 of 2 readings in a row, and that it lasts 4 min (since 10:01:00)` */
export function runOf({ readings, readings_needed, among, since, lasting_ms }) {
  const most = among === null ? "in a row" : `among the last ${among}`;
  let text = readings > readings_needed
    ? `${readings} readings ${most}, ${readings_needed} needed`
    : `${readings} of ${plural(readings_needed, "reading")} ${most}`;
  if (lasting_ms > 0) {
    text += `, and that it lasts ${ruleSpan(lasting_ms)}`;
    if (since !== null) text += ` (since ${clock(Date.parse(since))})`;
  }
  return text;
}

/** How a value stands to one level: `severe at 4: 0.4 beyond it; 2 of 2 readings in a row`. */
export function levelSentence(level) {
  const at = `${level.severity} at ${number(level.level)}`;
  if (level.beyond === null) return at;
  if (level.beyond > 0) return `${at}: ${number(level.beyond)} beyond it; ${runOf(level)}`;
  if (level.beyond === 0) return `${at}: at it, and must be beyond it`;
  return `${at}: ${number(-level.beyond)} short of it`;
}

/** What a source weighs for the correlation: `wl-0412 weighs 3, abnormal: river-high`. */
export function memberSentence({ sensor, weight, stands, rules, distrusted_by: by = [] }) {
  const part = stands === "distrusted" ? " by" : ", distrusted in part by";
  const doubt = by.length > 0 ? `${part} ${by.join(", ")}` : "";
  return `${sensor} weighs ${weight}, ${stands}${doubt}: ${rules.join(", ")}`;
}

/** How what was together weighed, when the last evidence came before `opened`, and what it waited for. */
export function openingSentence(own, opening, opened) {
  if (!opened?.cause.due) return `When it opened, what lay together ${caseSentence(own)}:`;
  const last = clock(Date.parse(opening.at));
  return `It opened when a time was over that its rules ask for. When the last reading before came, ${
    last}, what lay together ${caseSentence(own)}:`;
}

/** What together weighs what: `weighs 3, opens at 3`. */
export const caseSentence = ({ weight, weight_needed }) =>
  `weighs ${weight}, opens at ${weight_needed}`;

/** Why something else that is abnormal is not part of it. `titleOf` names an incident. */
export function neighbourSentence({ sensor, distance_m, incident, last_evidence_at }, of, titleOf) {
  const whose = incident ? titleOf(incident) : "a candidate, which opens nothing yet";
  const near = of.within_m > 0 ? near_m(of.within_m) : "near by its cause alone";
  const away = `${distance_m.toLocaleString("en")} m away`;
  return `${sensor} of ${whose} is ${away} (${near}), heard ${clock(Date.parse(last_evidence_at))}`;
}

/** By what a piece of evidence belongs to the incident: metres, or the way along a network. */
export function belongsBy({ distance_m: metres, through }) {
  if (through) return `by ${through}`;
  if (metres === null || metres === undefined) return "first";
  return metres === 0 ? "was there" : distance(metres);
}

/** The same in a sentence. */
export function belongsSentence({ distance_m: metres, through }) {
  const far = metres === null || metres === undefined ? null : `${metres} m from what was there`;
  const along = through ? `along the network, by ${through}` : null;
  return [far, along].filter(Boolean).join(", ") || "the first, which others join";
}

const NETWORKS = {
  fed_by: ["The cause feeds it", "level"],
  flows_to: ["It came with the water", "place"],
  river: ["On the same river", ""],
  line: ["Along the line", "stop"],
};

/** The way from a cause: `The cause feeds it: from fd-0009 to pump-3, 2 levels.` */
export function waySentence({ along, from, to, steps, distance_m: metres, lag_ms: lag }) {
  const [how, unit] = NETWORKS[along] ?? [`Along ${along}`, "step"];
  const far = metres === undefined
    ? steps === 0 ? "at one place" : plural(steps, unit || "step")
    : distance(metres);
  const took = lag === undefined ? "" : `, for which the water takes ${ruleSpan(lag)}`;
  return from === to ? `${how}: at ${from} itself.` : `${how}: from ${from} to ${to}, ${far}${took}.`;
}

/**
 * What readings said, those of one sensor by one rule in a line: how the first of them came to
 * belong, and how far the value has gone.
 */
export function readingLines(evidence) {
  const runs = new Map();
  for (const each of evidence) {
    const key = `${each.sensor} ${each.rule}`;
    const run = runs.get(key) ?? { first: each, count: 0 };
    runs.set(key, { ...run, last: each, count: run.count + 1 });
  }
  return [...runs.values()].map(({ first, last, count }) => {
    const [from, to] = [number(first.value), number(last.value)];
    const values = count > 1 ? `${from} to ${to}` : from;
    const many = count > 1 ? ` in ${plural(count, "reading")}` : "";
    return `${first.sensor} ${values}${many} by ${first.rule}, ${belongsSentence(first)}`;
  });
}

/**
 * The decision that made the incident as grave as it is, and how: `evidence`, `person`, `merged`
 * (another became part of it), `moved` (a person moved evidence), `effect` (it is as grave as what
 * it caused) or `fell`. Null while it is not among what is held. `decisions` are in order.
 */
export function gravestStep(decisions, { id, severity }) {
  let step = null;
  let before = null;
  let merged = null;
  for (const decision of decisions) {
    if (decision.incident.id !== id) {
      if (decision.into === id && decision.incident.severity === severity) merged = decision;
      continue;
    }
    const now = decision.incident.severity;
    if (now === severity && now !== before) step = { decision, how: howOf(decision, merged) };
    before = now;
    if (now !== severity) merged = null;
  }
  return step;
}

function howOf(decision, merged) {
  const { cause, type } = decision;
  if (type === "incident_rated") return cause.actor ? "person" : "fell";
  if (type === "incident_split" || type === "incident_evidence_moved") return "moved";
  if (merged) return "merged";
  if (cause.evidence.length > 0) return "evidence";
  return cause.actor ? "person" : "effect";
}

/** Why it is as grave as it is, as far as the decision alone says. */
export function gravitySentence({ decision, how }, titleOf, effects) {
  const { severity } = decision.incident;
  const at = clock(Date.parse(decision.at));
  const { actor = "somebody", note } = decision.cause;
  const said = note ? `: ${note}` : "";
  const sentences = {
    evidence: () => ", by its evidence.",
    person: () => `: ${actor} says so${said}.`,
    fell: () => ": its evidence has been less grave for long enough.",
    moved: () => `, by the evidence that ${actor} moved here.`,
    merged: () => ", when another that was so became part of it.",
    effect: () => {
      const grave = effects.find((each) => each.severity === severity);
      return `: no less grave than what it caused${grave ? `, ${titleOf(grave.id)}` : ""}.`;
    },
  };
  return `${spoken(severity)} since ${at}${sentences[how]()}`;
}

/** Which state a reading says, by its name, in the words of `ioc why`. */
export function stateSentence({ says, severity, from, came }) {
  if (!severity) return `\`${says}\` is none of the states that it asks for`;
  const is = `it is \`${says}\`, ${severity}`;
  const states = from.map((name) => `\`${name}\``).join(" or ");
  return came ? is : `${is}, and was not seen in ${states} before`;
}

/** By what a rule's sensor is distrusted, and who takes what the rule finds. */
export function takerSentences({ taken_by: takers, sequences = [], distrusted_by: by = [] }) {
  const all = [...takers, ...sequences.map(({ rule }) => rule)];
  const taken = all.length > 0
    ? `taken by ${all.join(", ")}`
    : "no correlation rule takes what it finds";
  const names = by.map(({ rule }) => rule).join(" and ");
  return names ? [`distrusted by ${names}`, taken] : [taken];
}

/**
 * Why this severity (`why`) and why not more (`more`), by the levels of the rules that hold the
 * reading abnormal.
 */
export function levelLines(answer, severity) {
  const graver = (level) => SEVERITIES.indexOf(level.severity) < SEVERITIES.indexOf(severity);
  const lines = { why: [], more: [] };
  for (const { rule, levels, state } of answer?.rules ?? []) {
    if (state?.severity && state.came) lines.why.push(`${rule}: ${stateSentence(state)}`);
    if (!levels || levels.raised === null) continue;
    const say = (level) => `${rule}: ${levelSentence(level)}`;
    const reached = levels.levels.filter((level) => level.severity === levels.raised);
    lines.why.push(...reached.map(say));
    lines.more.push(...levels.levels.filter(graver).map(say));
    const top = levels.levels.at(-1)?.severity;
    if (top && top !== "extreme") lines.more.push(`${rule} has no level above ${top}`);
  }
  return lines;
}
