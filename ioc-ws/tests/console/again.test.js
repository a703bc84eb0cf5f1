// A question asked again: one under way at most, and none after the end.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Again } from "../../console/again.js";
import { isAbout } from "../../console/sensor.js";

/** Someone who asks, whom the test answers. */
function asker(t) {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const under_way = [];
  const told = [];
  let asked = 0;
  const ask = () => new Promise((answer) => {
    asked += 1;
    under_way.push(answer);
  });
  const again = new Again({ ask, onTold: (answer) => told.push(answer), every: 2_000 });
  const answered = async (answer) => {
    under_way.shift()(answer);
    for (let turn = 0; turn < 3; turn += 1) await Promise.resolve();
  };
  return { again, told, answered, asked: () => asked, tick: (ms) => t.mock.timers.tick(ms) };
}

test("what comes late, or failed at first, is shown with the next answer", async (t) => {
  const { again, told, answered, asked, tick } = asker(t);
  again.now();
  await answered(null);
  assert.deepEqual(told, []);
  tick(1_999);
  assert.equal(asked(), 1);
  tick(1);
  assert.equal(asked(), 2);
  await answered("late");
  assert.deepEqual(told, ["late"]);
});

test("one question is under way at most, and what happens meanwhile is asked about once", async (t) => {
  const { again, told, answered, asked, tick } = asker(t);
  again.now();
  for (let decision = 0; decision < 100; decision += 1) again.now();
  tick(60_000);
  assert.equal(asked(), 1);
  await answered("first");
  assert.equal(asked(), 2);
  await answered("second");
  assert.equal(asked(), 2);
  assert.deepEqual(told, ["first", "second"]);
  // What happens between two questions is asked about at once, and the next comes in its time.
  again.now();
  assert.equal(asked(), 3);
  await answered("third");
  tick(2_000);
  assert.equal(asked(), 4);
});

test("after the end nothing is asked and nothing told", async (t) => {
  const { again, told, answered, asked, tick } = asker(t);
  again.now();
  again.end();
  await answered("too late");
  tick(60_000);
  again.now();
  assert.equal(asked(), 1);
  assert.deepEqual(told, []);
});

test("a decision is about the sensor that it names or has evidence of", () => {
  const cause = (...sensors) => ({ evidence: sensors.map((sensor) => ({ sensor })) });
  assert.ok(isAbout("wl-1", { type: "sensor_silent", sensor: { id: "wl-1" }, cause: cause() }));
  assert.ok(isAbout("wl-1", { type: "incident_opened", cause: cause("wl-8", "wl-1") }));
  assert.ok(!isAbout("wl-1", { type: "incident_opened", cause: cause("wl-8") }));
  assert.ok(!isAbout("wl-1", { type: "mode_changed" }));
});
