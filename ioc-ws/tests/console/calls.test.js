// calls.js is the mirror of load.rs: of the same decisions it must say the same, and be heard.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { Announcer } from "../../console/announce.js";
import { rungBy } from "../../console/bell.js";
import { Calls } from "../../console/calls.js";

test("calls as the server counts them, decision by decision", () => {
  const golden = readFileSync(new URL("../golden/calls.jsonl", import.meta.url), "utf8");
  const lines = golden.trim().split("\n").map((line) => JSON.parse(line));
  const calls = new Calls();
  for (const { calls: expected, decision } of lines) {
    const { itself, effects } = calls.take(decision);
    assert.equal(itself || effects.length > 0, expected, JSON.stringify(decision));
  }
  assert.ok(lines.length > 30);
});

test("what goes on unseen when its cause is over is heard, and announced", () => {
  const incident = (id, parent, more = {}) => ({ id, parent, kind: "fire", severity: "severe",
    condition: "active", handling: "new", episode: 1, ...more });
  const cause = { evidence: [{}] };
  const over = [{ type: "incident_cleared", at: "2026-03-14T07:00:00.000Z", cause,
    incident: incident("inc-a", null, { condition: "cleared" }) }];
  // The second has been seen; the third's own cause lasts.
  const calls = new Calls();
  calls.begin([incident("inc-a", null, { kind: "outage" }), incident("inc-b", "inc-a"),
    incident("inc-c", "inc-a", { severity: "extreme", handling: "acknowledged" }),
    incident("inc-d", "inc-b", { severity: "extreme" }), incident("inc-e", "inc-a", { severity: "minor" })]);
  const called = over.map((decision) => calls.take(decision));
  assert.deepEqual(called[0].effects.map(({ id }) => id), ["inc-b", "inc-e"]);
  assert.equal(rungBy(over), null);
  assert.equal(rungBy(over, called), "severe");
  const root = { textContent: "" };
  const later = [];
  const announcer = new Announcer({ root, titleOf: (id) => id, later: (work) => later.push(work) });
  announcer.heard(over, called);
  later.shift()();
  assert.equal(root.textContent, "New: Severe, inc-b, and 1 other");
  assert.deepEqual(calls.take(over[0]).effects, [], "once");
});

test("what becomes graver than it was told is heard", () => {
  const told = (type, severity) => ({ type, at: "2026-03-14T07:00:00.000Z", cause: { evidence: [{}] },
    incident: { id: "inc-a", parent: null, kind: "fire", severity, condition: "active",
      handling: "acknowledged", episode: 1 } });
  const decisions = [told("incident_opened", "moderate"), told("incident_updated", "severe"),
    told("incident_updated", "severe")];
  const calls = new Calls();
  const called = decisions.map((decision) => calls.take(decision));
  assert.deepEqual(called.map(({ itself }) => itself), [true, true, false]);
  assert.equal(rungBy(decisions.slice(1), called.slice(1)), "severe");
});

test("what becomes graver than it was told is announced, once", () => {
  const told = (type, id, severity) => ({ type, at: "2026-03-14T07:00:00.000Z",
    cause: { evidence: [{}] }, incident: { id, parent: null, kind: "fire", severity,
      condition: "active", handling: "acknowledged", episode: 1 } });
  const calls = new Calls();
  const root = { textContent: "" };
  const later = [];
  const announcer = new Announcer({ root, titleOf: (id) => id, later: (work) => later.push(work) });
  const announced = (...decisions) => {
    announcer.heard(decisions, decisions.map((decision) => calls.take(decision)));
    root.textContent = "";
    later.shift()?.();
    return root.textContent;
  };
  assert.equal(announced(told("incident_opened", "inc-a", "minor")), "New: Minor, inc-a");
  assert.equal(announced(told("incident_updated", "inc-a", "severe")), "Graver: Severe, inc-a");
  assert.equal(announced(told("incident_updated", "inc-a", "severe")), "");
  // What is new and graver within one sentence is new.
  assert.equal(announced(told("incident_opened", "inc-b", "minor"),
    told("incident_updated", "inc-b", "moderate")), "New: Moderate, inc-b");
  assert.equal(announced(told("incident_opened", "inc-c", "minor"),
    told("incident_updated", "inc-b", "extreme")), "Graver: Extreme, inc-b, and 1 other");
});

test("what is shelved no more by what is told of it calls if nobody has seen it", () => {
  const cause = { evidence: [{}], actor: "ana" };
  const told = (type, id, handling, shelved_until) => ({ type, at: "2026-03-14T07:00:00.000Z", cause,
    incident: { id, parent: null, kind: "fire", severity: "severe", condition: "active", handling,
      episode: 1, ...(shelved_until ? { shelved_until } : {}) } });
  const calls = new Calls();
  const heard = (...words) => calls.take(told(...words)).itself;
  const until = "2026-03-14T09:00:00.000Z";
  for (const [id, handling] of [["inc-a", "new"], ["inc-b", "acknowledged"]]) {
    heard("incident_opened", id, "new");
    assert.equal(heard("incident_shelved", id, handling, until), false);
    assert.equal(heard("incident_updated", id, handling, until), false);
    assert.equal(heard("incident_updated", id, handling), handling === "new");
    assert.equal(heard("incident_updated", id, handling), false, "once");
  }
  heard("incident_opened", "inc-c", "new");
  heard("incident_shelved", "inc-c", "new", until);
  heard("incident_opened", "inc-d", "new");
  calls.take({ ...told("incident_merged", "inc-d", "merged"), into: "inc-c" });
  assert.equal(heard("incident_updated", "inc-c", "new"), false, "what was told became a part of it");
});

test("p5 of more incidents than it knows, the console forgets what is over first", () => {
  const calls = new Calls();
  const incident = (id, condition) => ({ id, parent: null, kind: "fire", severity: "minor", condition,
    handling: "new", episode: 1 });
  calls.begin([incident("inc-open", "active")]);
  for (let number = 0; number < 6_000; number += 1) {
    calls.note(incident(`inc-${number}`, "cleared"), true);
  }
  assert.equal(calls.told.size, 5_000);
  assert.ok(calls.told.has("inc-open"));
});

test("what a cause that nobody believes is said to have caused is heard, until people are at work at that", () => {
  const told = (type, id, parent, more = {}) => ({ type, at: "2026-03-14T07:00:00.000Z",
    cause: { evidence: [{}] }, incident: { id, parent, kind: parent ? "fire" : "outage", severity: "severe",
      certainty: "observed", condition: "active", handling: "new", episode: 1, ...more } });
  const calls = new Calls();
  const itself = (decision) => calls.take(decision).itself;
  assert.ok(itself(told("incident_opened", "inc-a", null, { certainty: "unlikely" })));
  assert.ok(itself(told("incident_opened", "inc-b", "inc-a")));
  const confirmed = told("incident_handled", "inc-a", null, { certainty: "unlikely", handling: "confirmed" });
  assert.ok(!itself(confirmed));
  assert.ok(!itself(told("incident_opened", "inc-c", "inc-a")));
});
