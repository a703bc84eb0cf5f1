// The living part of the map: incidents, and the sensors that the chosen one rests on.

import { dot } from "./pen.js";
import { SEVERITIES, isNew, isOpen } from "./store.js";
import { SEVERITY, pictogram, spoken } from "./words.js";

const PULSE_MS = 2_000;
/** The least radius of an incident on the screen, so that it is seen from afar. */
const REACH_PX = 19;
/** With more than so many, one mark stands for all that lie close, and nothing moves. */
const ORNATE_MAX = 300;
const CELL_PX = 44;
/** A mark with its edge, and how many different ones are kept. */
const STAMP_PX = 36;
const STAMPS_MAX = 512;
/** What is over, and what is suppressed by design. */
const QUIET = "#9aa4ad";
const INK = "#14171a";
const STILL = matchMedia("(prefers-reduced-motion: reduce)");

export class Marks {
  constructor(camera) {
    this.camera = camera;
    const shapes = SEVERITIES.map((word) => [word, new Path2D(SEVERITY[word].shape)]);
    this.shapes = new Map(shapes);
    this.stamps = new Map();
    /** What was drawn last: of what lies close together one. */
    this.shown = [];
  }

  /**
   * Draws `scene.incidents`, of which `scene.selected` is chosen and rests on the sensors
   * `scene.evidence`. Returns whether something moves, and so must be drawn again soon.
   */
  draw(pen, scene, time) {
    this.scene = scene;
    this.pulses = false;
    const all = [...scene.incidents];
    this.ornate = all.length <= ORNATE_MAX;
    this.ratio = Math.min(devicePixelRatio || 1, 2);
    const drawn = this.ornate ? all : this.heads(all);
    drawn.sort((a, b) => SEVERITIES.indexOf(b.severity) - SEVERITIES.indexOf(a.severity));
    this.shown = drawn;
    const chosen = drawn.find((incident) => incident.id === scene.selected);
    if (chosen) this.drawEvidence(pen, chosen);
    for (const incident of drawn) if (incident !== chosen) this.drawIncident(pen, incident, time);
    if (chosen) this.drawIncident(pen, chosen, time);
    return this.pulses && !STILL.matches;
  }

  /** Of incidents that lie close to each other on the screen the gravest, and how many they are. */
  heads(all) {
    const cells = new Map();
    for (const incident of all) {
      const [x, y] = this.camera.project(incident.position);
      const key = `${Math.floor(x / CELL_PX)} ${Math.floor(y / CELL_PX)}`;
      const cell = cells.get(key) ?? { head: incident, count: 0 };
      cell.count += 1;
      if (isGraver(incident, cell.head, this.scene.selected)) cell.head = incident;
      cells.set(key, cell);
    }
    this.counts = new Map([...cells.values()].map(({ head, count }) => [head.id, count]));
    return [...cells.values()].map(({ head }) => head);
  }

  drawEvidence(pen, incident) {
    const centre = this.camera.project(incident.position);
    pen.strokeStyle = SEVERITY[incident.severity].color;
    pen.lineWidth = 1;
    pen.setLineDash([2, 3]);
    for (const id of this.scene.evidence) {
      const sensor = this.scene.city.sensorById.get(id);
      if (!sensor) continue;
      const at = this.camera.toScreen(sensor.x, sensor.y);
      pen.globalAlpha = 0.75;
      pen.beginPath();
      pen.moveTo(...centre);
      pen.lineTo(...at);
      pen.stroke();
      pen.beginPath();
      dot(pen, ...at, 5);
      pen.stroke();
    }
    pen.setLineDash([]);
    pen.globalAlpha = 1;
  }

  drawIncident(pen, incident, time) {
    const [x, y] = this.camera.project(incident.position);
    const open = isOpen(incident);
    // Nobody is called for a symptom, and for what is over.
    const calls = open && !incident.suppressed_by;
    const color = calls ? SEVERITY[incident.severity].color : QUIET;
    const reach = Math.max(incident.radius_m * this.camera.scale, REACH_PX);
    pen.globalAlpha = open ? 1 : 0.55;
    const chosen = incident.id === this.scene.selected;
    if (open && (this.ornate || chosen)) this.drawReach(pen, incident, x, y, reach, color);
    if (isNew(incident) && this.ornate) this.drawPulse(pen, x, y, reach, color, time);
    this.drawMark(pen, incident, x, y, color, open);
    const count = this.ornate ? 1 : this.counts.get(incident.id);
    if (count > 1) this.drawCount(pen, count, x, y);
    if (chosen) this.drawChoice(pen, incident, x, y, reach);
    pen.globalAlpha = 1;
  }

  drawReach(pen, incident, x, y, reach, color) {
    pen.beginPath();
    dot(pen, x, y, reach);
    pen.fillStyle = glow(pen, x, y, reach, color);
    pen.fill();
    pen.strokeStyle = color;
    pen.globalAlpha = 0.8;
    pen.lineWidth = 1.3;
    // Unknown is drawn broken: nobody knows whether it is still going on.
    if (incident.condition === "unknown") pen.setLineDash([5, 4]);
    pen.stroke();
    pen.setLineDash([]);
    pen.globalAlpha = 1;
  }

  drawPulse(pen, x, y, reach, color, time) {
    this.pulses = true;
    const phase = STILL.matches ? 0.35 : (time % PULSE_MS) / PULSE_MS;
    pen.strokeStyle = color;
    pen.globalAlpha = (1 - phase) * 0.85;
    pen.lineWidth = 2;
    pen.beginPath();
    dot(pen, x, y, reach + phase * 22);
    pen.stroke();
    pen.globalAlpha = 1;
  }

  drawMark(pen, incident, x, y, color, open) {
    const { kind, severity } = incident;
    const key = `${severity} ${color} ${open ? kind : ""} ${this.ratio}`;
    if (!this.stamps.has(key)) {
      if (this.stamps.size >= STAMPS_MAX) this.stamps.clear();
      this.stamps.set(key, this.stamp(kind, severity, color, open));
    }
    pen.drawImage(this.stamps.get(key), x - STAMP_PX / 2, y - STAMP_PX / 2, STAMP_PX, STAMP_PX);
  }

  /** A mark, drawn once for all incidents that look the same. */
  stamp(kind, severity, color, open) {
    const canvas = document.createElement("canvas");
    canvas.width = Math.ceil(STAMP_PX * this.ratio);
    canvas.height = canvas.width;
    const pen = canvas.getContext("2d");
    pen.scale(this.ratio, this.ratio);
    pen.translate(STAMP_PX / 2, STAMP_PX / 2);
    const size = open ? 1.45 : 0.8;
    pen.save();
    pen.scale(size, size);
    pen.fillStyle = color;
    pen.strokeStyle = INK;
    pen.lineWidth = 2.4;
    pen.lineJoin = "round";
    pen.stroke(this.shapes.get(severity));
    pen.fill(this.shapes.get(severity), "evenodd");
    pen.restore();
    if (open) this.drawPictogram(pen, kind, severity);
    return canvas;
  }

  drawPictogram(pen, kind, severity) {
    pen.translate(0, severity === "severe" ? 2 : 0);
    pen.scale(0.48, 0.48);
    pen.translate(-12, -12);
    pen.strokeStyle = INK;
    pen.lineWidth = 3;
    pen.lineCap = "round";
    pen.lineJoin = "round";
    pen.stroke(new Path2D(pictogram(kind)));
  }

  /** How many lie so close that one mark stands for them. */
  drawCount(pen, count, x, y) {
    const text = count > 999 ? "999+" : String(count);
    pen.font = "600 10.5px system-ui, sans-serif";
    const width = pen.measureText(text).width + 8;
    pen.fillStyle = INK;
    pen.beginPath();
    pen.roundRect(x + 5, y - 19, width, 14, 7);
    pen.fill();
    pen.fillStyle = "#e6e9ec";
    pen.textAlign = "left";
    pen.textBaseline = "middle";
    pen.fillText(text, x + 9, y - 11.5);
  }

  drawChoice(pen, incident, x, y, reach) {
    pen.strokeStyle = "#ffffff";
    pen.lineWidth = 1.6;
    pen.beginPath();
    dot(pen, x, y, reach + 4);
    pen.stroke();
    const text = spoken(incident.kind);
    pen.font = "600 12px system-ui, sans-serif";
    const width = pen.measureText(text).width + 14;
    const above = y - reach - 30;
    const top = above > 4 ? above : y + reach + 10;
    pen.fillStyle = "#e6e9ec";
    pen.beginPath();
    pen.roundRect(x - width / 2, top, width, 20, 5);
    pen.fill();
    pen.fillStyle = INK;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.fillText(text, x, top + 10.5);
  }
}

/** Whether an incident rather stands for those around it: the chosen, an open, a graver one. */
function isGraver(one, other, selected) {
  if (other.id === selected) return false;
  if (one.id === selected) return true;
  if (isOpen(one) !== isOpen(other)) return isOpen(one);
  return SEVERITIES.indexOf(one.severity) < SEVERITIES.indexOf(other.severity);
}

function glow(pen, x, y, reach, color) {
  const gradient = pen.createRadialGradient(x, y, 0, x, y, reach);
  gradient.addColorStop(0, `${color}38`);
  gradient.addColorStop(1, `${color}0c`);
  return gradient;
}
