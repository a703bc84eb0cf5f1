// The city drawn on two canvases: what rarely changes below, incidents above.
//
// Arrives: the city as GeoJSON, and the store. Leaves: pixels, and `onSelect(id)` when an incident
// is clicked. No tiles, nothing from elsewhere. Next: `list.js`, which says the same in words.

import { byId, el, setText, shape } from "./dom.js";
import { SEVERITIES, isNew, isOpen } from "./store.js";
import { SEVERITY, distance, pictogram, span, spoken, value } from "./words.js";

const METRES_PER_DEGREE = 111_195;
const ZOOM_MAX = 64;
const MARGIN = 28;
const HIT_PX = 18;
const SENSOR_HIT_PX = 9;
const PULSE_MS = 2_000;
/** How long a cleared incident stays visible, in logical time. */
const AFTERGLOW_MS = 30 * 60_000;
const STILL = matchMedia("(prefers-reduced-motion: reduce)");

const COLOR = {
  ground: "#0a1017",
  zone: "#101923",
  zoneEdge: "#22313f",
  zoneName: "#5d7184",
  river: "#1d5f86",
  riverGlow: "#123a54",
  asset: "#8296a8",
  quiet: "#3b5266",
  heard: "#35b8a6",
  silent: "#8a93a0",
  warning: SEVERITY.moderate.color,
  danger: SEVERITY.severe.color,
  cleared: "#4fd1a5",
  ink: "#0a1017",
};

export class CityMap {
  constructor({ root, onSelect }) {
    Object.assign(this, { root, onSelect });
    this.base = byId("map-base");
    this.live = byId("map-live");
    this.tip = byId("tip");
    this.city = emptyCity();
    this.camera = { x: 0, y: 0, zoom: 1 };
    this.store = null;
    this.selected = null;
    this.evidence = [];
    this.hover = null;
    this.now = 0;
    this.baseDirty = true;
    this.shapes = pathsOf(SEVERITIES.map((word) => [word, SEVERITY[word].shape]));
    this.pictograms = new Map();
    this.listen();
    drawLegend();
    new ResizeObserver(() => this.resize()).observe(root);
    requestAnimationFrame((time) => this.tick(time));
  }

  /** Shows another city. */
  setCity(geojson) {
    this.city = cityOf(geojson);
    this.resize();
    this.fit();
  }

  /** Shows the picture. `sensors` says whether sensors have changed too. */
  update({ store, selected, evidence, now, sensors }) {
    Object.assign(this, { store, selected, evidence, now });
    if (sensors) this.baseDirty = true;
    this.liveDirty = true;
    const open = [...store.incidents.values()].filter(isOpen).length;
    this.root.dataset.incidents = String(open);
    this.live.setAttribute("aria-label", `Map of the city: ${open} open incidents, listed beside it`);
  }

  resize() {
    const { clientWidth: width, clientHeight: height } = this.root;
    const ratio = Math.min(devicePixelRatio || 1, 2);
    for (const canvas of [this.base, this.live]) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    Object.assign(this, { width, height, ratio });
    this.clamp();
    this.baseDirty = true;
    this.liveDirty = true;
  }

  /** Pixels per metre at zoom 1: the whole city fits. */
  get fitScale() {
    const { width, height } = this.city.extent;
    const wide = (this.width - 2 * MARGIN) / width;
    const high = (this.height - 2 * MARGIN) / height;
    return Math.max(Math.min(wide, high), 1e-6);
  }

  get scale() {
    return this.fitScale * this.camera.zoom;
  }

  /** Where a place lies on the screen. */
  project(position) {
    const [x, y] = this.city.metres(position);
    return this.toScreen(x, y);
  }

  toScreen(x, y) {
    const scale = this.scale;
    return [
      this.width / 2 + (x - this.camera.x) * scale,
      this.height / 2 - (y - this.camera.y) * scale,
    ];
  }

  fit() {
    this.camera = { x: 0, y: 0, zoom: 1 };
    this.moved();
  }

  /** Goes to an incident. */
  goTo(incident) {
    if (!incident?.position) return;
    const [x, y] = this.city.metres(incident.position);
    const reach = Math.max(incident.radius_m, 250);
    const wanted = Math.min(this.width, this.height) / (reach * 5) / this.fitScale;
    this.camera = { x, y, zoom: Math.min(Math.max(wanted, 2), ZOOM_MAX / 4) };
    this.moved();
  }

  zoomBy(factor, at = [this.width / 2, this.height / 2]) {
    const before = this.scale;
    this.camera.zoom = Math.min(Math.max(this.camera.zoom * factor, 1), ZOOM_MAX);
    const shift = 1 / before - 1 / this.scale;
    this.camera.x += (at[0] - this.width / 2) * shift;
    this.camera.y -= (at[1] - this.height / 2) * shift;
    this.moved();
  }

  panBy(dx, dy) {
    this.camera.x -= dx / this.scale;
    this.camera.y += dy / this.scale;
    this.moved();
  }

  /** Keeps the city in sight. */
  clamp() {
    const { width, height } = this.city.extent;
    const clamp = (value, most) => Math.min(Math.max(value, -most), most);
    const room = 1 - 1 / this.camera.zoom;
    this.camera.x = clamp(this.camera.x, (width / 2) * room + 1);
    this.camera.y = clamp(this.camera.y, (height / 2) * room + 1);
  }

  moved() {
    this.clamp();
    this.baseDirty = true;
    this.liveDirty = true;
  }

  listen() {
    const canvas = this.live;
    const place = (event) => [event.offsetX, event.offsetY];
    let from = null;
    let travelled = 0;
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoomBy(Math.exp(-event.deltaY * 0.0015), place(event));
    }, { passive: false });
    canvas.addEventListener("pointerdown", (event) => {
      from = place(event);
      travelled = 0;
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      const at = place(event);
      if (!from) return this.point(at);
      travelled += Math.hypot(at[0] - from[0], at[1] - from[1]);
      this.panBy(at[0] - from[0], at[1] - from[1]);
      from = at;
    });
    canvas.addEventListener("pointerup", (event) => {
      if (from && travelled < 4) this.onSelect(this.incidentAt(place(event))?.id ?? null);
      from = null;
    });
    canvas.addEventListener("pointercancel", () => (from = null));
    canvas.addEventListener("pointerleave", () => this.point(null));
    canvas.addEventListener("dblclick", (event) => this.zoomBy(2, place(event)));
    canvas.addEventListener("keydown", (event) => this.key(event));
    byId("zoom-in").addEventListener("click", () => this.zoomBy(1.6));
    byId("zoom-out").addEventListener("click", () => this.zoomBy(1 / 1.6));
    byId("zoom-fit").addEventListener("click", () => this.fit());
  }

  key(event) {
    const step = 60;
    const moves = {
      "+": () => this.zoomBy(1.6),
      "=": () => this.zoomBy(1.6),
      "-": () => this.zoomBy(1 / 1.6),
      0: () => this.fit(),
      ArrowLeft: () => this.panBy(step, 0),
      ArrowRight: () => this.panBy(-step, 0),
      ArrowUp: () => this.panBy(0, step),
      ArrowDown: () => this.panBy(0, -step),
    };
    const move = moves[event.key];
    if (!move) return;
    event.preventDefault();
    event.stopPropagation();
    move();
  }

  incidentAt([x, y]) {
    let nearest = null;
    let best = HIT_PX;
    for (const incident of this.drawable()) {
      const [ix, iy] = this.project(incident.position);
      const away = Math.hypot(ix - x, iy - y);
      if (away < best) [nearest, best] = [incident, away];
    }
    return nearest;
  }

  sensorAt([x, y]) {
    let nearest = null;
    let best = SENSOR_HIT_PX;
    for (const sensor of this.city.sensors) {
      const [sx, sy] = this.toScreen(sensor.x, sensor.y);
      const away = Math.hypot(sx - x, sy - y);
      if (away < best) [nearest, best] = [sensor, away];
    }
    return nearest;
  }

  /** Shows what lies under the pointer. */
  point(at) {
    const incident = at && this.store ? this.incidentAt(at) : null;
    const sensor = at && !incident && this.store ? this.sensorAt(at) : null;
    this.live.classList.toggle("over", Boolean(incident));
    const lines = incident ? this.incidentTip(incident) : sensor ? this.sensorTip(sensor) : null;
    this.tip.hidden = !lines;
    if (!lines) return;
    const [title, ...rest] = lines;
    this.tip.replaceChildren(el("strong", {}, title), ...rest.map((line) => el("span", {}, line)));
    const left = Math.min(at[0] + 14, this.width - this.tip.offsetWidth - 8);
    const top = at[1] + 18 + this.tip.offsetHeight > this.height ? at[1] - this.tip.offsetHeight - 10 : at[1] + 16;
    this.tip.style.left = `${Math.max(8, left)}px`;
    this.tip.style.top = `${top}px`;
  }

  incidentTip(incident) {
    const since = span(this.now - Date.parse(incident.opened_at));
    return [
      spoken(incident.kind),
      `${SEVERITY[incident.severity].word}, ${incident.condition}, ${incident.handling}`,
      `${this.city.zoneName(incident.zone)}, for ${since}`,
    ];
  }

  sensorTip(sensor) {
    const reading = this.store.readings.get(sensor.id);
    const silent = this.store.silent.get(sensor.id);
    const said = reading
      ? `${value(reading.value, reading.unit)}, ${span(this.now - Date.parse(reading.observed_at))} ago`
      : "nothing heard yet";
    const levels = sensor.danger === undefined ? null : `warning ${sensor.warning}, danger ${sensor.danger}`;
    const silence = silent ? `silent since ${span(this.now - Date.parse(silent.last_heard_at))}` : null;
    return [sensor.name ?? sensor.id, spoken(sensor.kind), said, silence ?? levels].filter(Boolean);
  }

  *drawable() {
    for (const incident of this.store?.incidents.values() ?? []) {
      if (!incident.position) continue;
      const lately = () => this.now - Date.parse(incident.ended_at) < AFTERGLOW_MS;
      if (isOpen(incident) || incident.id === this.selected || lately()) yield incident;
    }
  }

  tick(time) {
    requestAnimationFrame((next) => this.tick(next));
    if (!this.width || document.hidden) return;
    if (this.baseDirty && time - (this.baseAt ?? -1e9) > 120) {
      this.drawBase();
      this.baseDirty = false;
      this.baseAt = time;
      this.liveDirty = true;
    }
    const pulsing = !STILL.matches && this.pulses && time - (this.liveAt ?? 0) > 33;
    if (!this.liveDirty && !pulsing) return;
    this.drawLive(time);
    this.liveDirty = false;
    this.liveAt = time;
  }

  pen(canvas) {
    const pen = canvas.getContext("2d");
    pen.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    pen.clearRect(0, 0, this.width, this.height);
    return pen;
  }

  drawBase() {
    const pen = this.pen(this.base);
    this.drawZones(pen);
    this.drawRivers(pen);
    this.drawZoneNames(pen);
    this.drawAssets(pen);
    this.drawSensors(pen);
    this.drawScale();
  }

  trace(pen, ring) {
    ring.forEach(([x, y], place) => {
      const at = this.toScreen(x, y);
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
      if (!isOpen(incident)) continue;
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
      const [x, y] = this.toScreen(...zone.middle);
      const name = zone.name.toUpperCase();
      const room = zone.width * this.scale;
      if (pen.measureText(name).width < room * 0.92) pen.fillText(name, x, y);
    }
    if ("letterSpacing" in pen) pen.letterSpacing = "0px";
  }

  drawAssets(pen) {
    const named = this.camera.zoom > 2.2;
    pen.font = "500 10px system-ui, sans-serif";
    pen.textAlign = "left";
    for (const asset of this.city.assets) {
      const [x, y] = this.toScreen(asset.x, asset.y);
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
      const [x, y] = this.toScreen(sensor.x, sensor.y);
      if (x < -9 || y < -9 || x > this.width + 9 || y > this.height + 9) continue;
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
    pen.lineWidth = 1.3;
    pen.beginPath();
    for (const [x, y] of heap) {
      if (state === "silent") cross(pen, x, y, size + 1.2);
      else dot(pen, x, y, state === "warning" || state === "danger" ? size + 1 : size);
    }
    if (state === "silent") pen.stroke();
    else pen.fill();
  }

  sensorState(sensor) {
    if (this.store?.silent.has(sensor.id)) return "silent";
    const reading = this.store?.readings.get(sensor.id);
    if (!reading) return "quiet";
    if (sensor.danger !== undefined && reading.value > sensor.danger) return "danger";
    if (sensor.warning !== undefined && reading.value > sensor.warning) return "warning";
    return "heard";
  }

  drawScale() {
    const wanted = 90 / this.scale;
    const power = 10 ** Math.floor(Math.log10(wanted));
    const metres = [5, 2, 1].map((step) => step * power).find((step) => step <= wanted) ?? power;
    byId("scale-line").style.width = `${metres * this.scale}px`;
    setText(byId("scale-text"), distance(metres));
  }

  drawLive(time) {
    const pen = this.pen(this.live);
    if (!this.store) return;
    this.pulses = false;
    const drawn = [...this.drawable()];
    drawn.sort((a, b) => SEVERITIES.indexOf(b.severity) - SEVERITIES.indexOf(a.severity));
    const chosen = drawn.find((incident) => incident.id === this.selected);
    if (chosen) this.drawEvidence(pen, chosen);
    for (const incident of drawn) if (incident !== chosen) this.drawIncident(pen, incident, time);
    if (chosen) this.drawIncident(pen, chosen, time);
  }

  drawEvidence(pen, incident) {
    const centre = this.project(incident.position);
    pen.strokeStyle = SEVERITY[incident.severity].color;
    pen.lineWidth = 1;
    pen.setLineDash([2, 3]);
    for (const id of this.evidence) {
      const sensor = this.city.sensorById.get(id);
      if (!sensor) continue;
      const at = this.toScreen(sensor.x, sensor.y);
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
    const [x, y] = this.project(incident.position);
    const open = isOpen(incident);
    const color = open ? SEVERITY[incident.severity].color : COLOR.cleared;
    const reach = Math.max(incident.radius_m * this.scale, 16);
    pen.globalAlpha = open ? 1 : 0.55;
    if (open) this.drawReach(pen, incident, x, y, reach, color);
    if (open && isNew(incident)) this.drawPulse(pen, x, y, reach, color, time);
    this.drawMark(pen, incident, x, y, color, open);
    if (incident.id === this.selected) this.drawChoice(pen, incident, x, y, reach);
    pen.globalAlpha = 1;
  }

  drawReach(pen, incident, x, y, reach, color) {
    pen.beginPath();
    dot(pen, x, y, reach);
    const glow = pen.createRadialGradient(x, y, 0, x, y, reach);
    glow.addColorStop(0, `${color}4d`);
    glow.addColorStop(1, `${color}14`);
    pen.fillStyle = glow;
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
    pen.strokeStyle = COLOR.ink;
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
    pen.strokeStyle = COLOR.ink;
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
    dot(pen, x, y, Math.max(reach, 16) + 4);
    pen.stroke();
    const text = spoken(incident.kind);
    pen.font = "600 12px system-ui, sans-serif";
    const width = pen.measureText(text).width + 14;
    const top = y - Math.max(reach, 16) - 30;
    pen.fillStyle = "#e9f1f8";
    pen.beginPath();
    pen.roundRect(x - width / 2, top, width, 20, 5);
    pen.fill();
    pen.fillStyle = COLOR.ink;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.fillText(text, x, top + 10.5);
  }
}

function dot(pen, x, y, radius) {
  pen.moveTo(x + radius, y);
  pen.arc(x, y, radius, 0, 2 * Math.PI);
}

function cross(pen, x, y, size) {
  pen.moveTo(x - size, y - size);
  pen.lineTo(x + size, y + size);
  pen.moveTo(x + size, y - size);
  pen.lineTo(x - size, y + size);
}

function pathsOf(pairs) {
  return new Map(pairs.map(([name, path]) => [name, new Path2D(path)]));
}

function drawLegend() {
  const severities = SEVERITIES.slice(0, 4).map((word) => {
    const { shape: path, word: text } = SEVERITY[word];
    return el("li", { "data-severity": word }, shape(path), text);
  });
  const sensors = [
    ["heard", "Sensor heard"],
    ["warning", "Beyond its warning"],
    ["silent", "Silent"],
  ].map(([name, text]) => el("li", { class: "legend-sensor" }, el("i", { class: `dot ${name}` }), text));
  byId("legend").replaceChildren(...severities, ...sensors);
}

function emptyCity() {
  return cityOf({ features: [] });
}

/** The city's features in metres around its middle. */
function cityOf(geojson) {
  const features = geojson.features ?? [];
  const box = boxOf(features);
  const middle = [(box.west + box.east) / 2, (box.south + box.north) / 2];
  const narrow = Math.cos((middle[1] * Math.PI) / 180);
  const metres = ([lon, lat]) => [
    (lon - middle[0]) * METRES_PER_DEGREE * narrow,
    (lat - middle[1]) * METRES_PER_DEGREE,
  ];
  const of = (type) => features.filter((each) => each.properties?.type === type && each.geometry);
  const point = (feature) => {
    const [x, y] = metres(feature.geometry.coordinates);
    return { ...feature.properties, id: feature.id, x, y };
  };
  const points = (type) => of(type).filter((each) => each.geometry.type === "Point").map(point);
  const zones = of("zone").map((feature) => zoneOf(feature, metres));
  const sensors = points("sensor");
  const names = new Map(zones.map((zone) => [zone.id, zone.name]));
  const [west, south] = metres([box.west, box.south]);
  const [east, north] = metres([box.east, box.north]);
  return {
    metres,
    zones,
    sensors,
    assets: points("asset"),
    rivers: of("river").flatMap((each) => linesOf(each.geometry)).map((line) => line.map(metres)),
    sensorById: new Map(sensors.map((sensor) => [sensor.id, sensor])),
    extent: { width: Math.max(east - west, 100), height: Math.max(north - south, 100) },
    zoneName: (id) => names.get(id) ?? (id === "_" ? "no zone" : id),
  };
}

function zoneOf(feature, metres) {
  const { type, coordinates } = feature.geometry;
  const areas = type === "MultiPolygon" ? coordinates : type === "Polygon" ? [coordinates] : [];
  const rings = areas.map((area) => area[0].map(metres));
  const all = rings.flat();
  const xs = all.map(([x]) => x);
  const ys = all.map(([, y]) => y);
  const [left, right] = [Math.min(...xs), Math.max(...xs)];
  return {
    id: feature.id,
    name: feature.properties.name ?? String(feature.id),
    rings,
    width: right - left,
    middle: [(left + right) / 2, (Math.min(...ys) + Math.max(...ys)) / 2],
  };
}

function linesOf({ type, coordinates }) {
  if (type === "LineString") return [coordinates];
  return type === "MultiLineString" ? coordinates : [];
}

function boxOf(features) {
  const box = { west: 180, south: 90, east: -180, north: -90 };
  const take = (coordinates) => {
    if (typeof coordinates[0] !== "number") return coordinates.forEach(take);
    const [lon, lat] = coordinates;
    box.west = Math.min(box.west, lon);
    box.east = Math.max(box.east, lon);
    box.south = Math.min(box.south, lat);
    box.north = Math.max(box.north, lat);
  };
  for (const feature of features) if (feature.geometry) take(feature.geometry.coordinates);
  return box.west > box.east ? { west: -0.01, south: -0.01, east: 0.01, north: 0.01 } : box;
}
