// The theme: every text can be read (WCAG 2.1, 1.4.3), and no severity is told by colour alone.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { SEVERITY } from "../../console/words.js";

const css = readFileSync(new URL("../../console/theme.css", import.meta.url), "utf8");

const named = [...css.matchAll(/--([a-z]+): (#[0-9a-f]{6});/g)].map(([, name, hex]) => [name, hex]);
// The first of a name is the usual one.
const colors = Object.fromEntries(named.reverse());

/** Relative luminance, WCAG 2.1. */
function luminance(hex) {
  const part = (from) => {
    const value = Number.parseInt(hex.slice(from, from + 2), 16) / 255;
    return value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  };
  return 0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5);
}

function contrast(a, b) {
  const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (light + 0.05) / (dark + 0.05);
}

test("every text has a contrast of 4.5 on every ground", () => {
  const texts = ["text", "soft", "faint", "good", "bad", ...Object.keys(SEVERITY)];
  for (const ground of ["ground", "panel", "raised"]) {
    for (const text of texts) {
      const found = contrast(colors[text], colors[ground]);
      assert.ok(found >= 4.5, `${text} on ${ground}: ${found.toFixed(2)}`);
    }
  }
});

test("nothing is dimmed: what is less grave has a colour of its own that can be read", () => {
  const dimmed = css.split("}").filter((rule) => /[^-]opacity: *0?\.\d/.test(rule));
  const allowed = [".row::before", "breathe"];
  for (const rule of dimmed) assert.ok(allowed.some((name) => rule.includes(name)), rule.trim());
});

test("each severity has a word and a shape of its own beside its colour", () => {
  const all = Object.entries(SEVERITY);
  for (const of of ["word", "shape", "color"]) {
    assert.equal(new Set(all.map(([, each]) => each[of])).size, all.length, of);
  }
  for (const [name, { color }] of all) assert.equal(colors[name], color, name);
});

test("what is as it should be is grey (ISA-101)", () => {
  const names = ["ground", "panel", "raised", "line", "text", "soft", "faint", "accent", "good"];
  for (const name of names) {
    const parts = [1, 3, 5].map((from) => Number.parseInt(colors[name].slice(from, from + 2), 16));
    assert.ok(Math.max(...parts) - Math.min(...parts) <= 32, name);
  }
});
