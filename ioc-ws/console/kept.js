// What is kept quiet on purpose: what, by whom, why, until when; and the form to keep more so.
//
// Arrives: what is kept quiet, from the store. Leaves: a list with a button to end each, and what
// the operator asks for. The form tells what it would have hidden in the last day before anything
// is asked. Bounded: ROWS_MAX rows.

import { choice, form, line, noteField } from "./dialog.js";
import { el, morph } from "./dom.js";
import { clock, date, plural, spoken } from "./words.js";

const ROWS_MAX = 50;
/** How many names of each sort the form proposes. */
const PROPOSED_MAX = 1000;
/** So long nothing more is written before it is asked what would have been hidden. */
const PAUSE_MS = 250;
const SOON_MS = 12 * 3_600_000;

/** As on the server. */
const REASON_MAX = 512;

/** For how long, in seconds: shelving is at most eight hours, out of service may be longer. */
export const DURATIONS = [
  ["1800", "30 minutes"],
  ["3600", "1 hour"],
  ["7200", "2 hours"],
  ["14400", "4 hours"],
  ["28800", "8 hours"],
];
const LONGER = [
  ["86400", "1 day"],
  ["604800", "7 days"],
  ["2592000", "30 days"],
];

const HOWS = [
  ["shelved", "Shelve: for a while, told again if still abnormal"],
  ["out_of_service", "Take out of service: somebody works at the sensor"],
];

const HOW = {
  shelved: "shelved",
  maintenance: "maintenance",
  out_of_service: "out of service",
};

/** What is meant, in words: `zone z21, water level`. */
export function meant({ match, incident_id }, titleOf = (id) => id) {
  if (incident_id) return titleOf(incident_id);
  const words = {
    sensor: (word) => word,
    zone: (word) => `zone ${word}`,
    kind: (word) => spoken(word).toLowerCase(),
    rule: (word) => `rule ${word}`,
  };
  return Object.entries(words)
    .filter(([key]) => match?.[key])
    .map(([key, say]) => say(match[key]))
    .join(", ");
}

export class Kept {
  /** `onEnd(suppression)`, `onExtend(suppression)`, `onAdd()`. */
  constructor({ root, onEnd, onExtend, onAdd }) {
    this.root = root;
    this.drawn = null;
    root.addEventListener("click", (event) => {
      const { end, extend, add } = event.target.closest("button")?.dataset ?? {};
      if (end) onEnd(end);
      if (extend) onExtend(extend);
      if (add !== undefined) onAdd();
    });
  }

  draw({ store, may, titleOf }) {
    const kept = [...store.suppressions.values()];
    kept.sort((a, b) => (a.until < b.until ? -1 : 1));
    const names = kept.map(({ incident_id: id }) => id && titleOf(id));
    const key = JSON.stringify([kept, names, may]);
    if (key === this.drawn) return;
    this.drawn = key;
    const note = kept.length ? kept.length.toLocaleString("en") : "Nothing";
    const add = el("button", {
      type: "button", class: "step", "data-add": "", "data-testid": "keep-quiet",
      "aria-label": "Keep something quiet", disabled: !may.ok,
      "aria-keyshortcuts": "q",
      title: may.ok ? "Shelve detections, or take a sensor out of service (key q)" : may.why,
    }, "+");
    const head = el("div", { class: "panel-head" },
      el("h2", { id: "kept-title" }, "Kept quiet"), el("span", { class: "note" }, note), add);
    const rows = kept.slice(0, ROWS_MAX).map((each) => row(each, may, titleOf));
    const left = kept.length - rows.length;
    const more = left > 0 ? el("p", { class: "more" }, `${left} more`) : null;
    const list = rows.length ? el("ul", { class: "actuator-rows" }, ...rows) : null;
    morph(this.root, [head, list, more].filter(Boolean));
  }
}

/** Until when: with the day where that is not soon. */
function whenOf({ from, until }) {
  const [begins, ends] = [Date.parse(from), Date.parse(until)];
  return ends - begins > SOON_MS ? `${date(ends)}, ${clock(ends)}` : clock(ends);
}

function row(each, may, titleOf) {
  const until = whenOf(each);
  const counted = each.detections ? `; ${plural(each.detections, "detection")} kept quiet` : "";
  const through = each.let_through ? `; ${each.let_through} extreme told all the same` : "";
  const text = `${HOW[each.how] ?? each.how} by ${each.by} until ${until}: ${each.reason}` +
    `${counted}${through}`;
  const button = (data, word, title) =>
    el("button", { type: "button", ...data, disabled: !may.ok, title: may.ok ? title : may.why },
      word);
  const extend = each.window
    ? null
    : button({ "data-extend": each.id, "data-testid": "extend" }, "Extend", "Let it end later");
  const end = button({ "data-end": each.id, "data-testid": "end" }, "End",
    "End it now: what is still abnormal counts from then on");
  return el("li", { class: "actuator", "data-testid": "kept", "data-suppression-id": each.id },
    el("code", { title: each.incident_id ?? each.id }, meant(each, titleOf)),
    el("span", { class: "actuator-state" }, text),
    el("span", { class: "actuator-buttons" }, extend, end));
}

/**
 * Asks what is to be kept quiet, and tells what that would have hidden; resolves with the order,
 * or null. `initial` may name a sensor; `known` has the names that are proposed: `sensors`,
 * `zones`, `kinds`, `rules`. `send(order)` gives it.
 */
export function askToKeepQuiet(initial, known, send) {
  const some = (names) => names.slice(0, PROPOSED_MAX);
  const fields = {
    how: choice("how", "How", HOWS),
    sensor: line("sensor", "Sensor", { value: initial.sensor, known: some(known.sensors) }),
    zone: line("zone", "Zone, with those in it", { known: some(known.zones) }),
    kind: line("kind", "Kind of reading", { known: some(known.kinds) }),
    rule: line("rule", "Detection rule", { known: some(known.rules) }),
    for_s: choice("for_s", "For how long", DURATIONS),
    reason: noteField("Why", REASON_MAX, 2, "reason"),
  };
  const of = (name) => fields[name].input;
  const preview = previewLine();
  const isService = () => of("how").value === "out_of_service";
  const order = () => {
    const names = isService() ? ["sensor"] : ["sensor", "zone", "kind", "rule"];
    const said = names.map((name) => [name, of(name).value.trim()]);
    const match = Object.fromEntries(said.filter(([, value]) => value));
    const action = isService() ? "out_of_service" : "shelve";
    return { action, match, for_s: Number(of("for_s").value), reason: of("reason").value.trim() };
  };
  const narrow = ["zone", "kind", "rule"].map((name) => fields[name].node);
  return form({
    title: "Keep something quiet",
    word: "Keep quiet",
    lines: ["All that is written must fit. What is extreme is told all the same, unless its " +
      "sensor is out of service. Windows that come again and again are written in the rules."],
    parts: [fields.how.node, fields.sensor.node,
      el("div", { class: "fields" }, ...narrow), fields.for_s.node, fields.reason.node,
      preview.node],
    said: order,
    ready: () => Object.keys(order().match).length > 0 && order().reason !== "",
    onInput: () => {
      for (const node of narrow) node.hidden = isService();
      const longest = of("for_s").options.length > DURATIONS.length;
      if (isService() !== longest) {
        refill(of("for_s"), isService() ? [...DURATIONS, ...LONGER] : DURATIONS);
      }
      const { match } = order();
      const how = isService() ? "out_of_service" : "shelved";
      preview.show(Object.keys(match).length > 0 ? { how, match } : null);
    },
    send,
    focus: initial.sensor ? of("reason") : of("sensor"),
  });
}

/** A line that says what keeping something quiet would have hidden, asked when people pause. */
export function previewLine() {
  const node = el("p", { class: "preview", role: "status", "data-testid": "kept-preview" });
  let asked = "null";
  let timer = null;
  const show = (target) => {
    const now = JSON.stringify(target);
    if (now === asked) return;
    asked = now;
    clearTimeout(timer);
    node.textContent = target ? "…" : "";
    if (!target) return;
    timer = setTimeout(async () => {
      const text = await preview(target);
      if (asked === now) node.textContent = text;
    }, PAUSE_MS);
  };
  return { node, show };
}

/** What it would have hidden, in a sentence. */
async function preview(target) {
  try {
    const headers = { "content-type": "application/json" };
    const body = JSON.stringify(target);
    const answer = await fetch("/api/v1/suppressions/preview", { method: "POST", headers, body });
    const told = await answer.json();
    return answer.ok ? previewed(told, target) : `Nothing is kept quiet by this: ${told.message}.`;
  } catch {
    return "What it would have hidden is not known: the server is not reached.";
  }
}

/** The answer of the preview, in a sentence; of an `incident`, how often it was passed on. */
export function previewed(told, { incident } = {}) {
  const { detections, let_through, incidents_total, never_opened, perhaps_opened } = told;
  const { of_sensors, passed_on, from, complete } = told;
  const since = complete ? "in the last day" : `since ${clock(Date.parse(from))}`;
  // A name that nothing has keeps nothing quiet, and looks as if nothing had been there to keep.
  const slip = told.warning ? `Look again: ${told.warning}. ` : "";
  if (incident) {
    return passed_on === 0
      ? `It was passed on to nobody ${since}.`
      : `It was passed on ${plural(passed_on, "time")} ${since}: that would have waited.`;
  }
  const silent = of_sensors ? `, ${plural(of_sensors, "silent or broken sensor")}` : "";
  const through = let_through ? ` ${let_through} that got extreme would have been told.` : "";
  if (detections + of_sensors === 0) return `${slip}Would have hidden nothing ${since}.${through}`;
  const never = never_opened ? `, of which ${never_opened} would not have opened` : "";
  const perhaps = perhaps_opened ? `, ${perhaps_opened} perhaps not` : "";
  return `${slip}Would have hidden ${plural(detections, "detection")} of ` +
    `${plural(incidents_total, "incident")}${never}${perhaps}${silent} ${since}.${through}`;
}

function refill(node, options) {
  const before = node.value;
  const each = ([value, word]) => el("option", { value, selected: value === before }, word);
  node.replaceChildren(...options.map(each));
}
