// The still part of the map: zones, rivers, assets, sensors.

import { cross, dot, triangle } from "./pen.js";
import { SEVERITIES, isOpen } from "./store.js";
import { SEVERITY } from "./words.js";

const COLOR = {
  zone: "#1f2428",
  zoneEdge: "#3a424a",
  zoneName: "#98a2ab",
  river: "#4c5f6b",
  riverGlow: "#2b353b",
  asset: "#a3adb6",
  quiet: "#98a2ab",
  heard: "#8b959d",
  silent: "#c3cad0",
  warning: SEVERITY.moderate.color,
  danger: SEVERITY.severe.color,
};

/** How a sensor is drawn, by its shape too: how much larger than others, and whether filled. */
const LOOK = {
  quiet: [dot, -0.3, false],
  heard: [dot, 0, true],
  silent: [cross, 1.2, false],
  warning: [triangle, 2.2, false],
  danger: [triangle, 2.6, true],
};

export class Ground {
  constructor(camera) {
    this.camera = camera;
  }

  /** Draws the city, with its sensors as the store knows them. */
  draw(pen, city, store) {
    Object.assign(this, { city, store });
    this.drawZones(pen);
    this.drawRivers(pen);
    this.drawZoneNames(pen);
    this.drawAssets(pen);
    this.drawSensors(pen);
  }

  trace(pen, line) {
    line.forEach(([x, y], place) => {
      const at = this.camera.toScreen(x, y);
      if (place === 0) pen.moveTo(...at);
      else pen.lineTo(...at);
    });
  }

  drawZones(pen) {
    const worst = this.worstByZone();
    pen.lineJoin = "round";
    for (const zone of this.city.zones) {
      pen.beginPath();
      for (const ring of zone.rings) this.trace(pen, ring);
      pen.fillStyle = COLOR.zone;
      pen.fill();
      const severity = worst.get(zone.id);
      if (severity) {
        pen.fillStyle = SEVERITY[severity].color;
        pen.globalAlpha = severity === "extreme" ? 0.1 : 0.06;
        pen.fill();
        pen.globalAlpha = 1;
      }
      pen.strokeStyle = COLOR.zoneEdge;
      pen.lineWidth = 1;
      pen.stroke();
    }
  }

  worstByZone() {
    const worst = new Map();
    for (const incident of this.store?.incidents.values() ?? []) {
      if (!isOpen(incident) || incident.suppressed_by) continue;
      const known = worst.get(incident.zone);
      const graver = !known || SEVERITIES.indexOf(incident.severity) < SEVERITIES.indexOf(known);
      if (graver) worst.set(incident.zone, incident.severity);
    }
    return worst;
  }

  drawRivers(pen) {
    pen.lineCap = "round";
    pen.lineJoin = "round";
    for (const [color, width] of [[COLOR.riverGlow, 7], [COLOR.river, 2.6]]) {
      pen.strokeStyle = color;
      pen.lineWidth = width * Math.min(1 + Math.log2(this.camera.zoom) * 0.35, 3);
      pen.beginPath();
      for (const line of this.city.rivers) this.trace(pen, line);
      pen.stroke();
    }
  }

  drawZoneNames(pen) {
    pen.font = "600 10.5px system-ui, sans-serif";
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    if ("letterSpacing" in pen) pen.letterSpacing = "0.08em";
    pen.fillStyle = COLOR.zoneName;
    for (const zone of this.city.zones) {
      const [x, y] = this.camera.toScreen(...zone.middle);
      const name = zone.name.toUpperCase();
      const room = zone.width * this.camera.scale;
      if (pen.measureText(name).width < room * 0.92) pen.fillText(name, x, y);
    }
    if ("letterSpacing" in pen) pen.letterSpacing = "0px";
  }

  drawAssets(pen) {
    const named = this.camera.zoom > 2.2;
    pen.font = "500 10px system-ui, sans-serif";
    pen.textAlign = "left";
    for (const asset of this.city.assets) {
      const [x, y] = this.camera.toScreen(asset.x, asset.y);
      pen.strokeStyle = COLOR.asset;
      pen.lineWidth = 1.2;
      pen.strokeRect(x - 3, y - 3, 6, 6);
      if (!named) continue;
      pen.fillStyle = COLOR.asset;
      pen.fillText(asset.name, x + 7, y + 0.5);
    }
  }

  drawSensors(pen) {
    const size = Math.min(1.7 + Math.log2(this.camera.zoom) * 0.6, 5);
    const heaps = new Map();
    for (const sensor of this.city.sensors) {
      const [x, y] = this.camera.toScreen(sensor.x, sensor.y);
      if (x < -9 || y < -9 || x > this.camera.width + 9 || y > this.camera.height + 9) continue;
      const state = this.sensorState(sensor);
      if (!heaps.has(state)) heaps.set(state, []);
      heaps.get(state).push([x, y]);
    }
    for (const state of ["quiet", "heard", "silent", "warning", "danger"]) {
      this.drawHeap(pen, heaps.get(state) ?? [], state, size);
    }
  }

  drawHeap(pen, heap, state, size) {
    pen.fillStyle = COLOR[state];
    pen.strokeStyle = COLOR[state];
    const [add, larger, filled] = LOOK[state];
    pen.lineWidth = 1.3;
    pen.beginPath();
    for (const [x, y] of heap) add(pen, x, y, size + larger);
    if (filled) pen.fill();
    else pen.stroke();
  }

  sensorState(sensor) {
    if (this.store?.silent.has(sensor.id)) return "silent";
    const reading = this.store?.readings.get(sensor.id);
    if (!reading) return "quiet";
    return levelOf(sensor, reading.value) ?? "heard";
  }
}

/**
 * Which of its own levels a sensor's value is beyond: `danger`, `warning`, or null. Where danger
 * lies below the warning, as of a voltage, less is worse.
 */
export function levelOf({ warning, danger }, value) {
  const beyond = (level) =>
    level !== undefined && (danger < warning ? value < level : value > level);
  if (beyond(danger)) return "danger";
  return beyond(warning) ? "warning" : null;
}
