// Why the chosen incident is there: what opened it, what belongs to it and by what, why it is as
// grave as it is, and why not more.
//
// Arrives: the incident, the decisions about it, and on demand the answer of /api/v1/why, which
// judges the records again. Leaves: the section "Why". Promise: nothing is asked before somebody
// unfolds it; one question at a time, as on the server, and who is told to wait asks again.
// Bounded: READINGS_MAX readings, LINES_MAX lines of each kind. Next: `question.js`.

import { el } from "./dom.js";
import { evidenceTable } from "./evidence.js";
import { question } from "./question.js";
import { gravestStep, gravitySentence, levelLines, openingSentence } from "./reasons.js";
import { memberSentence, neighbourSentence, readingLines, ruleSentence } from "./reasons.js";
import { clock, plural } from "./words.js";

/** Of how many readings it is asked which one made it so grave. */
const READINGS_MAX = 3;
const LINES_MAX = 12;

export class Why {
  /** `onLoaded()` is told when there is something new to draw. */
  constructor({ onLoaded }) {
    this.onLoaded = onLoaded;
    this.open = false;
    this.changes = 0;
    this.forget();
  }

  /** Another incident is chosen. */
  forget() {
    this.asked = null;
    this.answer = null;
    this.reading = null;
    this.trouble = null;
    this.changes += 1;
  }

  /** Unfolds the section or folds it again. */
  toggle() {
    this.open = !this.open;
    if (!this.open) this.forget();
    this.changes += 1;
    this.onLoaded();
  }

  /** Asks the server about an incident, unless it has been asked. */
  async ask(incident, decisions) {
    const asked = { id: incident.id, seq: incident.updated_seq, done: false };
    this.forget();
    this.asked = asked;
    const answer = await this.question(incident.id, asked);
    if (this.asked !== asked) return;
    this.answer = answer;
    asked.done = answer === null;
    this.change();
    if (!answer) return;
    const reading = await this.gravest(incident, decisions, answer, asked);
    if (this.asked !== asked) return;
    this.reading = reading;
    asked.done = true;
    this.change();
  }

  /** The reading that made it as grave as it is, judged again. */
  async gravest(incident, decisions, { opening }, asked) {
    const step = gravestStep(decisions, incident);
    if (step?.how !== "evidence") return opening ?? null;
    const seqs = step.decision.cause.evidence.map(({ seq }) => seq).sort((a, b) => b - a);
    const raises = (answer) =>
      answer?.rules.some(({ levels }) => levels?.raised === incident.severity);
    let told = opening && seqs.includes(opening.seq) ? opening : null;
    for (const seq of seqs.slice(0, READINGS_MAX)) {
      if (raises(told)) break;
      if (seq === opening?.seq) continue;
      const answer = await this.question(`#${seq}`, asked);
      if (this.asked !== asked) return null;
      told = answer && (raises(answer) || !told) ? answer : told;
    }
    return told;
  }

  /** One question; null if there is no answer, and `trouble` says why. */
  async question(about, asked) {
    const wanted = () => this.asked === asked;
    const onWait = (trouble) => {
      this.trouble = trouble;
      this.change();
    };
    const { told, trouble } = await question(about, { wanted, onWait });
    if (wanted()) this.trouble = trouble ?? null;
    return told ?? null;
  }

  change() {
    this.changes += 1;
    this.onLoaded();
  }

  /**
   * The section; `context` has the `decisions` in order, the `evidence`, whether these are
   * `loaded`, the `city`, the `store`, `titleOf(id)` and the incident's `effects`.
   */
  part(incident, context) {
    if (this.open && this.asked?.id !== incident.id && context.loaded) {
      this.ask(incident, context.decisions);
    }
    const { evidence, loaded, decisions, titleOf, effects } = context;
    const step = gravestStep(decisions, incident);
    const name = incident.rule && el("code", {}, incident.rule);
    const grave = step && gravitySentence(step, titleOf, effects);
    const rule = el("p", { class: "rule" }, name && "Rule ", name, name && ". ", grave);
    const missing = loaded ? "Its readings lie further back than is held." : "Loading…";
    const table = evidence.length > 0
      ? evidenceTable(evidence, incident, context)
      : el("p", { class: "note" }, missing);
    return el(
      "section",
      { "data-testid": "why" },
      el("h3", {}, "Why"), rule, table, this.button(),
      this.open ? this.reasons(incident, context) : null,
    );
  }

  button() {
    const about = {
      type: "button", class: "run", "data-why": "", "data-testid": "why-more",
      "aria-expanded": String(this.open), "aria-controls": "reasons", "aria-keyshortcuts": "w",
      title: "Judges its readings again and says what each rule made of them (key w)",
    };
    return el("p", {}, el("button", about, "Why exactly, and why not more"));
  }

  reasons(incident, context) {
    const about = {
      id: "reasons", class: "reasons", "data-testid": "reasons",
      "aria-busy": String(!this.asked?.done),
    };
    if (!this.answer) {
      const again = this.asked?.done ? askAgain() : null;
      const standing = el("p", { class: "note", role: "status" }, this.standing(), " ", again);
      return el("div", about, standing);
    }
    const { opening, rule } = this.answer;
    return el(
      "div",
      about,
      ...this.opened(incident, rule, opening, context),
      ...this.gravity(incident, context),
      this.exactness(opening),
      this.asOf(incident),
    );
  }

  standing() {
    if (this.trouble) return `${this.asked?.done ? "No answer" : "It waits"}: ${this.trouble}.`;
    return "The server judges it again…";
  }

  opened(incident, rule, opening, { decisions }) {
    const opened = decisions.find(({ type, incident: { id } }) =>
      id === incident.id && (type === "incident_opened" || type === "incident_split"));
    const readings = readingLines(opened?.cause.evidence ?? []);
    const own = caseOf(opening, incident);
    const weighs = own?.members.slice(0, LINES_MAX).map(memberSentence);
    const more = own ? own.members_total - Math.min(own.members.length, LINES_MAX) : 0;
    const unknown = this.answer.opening_unknown;
    const who = opened?.cause.actor;
    const said = opened?.cause.note ? `: ${opened.cause.note}` : "";
    return [
      el("h4", {}, opened ? `What opened it, ${clock(Date.parse(opened.at))}` : "What opened it"),
      who && el("p", {}, `${who} did${said}`),
      rule && el("p", { "data-testid": "why-rule" }, ruleSentence(rule)),
      weighs && el("p", {}, openingSentence(own, opening, opened)),
      weighs && lines(weighs),
      more > 0 ? el("p", { class: "note" }, `and ${more} more`) : null,
      readings.length > 0 && el("p", {}, "Its readings, and how far from what was there:"),
      lines(readings),
      unknown && el("p", { class: "note" }, `How its evidence weighed is not known: ${unknown}.`),
    ];
  }

  gravity(incident, { titleOf }) {
    if (!this.reading) {
      const text = this.asked?.done ? null : "Its gravest reading is judged again…";
      return [text && el("p", { class: "note" }, text)];
    }
    const { why, more } = levelLines(this.reading, incident.severity);
    const own = caseOf(this.reading, incident) ?? caseOf(this.answer.opening, incident);
    const near = (own?.neighbours ?? []).map((each) => neighbourSentence(each, own, titleOf));
    const { sensor, value, unit } = this.reading.reading;
    const from = `${sensor}, ${value} ${unit ?? ""}`.trim();
    return [
      el("h4", {}, `Why ${incident.severity}`),
      el("p", { "data-testid": "why-grave" }, why.length > 0
        ? `${from}:`
        : `${from}: its rule takes its word and has no levels.`),
      lines(why),
      el("h4", {}, "Why not more"),
      lines(more),
      el("p", {}, near.length > 0
        ? "Abnormal under the same rule, and of others:"
        : "Nothing else that was abnormal under its rule lay near."),
      lines(near),
    ];
  }

  exactness(opening) {
    const replayed = this.reading?.replayed ?? opening?.replayed;
    if (!replayed || replayed.exact) return null;
    const text = `What came before record ${replayed.after_record + 1} is no longer kept: where ` +
      "rules ask of earlier readings or incidents, this may differ from what was judged then.";
    return el("p", { class: "note" }, text);
  }

  /** What is told is of the moment it was asked. */
  asOf(incident) {
    const { done, seq } = this.asked;
    if (!done || incident.updated_seq <= seq) return null;
    const later = plural(incident.updated_seq - seq, "decision");
    return el("p", { class: "note" }, `${later} ago, of the whole city. `, askAgain());
  }
}

function askAgain() {
  const about = {
    type: "button", class: "other", "data-why-again": "", "data-testid": "why-again",
  };
  return el("button", about, "Ask again");
}

/** The case of an incident among those that its reading belongs to. */
function caseOf(answer, { id, rule }) {
  const cases = answer?.correlations ?? [];
  return cases.find(({ incident }) => incident === id) ?? cases.find((each) => each.rule === rule);
}

function lines(texts) {
  if (texts.length === 0) return null;
  const rows = texts.slice(0, LINES_MAX).map((text) => el("li", {}, text));
  return el("ul", { class: "why-lines" }, ...rows);
}
