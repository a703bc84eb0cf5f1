// Why, and what belongs together: the words are those of `ioc why`, and the choices the server's.

import assert from "node:assert/strict";
import { test } from "node:test";

import { evidenceOf } from "../../console/evidence.js";
import { effectsOf, titleIn } from "../../console/family.js";
import { previewed } from "../../console/kept.js";
import * as reasons from "../../console/reasons.js";
import { emptyStore } from "../../console/store.js";
import { partsOf, sourcesOf, togetherOf } from "../../console/together.js";

const AT = "2026-03-14T06:46:02.000Z";
const CITY = { sensorById: new Map([["wl-1", { unit: "m" }]]) };

const incident = (id, more = {}) => ({
  id, kind: "flood", severity: "severe", condition: "active", handling: "new", zone: "z1",
  position: null, parent: null, opened_at: AT, ended_at: null, sensors: 2, ...more,
});

const decision = (seq, type, about, cause = {}, more = {}) => {
  const whole = { events: [], seqs: [], evidence: [], ...cause };
  return { seq, at: AT, type, incident: about, cause: whole, ...more };
};

const said = (sensor, reading, more = {}) =>
  ({ sensor, reading, seq: 7, rule: "river-high", value: 3.5, distance_m: null, ...more });

test("says whether it opened by a reading or when a time was over", () => {
  const own = { weight: 8, weight_needed: 10, condition: "active" };
  const opening = { at: AT };
  const by = (due) => reasons.openingSentence(own, opening, decision(1, "incident_opened", {}, { due }));
  assert.match(by(undefined), /^When it opened, what lay together weighs 8, opens at 10:$/);
  const waited = /^It opened when a time was over .* came, 06:46:02, what lay together weighs 8, /;
  assert.match(by("2026-03-14T06:46:26.000Z"), waited);
});

test("says of each member by what it is distrusted", () => {
  const member = { sensor: "wl-1", weight: 0, stands: "distrusted", rules: ["river-high"] };
  const said = (more) => reasons.memberSentence({ ...member, ...more });
  assert.equal(said({}), "wl-1 weighs 0, distrusted: river-high");
  assert.equal(said({ distrusted_by: ["river-flaps", "river-stuck"] }),
    "wl-1 weighs 0, distrusted by river-flaps, river-stuck: river-high");
  const part = { weight: 2, stands: "abnormal", rules: ["wet", "river-high"], distrusted_by: ["river-flaps"] };
  assert.equal(said(part), "wl-1 weighs 2, abnormal, distrusted in part by river-flaps: wet, river-high");
});

test("says of a rule what ioc why says", () => {
  const rule = {
    name: "flood", weights: { "river-high": 3, "flood-call": 1 }, opens_at: 3, within_m: 2_000,
    within_time_ms: 3_600_000, clear_after_ms: 600_000,
  };
  assert.equal(reasons.ruleSentence(rule), "by flood, which opens at 3 from river-high 3, " +
    "flood-call 1, within 2,000 m and 1 h, and clears after 10 min");
  const cause = reasons.ruleSentence({ ...rule, within_m: 0 });
  assert.match(cause, /near by their cause alone, within 1 h/);
  assert.equal(reasons.ruleSpan(90_000), "90 s");
  assert.equal(reasons.ruleSpan(1_500), "1500 ms");
  assert.equal(reasons.ruleSpan(0), "0 s");
});

const level = (severity, at, beyond, more = {}) => ({
  severity, level: at, beyond, readings: 2, readings_needed: 2, among: null, since: null,
  lasting_ms: 0, ...more,
});

test("says which state a pump is in, by its name, and by what its sensor is distrusted", () => {
  const state = { says: "tripped", severity: "moderate", from: ["running"], came: true };
  const rule = { rule: "pump-trip", levels: null, state };
  assert.deepEqual(reasons.levelLines({ rules: [rule] }, "moderate").why,
    ["pump-trip: it is `tripped`, moderate"]);
  const unseen = { ...state, came: false };
  assert.deepEqual(reasons.levelLines({ rules: [{ ...rule, state: unseen }] }, "moderate").why, []);
  assert.equal(reasons.stateSentence(unseen),
    "it is `tripped`, moderate, and was not seen in `running` before");
  assert.equal(reasons.stateSentence({ ...state, severity: null }),
    "`tripped` is none of the states that it asks for");
  const by = [{ rule: "pump-flapping", since: AT }];
  const takers = { taken_by: [], sequences: [{ rule: "pump-late" }], distrusted_by: by };
  assert.deepEqual(reasons.takerSentences(takers),
    ["distrusted by pump-flapping", "taken by pump-late"]);
  assert.deepEqual(reasons.takerSentences({ taken_by: [] }),
    ["no correlation rule takes what it finds"]);
});

test("says why this severity and why not more, by the levels of the rule", () => {
  const rule = {
    rule: "river-high",
    levels: {
      value: 4.4, raised: "severe",
      levels: [
        level("moderate", 3, 1.4), level("severe", 4, 0.4000000000000004),
        level("extreme", 5, -0.6),
      ],
    },
  };
  const calm = { rule: "river-rising", levels: { ...rule.levels, raised: null } };
  const rules = [rule, calm, { rule: "call", levels: null }];
  const { why, more } = reasons.levelLines({ rules }, "severe");
  assert.deepEqual(why, ["river-high: severe at 4: 0.4 beyond it; 2 of 2 readings in a row"]);
  assert.deepEqual(more, ["river-high: extreme at 5: 0.6 short of it"]);
  rule.levels.levels.pop();
  const top = reasons.levelLines({ rules: [rule] }, "severe").more;
  assert.deepEqual(top, ["river-high has no level above severe"]);
  assert.match(reasons.runOf(level("severe", 4, 1, { among: 5, lasting_ms: 240_000 })),
    /^2 of 2 readings among the last 5, and that it lasts 4 min$/);
  const beyond = reasons.runOf(level("severe", 4, 1, { readings: 4 }));
  assert.equal(beyond, "4 readings in a row, 2 needed");
  assert.equal(reasons.levelSentence(level("severe", 4, 0)),
    "severe at 4: at it, and must be beyond it");
});

test("finds what made an incident as grave as it is", () => {
  const grave = (severity, id = "inc-a") => incident(id, { severity });
  const how = (decisions, now) => reasons.gravestStep(decisions, now)?.how ?? null;
  const first = { evidence: [said("wl-1", "a")] };
  const opened = decision(1, "incident_opened", grave("moderate"), first);
  const rose = decision(3, "incident_updated", grave("severe"), { evidence: [said("wl-1", "b")] });
  const rated = decision(4, "incident_rated", grave("severe"), { actor: "ana" });
  const merged = decision(2, "incident_merged", grave("severe", "inc-b"), {}, { into: "inc-a" });
  const risen = decision(5, "incident_updated", grave("severe"));
  assert.equal(how([opened, rose], grave("severe")), "evidence");
  assert.equal(how([opened, merged, rose], grave("severe")), "merged");
  assert.equal(how([opened, rated], grave("severe")), "person");
  assert.equal(how([opened, risen], grave("severe")), "effect");
  assert.equal(how([rose, decision(6, "incident_rated", grave("minor"))], grave("minor")), "fell");
  assert.equal(how([opened], grave("extreme")), null, "it is not among what is held");
  const title = (id) => `title of ${id}`;
  const effects = [grave("severe", "inc-c")];
  const step = reasons.gravestStep([opened, risen], grave("severe"));
  const sentence = reasons.gravitySentence(step, title, effects);
  assert.match(sentence, /than what it caused, title of inc-c\.$/);
});

test("says by what evidence belongs: metres, or the way along a network", () => {
  assert.equal(reasons.belongsBy(said("wl-1", "a")), "first");
  assert.equal(reasons.belongsBy(said("wl-1", "a", { distance_m: 180 })), "180 m");
  assert.equal(reasons.belongsBy({ distance_m: 4_000, through: "fd-0009" }), "by fd-0009");
  assert.equal(reasons.belongsSentence({ distance_m: 180 }), "180 m from what was there");
  const near = { sensor: "wl-9", distance_m: 2_600, incident: "inc-b", last_evidence_at: AT };
  const words = reasons.neighbourSentence(near, { within_m: 2_000 }, (id) => `Flood (${id})`);
  assert.match(words, /^wl-9 of Flood \(inc-b\) is 2,600 m away \(within 2,000 m\), heard /);
});

test("tells the readings of one sensor by one rule in a line", () => {
  const lines = reasons.readingLines([
    said("wl-1", "a", { value: 3.25 }), said("wl-1", "b", { value: 3.5, distance_m: 0 }),
    said("wl-2", "c", { distance_m: 180 }),
  ]);
  assert.deepEqual(lines, [
    "wl-1 3.25 to 3.5 in 2 readings by river-high, the first, which others join",
    "wl-2 3.5 by river-high, 180 m from what was there",
  ]);
});

test("keeps of each sensor how it came to belong, and what it said last", () => {
  const first = decision(1, "incident_opened", incident("inc-a"), {
    evidence: [said("wl-1", "a"), said("wl-2", "b", { distance_m: 180 })],
  });
  const later = decision(2, "incident_updated", incident("inc-a"), {
    evidence: [said("wl-1", "c", { distance_m: 0, value: 4 })],
  });
  const [newest, other] = evidenceOf([first, later], "inc-a");
  assert.deepEqual([newest.sensor, newest.value, newest.joined.reading], ["wl-1", 4, "a"]);
  assert.deepEqual([...newest.readings.keys()], ["a", "c"]);
  assert.equal(other.joined.distance_m, 180);
});

test("what people split off or moved away is evidence of it no more", () => {
  const [a, b, c] = ["inc-a", "inc-b", "inc-c"].map((id) => incident(id));
  const moved = (seq, sources, to = c, from = "inc-a") =>
    decision(seq, "incident_split", to, { actor: "ana" }, { from, sources });
  const sensors = (decisions, id = "inc-a") =>
    evidenceOf(decisions, id).map(({ sensor, readings }) => [sensor, ...readings.keys()]);
  const opened = decision(1, "incident_opened", a, {
    evidence: [said("wl-1", "a"), said("sm-5", "b"), said("calls", "c-1"), said("calls", "c-2")],
  });
  const first = [opened, moved(3, ["sm-5", "calls/c-1"])];
  assert.deepEqual(sensors(first), [["calls", "c-2"], ["wl-1", "a"]]);
  assert.deepEqual(sensors([opened, moved(3, ["calls"])]), [["sm-5", "b"], ["wl-1", "a"]]);
  // What it says later counts again, and what was merged again has never left.
  const later = decision(4, "incident_updated", a, { evidence: [said("sm-5", "d")] });
  assert.deepEqual(sensors([...first, later])[0], ["sm-5", "d"]);
  const merged = decision(5, "incident_merged", c, {}, { into: "inc-a" });
  assert.deepEqual(sensors([...first, merged]).length, 3);
  // It left with what had become part of it, or before that became part of it.
  const of = decision(1, "incident_opened", b, { evidence: [said("wl-7", "x")] });
  const into = decision(2, "incident_merged", b, {}, { into: "inc-a" });
  assert.deepEqual(sensors([of, into, moved(3, ["wl-7"])]), []);
  assert.deepEqual(sensors([of, moved(2, ["wl-7"], c, "inc-b"), { ...into, seq: 3 }]), []);
});

test("a cause and its effects have titles, and follow who merged", () => {
  const store = emptyStore();
  const put = (each) => store.incidents.set(each.id, each);
  put(incident("inc-a", { kind: "power_outage" }));
  put(incident("inc-b", { parent: "inc-old", suppressed_by: "inc-old", severity: "minor" }));
  put(incident("inc-c", { parent: "inc-a", severity: "extreme" }));
  put(incident("inc-d"));
  store.merged.set("inc-old", "inc-a");
  assert.deepEqual(effectsOf(store, "inc-a").map(({ id }) => id), ["inc-c", "inc-b"]);
  const titleOf = titleIn(store, ({ zone }) => zone);
  assert.equal(titleOf("inc-old"), "Power outage, z1");
  assert.equal(titleOf("inc-gone"), "inc-gone");
});

test("offers to say what belongs together where that can be", () => {
  assert.deepEqual(togetherOf(incident("inc-a")), ["merge", "split", "move", "link"]);
  const alone = incident("inc-a", { sensors: 1, parent: "inc-b" });
  assert.deepEqual(togetherOf(alone), ["merge", "link", "unlink"]);
  assert.deepEqual(togetherOf(incident("inc-a", { condition: "cleared" })), []);
});

test("names a sensor, and each report of one that is not of the city", () => {
  const [gauge, calls] = evidenceOf([
    decision(1, "incident_opened", incident("inc-a"), {
      evidence: [
        said("calls", "c-1"), said("calls", "c-2"), said("wl-1", "a"), said("wl-1", "b"),
      ],
    }),
  ], "inc-a");
  const names = (evidence) => sourcesOf(evidence, CITY, emptyStore()).map(({ name }) => name);
  assert.deepEqual(names(gauge), ["wl-1"]);
  assert.deepEqual(names(calls), ["calls", "calls/c-1", "calls/c-2"]);
});

test("knows which incidents became part of one, the latest first", () => {
  const merged = (seq, id) => decision(seq, "incident_merged", incident(id), {}, { into: "inc-a" });
  const opened = decision(1, "incident_opened", incident("inc-a"));
  const parts = partsOf([opened, merged(2, "inc-b"), merged(3, "inc-c")], "inc-a", emptyStore());
  assert.deepEqual(parts.map(({ id }) => id), ["inc-c", "inc-b"]);
});

test("says what keeping something quiet would have hidden", () => {
  const told = {
    detections: 2, let_through: 0, incidents_total: 1, never_opened: 1, perhaps_opened: 0,
    of_sensors: 0, passed_on: 3, from: AT, complete: true,
  };
  assert.equal(previewed(told), "Would have hidden 2 detections of 1 incident, of which 1 would " +
    "not have opened in the last day.");
  assert.equal(previewed({ ...told, detections: 0 }), "Would have hidden nothing in the last day.");
  const less = { ...told, let_through: 1, incidents_total: 3, perhaps_opened: 2 };
  assert.equal(previewed(less), "Would have hidden 2 detections of 3 incidents, of which 1 would " +
    "not have opened, 2 perhaps not in the last day. 1 that got extreme would have been told.");
  const warning = "no zone is called `harbor`; did you mean `harbour`?";
  assert.match(previewed({ ...told, detections: 0, warning }), /^Look again: no zone .* nothing /);
  const passed = "It was passed on 3 times in the last day: that would have waited.";
  assert.equal(previewed(told, { incident: "inc-a" }), passed);
});
