// What a screen reader is told by itself: incidents that are new, in a sentence now and then.
//
// Arrives: decisions, and of each whom it calls for (`calls.js`). Leaves: a text in a live region. Bounded:
// one sentence every EVERY_MS, which names the gravest and counts the others.

import { SEVERITIES } from "./store.js";
import { plural, spoken } from "./words.js";

const EVERY_MS = 3_000;
const TOLD_BY = new Set(["incident_opened", "incident_reopened", "incident_unsuppressed"]);

export class Announcer {
  constructor({ root, titleOf, later = (work, ms) => setTimeout(work, ms) }) {
    Object.assign(this, { root, titleOf, later });
    this.gravest = null;
    this.count = 0;
    this.planned = false;
  }

  heard(decisions, called = []) {
    const opened = ({ type, incident }) => TOLD_BY.has(type) && !incident.suppressed_by;
    const news = decisions.filter(opened).map(({ incident }) => incident);
    for (const incident of [...news, ...called.flatMap(({ effects }) => effects)]) {
      const graver = this.gravest === null ||
        SEVERITIES.indexOf(incident.severity) < SEVERITIES.indexOf(this.gravest.severity);
      if (graver) this.gravest = incident;
      this.count += 1;
    }
    if (this.count === 0 || this.planned) return;
    this.planned = true;
    this.later(() => this.tell(), EVERY_MS);
  }

  tell() {
    const { severity, id } = this.gravest;
    const others = this.count > 1 ? `, and ${plural(this.count - 1, "other")}` : "";
    this.root.textContent = `New: ${spoken(severity)}, ${this.titleOf(id)}${others}`;
    this.gravest = null;
    this.count = 0;
    this.planned = false;
  }
}
