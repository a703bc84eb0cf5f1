// The bell: what is new and grave is heard as well as seen (ISA-18.2), if the operator wants it so.
//
// Arrives: decisions, and of each whom it calls for (`calls.js`). Leaves: a few tones. Promise: what people
// are called for is heard, as the server counts it; so is what opens as an effect of what lasts, which is in
// the list as new, although nobody is called for it. Bounded: one ringing every EVERY_MS; only what is graver
// than the last one rings at once. A browser lets a page be heard only after somebody has pressed
// something on it, so it is off until it is turned on.

import { SEVERITIES } from "./store.js";

const ON = "ioc-bell";
const EVERY_MS = 4_000;
const TONE_S = 0.14;
const LOUD = 0.18;

/** The tones of each severity that rings, in hertz: the graver, the more and the higher. */
const TONES = { extreme: [880, 660, 880, 660, 880], severe: [660, 550, 660], moderate: [550] };

const RUNG_BY = new Set(["incident_opened", "incident_reopened", "incident_unsuppressed"]);

/**
 * The gravest severity that is to be heard of these decisions, each with what `calls.js` says of it; null
 * if nothing is.
 */
export function rungBy(decisions, called = []) {
  const rings = ({ type, incident }, place) => called[place]?.itself ||
    RUNG_BY.has(type) && incident.handling === "new" && !incident.suppressed_by &&
    !incident.shelved_until;
  const effects = called.flatMap(({ effects: incidents }) => incidents);
  const incidents = [...decisions.filter(rings).map(({ incident }) => incident), ...effects];
  const grave = incidents.map(({ severity }) => severity).filter((severity) => severity in TONES);
  grave.sort((a, b) => SEVERITIES.indexOf(a) - SEVERITIES.indexOf(b));
  return grave[0] ?? null;
}

export class Bell {
  /** `button` turns it on and off; `clock()` in milliseconds. */
  constructor({ button, clock = () => performance.now() }) {
    Object.assign(this, { button, clock });
    this.on = localStorage.getItem(ON) !== null;
    this.quietUntil = -Infinity;
    this.last = null;
    button.addEventListener("click", () => this.turn());
    this.show();
  }

  turn() {
    this.on = !this.on;
    if (this.on) localStorage.setItem(ON, "1");
    else localStorage.removeItem(ON);
    if (this.on) this.play(TONES.moderate);
    this.show();
  }

  show() {
    this.button.setAttribute("aria-pressed", String(this.on));
    this.button.textContent = this.on ? "On" : "Off";
  }

  heard(decisions, called = []) {
    const severity = this.on ? rungBy(decisions, called) : null;
    if (severity === null) return;
    const isQuiet = this.clock() < this.quietUntil;
    if (isQuiet && SEVERITIES.indexOf(severity) >= SEVERITIES.indexOf(this.last)) return;
    this.quietUntil = this.clock() + EVERY_MS;
    this.last = severity;
    this.play(TONES[severity]);
  }

  play(tones) {
    this.audio ??= new AudioContext();
    const { audio } = this;
    audio.resume();
    tones.forEach((hertz, place) => {
      const begin = audio.currentTime + place * TONE_S * 1.4;
      const tone = new OscillatorNode(audio, { frequency: hertz });
      const volume = new GainNode(audio, { gain: 0 });
      volume.gain.setValueAtTime(0, begin);
      volume.gain.linearRampToValueAtTime(LOUD, begin + 0.01);
      volume.gain.linearRampToValueAtTime(0, begin + TONE_S);
      tone.connect(volume).connect(audio.destination);
      tone.start(begin);
      tone.stop(begin + TONE_S);
    });
  }
}
