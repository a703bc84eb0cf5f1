// Words, times and pictograms: how things are called and drawn, in one place.

/** Each severity has a word, a colour and a shape: none is told by colour alone. */
export const SEVERITY = {
  extreme: { word: "Extreme", color: "#ff6179", shape: "M0-9 9 0 0 9-9 0Z" },
  severe: { word: "Severe", color: "#ff9f43", shape: "M0-8.5 8.6 6.5H-8.6Z" },
  moderate: { word: "Moderate", color: "#ffd95a", shape: "M-6.5-6.5H6.5V6.5H-6.5Z" },
  minor: { word: "Minor", color: "#63b3ff", shape: "M0-7A7 7 0 1 1 0 7A7 7 0 1 1 0-7Z" },
  unknown: {
    word: "Unknown",
    color: "#b4bdc6",
    shape: "M0-7A7 7 0 1 1 0 7A7 7 0 1 1 0-7ZM0-3.5A3.5 3.5 0 1 0 0 3.5A3.5 3.5 0 1 0 0-3.5Z",
  },
};

const WAVES =
  "M3 9q2.25-2.5 4.5 0t4.5 0 4.5 0 4.5 0M3 14q2.25-2.5 4.5 0t4.5 0 4.5 0 4.5 0" +
  "M3 19q2.25-2.5 4.5 0t4.5 0 4.5 0 4.5 0";
const WIND = "M4 9h10a3 3 0 1 0-3-3M3 13h15a3 3 0 1 1-3 3M5 17h6a2 2 0 1 1-2 2";
const BOLT = "M13 2 4.5 13.5H11L10 22l8.5-11.5H12Z";
const TREMOR = "M2 12h4l2-6 3 13 3-16 3 12 1.5-3H22";
const CAR = "M4 16v-4l2-5h12l2 5v4M3 16h18v3H3ZM7 12h10M6.5 19v2M17.5 19v2";
const FLAME =
  "M12 2c1 4 6 6 6 12a6 6 0 0 1-12 0c0-3 1.5-4.5 2.5-6 .5 2 1.5 2.5 2 3 .5-3-.5-6 1.5-9Z";
const CLOUD = "M6 14a4.5 4.5 0 0 1 .6-8.9 6 6 0 0 1 11.3 1.7A3.8 3.8 0 0 1 18 14Z";
const PEOPLE =
  "M9 10a3 3 0 1 0-.01 0M17 10.5a2.3 2.3 0 1 0-.01 0" +
  "M3 20c0-4 2.5-6.5 6-6.5s6 2.5 6 6.5M15.5 13.8c3-.6 5.5 1.7 5.5 5.2";
const LIGHTS =
  "M8 2h8v20H8ZM12 5.5a1.5 1.5 0 1 0 .01 0M12 10.5a1.5 1.5 0 1 0 .01 0" +
  "M12 15.5a1.5 1.5 0 1 0 .01 0";

/** Pictograms on a square of 24, stroked. The first whose word is in the kind is taken. */
const PICTOGRAMS = [
  ["flood", WAVES],
  ["river", WAVES],
  ["rain", `${CLOUD}M8 17l-1 3M13 17l-1 3M18 17l-1 3`],
  ["storm", `${CLOUD}M12 15l-2 3h3l-2 3`],
  ["fire", FLAME],
  ["smoke", FLAME],
  ["gas", WIND],
  ["air", WIND],
  ["haze", "M4 8h16M3 12h12M8 16h13M5 20h9"],
  ["power", BOLT],
  ["outage", BOLT],
  ["quake", TREMOR],
  ["seismic", TREMOR],
  ["signal", LIGHTS],
  ["crash", CAR],
  ["traffic", CAR],
  ["congestion", CAR],
  ["crowd", PEOPLE],
  ["heat", "M12 3a2 2 0 0 1 2 2v8.5a4 4 0 1 1-4 0V5a2 2 0 0 1 2-2ZM12 9v8"],
  ["pump", "M5 8h9v9H5ZM14 10h3v-4h4M8 17v4M11 17v4M8 5h3"],
  ["water", "M12 3c4 5 6 8 6 11a6 6 0 0 1-12 0c0-3 2-6 6-11Z"],
];
/** From which share of the sensors on silence is good news. */
const WATCHED_SHARE = 0.9;
/** Take care. */
export const ALERT = "M12 3 22 20H2ZM12 9v5M12 17v.5";

/** A tick: all is well. */
export const TICK = "M5 12.5 10 17.5 19 7";

/** The pictogram of a kind of incident, as an SVG path. */
export function pictogram(kind) {
  // At the beginning of a word: `strain` is no rain.
  const begins = (word) => kind.startsWith(word) || kind.includes(`_${word}`);
  const compound = (word) => word.length > 4 && kind.includes(word);
  return (PICTOGRAMS.find(([word]) => begins(word) || compound(word)) ?? [null, ALERT])[1];
}

/** `power_outage` → `Power outage`. */
export function spoken(word) {
  const text = word.replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** What a decision did, for people. */
export function told(decision, placeOf, titleOf) {
  const { incident, sensor, type } = decision;
  if (incident) {
    const what = spoken(incident.kind);
    const here = `${what} in ${placeOf(incident)}`;
    switch (type) {
      case "incident_opened":
        return { verb: "opened", text: here, note: openedAs(decision, titleOf) };
      case "incident_updated":
        return { verb: "updated", text: here, note: evidenceNote(incident) };
      case "incident_merged":
        return { verb: "merged", text: `${here} is part of`, note: titleOf(decision.into) };
      case "incident_split":
        return { verb: "split", text: here, note: `was part of ${titleOf(decision.from)}` };
      case "incident_evidence_moved":
        return {
          verb: "moved", text: `evidence to ${here}`, note: `from ${titleOf(decision.from)}`,
        };
      case "incident_cleared":
        return { verb: "cleared", text: here, note: clearedBecause(decision) };
      case "incident_unknown":
        return { verb: "unknown", text: here, note: "its sensors fell silent or are broken" };
      case "incident_reopened":
        return { verb: "reopened", text: here, note: `episode ${incident.episode}` };
      case "incident_linked":
        return { verb: "linked", text: here, note: causedBy(incident, titleOf) };
      case "incident_escalated":
        return { verb: "passed on", text: here, note: incident.escalated_to.replaceAll("_", " ") };
      case "incident_rated":
        return { verb: "rated", text: here, note: `${incident.severity} ${by(decision)}`.trim() };
      case "incident_shelved": {
        const until = clock(Date.parse(incident.shelved_until));
        return { verb: "shelved", text: here, note: `until ${until} ${by(decision)}`.trim() };
      }
      case "incident_suppressed":
        return {
          verb: "suppressed", text: here, note: `by design: ${causedBy(incident, titleOf)}`,
        };
      case "incident_unsuppressed":
        return { verb: "appears", text: here, note: "its cause explains it no more" };
      default: {
        const verb = type.replace("incident_", "").replaceAll("_", " ");
        return { verb, text: here, note: by(decision) };
      }
    }
  }
  if (sensor) {
    const verb = type.replace("sensor_", "");
    const fault = decision.fault && spoken(decision.fault);
    return { verb, text: `Sensor ${sensor.id}`, note: fault ?? spoken(sensor.kind) };
  }
  if (decision.command) {
    const { actuator, command, answer } = decision.command;
    const verb = type.replace("command_", "").replaceAll("_", " ");
    const note = type === "command_sent" ? by(decision) : (answer?.detail ?? "");
    return { verb, text: `${spoken(command)} ${actuator}`, note };
  }
  if (decision.site) {
    const { id, by, silent, sensors, explained_by } = decision.site;
    const why = explained_by ? `, explained by ${explained_by}` : "";
    const note = `${silent} of ${plural(sensors, "sensor")} silent${why}`;
    return { verb: type.replace("site_", ""), text: `${spoken(by)} ${id}`, note };
  }
  if (decision.suppression) {
    const { suppression } = decision;
    const verb = type.replace("suppression_", "").replaceAll("_", " ");
    const { match, incident_id, reason, ended } = suppression;
    const what = incident_id ? titleOf(incident_id) : Object.values(match).join(", ");
    return { verb, text: `Kept quiet: ${what}`, note: ended ? spoken(ended) : reason };
  }
  if (type === "rules_changed") {
    return { verb: "rules", text: "Rules changed", note: decision.bundle.slice(0, 12) };
  }
  if (type === "command_refused") {
    const { incident_id, actuator_id, suppression_id, kind } = decision;
    const about = incident_id ?? actuator_id ?? suppression_id ?? kind;
    const text = about ? `Order about ${about}` : "Order to keep quiet";
    return { verb: "refused", text, note: spoken(decision.code) };
  }
  return { verb: spoken(type), text: "", note: "" };
}

function openedAs({ seq, incident }, titleOf) {
  if (incident.suppressed_by) return `suppressed by design: ${causedBy(incident, titleOf)}`;
  return seq === null ? `now ${incident.severity}` : incident.severity;
}

function causedBy({ parent }, titleOf) {
  return parent ? `caused by ${titleOf(parent)}` : "its cause is not known";
}

/** Why an incident is over: whoever said so, its rule that a reload changed, or its sensors. */
export function clearedBecause({ cause }) {
  if (cause.actor) return `by ${cause.actor}`;
  return cause.rule ? "its sensors are normal" : "its rule has changed";
}

function by(decision) {
  return decision.cause.actor ? `by ${decision.cause.actor}` : "";
}

function evidenceNote(incident) {
  return `${plural(incident.sensors, "sensor")}, ${plural(incident.readings, "reading")}`;
}

// Made once: making one costs more than what it is used for.
const WHOLE = new Intl.NumberFormat("en");
const TIME = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });

/** `1,204` */
export const whole = (count) => (count < 1000 ? String(count) : WHOLE.format(count));

const SHORT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

/** `999`, `1.2K`, `10K`: where there is little room. */
export const short = (count) => (count < 1000 ? String(count) : SHORT.format(count));

/** `1 sensor`, `2 sensors`, `1,204 sensors`. */
export function plural(count, word) {
  return `${whole(count)} ${word}${count === 1 ? "" : "s"}`;
}

/** How much of the city is heard, whether that is enough, and what to say of no news. */
export function watch({ heard, sensors }) {
  const enough = sensors > 0 && heard >= sensors * WATCHED_SHARE;
  if (sensors === 0) return { text: "No sensor is registered", nothing: "Nothing here.", enough };
  const text = `${heard.toLocaleString("en")} of ${plural(sensors, "sensor")} heard`;
  return { text, nothing: `Nothing here${enough ? ": " : ", but only "}${text}.`, enough };
}

/** A value as people read it: at most four significant digits beyond whole numbers. */
export function value(number, unit = "") {
  const digits = Math.abs(number) >= 100 ? 0 : Math.abs(number) >= 10 ? 1 : 2;
  const text = number.toLocaleString("en", { maximumFractionDigits: digits });
  return unit ? `${text} ${unit}` : text;
}

/** Metres, or kilometres from a thousand on. */
export function distance(metres) {
  return metres < 1000 ? `${metres} m` : `${(metres / 1000).toFixed(1)} km`;
}

/** `14:45:10`, in the time of whoever looks. */
export function clock(ms) {
  return Number.isFinite(ms) ? TIME.format(ms) : "–";
}

/** `Sat 14 Mar 2026`. */
export function date(ms) {
  const form = { weekday: "short", day: "numeric", month: "short", year: "numeric" };
  return new Date(ms).toLocaleDateString("en-GB", form);
}

/** The zone that `clock` and `date` are told in: `UTC`, `UTC+8`. */
export function timeZone(ms) {
  const form = new Intl.DateTimeFormat("en", { timeZoneName: "shortOffset" });
  const part = form.formatToParts(new Date(ms)).find(({ type }) => type === "timeZoneName");
  return part.value.replace("GMT", "UTC").replace(/[+]0$/, "");
}

/** `12 s`, `4 min`, `3 h 20 min`, `5 d`. */
export function span(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}
