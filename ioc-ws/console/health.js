// Which sensors are broken, and which ten cause most of the alarms.
//
// Arrives: the list from REST, asked for again when a decision may have changed it, at most every
// ASK_MS. Leaves: two sections of the situation pane. Bounded: ROWS_MAX sensors are shown.

import { el } from "./dom.js";
import { sensorButton } from "./situation.js";
import { plural, span, spoken } from "./words.js";

const ROWS_MAX = 8;
const ASK_MS = 5_000;
const CHANGED_BY = new Set([
  "sensor_faulty",
  "sensor_sound",
  "sensor_silent",
  "sensor_returned",
  "site_silent",
  "site_returned",
  "incident_opened",
  "incident_reopened",
]);

export class Health {
  /** `onLoaded()` is told when there is something new to draw. */
  constructor({ onLoaded }) {
    this.onLoaded = onLoaded;
    this.told = null;
    this.asks = false;
  }

  /** Asks again soon, if one of these decisions may have changed what is known. */
  heard(decisions) {
    if (this.asks || !decisions.some(({ type }) => CHANGED_BY.has(type))) return;
    this.asks = true;
    setTimeout(() => this.load(), ASK_MS);
  }

  async load() {
    this.asks = false;
    try {
      const answer = await fetch("/api/v1/sensors/health?limit=1000");
      if (!answer.ok) return;
      this.told = await answer.json();
      this.onLoaded();
    } catch {
      // The link is down, which the banner says; the next picture asks again.
    }
  }

  /** The sections of the pane; `now` is logical time in milliseconds. */
  sections(now) {
    if (this.told === null) return [];
    const broken = this.told.sensors.filter(({ faults }) => faults.some(isBroken));
    const sites = silentSites(this.told.sites, now);
    return [sites, brokenSensors(broken, now), badActors(this.told.bad_actors)];
  }
}

/** Silent ones have a list of their own. */
const isBroken = ({ fault }) => fault !== "silent";

function silentSites(sites, now) {
  if (sites.length === 0) return null;
  const row = ({ id, by, silent, sensors, explained_by, since }) =>
    el("li", {}, el("code", {}, id),
      el("span", {}, `${spoken(by)}: ${silent} of ${plural(sensors, "sensor")} when it was found` +
        (explained_by ? `, explained by ${explained_by}` : "")),
      el("span", { title: "since it was found" }, span(now - Date.parse(since))));
  const left = sites.length - ROWS_MAX;
  const more = left > 0 ? el("p", { class: "note" }, plural(left, "more site")) : null;
  return el("section", { "data-testid": "silent-sites" }, el("h3", {}, "Silent sites"),
    el("ul", { class: "quiet-sensors" }, ...sites.slice(0, ROWS_MAX).map(row)), more);
}

function brokenSensors(broken, now) {
  if (broken.length === 0) return null;
  const row = ({ id, faults, distrusted }) => {
    const own = faults.filter(isBroken);
    // Several rules may find the same.
    const words = [...new Set(own.map(({ fault }) => spoken(fault)))].join(", ");
    const note = distrusted ? `${words}; not trusted` : words;
    const since = span(now - Math.min(...own.map((each) => Date.parse(each.since))));
    const rules = own.map(({ rule }) => rule).join(", ");
    return el("li", { title: rules }, sensorButton(id), el("span", {}, note),
      el("span", { title: "since it was found" }, since));
  };
  const left = broken.length - ROWS_MAX;
  const more = left > 0 ? el("p", { class: "note" }, plural(left, "more sensor")) : null;
  return el("section", { "data-testid": "broken-list" }, el("h3", {}, "Broken sensors"),
    el("ul", { class: "quiet-sensors" }, ...broken.slice(0, ROWS_MAX).map(row)), more);
}

function badActors({ days, share, sensors }) {
  const worst = sensors.filter(({ alarms, faults }) => alarms + faults > 0);
  if (worst.length === 0) return null;
  const row = ({ sensor, alarms, faults, share: own }) => {
    const caused = [alarms && plural(alarms, "alarm"), faults && plural(faults, "fault")];
    return el("li", {}, sensorButton(sensor),
      el("span", {}, caused.filter(Boolean).join(", ")), el("span", {}, percent(own)));
  };
  const note = `${plural(worst.length, "sensor")}: ${percent(share)} of all alarms and faults`;
  return el("section", { "data-testid": "bad-actors" },
    el("h3", {}, `Most trouble in ${plural(days, "day")}`), el("p", { class: "note" }, note),
    el("ul", { class: "quiet-sensors" }, ...worst.map(row)));
}

const percent = (share) => `${Math.round(share * 100)} %`;
