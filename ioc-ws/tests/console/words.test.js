// What the console says of a decision, in words.

import assert from "node:assert/strict";
import { test } from "node:test";

import { clearedBecause, pictogram, told } from "../../console/words.js";

test("says why an incident is over", () => {
  assert.equal(clearedBecause({ cause: { rule: "flood" } }), "its sensors are normal");
  assert.equal(clearedBecause({ cause: {} }), "its rule has changed");
  assert.equal(clearedBecause({ cause: { actor: "amira" } }), "by amira");
});

test("says what an order was about that was refused", () => {
  const refused = (about) =>
    told({ type: "command_refused", code: "matches_nothing", cause: {}, ...about }).text;
  assert.equal(refused({ incident_id: "inc-a" }), "Order about inc-a");
  assert.equal(refused({ suppression_id: "sup-a" }), "Order about sup-a");
  assert.equal(refused({}), "Order to keep quiet");
});

test("knows a kind by its words, not by what stands within one", () => {
  assert.notEqual(pictogram("bridge_strain"), pictogram("heavy_rain"));
  assert.notEqual(pictogram("repair"), pictogram("air_quality"));
  assert.equal(pictogram("earthquake"), pictogram("quake"));
  assert.equal(pictogram("rainfall"), pictogram("heavy_rain"));
});
