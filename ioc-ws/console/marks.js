// The living part of the map: incidents, and the sensors that the chosen one rests on.

import { dot } from "./pen.js";
import { SEVERITIES, isNew, isOpen } from "./store.js";
import { SEVERITY, pictogram, spoken } from "./words.js";

const PULSE_MS = 2_000;
/** The least radius of an incident on the screen, so that it is seen from afar. */
const REACH_PX = 19;
/** With more than so many, reaches are drawn plain and nothing moves: it must stay quick. */
const ORNATE_MAX = 300;
const CLEARED = "#4fd1a5";
const INK = "#0a1017";
const STILL = matchMedia("(prefers-reduced-motion: reduce)");

export class Marks {
  constructor(camera) {
    this.camera = camera;
    const shapes = SEVERITIES.map((word) => [word, new Path2D(SEVERITY[word].shape)]);
    this.shapes = new Map(shapes);
    this.pictograms = new Map();
  }

  /**
   * Draws `scene.incidents`, of which `scene.selected` is chosen and rests on the sensors
   * `scene.evidence`. Returns whether something moves, and so must be drawn again soon.
   */
  draw(pen, scene, time) {
    this.scene = scene;
    this.pulses = false;
    const drawn = [...scene.incidents];
    this.ornate = drawn.length <= ORNATE_MAX;
    drawn.sort((a, b) => SEVERITIES.indexOf(b.severity) - SEVERITIES.indexOf(a.severity));
    const chosen = drawn.find((incident) => incident.id === scene.selected);
    if (chosen) this.drawEvidence(pen, chosen);
    for (const incident of drawn) if (incident !== chosen) this.drawIncident(pen, incident, time);
    if (chosen) this.drawIncident(pen, chosen, time);
    return this.pulses && !STILL.matches;
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
    const color = open ? SEVERITY[incident.severity].color : CLEARED;
    const reach = Math.max(incident.radius_m * this.camera.scale, REACH_PX);
    pen.globalAlpha = open ? 1 : 0.55;
    if (open) this.drawReach(pen, incident, x, y, reach, color);
    if (isNew(incident) && this.ornate) this.drawPulse(pen, x, y, reach, color, time);
    this.drawMark(pen, incident, x, y, color, open);
    if (incident.id === this.scene.selected) this.drawChoice(pen, incident, x, y, reach);
    pen.globalAlpha = 1;
  }

  drawReach(pen, incident, x, y, reach, color) {
    pen.beginPath();
    dot(pen, x, y, reach);
    pen.fillStyle = this.ornate ? glow(pen, x, y, reach, color) : `${color}14`;
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
    const size = open ? 1.45 : 0.8;
    pen.save();
    pen.translate(x, y);
    pen.scale(size, size);
    pen.fillStyle = color;
    pen.strokeStyle = INK;
    pen.lineWidth = 2.4;
    pen.lineJoin = "round";
    pen.stroke(this.shapes.get(incident.severity));
    pen.fill(this.shapes.get(incident.severity), "evenodd");
    pen.restore();
    if (open) this.drawPictogram(pen, incident.kind, x, y, incident.severity);
  }

  drawPictogram(pen, kind, x, y, severity) {
    if (!this.pictograms.has(kind)) this.pictograms.set(kind, new Path2D(pictogram(kind)));
    pen.save();
    pen.translate(x, severity === "severe" ? y + 2 : y);
    pen.scale(0.48, 0.48);
    pen.translate(-12, -12);
    pen.strokeStyle = INK;
    pen.lineWidth = 3;
    pen.lineCap = "round";
    pen.lineJoin = "round";
    pen.stroke(this.pictograms.get(kind));
    pen.restore();
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
    pen.fillStyle = "#e9f1f8";
    pen.beginPath();
    pen.roundRect(x - width / 2, top, width, 20, 5);
    pen.fill();
    pen.fillStyle = INK;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.fillText(text, x, top + 10.5);
  }
}

function glow(pen, x, y, reach, color) {
  const gradient = pen.createRadialGradient(x, y, 0, x, y, reach);
  gradient.addColorStop(0, `${color}4d`);
  gradient.addColorStop(1, `${color}14`);
  return gradient;
}
