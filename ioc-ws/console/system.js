// How the server itself does: rules that were refused, a full disk, links to brokers elsewhere that
// are down, messages that could not be read.
//
// Arrives: /api/v1/status, asked every ASK_MS. Leaves: a sentence for the banner if a person has to
// mend something at once, and a section of the situation pane. Bounded: ROWS_MAX rows of each.

import { el } from "./dom.js";
import { plural, span, spoken } from "./words.js";

const ASK_MS = 10_000;
const ROWS_MAX = 6;

export class System {
  /** `onLoaded()` is told when there is something new to draw. */
  constructor({ onLoaded }) {
    this.onLoaded = onLoaded;
    this.told = null;
  }

  /** Asks now, and again and again. */
  async begin() {
    try {
      const answer = await fetch("/api/v1/status");
      if (answer.ok) this.told = await answer.json();
    } catch {
      // The link is down, which the banner says.
    }
    this.onLoaded();
    setTimeout(() => this.begin(), ASK_MS);
  }

  /** What cannot wait, in a sentence; empty if all is well. */
  trouble() {
    const said = [];
    if (this.told?.disk_full) said.push("The disk is full: readings wait, orders go on.");
    if (this.told?.rules.refused) {
      said.push("The rules on disk have mistakes: the last accepted ones are in force.");
    }
    return said.join(" ");
  }

  /** The sections of the pane; `now` is logical time in milliseconds. */
  sections(now) {
    if (this.told === null) return [];
    return [refused(this.told.rules), links(this.told.links), letters(this.told.dead_letters, now)];
  }
}

function refused(rules) {
  if (!rules.refused) return null;
  return el("section", { "data-testid": "rules-refused" },
    el("h3", {}, "Rules refused"), el("pre", { class: "mistakes" }, rules.refused));
}

function links(all) {
  if (all.length === 0) return null;
  const down = all.filter(({ state }) => state !== "up");
  const row = ({ name, state, down_for_s: seconds, why }) =>
    el("li", { title: why ?? "" }, el("code", {}, name), el("span", {}, why ?? state),
      el("span", {}, seconds === undefined ? "" : span(seconds * 1000)));
  const note = down.length === 0
    ? `${plural(all.length, "link")} to brokers, all up`
    : `${down.length} of ${plural(all.length, "link")} to brokers not up`;
  return el("section", { "data-testid": "links" }, el("h3", {}, "Brokers elsewhere"),
    el("p", { class: "note" }, note),
    el("ul", { class: "quiet-sensors" }, ...down.slice(0, ROWS_MAX).map(row)));
}

function letters({ waiting, reasons, newest_at: newest }, now) {
  if (waiting === 0) return null;
  const row = ({ reason, count }) =>
    el("li", {}, el("code", {}, spoken(reason)), el("span", {}, ""),
      el("span", {}, count.toLocaleString("en")));
  const since = span(Math.max(0, now - Date.parse(newest)));
  const note = `${plural(waiting, "message")} not understood, the newest ${since} ago: ` +
    "ioc dead-letters says why, and reads them again when the mapping is mended";
  return el("section", { "data-testid": "dead-letters" }, el("h3", {}, "Dead letters"),
    el("p", { class: "note" }, note),
    el("ul", { class: "quiet-sensors" }, ...reasons.slice(0, ROWS_MAX).map(row)));
}
