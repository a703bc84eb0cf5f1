// The keys: what each does, in one table, from which the page's line and the list of all are made.
//
// Arrives: a key that was pressed. Leaves: what is done by it. Keys of one letter can be turned off
// (WCAG 2.1, 2.1.4), for who speaks to the machine.

import { form } from "./dialog.js";
import { el } from "./dom.js";

const OFF = "ioc-letters-off";

/** Group, keys, what they do. The keys are as the browser names them. */
export const KEYS = [
  ["Choose", ["ArrowUp", "k"], "the incident above"],
  ["Choose", ["ArrowDown", "j"], "the incident below"],
  ["Choose", ["Home"], "the first"],
  ["Choose", ["End"], "the last"],
  ["Choose", ["Enter"], "go on to what can be done about it"],
  ["Choose", ["Escape"], "back to the list; then close it"],
  ["Choose", ["/"], "find by kind, place or id"],
  ["Choose", ["1", "2", "3"], "open, new, ended incidents"],
  ["Do", ["a"], "acknowledge"],
  ["Do", ["c"], "confirm"],
  ["Do", ["d"], "dismiss…"],
  ["Do", ["r"], "log a report…"],
  ["Do", ["g"], "say how grave it is…"],
  ["Do", ["h"], "shelve it…"],
  ["Do", ["n"], "open an incident…"],
  ["Do", ["q"], "keep something quiet…"],
  ["Belongs together", ["m"], "merge…"],
  ["Belongs together", ["s"], "split…"],
  ["Belongs together", ["e"], "move evidence…"],
  ["Belongs together", ["l"], "caused by…"],
  ["Belongs together", ["u"], "not caused by…"],
  ["Look", ["w"], "why exactly, and why not more"],
  ["Look", ["z"], "go there on the map"],
  ["Look", ["b"], "sound on or off"],
  ["Look", ["?"], "this list"],
];

const SHOWN = {
  ArrowUp: "↑", ArrowDown: "↓", Escape: "esc", Enter: "enter", Home: "home", End: "end",
};

/** The step whose button a key presses. */
export const STEP_KEYS = {
  a: "acknowledge", c: "confirm", d: "dismiss", r: "report", g: "rate", h: "shelve",
  m: "merge", s: "split", e: "move", l: "link", u: "unlink",
};

/** The key of a step, if it has one. */
export const keyOf = (step) =>
  Object.keys(STEP_KEYS).find((key) => STEP_KEYS[key] === step) ?? null;

/** Whether keys of one letter do something. */
export const lettersWork = () => localStorage.getItem(OFF) === null;

/** Shows all keys. */
export function showKeys() {
  const groups = [...new Set(KEYS.map(([group]) => group))];
  const rows = (group) => KEYS.filter(([own]) => own === group).map(([, keys, does]) =>
    el("li", {}, el("span", {}, ...keys.map((key) => el("kbd", {}, SHOWN[key] ?? key))), does));
  const part = (group) =>
    el("section", {}, el("h3", {}, group), el("ul", { class: "key-list" }, ...rows(group)));
  const letters = el("input", { type: "checkbox", name: "letters", checked: lettersWork() });
  return form({
    title: "Keys",
    word: "Done",
    wide: true,
    parts: [
      el("div", { class: "key-groups" }, ...groups.map(part)),
      el("label", { class: "option" }, letters, "Keys of one letter do something"),
    ],
    said: () => letters.checked,
    send: async (on) => {
      if (on) localStorage.removeItem(OFF);
      else localStorage.setItem(OFF, "1");
      return { type: "ok" };
    },
  });
}
