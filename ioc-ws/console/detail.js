// The chosen incident: its state, what can be done about it, what it belongs to, and why.
//
// Arrives: the chosen incident from the store, its decisions from REST, later ones from the
// stream. Leaves: the pane, and the operator's choice of a step (`handling.js`). Next: `why.js`,
// why it is there, and `timeline.js`, what happened to it.

import { el, morph, picture, setText, shape } from "./dom.js";
import { evidenceOf } from "./evidence.js";
import { EFFECTS_MAX, effectsOf, familyPart } from "./family.js";
import { handlingPart, togetherPart } from "./handling.js";
import { situation } from "./situation.js";
import { statementsPart } from "./statements.js";
import { partsOf } from "./together.js";
import { stepsOf, timeline } from "./timeline.js";
import { Why } from "./why.js";
import { SEVERITY, clock, date, distance, pictogram, plural, span, spoken } from "./words.js";

/** How many decisions about it are held; beyond, the oldest plain updates go. */
const DECISIONS_MAX = 1000;
/** The city at a glance is drawn so often. */
const SITUATION_EVERY_MS = 500;
/** What new evidence says in words is asked for so often. */
const STATEMENTS_EVERY_MS = 1000;

export class Detail {
  /** `onStep(id, step)`, `onSelect(id)`, `onSensor(sensor)`; `placeOf(incident)`, `titleOf(id)`;
   * `cityNow()`, as `cityOf` made it. */
  constructor({ root, onStep, onSelect, placeOf, titleOf, cityNow, onSensor, onLoaded }) {
    Object.assign(this, { root, placeOf, titleOf, cityNow, onLoaded });
    this.why = new Why({ onLoaded });
    this.forget();
    const acts = {
      step: (step) => onStep(this.id, step),
      otherIncident: onSelect,
      sensor: onSensor,
      run: (run) => this.toggle(Number(run)),
      why: () => this.toggleWhy(),
      whyAgain: () => this.askAgain(),
      allEvidence: () => this.showAll(),
    };
    root.addEventListener("click", (event) => {
      const data = event.target.closest("button")?.dataset ?? {};
      for (const name of Object.keys(acts)) if (name in data) acts[name](data[name]);
    });
  }

  forget() {
    this.id = null;
    this.decisions = new Map();
    this.changes = (this.changes ?? 0) + 1;
    this.leftOut = 0;
    this.loaded = false;
    this.all = false;
    this.unfolded = new Set();
    this.statements = [];
    clearTimeout(this.again);
    this.again = null;
    this.reveal = null;
    this.why.forget();
  }

  /** Unfolds a run of updates, known by its first, or folds it again. */
  toggle(run) {
    if (!this.unfolded.delete(run)) this.unfolded.add(run);
    this.change();
  }

  /** Unfolds why exactly, and brings it into sight; or folds it again. */
  toggleWhy() {
    this.why.toggle();
    if (this.why.open) this.reveal = "[data-testid=why-more]";
  }

  showAll() {
    this.all = true;
    this.change();
  }

  askAgain() {
    const incident = this.store?.incidents.get(this.id);
    if (incident) this.why.ask(incident, this.inOrder());
  }

  change() {
    this.changes += 1;
    this.onLoaded();
  }

  /** Shows another incident; its decisions are fetched, and live ones are added meanwhile. */
  async show(id) {
    this.forget();
    this.id = id;
    if (id === null) return;
    await this.load();
  }

  async load() {
    const id = this.id;
    if (id === null) return;
    try {
      const answer = await fetch(`/api/v1/incidents/${encodeURIComponent(id)}`);
      if (!answer.ok || id !== this.id) return;
      const { timeline, timeline_left_out, statements } = await answer.json();
      if (id !== this.id) return;
      for (const decision of timeline) this.decisions.set(decision.seq, decision);
      this.leftOut = timeline_left_out;
      this.statements = statements ?? [];
    } catch {
      return; // The link is down, which the banner says; the stream goes on with what follows.
    }
    this.loaded = true;
    this.change();
  }

  /** Decisions that just came. */
  add(decisions) {
    if (this.id === null) return;
    for (const decision of decisions) {
      const { incident, into, from } = decision;
      if (incident?.id !== this.id && into !== this.id && from !== this.id) continue;
      this.decisions.set(decision.seq, decision);
      this.changes += 1;
      if (decision.cause.evidence.length > 0) this.loadSoon();
    }
    this.forgetUpdates();
  }

  /** What new evidence says in words the stream does not tell: where some does, it is asked for. */
  loadSoon() {
    if (this.statements.length === 0) return;
    this.again ??= setTimeout(() => {
      this.again = null;
      this.load();
    }, STATEMENTS_EVERY_MS);
  }

  forgetUpdates() {
    if (this.decisions.size <= DECISIONS_MAX) return;
    const plain = stepsOf(this.inOrder(), this.id).flatMap(({ updates }) => updates);
    for (const { seq } of plain.slice(0, this.decisions.size - DECISIONS_MAX)) {
      this.decisions.delete(seq);
      this.leftOut += 1;
    }
  }

  /** The sensors whose readings it rests on, with the newest of each. */
  evidence() {
    this.learn();
    return this.known.evidence;
  }

  /** The incidents that became part of it, as far as is held. */
  parts() {
    return this.id === null ? [] : partsOf(this.inOrder(), this.id, this.store);
  }

  /**
   * Works out what follows from the decisions, once for each change. What became part of it before
   * has evidence too, which is known once the server has said why.
   */
  learn() {
    const changes = `${this.changes} ${this.why.changes}`;
    if (this.known?.changes === changes) return;
    const inOrder = (all) => [...all.values()].sort((a, b) => a.seq - b.seq);
    const told = (this.why.answer?.decisions ?? []).map((decision) => [decision.seq, decision]);
    const evidence = evidenceOf(inOrder(new Map([...told, ...this.decisions])), this.id);
    this.known = { changes, decisions: inOrder(this.decisions), evidence };
  }

  inOrder() {
    this.learn();
    return this.known.decisions;
  }

  /** Draws; `may` says whether orders can be given, and if not why. */
  draw({ store, now, heard, health, system, may, pending }) {
    this.store = store;
    const incident = this.id === null ? null : store.incidents.get(this.id);
    if (!incident) return this.drawSituation(store, now, heard, health, system);
    const effects = effectsOf(store, incident.id);
    const cause = incident.parent && store.incidents.get(incident.parent);
    const near = [cause, ...effects.slice(0, EFFECTS_MAX)];
    const kin = near.map((each) => each && [each.id, each.updated_seq]);
    const known = [effects.length, this.changes, this.why.changes, this.cityNow().sensors.length];
    const key = JSON.stringify([incident, may, pending, kin, ...known]);
    if (this.drawn !== key) {
      this.drawn = key;
      morph(this.root, this.sections(incident, effects, may, pending));
    }
    if (this.reveal) this.root.querySelector(this.reveal)?.scrollIntoView({ block: "start" });
    this.reveal = null;
    const until = incident.ended_at ? Date.parse(incident.ended_at) : now;
    setText(this.root.querySelector("[data-age]"), span(until - Date.parse(incident.opened_at)));
  }

  drawSituation(store, now, heard, health, system) {
    const begins = this.drawn !== null;
    if (!begins && performance.now() - this.situationAt < SITUATION_EVERY_MS) return;
    this.situationAt = performance.now();
    this.drawn = null;
    morph(this.root, situation(store, now, heard, health, system));
  }

  sections(incident, effects, may, pending) {
    const { store, titleOf, all, loaded } = this;
    const context = {
      store, titleOf, all, loaded, effects,
      decisions: this.inOrder(), evidence: this.evidence(), city: this.cityNow(),
    };
    return [
      this.head(incident),
      el(
        "div",
        {
          class: "detail-body",
          tabindex: "0",
          role: "region",
          "aria-label": "What can be done, why, and what happened",
          // Another incident begins at its top.
          "data-body": incident.id,
        },
        handlingPart(incident, may, pending, store.you, titleOf),
        facts(incident),
        statementsPart(this.statements),
        this.why.part(incident, context),
        familyPart(incident, effects, { ...context, together: togetherPart(incident, may, pending) }),
        timeline(stepsOf(context.decisions, this.id, titleOf), this.unfolded, this.leftOut),
      ),
    ];
  }

  head(incident) {
    const severity = SEVERITY[incident.severity];
    const kind = el("span", { class: "row-kind" }, picture(pictogram(incident.kind)));
    const where = this.placeOf(incident);
    const name = el(
      "div",
      { class: "detail-name" },
      el("h2", {}, spoken(incident.kind), el("span", { class: "where" }, where)),
      el("code", { class: "id", "data-testid": "detail-id" }, incident.id),
    );
    const grave = el("span", { class: "grave" }, shape(severity.shape), severity.word);
    return el(
      "div",
      { class: "detail-head", "data-severity": incident.severity, "data-incident-id": incident.id },
      kind, name, grave,
    );
  }
}

function facts(incident) {
  const opened = Date.parse(incident.opened_at);
  const when = { class: "number", title: `${date(opened)}, ${incident.opened_at}` };
  const { condition, sensors, readings } = incident;
  const rows = [
    ["Condition", el("dd", { class: `condition ${condition}` }, spoken(condition))],
    ["Handling", el("dd", { "data-testid": "handling-word" }, spoken(incident.handling))],
    ["Opened", el("dd", when, clock(opened))],
    [incident.ended_at ? "Lasted" : "For", el("dd", { class: "number", "data-age": "" })],
    ["Certainty", el("dd", {}, spoken(incident.certainty))],
    ["Reach", el("dd", {}, incident.position ? distance(incident.radius_m) : "no place")],
    ["Episode", el("dd", { class: "number" }, String(incident.episode))],
    ["Evidence", el("dd", { title: plural(readings, "reading") }, plural(sensors, "sensor"))],
  ];
  const fact = ([word, dd]) => el("div", {}, el("dt", {}, word), dd);
  return el("dl", { class: "facts" }, ...rows.map(fact));
}
