// What people do about an incident: the steps that can be taken now, as buttons.
//
// Arrives: an incident from the store. Leaves: its state in words, a button for each step that is
// possible, and the operator's choice. Which steps are possible is the server's to say: the table
// here is its mirror, tied by a test. What has to be said first is asked for by `asks.js`, what
// belongs together by `together.js`.

import { el, picture } from "./dom.js";
import { keyOf } from "./keys.js";
import { TOGETHER, togetherOf } from "./together.js";
import { TICK, clock, spoken } from "./words.js";

const WAY = ["new", "acknowledged", "confirmed", "responding", "contained", "resolved", "closed"];

/** Each step: what it leads to, its button, and what it means. */
const STEPS = {
  acknowledge: ["acknowledged", "Acknowledge", "I have seen it and I am on it"],
  confirm: ["confirmed", "Confirm", "Somebody has looked, and it is real"],
  respond: ["responding", "Responding", "Units are on their way or at work"],
  contain: ["contained", "Contained", "It does not get worse any more"],
  resolve: ["resolved", "Resolve", "It is over, and what was to be done is done"],
  close: ["closed", "Close", "It has been reviewed"],
  dismiss: ["dismissed", "Dismiss", "Nothing is to be done about it"],
  reopen: ["new", "Reopen", "It is to be seen anew"],
};

const OVER = ["resolved", "closed"];

/** The steps that can be taken, as the server would say. */
export function possible({ handling, condition }) {
  const from = WAY.indexOf(handling);
  const may = (step) => {
    const [to] = STEPS[step];
    if (step === "acknowledge") return handling === "new";
    if (step === "dismiss") return handling === "new" || handling === "acknowledged";
    if (step === "reopen") return [...OVER, "dismissed"].includes(handling);
    if (OVER.includes(to) && condition !== "cleared") return false;
    return from >= 0 && from < WAY.indexOf(to);
  };
  return Object.keys(STEPS).filter(may);
}

/** The states that a step would pass over. */
export function passedOver({ handling }, step) {
  const [from, to] = [WAY.indexOf(handling), WAY.indexOf(STEPS[step]?.[0])];
  return from >= 0 && to > from ? WAY.slice(from + 1, to) : [];
}

const TIERS = {
  shift_supervisor: "the shift supervisor",
  duty_officer: "the duty officer",
  phone_tree: "the phone tree",
};

/** To whom it was passed on because nobody has seen it, in words. */
export const passedOn = ({ escalated_to }) =>
  escalated_to ? `Nobody has seen it: passed on to ${TIERS[escalated_to] ?? escalated_to}` : null;

/** Where it stands, and what can be done: `may` says whether orders can be given. */
export function handlingPart(incident, may, pending, you, titleOf) {
  const steps = possible(incident);
  const [first, ...rest] = steps;
  const buttons = rest.map((step) => button(step, STEPS[step], may, pending));
  const others = [
    ["rate", [null, "Rate…", "Say how grave it is"]],
    ["report", [null, "Report…", "Log a call or a radio message as evidence"]],
  ];
  if (incident.condition !== "cleared") {
    others.push(["all_clear", [null, "All clear…", "Somebody who is there says that it is over"]]);
  }
  if (incident.condition !== "cleared" && incident.severity !== "extreme") {
    others.push(
      incident.shelved_until
        ? ["unshelve", [null, "Unshelve", "Let people be called for it again"]]
        : ["shelve", [null, "Shelve…", "Nobody is called for it for a while; it is counted and goes on"]],
    );
  }
  if (you && incident.handled_by === you.actor && incident.handling !== "merged") {
    others.push(["undo", [null, "Undo", "Take back my own last step"]]);
  }
  const more = others.map(([step, words]) => button(step, words, may, pending));
  const hint = may.ok ? null : el("p", { class: "hint", "data-testid": "command-hint" }, may.why);
  const passed = passedOn(incident);
  const shelved = incident.shelved_until
    ? `Shelved until ${clock(Date.parse(incident.shelved_until))}: nobody is called for it`
    : null;
  return el(
    "div",
    { class: "action", "data-testid": "handling" },
    passed && el("p", { class: "escalated", "data-testid": "escalated" }, passed),
    shelved && el("p", { class: "hint", "data-testid": "shelved" }, shelved),
    byDesign(incident, titleOf),
    standing(incident),
    first && mainButton(first, may, pending),
    group("Next", buttons),
    group("Say", more),
    hint,
  );
}

/** What people can say about what belongs together, as buttons. */
export function togetherPart(incident, may, pending) {
  const actions = togetherOf(incident).map((action) => {
    const { word, means } = TOGETHER[action];
    return button(action, [null, word, means], may, pending);
  });
  return group("Belongs together", actions);
}

function group(label, buttons) {
  if (buttons.length === 0) return null;
  return el("div", { class: "steps", role: "group", "aria-label": label }, ...buttons);
}

/** Why nobody is called for a symptom, and when somebody will be. */
function byDesign({ suppressed_by: cause }, titleOf) {
  if (!cause) return null;
  const leads = { type: "button", class: "other", "data-other-incident": cause };
  const go = el("button", leads, titleOf(cause));
  return el("p", { class: "hint", "data-testid": "by-design" }, "Suppressed by design: ", go,
    " has caused it, and people know of that. If it is still abnormal when that is over, it is new " +
    "again.");
}

function standing(incident) {
  if (incident.handling === "new") return null;
  const by = incident.handled_by ?? incident.acknowledged_by ?? "somebody";
  const at = incident.handled_at ?? incident.acknowledged_at;
  const reason = incident.dismissed_as ? `: ${spoken(incident.dismissed_as).toLowerCase()}` : "";
  const when = at ? ` at ${clock(Date.parse(at))}` : "";
  const text = `${spoken(incident.handling)}${reason}, by ${by}${when}`;
  const testid = incident.handling === "acknowledged" ? "acknowledged" : "standing";
  return el("p", { class: "done", "data-testid": testid }, picture(TICK), text);
}

function mainButton(step, may, pending) {
  const [, word, title] = STEPS[step];
  const letter = keyOf(step);
  const key = letter && el("kbd", { "aria-hidden": "true" }, letter);
  return el(
    "button",
    {
      type: "button",
      class: "primary",
      "data-step": step,
      "data-testid": step,
      "aria-keyshortcuts": letter,
      disabled: !may.ok || pending,
      title: may.ok ? title : may.why,
    },
    pending ? `${word}…` : word,
    key,
  );
}

function button(step, [, word, title], may, pending) {
  const key = keyOf(step);
  const means = key ? `${title} (key ${key})` : title;
  const about = {
    type: "button",
    class: "step",
    "data-step": step,
    "data-testid": step,
    "aria-keyshortcuts": key,
    disabled: !may.ok || pending,
    title: may.ok ? means : may.why,
  };
  return el("button", about, word);
}
