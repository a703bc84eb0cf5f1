// store.js is the mirror of view.rs: given the same messages it must come to the same picture.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { delayMs } from "../../console/backoff.js";
import { cityOf } from "../../console/city.js";
import * as stores from "../../console/store.js";
import { passedOver, possible } from "../../console/handling.js";
import { LogicalTime } from "../../console/time.js";
import { stepsOf } from "../../console/timeline.js";
import { watch } from "../../console/words.js";

const golden = (name) => readFileSync(new URL(`../golden/${name}`, import.meta.url), "utf8");
const story = () => JSON.parse(golden("story.json"));

function told(messages) {
  const store = stores.emptyStore();
  const changes = messages.map((message) => stores.apply(store, message));
  return { store, changes };
}

test("comes to the server's picture from the same messages", () => {
  const { messages, picture } = story();
  const { store, changes } = told(messages);
  assert.deepEqual(stores.toSnapshot(store), picture);
  assert.equal(changes.flatMap((change) => change.decisions ?? []).length, 33);
});

test("comes to the same picture from a snapshot as from the decisions before it", () => {
  const { messages, picture } = story();
  const store = stores.emptyStore();
  stores.apply(store, messages[0]);
  stores.apply(store, picture);
  assert.deepEqual(stores.toSnapshot(store), picture);
  assert.deepEqual(stores.counts(store), stores.counts(told(messages).store));
});

test("knows every message that the server can send", () => {
  const types = new Set();
  for (const line of golden("messages.jsonl").trim().split("\n")) {
    const message = JSON.parse(line);
    types.add(message.type);
    assert.ok(stores.apply(stores.emptyStore(), message));
  }
  assert.ok(types.has("folded") && types.has("reset") && types.has("beat"));
});

test("p4 does not trust a picture with a hole in it", () => {
  const { messages } = story();
  const { store } = told(messages.slice(0, 3));
  const before = stores.toSnapshot(store);
  const later = messages[4];
  assert.equal(stores.apply(store, later).gap, true);
  assert.deepEqual(stores.toSnapshot(store), before, "nothing of it is applied");
  assert.deepEqual(stores.resumePoint(store), { epoch: "j-5k2m", seq: store.seq, hash: store.hash });
});

test("p4 a beat beyond the picture betrays a frame that was lost", () => {
  const { store } = told(story().messages);
  assert.equal(stores.apply(store, { type: "beat", now: store.now, seq: store.seq }).gap, undefined);
  assert.equal(stores.apply(store, { type: "beat", now: store.now, seq: store.seq + 1 }).gap, true);
});

test("a frame that comes twice changes nothing", () => {
  const { messages } = story();
  const { store } = told(messages);
  const before = stores.toSnapshot(store);
  const frame = messages.find((message) => message.type === "frame");
  assert.deepEqual(stores.apply(store, frame), {});
  assert.deepEqual(stores.toSnapshot(store), before);
});

test("does not resume between a welcome and its snapshot", () => {
  const { messages } = story();
  const { store } = told(messages);
  stores.apply(store, { ...messages[0], epoch: "another" });
  assert.equal(stores.resumePoint(store), null);
});

test("follows merged incidents to the survivor", () => {
  const { messages, picture } = story();
  const { store } = told(messages);
  const merged = messages.flatMap((m) => m.decisions ?? []).find((d) => d.type === "incident_merged");
  assert.equal(stores.survivor(store, merged.incident.id), merged.into);
  assert.ok(!picture.incidents.some((incident) => incident.id === merged.incident.id));
});

test("thingsboard 15219: attempts to reconnect spread out and never become a tight loop", () => {
  for (let attempt = 0; attempt < 40; attempt += 1) {
    assert.ok(delayMs(attempt, 0) >= 250);
    assert.ok(delayMs(attempt, 0.999) <= 20_000);
  }
  assert.ok(delayMs(6, 0) > delayMs(1, 0.999));
  assert.notEqual(delayMs(3, 0.1), delayMs(3, 0.9));
});

test("orders incidents as an operator works", () => {
  const incident = (id, severity, handling, opened_at, ended_at = null) =>
    ({ id, severity, handling, opened_at, ended_at });
  const sorted = [
    incident("seen", "extreme", "acknowledged", "2026-01-01T00:00:00.000Z"),
    incident("over", "extreme", "new", "2026-01-01T00:00:00.000Z", "2026-01-01T01:00:00.000Z"),
    incident("old", "severe", "new", "2026-01-01T00:00:00.000Z"),
    incident("newest", "severe", "new", "2026-01-01T00:01:00.000Z"),
    incident("worst", "extreme", "new", "2026-01-01T00:00:00.000Z"),
  ].sort(stores.byUrgency);
  assert.deepEqual(sorted.map(({ id }) => id), ["worst", "newest", "old", "seen", "over"]);
});

test("logical time runs at its own rate, and not on without the server", () => {
  const time = new LogicalTime();
  assert.equal(time.at(0), null);
  time.heard(100_000, 0);
  time.heard(220_000, 2_000);
  assert.equal(time.at(3_000), 280_000);
  assert.equal(time.at(7_000), time.at(60_000));
});

test("folds plain updates alone, so that how an incident opened is always shown", () => {
  const { messages } = story();
  const told = messages.flatMap((message) => message.decisions ?? []);
  const { id } = told.find((decision) => decision.type === "incident_updated").incident;
  const about = told.filter(({ incident, into }) => incident?.id === id || into === id);
  const many = Array.from({ length: 200 }, (_, place) => ({ ...about[0], seq: 100 + place }));
  const opening = { ...about[0], type: "incident_opened", seq: 0 };
  const steps = stepsOf([opening, ...about, ...many], id);
  assert.equal(steps[0].text, "Opened as severe");
  assert.ok(steps.some(({ text }) => text === "Rose to extreme"));
  assert.ok(steps.some(({ text }) => text.endsWith("became part of it")));
  assert.equal(steps.at(-1).updates.length, 200);
});

const square = (id, west) => ({
  type: "Feature",
  id,
  properties: { type: "zone", name: id.toUpperCase() },
  geometry: {
    type: "Polygon",
    coordinates: [[[west, 3], [west + 1, 3], [west + 1, 4], [west, 4], [west, 3]]],
  },
});

test("says where an incident began and where its middle is now", () => {
  const city = cityOf({ features: [square("a", 100), square("b", 101)] });
  const place = (position) => city.placeOf({ zone: "a", position });
  assert.equal(place([100.5, 3.5]), "A");
  assert.equal(place([101.5, 3.5]), "A → B");
  assert.equal(place([103.5, 3.5]), "A", "in no zone");
  assert.equal(place(null), "A");
  assert.equal(Math.round(city.apart([100, 3.5], [100, 3.6])), 11_120);
  assert.equal(city.apart([100, 3.5], undefined), null);
});

test("silence is good news only from a city that is heard", () => {
  const { store } = told(story().messages);
  const sensors = [{ id: "wl-0412" }, { id: "wl-2" }, { id: "never" }];
  assert.deepEqual(stores.heardOf(store, sensors), { heard: 1, sensors: 3 });
  assert.deepEqual(watch({ heard: 1, sensors: 281 }), {
    text: "1 of 281 sensors heard",
    nothing: "Nothing here, but only 1 of 281 sensors heard.",
    enough: false,
  });
  assert.equal(watch({ heard: 281, sensors: 281 }).enough, true);
  assert.equal(watch({ heard: 0, sensors: 0 }).enough, false);
});

test("what a person reopens when it is over is open until it is done", () => {
  const store = stores.emptyStore();
  let seq = 0;
  const isOpen = (type, handling, condition = "cleared") => {
    seq += 1;
    stores.apply(store, { type: "frame", from: seq, to: seq, decisions: [{ seq, type,
      at: "2026-03-14T07:00:00.000Z", cause: { evidence: [] },
      incident: { id: "inc-a", severity: "severe", handling, condition } }] });
    return stores.isOpen(store.incidents.get("inc-a"));
  };
  assert.equal(isOpen("incident_opened", "new", "active"), true);
  assert.equal(isOpen("incident_cleared", "new"), false);
  assert.equal(isOpen("incident_handled", "closed"), false);
  assert.equal(isOpen("incident_reopened", "new"), true);
  assert.equal(stores.counts(store).new, 1);
  assert.equal(isOpen("incident_updated", "new"), true);
  assert.equal(isOpen("incident_acknowledged", "acknowledged"), true);
  assert.equal(isOpen("incident_handled", "closed"), false);
  assert.equal(isOpen("incident_updated", "closed"), false);
  // By evidence it is back, and over by itself; and whoever was at work and was not ends with it.
  assert.equal(isOpen("incident_reopened", "new", "active"), true);
  assert.equal(isOpen("incident_cleared", "new"), false);
  assert.equal(isOpen("incident_handled", "confirmed"), true);
  assert.equal(isOpen("incident_handled", "new"), false);
});

test("offers the steps that the server would take", () => {
  const table = JSON.parse(golden("steps.json"));
  for (const [now, steps] of Object.entries(table)) {
    const [handling, condition] = now.split(" ");
    assert.deepEqual(possible({ handling, condition }), steps, now);
  }
});

test("says what a step passes over", () => {
  const passed = passedOver({ handling: "new" }, "contain");
  assert.deepEqual(passed, ["acknowledged", "confirmed", "responding"]);
  assert.deepEqual(passedOver({ handling: "dismissed" }, "reopen"), []);
});
