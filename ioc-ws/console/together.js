// What belongs together by a person's word: incidents that are one, parts that are not, evidence
// that belongs elsewhere, what caused what.
//
// Arrives: the chosen incident, the others, its evidence. Leaves: a dialog for each, and the order
// that is given by it. Whether it can be done is the server's to say. Bounded: OTHERS_MAX incidents
// are offered at once, SOURCES_MAX sources; more are found by their name.

import { NOTE_MAX, form, line, noteField } from "./dialog.js";
import { el, shape } from "./dom.js";
import { SEVERITIES, isOpen, survivor } from "./store.js";
import { SEVERITY, clock, distance, plural, span, value } from "./words.js";

const OTHERS_MAX = 40;
const SOURCES_MAX = 200;

/** What each is called, and what its dialog says. */
export const TOGETHER = {
  merge: {
    word: "Merge…", key: "m", title: "Merge",
    means: "It is the same happening as another",
    explains: "Both become one: the older of the two, as grave as the graver.",
  },
  split: {
    word: "Split…", key: "s", title: "Split",
    means: "A part of its evidence is another happening",
    explains: "What you choose becomes an incident of its own; evidence does not merge it again.",
  },
  move: {
    word: "Move evidence…", key: "e", title: "Move evidence",
    means: "A part of its evidence belongs to another incident",
    explains: "What you choose becomes evidence of the other.",
  },
  link: {
    word: "Caused by…", key: "l", title: "Link to its cause",
    means: "Another incident has caused it",
    explains: "Both stay incidents of their own; a cause is never less grave than what it did.",
  },
  unlink: {
    word: "Not caused by…", key: "u", title: "Unlink from its cause",
    means: "It has another cause, or none that is known",
    explains: "It is told by itself again, if it was suppressed as a symptom.",
  },
};

/** Which of them can be asked for, as far as the picture says. */
export function togetherOf({ parent, condition, handling, sensors }) {
  if (condition === "cleared" || handling === "merged") return [];
  const parts = sensors > 1 ? ["split", "move"] : [];
  return ["merge", ...parts, "link", ...(parent ? ["unlink"] : [])];
}

/**
 * Asks for one of them; resolves once it is done or left. `context` has `store`, `city`, `now`,
 * `titleOf(id)`, the `evidence` that is held, how the server looks up `more()` of it, and what
 * merged into it (`parts`); `send(action, order)` gives the order and resolves with the answer.
 */
export function askTogether(action, incident, context, send) {
  const { title, explains } = TOGETHER[action];
  const asksOther = action !== "split" && action !== "unlink";
  const others = asksOther ? new Others(action, incident, context) : null;
  const sources = action === "split" || action === "move" ? new Sources(action, incident, context)
    : null;
  const note = noteField("Why (goes into the record)", NOTE_MAX, 2);
  const { titleOf } = context;
  const of = action === "unlink"
    ? `${titleOf(incident.id)}, which was taken to be caused by ${titleOf(incident.parent)}`
    : `${titleOf(incident.id)} (${incident.id})`;
  const said = () => {
    const noted = note.input.value.trim();
    return {
      incident: sources?.part() ?? incident.id,
      ...(others && { with: others.chosen() }),
      ...(sources?.part() === null && { sources: sources.chosen() }),
      ...(noted && { note: noted }),
    };
  };
  return form({
    title,
    lines: [of, explains],
    parts: [sources?.node, others?.node, note.node],
    said,
    ready: () => (!others || others.chosen() !== null) &&
      (!sources || sources.part() !== null || sources.chosen().length > 0),
    send: (order) => send(action, order),
    focus: sources?.focus() ?? others?.focus ?? note.input,
    wide: true,
  });
}

/** The other incident: those of the same kind first where it must be one, then by how near. */
class Others {
  constructor(action, incident, { store, city, now, titleOf }) {
    const same = ({ kind }) => Number(kind === incident.kind);
    const away = (other) => city.apart(incident.position, other.position) ?? Infinity;
    const open = [...store.incidents.values()].filter(isOpen);
    const others = open.filter(({ id }) => id !== incident.id && id !== incident.parent);
    const fits = action === "link" ? others : others.filter(same);
    this.all = fits.map((other) => ({ other, away: away(other), title: titleOf(other.id) }));
    this.all.sort((a, b) => a.away - b.away || SEVERITIES.indexOf(a.other.severity) -
      SEVERITIES.indexOf(b.other.severity));
    this.now = now;
    this.rows = el("div", { class: "options", "data-testid": "others" });
    this.find = el("input", {
      type: "search", name: "find", autocomplete: "off", spellcheck: "false",
      placeholder: "Kind, place or id", "aria-label": "Find an incident",
    });
    this.find.addEventListener("input", () => this.draw());
    const label = action === "link" ? "Which one caused it" : "Which other, nearest first";
    const words = el("legend", {}, label);
    this.node = el("fieldset", {}, words, this.all.length > 8 ? this.find : null, this.rows);
    this.focus = this.draw();
  }

  /** Draws those that fit what is sought; the first is what the keyboard begins with. */
  draw() {
    const sought = this.find.value.trim().toLowerCase();
    const fits = ({ title, other }) => `${title} ${other.id}`.toLowerCase().includes(sought);
    const found = this.all.filter(fits);
    const chosen = this.chosen();
    const rows = found.slice(0, OTHERS_MAX).map((each) => this.row(each, chosen));
    const left = found.length - rows.length;
    const hint = `${plural(left, "more incident")}: write what it is called`;
    const more = left > 0 && el("p", { class: "note" }, hint);
    const none = found.length === 0 && el("p", { class: "note" }, this.all.length === 0
      ? "No other incident of this kind is open."
      : "None is called so.");
    this.rows.replaceChildren(...[...rows, more, none].filter(Boolean));
    return this.rows.querySelector("input");
  }

  row({ other, away, title }, chosen) {
    const far = Number.isFinite(away) ? `${distance(Math.round(away))} away` : "no place";
    const since = span(this.now - Date.parse(other.opened_at));
    const words = `${other.severity}, ${other.handling}, ${plural(other.sensors, "sensor")}, ` +
      `${far}, for ${since}`;
    const input = el("input", {
      type: "radio", name: "other", value: other.id, checked: other.id === chosen,
    });
    return el("label", { class: "option", "data-severity": other.severity }, input,
      shape(SEVERITY[other.severity].shape), said(title, words));
  }

  chosen() {
    return this.rows.querySelector("input:checked")?.value ?? null;
  }
}

/** The sources that are meant: sensors, single reports, or what one was before it merged. */
class Sources {
  constructor(action, incident, { evidence, parts, city, store, more }) {
    const options = [];
    if (action === "split") {
      for (const { id, at } of parts.slice(0, OTHERS_MAX)) {
        const words = `what it was before it became part of this, ${clock(Date.parse(at))}`;
        options.push(option("radio", "part", id, id, words));
      }
    }
    const boxes = (of) => of.slice(0, SOURCES_MAX).flatMap((each) => sourcesOf(each, city, store))
      .map(({ name, words }) => option("checkbox", "source", name, name, words));
    const list = el("div", { class: "options", "data-testid": "sources" });
    list.append(...options, ...boxes(evidence));
    if (evidence.length < incident.sensors) {
      const text = "Its other sources are looked up…";
      const waits = el("p", { class: "note", role: "status" }, text);
      list.append(waits);
      const known = new Set(evidence.map(({ sensor }) => sensor));
      const others = (all) => all.filter(({ sensor }) => !known.has(sensor));
      more().then((all) => waits.replaceWith(...boxes(others(all))));
    }
    this.others = line("others", "Others, by name (a comma between two)");
    this.node = el(
      "fieldset",
      {},
      el("legend", {}, action === "split" ? "Which part is another happening" : "Which evidence"),
      list,
      this.others.node,
    );
    // Either what it was before, or what is named.
    this.node.addEventListener("change", ({ target }) => {
      if (target.name === "part") this.inputs("source").forEach((box) => (box.checked = false));
      if (target.name === "source") this.inputs("part").forEach((radio) => (radio.checked = false));
    });
  }

  inputs(name) {
    return [...this.node.querySelectorAll(`input[name=${name}]`)];
  }

  focus() {
    return this.node.querySelector("input");
  }

  /** The merged incident that is meant; null if sources are. */
  part() {
    return this.inputs("part").find(({ checked }) => checked)?.value ?? null;
  }

  chosen() {
    const checked = this.inputs("source").filter((box) => box.checked).map((box) => box.value);
    const named = this.others.input.value.split(",").map((name) => name.trim()).filter(Boolean);
    return [...new Set([...checked, ...named])];
  }
}

function option(type, name, own, title, words) {
  const input = el("input", { type, name, value: own });
  return el("label", { class: "option" }, input, said(title, words));
}

const said = (title, words) => el("span", {}, el("b", {}, title), el("small", {}, words));

/**
 * What can be named of a sensor: itself, and the single reports of one that is not of the city,
 * such as a call centre, each of which counts by itself.
 */
export function sourcesOf({ sensor, readings, rule, value: last, at }, city, store) {
  const known = city.sensorById.get(sensor);
  const unit = known?.unit ?? store.readings.get(sensor)?.unit;
  const words = `${value(last, unit)} by ${rule}, ${clock(Date.parse(at))}`;
  const reports = known || readings.size < 2 ? [] : [...readings];
  const each = reports.map(([reading, heard]) => ({
    name: `${sensor}/${reading}`, words: `one report by itself, ${clock(Date.parse(heard))}`,
  }));
  const all = reports.length > 0 ? `all of it; the last: ${words}` : words;
  return [{ name: sensor, words: all }, ...each];
}

/** The incidents that became part of this one, the latest first, as far as that is held. */
export function partsOf(decisions, id, store) {
  const merged = decisions.filter(({ type, into }) =>
    type === "incident_merged" && (into === id || survivor(store, into) === id));
  return merged.map((decision) => ({ id: decision.incident.id, at: decision.at })).reverse();
}
