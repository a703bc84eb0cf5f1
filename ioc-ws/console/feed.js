// The live decisions, newest on top: at most LINES_MAX, and runs of updates of one incident in one
// line, so that a growing flood does not push everything else out of sight.

import { el, setText, shape } from "./dom.js";
import { SEVERITY, clock, told } from "./words.js";

const LINES_MAX = 200;
/** Of a flood, the newest of each frame: nobody reads more. */
const AT_ONCE_MAX = 50;
/** How many openings from before the decisions that are held it begins with. */
const OPENINGS_MAX = 50;
/** How far up a run of updates is looked for. */
const RUN_LINES = 12;

export class Feed {
  constructor({ root, which, onSelect, placeOf, titleOf }) {
    Object.assign(this, { root, placeOf, titleOf });
    this.clear();
    which.addEventListener("click", () => {
      const only = root.classList.toggle("incidents-only");
      which.setAttribute("aria-pressed", String(only));
    });
    root.addEventListener("click", (event) => {
      const line = event.target.closest("[data-incident-id]");
      if (line) onSelect(line.dataset.incidentId);
    });
  }

  /** Adds decisions, oldest first; they are drawn with the next frame, the newest of them. */
  add(decisions) {
    this.waiting.push(...decisions.slice(-LINES_MAX));
    if (this.waiting.length > 2 * LINES_MAX) this.waiting = this.waiting.slice(-LINES_MAX);
  }

  /** Draws what has come. */
  draw() {
    if (!this.begun || this.waiting.length === 0) return;
    const most = this.lines.length === 0 ? LINES_MAX : AT_ONCE_MAX;
    for (const decision of this.waiting.slice(-most)) this.addOne(decision);
    this.waiting = [];
    while (this.lines.length > LINES_MAX) this.lines.pop().node.remove();
  }

  addOne(decision) {
    const run = decision.type === "incident_updated" ? this.runOf(decision) : null;
    if (run) {
      run.count += 1;
      this.lines.splice(this.lines.indexOf(run), 1);
    }
    const line = run ?? newLine(decision);
    this.fill(line, decision);
    this.lines.unshift(line);
    this.root.prepend(line.node);
  }

  /** The line that tells the latest of this incident, if that was an update, too. */
  runOf(decision) {
    const same = (line) => line.incident === decision.incident.id;
    const line = this.lines.slice(0, RUN_LINES).find(same);
    const rose = line && line.severity !== decision.incident.severity;
    return line?.type === decision.type && !rose ? line : null;
  }

  fill(line, decision) {
    const { verb, text, note } = told(decision, this.placeOf, this.titleOf);
    const severity = decision.incident?.severity;
    line.severity = severity;
    if (decision.seq !== null) line.node.dataset.decisionSeq = decision.seq;
    line.node.dataset.type = decision.type;
    if (severity) line.node.dataset.severity = severity;
    setText(line.at, clock(Date.parse(decision.at)));
    setText(line.verb, verb);
    setText(line.text, text);
    setText(line.note, line.count > 1 ? `${note} · ${line.count} times` : note);
    const number = decision.seq === null ? "" : `#${decision.seq}: `;
    line.node.title = number + line.node.lastChild.textContent;
    line.mark.replaceChildren(...(severity ? [shape(SEVERITY[severity].shape)] : []));
  }

  /** A new picture: what was told before may not follow. Until `begin`, what comes waits. */
  clear() {
    this.lines = [];
    this.root.replaceChildren();
    this.waiting = [];
    this.begun = false;
  }

  /**
   * Begins with how the `open` incidents opened that did so before all that is held, goes on with
   * what was decided lately, and then with what the stream told meanwhile.
   */
  begin(open, decisions) {
    const last = decisions.at(-1)?.seq ?? 0;
    const waiting = this.waiting.filter((decision) => decision.seq > last);
    this.waiting = [...openings(open, decisions), ...decisions, ...waiting];
    this.begun = true;
    this.root.classList.add("begins");
    this.draw();
    requestAnimationFrame(() => this.root.classList.remove("begins"));
  }
}

/** Openings that are known from the picture alone; how grave they were then, it does not say. */
function openings(open, decisions) {
  const opened = ({ type, incident }) => (type === "incident_opened" ? incident.id : null);
  const told = new Set(decisions.map(opened));
  const untold = open.filter(({ id }) => !told.has(id));
  untold.sort((a, b) => Date.parse(a.opened_at) - Date.parse(b.opened_at));
  const type = "incident_opened";
  return untold.slice(-OPENINGS_MAX).map((incident) => {
    return { type, seq: null, at: incident.opened_at, incident, cause: {} };
  });
}

function newLine(decision) {
  const line = {
    type: decision.type,
    incident: decision.incident?.id ?? null,
    count: 1,
    at: el("time", { class: "line-at" }),
    mark: el("span", { class: "line-mark" }),
    verb: el("span", { class: "verb" }),
    text: el("span", { class: "line-text" }),
    note: el("span", { class: "line-note" }),
  };
  const says = el("span", { class: "says" }, line.verb, " ", line.text, " ", line.note);
  line.node = el(
    "li",
    { class: "line", "data-testid": "decision", "data-incident-id": line.incident },
    line.at, line.mark, says,
  );
  return line;
}
