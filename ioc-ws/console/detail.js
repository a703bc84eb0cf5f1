// Why the chosen incident is there: its state and the readings that it rests on.
//
// Arrives: the chosen incident from the store, its decisions from REST, later ones from the
// stream. Leaves: the pane, and the operator's choice of a step (`handling.js`). Next:
// `timeline.js`, what happened to it.

import { el, picture, setText, shape } from "./dom.js";
import { handlingPart } from "./handling.js";
import { situation } from "./situation.js";
import { stepsOf, timeline } from "./timeline.js";
import { SEVERITY, clock, date, distance, pictogram, plural, span, spoken } from "./words.js";
import { value } from "./words.js";

const EVIDENCE_MAX = 8;
/** How many decisions about it are held; beyond, the oldest plain updates go. */
const DECISIONS_MAX = 1000;
/** How often it is asked again what the evidence of an incident says in words. */
const STATEMENTS_EVERY_MS = 1000;

export class Detail {
  /** `onStep(id, step)`, `onSelect(id)`, `onQuiet(sensor)`; `placeOf(incident)`; `cityNow()`, as
   * `cityOf` made it. */
  constructor({ root, onStep, onSelect, placeOf, cityNow, onQuiet }) {
    Object.assign(this, { root, onStep, onSelect, placeOf, cityNow });
    this.forget();
    root.addEventListener("click", (event) => {
      const step = event.target.closest("[data-step]");
      if (step) onStep(this.id, step.dataset.step);
      const other = event.target.closest("[data-other-incident]");
      if (other) onSelect(other.dataset.otherIncident);
      const sensor = event.target.closest("[data-quiet-sensor]");
      if (sensor) onQuiet(sensor.dataset.quietSensor);
      const run = event.target.closest("[data-run]");
      if (run) this.toggle(Number(run.dataset.run));
    });
  }

  forget() {
    this.id = null;
    this.decisions = new Map();
    this.leftOut = 0;
    this.loaded = false;
    this.unfolded = new Set();
    this.statements = [];
    clearTimeout(this.again);
    this.again = null;
  }

  /** Unfolds a run of updates, known by its first, or folds it again. */
  toggle(run) {
    if (!this.unfolded.delete(run)) this.unfolded.add(run);
    this.drawn = null;
    this.onLoaded?.();
    requestAnimationFrame(() => this.root.querySelector(`[data-run="${run}"]`)?.focus());
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
      this.statements = statements;
    } catch {
      return; // The link is down, which the banner says; the stream goes on with what follows.
    }
    this.loaded = true;
    this.onLoaded?.();
  }

  /** Decisions that just came. */
  add(decisions) {
    for (const decision of decisions) {
      const about = decision.incident?.id === this.id || decision.into === this.id;
      if (!about) continue;
      this.decisions.set(decision.seq, decision);
      // What new evidence says in words the stream does not tell.
      if (this.statements.length > 0 && decision.cause.evidence.length > 0) {
        this.again ??= setTimeout(() => this.loadAgain(), STATEMENTS_EVERY_MS);
      }
    }
    this.forgetUpdates();
  }

  loadAgain() {
    this.again = null;
    this.load();
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
    const bySensor = new Map();
    for (const decision of this.inOrder()) {
      for (const evidence of decision.cause.evidence) {
        const count = (bySensor.get(evidence.sensor)?.count ?? 0) + 1;
        bySensor.delete(evidence.sensor);
        bySensor.set(evidence.sensor, { ...evidence, at: decision.at, count });
      }
    }
    return [...bySensor.values()].reverse();
  }

  inOrder() {
    return [...this.decisions.values()].sort((a, b) => a.seq - b.seq);
  }

  /** Draws; `may` says whether orders can be given, and if not why. */
  draw({ store, now, heard, health, system, may, pending }) {
    this.store = store;
    const incident = this.id === null ? null : store.incidents.get(this.id);
    if (!incident) {
      this.root.replaceChildren(...situation(store, now, heard, health, system));
      this.drawn = null;
      return;
    }
    const last = Math.max(0, ...this.decisions.keys());
    const known = [this.loaded, last, this.cityNow().sensors.length, this.statements];
    const key = JSON.stringify([incident, may, pending, ...known]);
    if (this.drawn?.key !== key) {
      this.age = el("dd", { class: "number" });
      this.drawn = { key };
      const keep = this.root.querySelector(".detail-body")?.scrollTop ?? 0;
      this.root.replaceChildren(...this.parts(incident, may, pending));
      this.root.querySelector(".detail-body").scrollTop = keep;
    }
    const until = incident.ended_at ? Date.parse(incident.ended_at) : now;
    setText(this.age, span(until - Date.parse(incident.opened_at)));
  }

  parts(incident, may, pending) {
    return [
      this.head(incident),
      el(
        "div",
        {
          class: "detail-body",
          tabindex: "0",
          role: "region",
          "aria-label": "Why, and what happened",
        },
        handlingPart(incident, may, pending, this.store.you),
        this.facts(incident),
        this.why(incident),
        timeline(stepsOf(this.inOrder(), this.id), this.unfolded, this.leftOut),
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

  facts(incident) {
    const opened = Date.parse(incident.opened_at);
    const when = { class: "number", title: `${date(opened)}, ${incident.opened_at}` };
    const { condition } = incident;
    const { sensors, readings } = incident;
    const evidence = `${plural(sensors, "sensor")}, ${plural(readings, "reading")}`;
    const rows = [
      ["Condition", el("dd", { class: `condition ${condition}` }, spoken(condition))],
      ["Handling", el("dd", { "data-testid": "handling-word" }, spoken(incident.handling))],
      ["Opened", el("dd", when, clock(opened))],
      [incident.ended_at ? "Lasted" : "For", this.age],
      ["Evidence", el("dd", {}, evidence)],
      ["Certainty", el("dd", {}, spoken(incident.certainty))],
      ["Reach", el("dd", {}, incident.position ? distance(incident.radius_m) : "no place")],
      ["Episode", el("dd", { class: "number" }, String(incident.episode))],
    ];
    if (incident.parent) rows.push(["Caused by", el("dd", {}, other(incident.parent))]);
    if (incident.suppressed_by) rows.push(["Suppressed", el("dd", {}, "by design")]);
    const fact = ([word, dd]) => el("div", {}, el("dt", {}, word), dd);
    return el("dl", { class: "facts" }, ...rows.map(fact));
  }

  why(incident) {
    const evidence = this.evidence();
    const rule = incident.rule
      ? el("p", { class: "rule" }, "Rule ", el("code", {}, incident.rule))
      : null;
    const shown = evidence.slice(0, EVIDENCE_MAX).map((each) => this.evidenceRow(each, incident));
    const left = evidence.length - shown.length;
    const missing = this.loaded ? "Its readings lie further back than is held." : "Loading…";
    const table = shown.length > 0 ? evidenceTable(shown) : el("p", { class: "note" }, missing);
    const more = left > 0 ? el("p", { class: "note" }, plural(left, "more sensor")) : null;
    const said = this.statements.length > 0 ? statementList(this.statements) : null;
    return el("section", {}, el("h3", {}, "Why"), said, rule, table, more);
  }

  evidenceRow(evidence, incident) {
    const city = this.cityNow();
    const sensor = city.sensorById.get(evidence.sensor);
    const reading = this.store.readings.get(evidence.sensor);
    const title = sensor?.name ?? evidence.sensor;
    const quiet = {
      type: "button", class: "other", "data-quiet-sensor": evidence.sensor,
      title: `${title}: keep this sensor quiet…`, "data-testid": "quiet-sensor",
    };
    const name = el("td", { title }, el("button", quiet, evidence.sensor));
    const unit = sensor?.unit ?? reading?.unit;
    // Who is not of the city, such as a call centre, says with each reading where it holds.
    const away = city.apart(incident.position, sensor?.position);
    return el(
      "tr",
      {},
      name,
      el("td", { class: "number" }, value(evidence.value, unit)),
      el("td", { title: evidence.rule }, evidence.rule),
      el("td", { class: "number" }, away === null ? "–" : distance(Math.round(away))),
      el("td", { class: "number" }, clock(Date.parse(evidence.at))),
    );
  }
}

/** What evidence says in words, and where to read on; the newest first. */
function statementList(statements) {
  const rows = statements.map(({ sensor, headline, web }) => {
    // The server tells no others; a browser would follow what they are.
    const is_link = /^https?:\/\//i.test(web ?? "");
    const link = { class: "other", href: web, target: "_blank", rel: "noopener noreferrer" };
    const text = headline || "More";
    return el("li", { title: sensor }, is_link ? el("a", link, text) : text);
  });
  return el("ul", { class: "statements", "data-testid": "statements" }, ...rows);
}

function evidenceTable(rows) {
  const words = [
    ["Sensor", null],
    ["Said", "the newest of its readings that are evidence"],
    ["Rule", "the detection rule that this reading satisfied"],
    ["To middle", "how far the sensor is from the incident's middle"],
    ["At", null],
  ];
  const head = words.map(([word, title]) => el("th", { scope: "col", title }, word));
  return el(
    "table",
    { class: "evidence", "data-testid": "evidence" },
    el("thead", {}, el("tr", {}, ...head)),
    el("tbody", {}, ...rows),
  );
}

function other(id) {
  return el("button", { type: "button", class: "other", "data-other-incident": id }, id);
}
