// What is kept quiet on purpose: what, by whom, why, until when; and the form to keep more so.
//
// Arrives: what is kept quiet, from the store. Leaves: a list with a button to end each, and what
// the operator asks for. The form tells what it would have hidden in the last day before anything
// is asked. Bounded: ROWS_MAX rows.

import { el } from "./dom.js";
import { clock, date, plural, spoken } from "./words.js";

const ROWS_MAX = 50;
/** How many sensors the form proposes. */
const SENSORS_MAX = 1000;
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

const HOW = {
  shelved: "shelved",
  maintenance: "maintenance",
  out_of_service: "out of service",
};

/** What is meant, in words: `zone z21, water level`. */
export function meant({ match, incident_id }) {
  if (incident_id) return incident_id;
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

  draw({ store, may }) {
    const kept = [...store.suppressions.values()];
    kept.sort((a, b) => (a.until < b.until ? -1 : 1));
    const key = JSON.stringify([kept, may]);
    if (key === this.drawn) return;
    this.drawn = key;
    const note = kept.length ? kept.length.toLocaleString("en") : "Nothing";
    const add = el("button", {
      type: "button", class: "step", "data-add": "", "data-testid": "keep-quiet",
      "aria-label": "Keep something quiet", disabled: !may.ok,
      title: may.ok ? "Shelve detections, or take a sensor out of service" : may.why,
    }, "+");
    const head = el("div", { class: "panel-head" },
      el("h2", { id: "kept-title" }, "Kept quiet"), el("span", { class: "note" }, note), add);
    const rows = kept.slice(0, ROWS_MAX).map((each) => row(each, may));
    const left = kept.length - rows.length;
    const more = left > 0 ? el("p", { class: "more" }, `${left} more`) : null;
    const list = rows.length ? el("ul", { class: "actuator-rows" }, ...rows) : null;
    this.root.replaceChildren(...[head, list, more].filter(Boolean));
  }
}

/** Until when: with the day where that is not soon. */
function whenOf({ from, until }) {
  const [begins, ends] = [Date.parse(from), Date.parse(until)];
  return ends - begins > SOON_MS ? `${date(ends)}, ${clock(ends)}` : clock(ends);
}

function row(each, may) {
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
    el("code", {}, meant(each)),
    el("span", { class: "actuator-state" }, text),
    el("span", { class: "actuator-buttons" }, extend, end));
}

/**
 * Asks what is to be kept quiet, and tells what that would have hidden; resolves with the order,
 * or null. `initial` may name a sensor; `known` are those that are proposed.
 */
export function askToKeepQuiet(initial = {}, known = []) {
  const sensors = known.slice(0, SENSORS_MAX).map((value) => el("option", { value }));
  const fields = {
    how: select("how", [["shelved", "Shelve"], ["out_of_service", "Take out of service"]]),
    sensor: input("sensor", initial.sensor, "kept-sensors"),
    zone: input("zone", initial.zone),
    kind: input("kind", initial.kind),
    rule: input("rule", initial.rule),
    for_s: select("for_s", DURATIONS),
    reason: el("textarea", { name: "reason", rows: "2", maxlength: REASON_MAX }),
  };
  const labels = {
    how: "How", sensor: "Sensor", zone: "Zone, with those in it", kind: "Kind of reading",
    rule: "Detection rule", for_s: "For how long", reason: "Why",
  };
  const label = ([name, node]) => el("label", {}, el("span", {}, labels[name]), node);
  const told = el("p", { class: "note", "data-testid": "kept-preview" }, "");
  const go = el("button", { type: "button", class: "primary", "data-testid": "dialog-go" },
    "Keep quiet");
  const leave = el("button", { type: "button", class: "step", "data-testid": "dialog-leave" },
    "Leave");
  const dialog = el("dialog",
    { class: "ask", "data-testid": "dialog", "aria-label": "Keep something quiet" },
    el("h2", {}, "Keep something quiet"),
    el("p", { class: "note" }, "All that is written must fit. What is extreme is told all the " +
      "same, unless its sensor is out of service."),
    el("datalist", { id: "kept-sensors" }, ...sensors), ...Object.entries(fields).map(label), told, el("div", { class: "steps" }, leave, go));
  document.body.append(dialog);
  const order = () => {
    const service = fields.how.value === "out_of_service";
    const names = service ? ["sensor"] : ["sensor", "zone", "kind", "rule"];
    const said = names.map((name) => [name, fields[name].value.trim()]);
    const match = Object.fromEntries(said.filter(([, value]) => value));
    const action = service ? "out_of_service" : "shelve";
    const reason = fields.reason.value.trim();
    return { action, match, for_s: Number(fields.for_s.value), reason };
  };
  return new Promise((resolve) => {
    let given = null;
    let asked = "";
    const check = () => {
      const service = fields.how.value === "out_of_service";
      for (const name of ["zone", "kind", "rule"]) fields[name].disabled = service;
      const longest = fields.for_s.options.length > DURATIONS.length;
      if (service !== longest) refill(fields.for_s, service ? [...DURATIONS, ...LONGER] : DURATIONS);
      const { match, reason } = order();
      go.disabled = Object.keys(match).length === 0 || reason === "";
      const now = JSON.stringify(match);
      if (now === asked) return;
      asked = now;
      if (now === "{}") told.textContent = "";
      else preview({ match }).then((text) => asked === now && (told.textContent = text));
    };
    dialog.addEventListener("input", check);
    leave.addEventListener("click", () => dialog.close());
    go.addEventListener("click", () => {
      given = order();
      dialog.close();
    });
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(given);
    });
    check();
    dialog.showModal();
    fields.sensor.focus();
  });
}

/** What it would have hidden, in a sentence. */
async function preview(target) {
  try {
    const headers = { "content-type": "application/json" };
    const body = JSON.stringify(target);
    const answer = await fetch("/api/v1/suppressions/preview", { method: "POST", headers, body });
    const told = await answer.json();
    return answer.ok ? previewed(told) : told.message;
  } catch {
    return "";
  }
}

/** The answer of the preview, in a sentence. */
export function previewed({ detections, incidents_total, never_opened, of_sensors, from, complete }) {
  const since = complete ? "in the last day" : `since ${clock(Date.parse(from))}`;
  const silent = of_sensors ? `, ${plural(of_sensors, "silent or broken sensor")}` : "";
  if (detections + of_sensors === 0) return `Would have hidden nothing ${since}.`;
  const never = never_opened ? `, of which ${never_opened} would not have opened` : "";
  return `Would have hidden ${plural(detections, "detection")} of ` +
    `${plural(incidents_total, "incident")}${never}${silent} ${since}.`;
}

function input(name, value = "", list = null) {
  return el("input", { name, value: value ?? "", list, autocomplete: "off" });
}

function select(name, options) {
  const node = el("select", { name });
  refill(node, options);
  return node;
}

function refill(node, options) {
  const before = node.value;
  const each = ([value, word]) => el("option", { value, selected: value === before }, word);
  node.replaceChildren(...options.map(each));
}
