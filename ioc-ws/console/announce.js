// What a screen reader is told by itself: incidents that are new or graver, in a sentence now and then.
//
// Arrives: decisions, and of each whom it calls for (`calls.js`). Leaves: a text in a live region. Promise:
// who is called is told for what, also for what is graver than it was told. Bounded: one sentence every
// EVERY_MS, which names the gravest and counts the others.

import { SEVERITIES } from "./store.js";
import { plural, spoken } from "./words.js";

const EVERY_MS = 3_000;
const TOLD_BY = new Set(["incident_opened", "incident_reopened", "incident_unsuppressed"]);

export class Announcer {
  constructor({ root, titleOf, later = (work, ms) => setTimeout(work, ms) }) {
    Object.assign(this, { root, titleOf, later });
    this.gravest = null;
    this.word = "New";
    this.count = 0;
    this.planned = false;
  }

  heard(decisions, called = []) {
    decisions.forEach(({ type, incident }, place) => {
      const isNew = TOLD_BY.has(type) && !incident.suppressed_by;
      if (isNew || called[place]?.itself) this.add(incident, isGraver(type) ? "Graver" : "New");
    });
    for (const incident of called.flatMap(({ effects }) => effects)) this.add(incident, "New");
    if (this.count === 0 || this.planned) return;
    this.planned = true;
    this.later(() => this.tell(), EVERY_MS);
  }

  add(incident, word) {
    // What has become graver since it was noted is one, and as new as it was.
    const isSame = this.gravest?.id === incident.id;
    const leads = this.gravest === null ||
      SEVERITIES.indexOf(incident.severity) < SEVERITIES.indexOf(this.gravest.severity);
    if (!isSame) this.count += 1;
    if (!isSame && leads) this.word = word;
    if (leads) this.gravest = incident;
  }

  tell() {
    const { severity, id } = this.gravest;
    const others = this.count > 1 ? `, and ${plural(this.count - 1, "other")}` : "";
    this.root.textContent = `${this.word}: ${spoken(severity)}, ${this.titleOf(id)}${others}`;
    this.gravest = null;
    this.count = 0;
    this.planned = false;
  }
}

/** Whether a decision that calls does so because its incident is graver than it was told. */
const isGraver = (type) => type === "incident_updated";
