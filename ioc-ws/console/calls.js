// Whom a decision calls for: the mirror of load.rs, by which the server counts.
//
// Arrives: decisions, in order, and whole pictures. Leaves: of each decision whether people are called
// for its incident, and for which others: of a cause that stands for them no more, those of its effects
// that go on and that nobody was called for and nobody has seen. Pure. Bounded: it knows of INCIDENTS_MAX
// incidents, and forgets what is over first. Of what a picture shows it does not know whether people were
// called for it: an effect of what lasts is taken to be unheard of. Next: `bell.js`.

import { SEVERITIES } from "./store.js";

/** Of how many incidents it is known what was told last. */
const INCIDENTS_MAX = 5_000;
/** For how long what parts from one incident is one call. */
const PARTING_MS = 60_000;

const NOBODY = Object.freeze({ itself: false, effects: Object.freeze([]) });

const rank = (severity) => SEVERITIES.length - SEVERITIES.indexOf(severity);
const MINOR = rank("minor");

export class Calls {
  constructor() {
    this.told = new Map();
    this.over = new Set();
    this.unheard = new Map();
    this.partings = new Map();
  }

  /** Begins anew with what stands in a picture. */
  begin(incidents) {
    this.told = new Map();
    this.over = new Set();
    this.unheard = new Map();
    this.partings = new Map();
    for (const incident of incidents) this.note(incident, incident.parent === null);
  }

  /** Whether people are called for the incident of a decision (`itself`), and for which `effects`. */
  take(decision) {
    const { type, incident } = decision;
    if (!incident) return NOBODY;
    if (type === "incident_merged") {
      this.merge(incident.id, decision.into);
      return NOBODY;
    }
    const byItself = this.isNews(decision);
    const known = byItself || Boolean(decision.cause.actor) || this.partsFrom(decision) !== null;
    this.note(incident, known);
    return { itself: byItself, effects: this.effectsOf(incident.id) };
  }

  isNews({ type, at, incident, cause }) {
    if (incident.suppressed_by || incident.shelved_until) return false;
    const before = this.told.get(incident.id);
    if (type === "incident_unsuppressed") return incident.handling !== "dismissed";
    // What is a symptom no more is told so at once, and calls by that.
    if (before?.incident.suppressed_by) return false;
    switch (type) {
      case "incident_opened": {
        const parent = this.partsFrom({ type, incident, cause });
        return parent === null ? this.standsAlone(incident) : this.isFirstToPart(parent, incident, at);
      }
      case "incident_reopened":
        return !before || incident.episode > before.incident.episode ||
          incident.handling === "new" && before.incident.handling !== "new" || isShown(before, incident);
      case "incident_updated":
        return before !== undefined &&
          (rank(incident.severity) > before.gravest || isShown(before, incident));
      case "incident_linked":
        return before !== undefined && unheardBehind(before) !== null && this.standsAlone(incident);
      case "incident_unshelved":
        return before !== undefined && !cause.actor && isShown(before, incident);
      default:
        return false;
    }
  }

  /** Whether no cause stands for an incident. One that nothing is known of does. */
  standsAlone({ parent, severity }) {
    if (parent === null) return true;
    const told = this.told.get(parent);
    return told !== undefined && !standsFor(told.incident, severity);
  }

  /** The incident that one parts from by opening without evidence of its own: its cause and like. */
  partsFrom({ type, incident, cause }) {
    if (type !== "incident_opened" || incident.parent === null) return null;
    const told = this.told.get(incident.parent);
    const isLike = told === undefined || told.incident.kind === incident.kind;
    return isLike && cause.evidence.length === 0 ? incident.parent : null;
  }

  isFirstToPart(parent, { severity }, at) {
    const now = Date.parse(at);
    for (const [from, before] of this.partings) {
      if (before.at <= now - PARTING_MS) this.partings.delete(from);
    }
    const before = this.partings.get(parent);
    const isFirst = before === undefined || rank(severity) > rank(before.severity);
    if (isFirst) this.partings.set(parent, { at: now, severity });
    return isFirst;
  }

  note(incident, isKnown) {
    const before = this.forget(incident.id);
    const severity = rank(incident.severity);
    const goesOn = before !== undefined && lasts(before.incident) && lasts(incident);
    this.remember({
      incident,
      gravest: goesOn ? Math.max(severity, before.gravest) : severity,
      known: Boolean(before?.known) || isKnown || Boolean(incident.shelved_until) ||
        incident.handling !== "new",
    });
    while (this.told.size > INCIDENTS_MAX) {
      const [first] = this.over.size > 0 ? this.over : this.told.keys();
      this.forget(first);
    }
  }

  merge(id, into) {
    for (const child of this.unheard.get(id) ?? []) {
      const told = this.forget(child);
      this.remember({ ...told, incident: { ...told.incident, parent: into } });
    }
    const merged = this.forget(id);
    const survivor = this.told.get(into);
    if (!merged || !survivor) return;
    this.forget(into);
    // What shows it by becoming a part of it was told.
    const shelved = merged.incident.shelved_until && survivor.incident.shelved_until;
    const incident = { ...survivor.incident, shelved_until: shelved };
    this.remember({ ...survivor, incident, known: survivor.known || merged.known });
  }

  /** The effects that a cause stands for no more and that nobody knows of: from here on people do. */
  effectsOf(id) {
    const cause = this.told.get(id)?.incident;
    if (!cause) return [];
    const called = [];
    for (const child of [...(this.unheard.get(id) ?? [])].sort()) {
      const told = this.told.get(child);
      if (standsFor(cause, told.incident.severity)) continue;
      this.forget(child);
      this.remember({ ...told, known: true });
      called.push(told.incident);
    }
    return called;
  }

  remember(told) {
    const { id } = told.incident;
    this.told.set(id, told);
    if (!lasts(told.incident)) this.over.add(id);
    const cause = unheardBehind(told);
    if (cause === null) return;
    if (!this.unheard.has(cause)) this.unheard.set(cause, new Set());
    this.unheard.get(cause).add(id);
  }

  forget(id) {
    const told = this.told.get(id);
    if (told === undefined) return undefined;
    this.told.delete(id);
    this.over.delete(id);
    const cause = unheardBehind(told);
    if (cause !== null) {
      this.unheard.get(cause).delete(id);
      if (this.unheard.get(cause).size === 0) this.unheard.delete(cause);
    }
    return told;
  }
}

const lasts = ({ condition }) => condition !== "cleared";

/** Whether an incident that nobody has seen is not shelved any more. */
function isShown(before, incident) {
  return Boolean(before.incident.shelved_until) && lasts(incident) && incident.handling === "new";
}

/** Whether what an incident causes, as grave as this, is no news to whoever was called for it. */
function standsFor(incident, severity) {
  const isHidden = Boolean(incident.shelved_until) && rank(severity) > MINOR;
  return lasts(incident) && isBelieved(incident) && incident.handling !== "dismissed" && !isHidden;
}

/** Whether an incident is taken to be there: one that nobody says to be possible is when people are at work. */
function isBelieved({ certainty, handling }) {
  const isWork = ["confirmed", "responding", "contained"].includes(handling);
  return isWork || certainty !== "unknown" && certainty !== "unlikely";
}

/** The cause behind which an incident is unheard of; null if it is not. */
function unheardBehind({ incident, known }) {
  const { shelved_until: shelved, suppressed_by: suppressed, handling, parent } = incident;
  const heard = known || shelved || suppressed || handling !== "new";
  return lasts(incident) && !heard ? parent : null;
}
