// The picture in the browser: applies the server's messages, and nothing else.
//
// Arrives: messages of the stream, in order. Leaves: the store, and what each message changed.
// Pure: no DOM, no clock, no socket; the mirror of view.rs, tested with the same messages.

/** How many ended incidents stay, as on the server. */
const ENDED_MAX = 500;
/** Of how many actuators the last command is held, as on the server. */
const COMMANDED_MAX = 8192;
/** How many merged ids are remembered, so that a chosen one leads to its survivor. */
const MERGED_MAX = 1000;

/** Severities of CAP 1.2, gravest first. */
export const SEVERITIES = ["extreme", "severe", "moderate", "minor", "unknown"];

/** A console that knows nothing yet. */
export function emptyStore() {
  return {
    epoch: null,
    seq: 0,
    hash: null,
    at: null,
    now: null,
    calls: null,
    you: null,
    incidents: new Map(),
    ended: [],
    merged: new Map(),
    silent: new Map(),
    silentTotal: 0,
    commands: new Map(),
    suppressions: new Map(),
    readings: new Map(),
  };
}

/** What to resume from; null while there is no picture. */
export function resumePoint(store) {
  if (!store.epoch || store.hash === null || store.pending) return null;
  return { epoch: store.epoch, seq: store.seq, hash: store.hash };
}

/**
 * Applies one message and says what it changed:
 * `all` (everything), `incidents` (ids), `sensors` (ids), `decisions` (new ones), `folded`, or
 * `gap`: the message does not follow, and the picture must be resumed rather than trusted.
 */
export function apply(store, message) {
  switch (message.type) {
    case "welcome":
      return applyWelcome(store, message);
    case "snapshot":
      return applySnapshot(store, message);
    case "frame":
      return applyFrame(store, message);
    case "readings":
      return applyReadings(store, message);
    case "beat":
      store.now = message.now;
      store.calls = message.calls;
      return message.seq > store.seq ? { gap: true } : {};
    case "folded":
      return { folded: message.updates_dropped };
    case "reset":
      return { reset: message.reason };
    default:
      return {};
  }
}

function applyWelcome(store, message) {
  // Until the snapshot is here, the old numbers must not be resumed from under a new epoch.
  store.pending = message.next === "snapshot";
  store.epoch = message.epoch;
  store.now = message.now;
  store.you = message.you;
  return { welcome: message };
}

function applySnapshot(store, message) {
  store.pending = false;
  store.seq = message.seq;
  store.hash = message.hash;
  store.at = message.at;
  store.incidents = new Map(message.incidents.map((incident) => [incident.id, incident]));
  const ended = message.incidents.filter((incident) => incident.ended_at !== null);
  ended.sort((a, b) => a.updated_seq - b.updated_seq);
  store.ended = ended.map((incident) => incident.id);
  store.merged = new Map();
  store.silent = new Map(message.sensors_silent.map((sensor) => [sensor.id, sensor]));
  store.silentTotal = message.sensors_silent_total;
  store.commands = new Map(message.commands.map((command) => [command.actuator, command]));
  store.suppressions = new Map(message.suppressions.map((each) => [each.id, each]));
  store.readings = new Map(message.readings.map((reading) => [reading.sensor, reading]));
  return { all: true };
}

function applyFrame(store, frame) {
  if (frame.to <= store.seq) return {};
  if (frame.from !== store.seq + 1) return { gap: true };
  const change = { incidents: new Set(), sensors: new Set(), decisions: [] };
  for (const decision of frame.decisions) {
    applyDecision(store, decision, change);
    change.decisions.push(decision);
    store.at = decision.at;
  }
  store.seq = frame.to;
  store.hash = frame.hash;
  return change;
}

function applyDecision(store, decision, change) {
  if (decision.command) {
    applyCommand(store, decision);
  } else if (decision.suppression) {
    applySuppression(store, decision);
  } else if (decision.incident) {
    change.incidents.add(decision.incident.id);
    applyIncident(store, decision);
  } else if (decision.type === "sensor_silent") {
    const sensor = { ...decision.sensor, silent_at: decision.at, seq: decision.seq };
    if (!store.silent.has(sensor.id)) store.silentTotal += 1;
    store.silent.set(sensor.id, sensor);
    change.sensors.add(sensor.id);
  } else if (decision.type === "sensor_returned") {
    store.silent.delete(decision.sensor.id);
    store.silentTotal = Math.max(store.silentTotal - 1, store.silent.size);
    change.sensors.add(decision.sensor.id);
  }
}

/** The last command to each actuator: what is told of one before it does not hide it. */
function applyCommand(store, decision) {
  const { actuator, key } = decision.command;
  const last = store.commands.get(actuator);
  if (last && last.key !== key && decision.type !== "command_sent") return;
  const told = { updated_seq: decision.seq, updated_at: decision.at };
  if (!last) makeRoomForACommand(store);
  store.commands.set(actuator, { ...decision.command, ...told });
}

/** What is kept quiet; what is so no more is left to REST. */
function applySuppression(store, decision) {
  const { id, ended } = decision.suppression;
  if (ended) {
    store.suppressions.delete(id);
    return;
  }
  const told = { updated_seq: decision.seq, updated_at: decision.at };
  store.suppressions.set(id, { ...decision.suppression, ...told });
}

function makeRoomForACommand(store) {
  if (store.commands.size < COMMANDED_MAX) return;
  const over = [...store.commands.values()].filter(isCommandOver);
  over.sort((a, b) => a.updated_seq - b.updated_seq);
  if (over.length > 0) store.commands.delete(over[0].actuator);
}

/** Whether nothing more is waited for. */
export function isCommandOver({ progress, confirmed_by }) {
  if (progress === "done") return confirmed_by === null;
  return progress !== "sent" && progress !== "accepted";
}

function applyIncident(store, decision) {
  const id = decision.incident.id;
  if (decision.type === "incident_merged") {
    store.incidents.delete(id);
    store.merged.set(id, decision.into);
    dropOldest(store.merged, MERGED_MAX);
    return;
  }
  const before = store.incidents.get(id);
  const incident = after(before, decision);
  store.incidents.set(id, incident);
  if (incident.ended_at !== null && (!before || before.ended_at === null)) {
    store.ended.push(id);
    forgetEnded(store);
  }
}

/** The incident as a decision leaves it, given what was known of it before. */
function after(before, decision) {
  return {
    ...decision.incident,
    rule: before?.rule ?? decision.cause.rule ?? null,
    updated_seq: decision.seq,
    updated_at: decision.at,
    ...acknowledged(before, decision),
    ...handled(before, decision),
    ended_at: isUnderWay(decision.incident) || isLookedInto(before, decision)
      ? null
      : (before?.ended_at ?? decision.at),
  };
}

/** Whether somebody is to see to it still: it goes on and nobody has put it aside, or people are at
 * work on it. */
function isUnderWay({ condition, handling }) {
  if (["merged", "closed", "dismissed"].includes(handling)) return false;
  return condition !== "cleared" || ["confirmed", "responding", "contained"].includes(handling);
}

/** Whether it is over, and a person has reopened it since, and nobody has done more than see it. */
function isLookedInto(before, { type, incident }) {
  const isSeen = ({ condition, handling }) =>
    condition === "cleared" && ["new", "acknowledged"].includes(handling);
  const was = before !== undefined && before.ended_at === null && isSeen(before);
  return isSeen(incident) && (type === "incident_reopened" || was);
}

function acknowledged(before, decision) {
  if (decision.incident.handling === "new") {
    return { acknowledged_at: null, acknowledged_by: null };
  }
  const seen = before?.acknowledged_at ?? null;
  if (seen === null && (decision.type === "incident_acknowledged" || decision.cause.actor)) {
    return { acknowledged_at: decision.at, acknowledged_by: decision.cause.actor ?? null };
  }
  return { acknowledged_at: seen, acknowledged_by: before?.acknowledged_by ?? null };
}

/** The last thing that a person did about it. */
function handled(before, decision) {
  if (decision.cause.actor) {
    return { handled_at: decision.at, handled_by: decision.cause.actor };
  }
  return { handled_at: before?.handled_at ?? null, handled_by: before?.handled_by ?? null };
}

function forgetEnded(store) {
  while (store.ended.length > ENDED_MAX) {
    const id = store.ended.shift();
    const again = store.ended.includes(id);
    if (!again && store.incidents.get(id)?.ended_at) store.incidents.delete(id);
  }
}

function dropOldest(map, max) {
  for (const key of map.keys()) {
    if (map.size <= max) return;
    map.delete(key);
  }
}

function applyReadings(store, message) {
  store.now = message.now;
  const sensors = new Set();
  for (const reading of message.readings) {
    store.readings.set(reading.sensor, reading);
    sensors.add(reading.sensor);
  }
  return { sensors };
}

/** Follows a merged id to the incident that it means today. */
export function survivor(store, id) {
  for (let hops = 0; hops <= MERGED_MAX && store.merged.has(id); hops += 1) {
    id = store.merged.get(id);
  }
  return id;
}

/** Whether an incident is not over. */
export const isOpen = (incident) => incident.ended_at === null;

/** Whether nobody has seen it, although it is not over, and somebody is to be called. */
export const isNew = (incident) =>
  isOpen(incident) &&
  incident.handling === "new" &&
  !incident.shelved_until &&
  !incident.suppressed_by;

const rank = (incident) => SEVERITIES.indexOf(incident.severity);

/** The order of work: open first, then what nobody has seen, then the gravest, then the newest. */
export function byUrgency(a, b) {
  return (
    Number(isOpen(b)) - Number(isOpen(a)) ||
    Number(isNew(b)) - Number(isNew(a)) ||
    (isOpen(a) ? rank(a) - rank(b) : 0) ||
    compare(isOpen(a) ? b.opened_at : b.ended_at, isOpen(a) ? a.opened_at : a.ended_at) ||
    compare(a.id, b.id)
  );
}

function compare(a, b) {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** Open incidents by severity, and how many nobody has seen. */
export function counts(store) {
  const result = { open: 0, new: 0, ended: 0 };
  for (const severity of SEVERITIES) result[severity] = 0;
  for (const incident of store.incidents.values()) {
    if (!isOpen(incident)) {
      result.ended += 1;
      continue;
    }
    result.open += 1;
    result[incident.severity] += 1;
    if (isNew(incident)) result.new += 1;
  }
  return result;
}

/** How many of the city's sensors are heard: they have said something and are not silent. */
export function heardOf(store, sensors) {
  const heard = ({ id }) => store.readings.has(id) && !store.silent.has(id);
  return { heard: sensors.filter(heard).length, sensors: sensors.length };
}

/** The picture in the form of the server's snapshot. */
export function toSnapshot(store) {
  const sorted = (map) => [...map.entries()].sort(([a], [b]) => compare(a, b)).map(([, v]) => v);
  return {
    type: "snapshot",
    seq: store.seq,
    hash: store.hash,
    at: store.at,
    incidents: sorted(store.incidents),
    sensors_silent: sorted(store.silent),
    sensors_silent_total: store.silentTotal,
    commands: sorted(store.commands),
    suppressions: sorted(store.suppressions),
    readings: sorted(store.readings),
  };
}
