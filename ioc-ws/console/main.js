// The console put together: one store, one link, and the four views that draw them.
//
// Messages change the store at once; drawing happens once per frame, however many came.

import { Actuators } from "./actuators.js";
import { Detail } from "./detail.js";
import { Announcer } from "./announce.js";
import { ask, asks } from "./asks.js";
import { Bell } from "./bell.js";
import { Calls } from "./calls.js";
import { confirmed } from "./dialog.js";
import { byId, el, setText, shape } from "./dom.js";
import { evidenceOf } from "./evidence.js";
import { titleIn } from "./family.js";
import { Feed } from "./feed.js";
import { Health } from "./health.js";
import { Kept, askToKeepQuiet, meant } from "./kept.js";
import { STEP_KEYS, lettersWork, showKeys } from "./keys.js";
import { List } from "./list.js";
import { Live } from "./live.js";
import { CityMap } from "./map.js";
import { Pace } from "./pace.js";
import { question } from "./question.js";
import { heardOfSensors, showSensor } from "./sensor.js";
import { SEVERITIES, apply, counts, emptyStore, heardOf, isOpen } from "./store.js";
import { resumePoint, survivor } from "./store.js";
import { System } from "./system.js";
import { LogicalTime } from "./time.js";
import { TOGETHER, askTogether } from "./together.js";
import { SEVERITY, clock, date, plural, spoken, timeZone, whole } from "./words.js";

const TOAST_MS = 9_000;
const TOKEN = "ioc-token";
const LINK_WORDS = {
  live: "Live",
  stale: "No sign of life",
  connecting: "Connecting",
  waiting: "Reconnecting",
};

const store = emptyStore();
const time = new LogicalTime();
const pending = new Set();
let selected = null;
/** The incident that the address names, until there is a picture to find it in. */
let wanted = null;
let link = { name: "connecting" };
let sensorsChanged = true;
let heard = { heard: 0, sensors: 0 };

const pace = new Pace(draw);
const planDraw = () => pace.plan();
const placeOf = (incident) => map.city.placeOf(incident);
const titleOf = titleIn(store, placeOf);
const map = new CityMap({ root: byId("map"), onSelect: select, onSensor: lookAt });
const list = new List({
  root: byId("incidents"),
  more: byId("more"),
  tabs: byId("tabs"),
  find: byId("find"),
  onSelect: select,
  onDraw: planDraw,
  placeOf,
  titleOf,
});
const feed = new Feed({
  root: byId("feed"),
  which: byId("feed-which"),
  onSelect: select,
  placeOf,
  titleOf,
});
const calls = new Calls();
const bell = new Bell({ button: byId("bell") });
const announcer = new Announcer({ root: byId("announced"), titleOf });
const detail = new Detail({
  root: byId("detail"),
  onStep: take,
  onSelect: select,
  placeOf,
  titleOf,
  cityNow: () => map.city,
  onSensor: lookAt,
  onLoaded: planDraw,
});
const actuators = new Actuators({ root: byId("actuators"), onOrder: operate });
const kept = new Kept({
  root: byId("kept"),
  onEnd: endQuiet,
  onExtend: extendQuiet,
  onAdd: () => keepQuiet(),
});
const health = new Health({ onLoaded: planDraw });
const system = new System({ onLoaded: planDraw });
const live = new Live({
  url: `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/api/v1/stream`,
  hello,
  onMessage: hear,
  onState: (state) => {
    link = state;
    planDraw();
  },
});

function hello() {
  const token = sessionStorage.getItem(TOKEN);
  const resume = resumePoint(store);
  return { ...(token && { token }), ...(resume && { resume }) };
}

/**
 * Reads what the address says after `#`: `token=…`, which is taken out of it so that it is not
 * shown, copied or kept in the history, and `incident=…`, which stays, as a link to pass on.
 */
function readAddress() {
  const words = new URLSearchParams(location.hash.slice(1));
  const token = words.get("token");
  if (token) sessionStorage.setItem(TOKEN, token);
  wanted = words.get("incident");
  writeAddress(wanted);
  return token;
}

function writeAddress(incident) {
  const hash = incident ? `#incident=${incident}` : "";
  history.replaceState(null, "", location.pathname + location.search + hash);
}

/** Applies a message; false if it does not follow on what is known. */
function hear(message) {
  const change = apply(store, message);
  if (change.gap) return false;
  if (message.now) time.heard(Date.parse(message.now), performance.now());
  if (change.welcome) welcome(change.welcome);
  if (change.reset) toast("This console was too slow for the stream and took a new picture.");
  if (change.folded) {
    const updates = plural(change.folded, "older update");
    toast(`The stream was ahead of this console: ${updates} folded into newer ones.`);
  }
  if (change.all) {
    calls.begin(store.incidents.values());
    newPicture();
    actuators.load();
    health.load();
  }
  if (change.decisions?.some(({ type }) => type === "rules_changed")) {
    // The city is the new one a moment after the decision is told.
    setTimeout(() => {
      actuators.load();
      loadCity();
    }, 2_000);
  }
  if (change.decisions) {
    feed.add(change.decisions);
    health.heard(change.decisions);
    detail.add(change.decisions);
    const called = change.decisions.map((decision) => calls.take(decision));
    announcer.heard(change.decisions, called);
    bell.heard(change.decisions, called);
    heardOfSensors(change.decisions);
  }
  if (change.all || change.sensors?.size || change.decisions?.length) sensorsChanged = true;
  planDraw();
  return true;
}

function welcome({ you, reason }) {
  if (you.token === "wrong") {
    sessionStorage.removeItem(TOKEN);
    toast("The token is not valid any more: open the address that the server printed.");
  }
  const told = {
    epoch_changed: "The server has another journal: this is a new picture.",
    hash_differs: "The server was restored from a backup: this is a new picture.",
    ahead: "The server was restored from a backup: this is a new picture.",
  };
  if (told[reason]) toast(told[reason]);
}

function newPicture() {
  loadDecisions();
  if (wanted !== null) {
    const id = survivor(store, wanted);
    wanted = null;
    if (store.incidents.has(id)) select(id);
  } else if (selected !== null && !store.incidents.has(selected)) select(null);
  else detail.load();
}

/** What was decided lately, so that the feed does not begin empty. */
async function loadDecisions() {
  feed.clear();
  let decisions = [];
  try {
    const answer = await fetch("/api/v1/decisions?limit=100");
    if (answer.ok) decisions = (await answer.json()).decisions;
  } catch {
    // The link is down, which the banner says; the feed begins with what comes next.
  }
  feed.begin([...store.incidents.values()].filter(isOpen), decisions);
}

function select(id) {
  selected = id;
  writeAddress(id);
  detail.show(id);
  if (id !== null) list.reveal(id);
  pace.soon();
}

/** Whether orders can be given now, and if not why. */
function may() {
  if (link.name !== "live") return { ok: false, why: "Not connected" };
  if (store.you?.commands) return { ok: true };
  const why =
    "Read only. To acknowledge, open the address with #token=… that the server printed when " +
    "it started.";
  return { ok: false, why };
}

/** Takes a step about an incident, when what has to be said to it has been said. */
async function take(id, step) {
  const incident = store.incidents.get(id);
  if (!incident || pending.has(id)) return;
  const allowed = may();
  if (!allowed.ok) return toast(allowed.why);
  if (step in TOGETHER) return regroup(incident, step);
  const give = (said) => live.command(...orderOf(step, id, said));
  if (asks(step, incident)) {
    const initial = { severity: incident.severity };
    return ask(step, incident, { title: `${titleOf(id)} (${id})`, initial, send: give });
  }
  pending.add(id);
  planDraw();
  const answer = await give({});
  pending.delete(id);
  if (answer.type === "refused") toast(`Not done: ${answer.message}`);
  planDraw();
}

/** Says what belongs together, or does not. */
async function regroup(incident, action) {
  const evidence = detail.id === incident.id ? detail.evidence() : [];
  const now = time.at(performance.now()) ?? Date.now();
  const context = {
    store, city: map.city, now, titleOf, evidence, parts: detail.parts(),
    more: () => wholeEvidence(incident.id),
  };
  await askTogether(action, incident, context, (word, order) => live.command(word, order));
}

/** The sources of an incident with those of all that became part of it, looked up by the server. */
async function wholeEvidence(id) {
  const { told } = await question(id);
  return told ? evidenceOf(told.decisions, id) : [];
}

/** The order of a step, as the server takes it. */
function orderOf(step, id, said) {
  if (step === "shelve") {
    return [step, { incident: id, for_s: Number(said.for_s), reason: said.note }];
  }
  if (step === "unshelve") {
    const shelving = [...store.suppressions.values()].find(({ incident_id }) => incident_id === id);
    return ["end", { suppression: shelving?.id }];
  }
  return [step, { incident: id, ...said }];
}

/** Keeps detections quiet; the form may begin with a sensor. */
async function keepQuiet(initial = {}) {
  const allowed = may();
  if (!allowed.ok) return toast(allowed.why);
  const { sensors, zones } = map.city;
  const names = (all) => [...new Set(all)].filter(Boolean).sort();
  const known = {
    sensors: sensors.map(({ id }) => id),
    zones: zones.map(({ id, name }) => [id, name]),
    kinds: names(sensors.map(({ kind }) => kind)),
    rules: names(detail.evidence().map(({ rule }) => rule)),
  };
  await askToKeepQuiet(initial, known, ({ action, ...said }) => live.command(action, said));
}

/** Shows a sensor: what it says, and why that led to an incident or did not. */
async function lookAt(sensor) {
  const known = map.city.sensorById.get(sensor);
  const now = () => time.at(performance.now()) ?? Date.now();
  const said = await showSensor(sensor, { known, now, titleOf });
  if (said?.incident) select(survivor(store, said.incident));
  if (said?.quiet) keepQuiet({ sensor });
}

async function endQuiet(suppression) {
  const answer = await live.command("end", { suppression });
  if (answer.type === "refused") toast(`Not ended: ${answer.message}`);
}

async function extendQuiet(suppression) {
  const title = meant(store.suppressions.get(suppression) ?? {}, titleOf);
  const send = ({ for_s, note }) =>
    live.command("extend", { suppression, for_s: Number(for_s), note });
  await ask("extend", null, { title, send });
}

/** Opens an incident that no sensor knows of: where the chosen one is, or in the middle of the map. */
async function open() {
  const allowed = may();
  if (!allowed.ok) return toast(allowed.why);
  const kinds = [...new Set([...store.incidents.values()].map(({ kind }) => kind))].sort();
  const [lon, lat] = map.middle();
  const chosen = store.incidents.get(selected);
  const places = [
    ...(chosen?.position ? [["chosen", `Where the chosen one is: ${titleOf(chosen.id)}`]] : []),
    ["middle", `In the middle of the map: ${lon.toFixed(5)}, ${lat.toFixed(5)}`],
  ];
  const positions = { chosen: chosen?.position, middle: [lon, lat] };
  const send = ({ place, ...said }) =>
    live.command("open", { ...said, position: positions[place] });
  await ask("open", null, { kinds, places, send });
}

/** Orders an actuator to do something, in place of what is under way there. */
async function operate(actuator, command, replaces) {
  const allowed = may();
  if (!allowed.ok) return toast(allowed.why);
  await confirmed({
    title: `Order ${actuator} to ${command}?`,
    text: replaces
      ? "It takes the place of the command that is under way. The device acts at once."
      : "The device acts at once.",
    word: `Order: ${command}`,
    send: () => live.command("operate", { actuator, command, ...(replaces && { replaces }) }),
  });
}

function draw() {
  followMerge();
  const now = time.at(performance.now()) ?? Date.now();
  if (sensorsChanged) heard = heardOf(store, map.city.sensors);
  list.draw({ store, selected, now, heard });
  feed.draw();
  detail.draw({ store, now, heard, health, system, may: may(), pending: pending.has(selected) });
  const evidence = selected === null ? [] : detail.evidence().map((each) => each.sensor);
  map.update({ store, selected, evidence, now, sensors: sensorsChanged });
  sensorsChanged = false;
  actuators.draw({ store, may: may() });
  kept.draw({ store, may: may(), titleOf });
  drawBar(now);
  drawBanner();
}

/** The chosen incident became part of another: that one is meant now. */
function followMerge() {
  if (selected === null || store.incidents.has(selected)) return;
  const now = survivor(store, selected);
  if (now !== selected && store.incidents.has(now)) {
    toast(`What you looked at became part of ${titleOf(now)} (${now}).`);
    select(now);
  }
}

function drawBar(now) {
  setText(byId("seq"), store.hash === null ? "–" : `#${store.seq.toLocaleString("en")}`);
  if (store.now !== null) {
    setText(byId("clock"), clock(now));
    setText(byId("date"), `${date(now)}, ${timeZone(now)}`);
    byId("time").title = `City time: what the server judges by. ${utc(now)}`;
  }
  const count = counts(store);
  drawCounts(count);
  setText(byId("silent"), store.silentTotal ? `${plural(store.silentTotal, "sensor")} silent` : "");
  const pill = byId("link");
  pill.dataset.state = link.name;
  setText(pill, LINK_WORDS[link.name]);
  document.body.classList.toggle("cut-off", link.name !== "live");
  const city = byId("city-name").textContent;
  document.title = count.new ? `(${count.new}) ${city}` : city;
}

const utc = (ms) => `In UTC: ${new Date(ms).toISOString().slice(0, 19).replace("T", " ")}`;

function drawCounts(count) {
  const root = byId("counts");
  if (!root.firstChild) {
    for (const severity of SEVERITIES.slice(0, 4)) {
      const { shape: path, word } = SEVERITY[severity];
      const about = { "data-severity": severity, "data-testid": `count-${severity}` };
      const title = `Show those that are ${severity}`;
      const button = el("button", { type: "button", title }, shape(path),
        el("b", { class: "number" }, "0"), el("span", {}, word));
      button.addEventListener("click", () => list.seek(severity));
      root.append(el("li", about, button));
    }
  }
  for (const item of root.children) {
    const number = count[item.dataset.severity];
    item.classList.toggle("none", number === 0);
    setText(item.querySelector("b"), whole(number));
  }
}

function drawBanner() {
  const banner = byId("banner");
  const point = () => `#${store.seq.toLocaleString("en")}, ${clock(Date.parse(store.at))}`;
  const asOf = store.hash === null ? "" : ` You see the picture as of ${point()}.`;
  const why = link.reason ? ` (${link.reason})` : "";
  const texts = {
    stale: () => `Nothing heard from the server for ${link.seconds} s.${asOf}`,
    waiting: () => `Reconnecting in ${link.seconds} s${why}.${asOf}`,
    connecting: () => (link.attempt > 0 ? `Reconnecting now.${asOf}` : ""),
    live: () => system.trouble(),
  };
  const text = texts[link.name]?.() ?? "";
  banner.hidden = text === "";
  setText(banner, text);
}

function toast(text) {
  const note = el("p", { class: "toast", "data-testid": "toast" }, text);
  const toasts = byId("toasts");
  toasts.append(note);
  while (toasts.children.length > 3) toasts.firstChild.remove();
  setTimeout(() => note.remove(), TOAST_MS);
}

const KEYS = {
  ArrowDown: () => list.move(1),
  ArrowUp: () => list.move(-1),
  Home: () => list.moveFar("Home"),
  End: () => list.moveFar("End"),
  PageUp: () => list.moveFar("PageUp"),
  PageDown: () => list.moveFar("PageDown"),
  j: () => list.move(1),
  k: () => list.move(-1),
  n: () => open(),
  b: () => bell.turn(),
  q: () => keepQuiet(),
  w: () => selected !== null && detail.toggleWhy(),
  z: () => map.goTo(store.incidents.get(selected)),
  1: () => list.showTab(0),
  2: () => list.showTab(1),
  3: () => list.showTab(2),
  "/": () => byId("find").focus(),
  "?": () => showKeys(),
  Enter: () => goOn(),
  Escape: () => goBack(),
};

/** The keys that work inside of what can be pressed or scrolled itself. */
const PRESSES = new Set(["Enter"]);
const SCROLLS = new Set(["ArrowUp", "ArrowDown", "Home", "End", "PageUp", "PageDown"]);

/** From the list to what can be done about the chosen incident. */
function goOn() {
  if (selected === null) return list.move(0);
  const find = (what) => byId("detail").querySelector(what);
  (find(".action button:not(:disabled)") ?? find(".detail-body"))?.focus();
}

/** Back to the list; from there, the incident is closed. */
function goBack() {
  const within = byId("detail").contains(document.activeElement);
  if (within) byId("incidents").focus();
  else select(null);
}

/** Presses the button of a step about the chosen incident, if it can be taken. */
function press(step) {
  byId("detail").querySelector(`[data-step="${step}"]:not(:disabled)`)?.click();
}

addEventListener("keydown", (event) => {
  const { target, key } = event;
  // Whoever writes means letters.
  if (target.closest?.("dialog, input, select, textarea")) return;
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (PRESSES.has(key) && target.closest?.("button, a")) return;
  if (SCROLLS.has(key) && target.closest?.(".detail-body, .lines, .situation, .tabs")) return;
  if (key.length === 1 && !lettersWork()) return;
  const act = STEP_KEYS[key] ? () => press(STEP_KEYS[key]) : KEYS[key];
  if (!act) return;
  event.preventDefault();
  act();
});

async function loadCity() {
  try {
    const answer = await fetch("/api/v1/city");
    if (!answer.ok) return;
    const city = await answer.json();
    if (city.name) setText(byId("city-name"), spoken(city.name));
    map.setCity(city);
    sensorsChanged = true;
    planDraw();
  } catch {
    setTimeout(loadCity, 5_000);
  }
}

addEventListener("hashchange", () => {
  const token = readAddress();
  if (wanted !== null) select(survivor(store, wanted));
  wanted = null;
  if (!token) return;
  live.lose(live.socket, null);
  live.retryNow();
});

byId("open").addEventListener("click", open);
byId("keys").addEventListener("click", showKeys);

readAddress();
loadCity();
live.start();
system.begin();
setInterval(planDraw, 1_000);
