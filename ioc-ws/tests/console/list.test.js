// What keeps the page quick and usable: rows in sight, the pace of drawing, keys, what is
// announced.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Announcer } from "../../console/announce.js";
import { Bell, rungBy } from "../../console/bell.js";
import { levelOf } from "../../console/ground.js";
import { KEYS, STEP_KEYS, keyOf } from "../../console/keys.js";
import { Pace } from "../../console/pace.js";
import { callsOf } from "../../console/situation.js";
import { apply, emptyStore } from "../../console/store.js";
import { inSight } from "../../console/window.js";

test("p5 of ten thousand rows those in sight are drawn", () => {
  const heights = Array.from({ length: 10_000 }, (_, place) => (place % 10 === 0 ? 76 : 58));
  for (const scrolled of [0, 1, 57, 58, 300_000, 598_000]) {
    const { first, end, tops, total } = inSight(heights, scrolled, 700);
    assert.ok(end - first < 25, `${end - first} rows at ${scrolled}`);
    assert.ok(tops[first] <= scrolled && (end === 10_000 || tops[end] >= scrolled + 700));
    assert.equal(total, 598_000);
  }
  assert.deepEqual([inSight([], 0, 700).first, inSight([], 0, 700).end], [0, 0]);
  // The list got shorter while it was scrolled to its end.
  assert.equal(inSight([58, 58], 9_000, 700).first, 0);
});

/** A page whose drawing takes so long. */
function page(takes) {
  const told = { now: 0, drawn: 0, later: [] };
  const draw = () => {
    told.drawn += 1;
    told.now += takes;
  };
  const later = (work, ms) => told.later.push([told.now + Math.max(ms, 0), work]);
  told.pace = new Pace(draw, () => told.now, later);
  told.run = (until) => {
    const due = () => told.later.sort(([a], [b]) => a - b)[0]?.[0] <= until;
    while (due()) {
      const [at, work] = told.later.shift();
      told.now = Math.max(told.now, at);
      work();
    }
    told.now = Math.max(told.now, until);
  };
  return told;
}

test("p5 drawing takes a quarter of the time at most, however many changes come", () => {
  const slow = page(40);
  for (let at = 0; at < 10_000; at += 1) {
    slow.pace.plan();
    slow.run(at);
  }
  assert.ok(slow.drawn * 40 <= 0.26 * 10_000, `${slow.drawn} times`);
  assert.ok(slow.drawn > 50);
  const quick = page(0.5);
  for (let at = 0; at < 1_000; at += 16) {
    quick.pace.plan();
    quick.run(at);
  }
  assert.ok(quick.drawn > 60, "where it is cheap, each frame");
});

test("what a person does is drawn at once", () => {
  const slow = page(200);
  slow.pace.plan();
  slow.run(0);
  slow.pace.plan();
  slow.run(slow.now);
  assert.equal(slow.drawn, 1, "the next waits");
  slow.pace.soon();
  slow.run(slow.now);
  assert.equal(slow.drawn, 2);
});

test("a sensor is beyond its level on the side where that is worse", () => {
  const gauge = { warning: 3, danger: 4 };
  const feeder = { warning: 9, danger: 2 };
  assert.deepEqual([2, 3.5, 4.5].map((value) => levelOf(gauge, value)), [null, "warning", "danger"]);
  assert.deepEqual([11, 8, 0].map((value) => levelOf(feeder, value)), [null, "warning", "danger"]);
  assert.equal(levelOf({}, 5), null);
});

test("more than ten calls in ten minutes are a flood, as the server counts them", () => {
  const store = emptyStore();
  assert.deepEqual(callsOf(store), { calls: null, flood: false });
  const beat = (calls) => apply(store, { type: "beat", now: "2026-03-14T06:55:00.000Z", seq: 0, calls });
  beat(10);
  assert.deepEqual(callsOf(store), { calls: 10, flood: false });
  beat(11);
  assert.deepEqual(callsOf(store), { calls: 11, flood: true });
});

test("no key means two things, and each that does something is listed", () => {
  const listed = KEYS.flatMap(([, keys]) => keys);
  assert.equal(new Set(listed).size, listed.length);
  for (const [key, step] of Object.entries(STEP_KEYS)) {
    assert.ok(listed.includes(key), `${key} for ${step}`);
    assert.equal(keyOf(step), key);
  }
});

test("what is new and grave rings, and what nobody is called for does not", () => {
  const opened = (severity, more = {}) =>
    ({ type: "incident_opened", incident: { severity, handling: "new", ...more } });
  assert.equal(rungBy([opened("minor"), { type: "sensor_silent" }]), null);
  assert.equal(rungBy([opened("moderate"), opened("extreme"), opened("severe")]), "extreme");
  const quiet = [{ suppressed_by: "inc-a" }, { shelved_until: "soon" }, { handling: "confirmed" }];
  for (const more of quiet) assert.equal(rungBy([opened("extreme", more)]), null);
  assert.equal(rungBy([{ ...opened("severe"), type: "incident_updated" }]), null);
});

test("p5 the bell rings now and then, and at once for what is graver", () => {
  const opened = (severity) => [{ type: "incident_opened", incident: { severity, handling: "new" } }];
  globalThis.localStorage = { getItem: () => "1" };
  const button = { addEventListener() {}, setAttribute() {} };
  let now = 0;
  const bell = new Bell({ button, clock: () => now });
  const rung = [];
  bell.play = (tones) => rung.push([now, tones.length]);
  for (const [at, severity] of [[0, "moderate"], [1_000, "extreme"], [2_000, "severe"], [2_500, "extreme"],
    [5_100, "moderate"]]) {
    now = at;
    bell.heard(opened(severity));
  }
  assert.deepEqual(rung, [[0, 1], [1_000, 5], [5_100, 1]]);
});

test("p5 what is new is announced in one sentence now and then", () => {
  const root = { textContent: "" };
  const later = [];
  const announcer = new Announcer({ root, titleOf: (id) => id, later: (work) => later.push(work) });
  const opened = (id, severity, more = {}) =>
    ({ type: "incident_opened", incident: { id, severity, ...more } });
  announcer.heard([opened("inc-a", "minor"), opened("inc-b", "extreme")]);
  const symptom = opened("inc-d", "extreme", { suppressed_by: "inc-b" });
  announcer.heard([opened("inc-c", "severe"), symptom]);
  assert.equal(later.length, 1);
  later.shift()();
  assert.equal(root.textContent, "New: Extreme, inc-b, and 2 others");
  announcer.heard([{ type: "incident_updated", incident: { id: "inc-a" } }]);
  assert.equal(later.length, 0);
});
