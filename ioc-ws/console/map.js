// The city drawn on two canvases: what rarely changes below, incidents above.
//
// Arrives: the city as GeoJSON, and the store. Leaves: pixels, and `onSelect(id)` when an incident
// is clicked. No tiles, nothing from elsewhere. Next: `list.js`, which says the same in words.

import { Camera } from "./camera.js";
import { cityOf, emptyCity } from "./city.js";
import { byId, el, setText, shape } from "./dom.js";
import { Ground } from "./ground.js";
import { Marks } from "./marks.js";
import { SEVERITIES, isOpen } from "./store.js";
import { SEVERITY, clock, distance, span, spoken, value } from "./words.js";

const HIT_PX = 18;
const SENSOR_HIT_PX = 9;
const ZOOM_STEP = 1.6;
const PAN_STEP_PX = 60;
/** The ground is drawn at most so often, incidents at most so often. */
const GROUND_EVERY_MS = 120;
const MARKS_EVERY_MS = 33;
/** Drawing takes at most this share of the time. */
const SHARE = 0.25;
/** How long a cleared incident stays visible, in logical time. */
const AFTERGLOW_MS = 30 * 60_000;

export class CityMap {
  constructor({ root, onSelect, onSensor }) {
    Object.assign(this, { root, onSelect, onSensor });
    this.base = byId("map-base");
    this.live = byId("map-live");
    this.tip = byId("tip");
    this.city = emptyCity();
    this.camera = new Camera();
    this.ground = new Ground(this.camera);
    this.marks = new Marks(this.camera);
    this.store = null;
    this.selected = null;
    this.evidence = [];
    this.now = 0;
    this.baseDirty = true;
    this.free = 0;
    this.resize();
    this.listen();
    drawLegend();
    new ResizeObserver(() => this.resize()).observe(root);
    requestAnimationFrame((time) => this.tick(time));
  }

  /** Shows another city. */
  setCity(geojson) {
    this.city = cityOf(geojson);
    this.resize();
    this.move(() => this.camera.fit());
  }

  /** The place in the middle of what is shown: longitude, then latitude. */
  middle() {
    return this.city.place(this.camera.x, this.camera.y);
  }

  /** Goes to an incident. */
  goTo(incident) {
    this.move(() => this.camera.goTo(incident));
  }

  move(how) {
    how();
    // A person moves it: that is drawn at once.
    this.free = 0;
    this.baseDirty = true;
    this.liveDirty = true;
  }

  /** Shows the picture. `sensors` says whether sensors have changed too. */
  update({ store, selected, evidence, now, sensors }) {
    Object.assign(this, { store, selected, evidence, now });
    if (sensors) this.baseDirty = true;
    this.liveDirty = true;
    let open = 0;
    for (const incident of store.incidents.values()) open += Number(isOpen(incident));
    this.root.dataset.incidents = String(open);
    const label = `Map of the city: ${open} open incidents, listed beside it`;
    this.live.setAttribute("aria-label", label);
  }

  resize() {
    const { clientWidth: width, clientHeight: height } = this.root;
    const ratio = Math.min(devicePixelRatio || 1, 2);
    for (const canvas of [this.base, this.live]) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    this.ratio = ratio;
    this.move(() => this.camera.resize(width, height, this.city));
  }

  listen() {
    const canvas = this.live;
    const place = (event) => [event.offsetX, event.offsetY];
    const zoom = (factor, at) => this.move(() => this.camera.zoomBy(factor, at));
    let from = null;
    let travelled = 0;
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      zoom(Math.exp(-event.deltaY * 0.0015), place(event));
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
      const by = [at[0] - from[0], at[1] - from[1]];
      this.move(() => this.camera.panBy(...by));
      from = at;
    });
    canvas.addEventListener("pointerup", (event) => {
      if (from && travelled < 4) this.choose(place(event));
      from = null;
    });
    canvas.addEventListener("pointercancel", () => (from = null));
    canvas.addEventListener("pointerleave", () => this.point(null));
    canvas.addEventListener("dblclick", (event) => zoom(2, place(event)));
    canvas.addEventListener("keydown", (event) => this.key(event));
    byId("zoom-in").addEventListener("click", () => zoom(ZOOM_STEP));
    byId("zoom-out").addEventListener("click", () => zoom(1 / ZOOM_STEP));
    byId("zoom-fit").addEventListener("click", () => this.move(() => this.camera.fit()));
  }

  key(event) {
    const { camera } = this;
    const moves = {
      "+": () => camera.zoomBy(ZOOM_STEP),
      "=": () => camera.zoomBy(ZOOM_STEP),
      "-": () => camera.zoomBy(1 / ZOOM_STEP),
      0: () => camera.fit(),
      ArrowLeft: () => camera.panBy(PAN_STEP_PX, 0),
      ArrowRight: () => camera.panBy(-PAN_STEP_PX, 0),
      ArrowUp: () => camera.panBy(0, PAN_STEP_PX),
      ArrowDown: () => camera.panBy(0, -PAN_STEP_PX),
    };
    const how = moves[event.key];
    if (!how) return;
    event.preventDefault();
    event.stopPropagation();
    this.move(how);
  }

  /** Chooses the incident that was clicked, or looks at the sensor. */
  choose(at) {
    const { incident, sensor } = this.under(at);
    if (sensor) this.onSensor(sensor.id);
    else this.onSelect(incident?.id ?? null);
    this.point(at);
  }

  /** What lies there: a sensor only where it is nearer than any incident's middle. */
  under(at) {
    const [incident, incidentAway] = this.incidentAt(at);
    const [sensor, sensorAway] = this.sensorAt(at);
    return sensorAway < incidentAway ? { sensor } : { incident };
  }

  incidentAt([x, y]) {
    let nearest = null;
    let best = HIT_PX;
    for (const incident of this.marks.shown) {
      const [ix, iy] = this.camera.project(incident.position);
      const away = Math.hypot(ix - x, iy - y);
      if (away < best) [nearest, best] = [incident, away];
    }
    return [nearest, nearest ? best : Infinity];
  }

  sensorAt([x, y]) {
    let nearest = null;
    let best = SENSOR_HIT_PX;
    for (const sensor of this.city.sensors) {
      const [sx, sy] = this.camera.toScreen(sensor.x, sensor.y);
      const away = Math.hypot(sx - x, sy - y);
      if (away < best) [nearest, best] = [sensor, away];
    }
    return [nearest, nearest ? best : Infinity];
  }

  /** Shows what lies under the pointer. */
  point(at) {
    const { incident, sensor } = at && this.store ? this.under(at) : {};
    this.live.classList.toggle("over", Boolean(incident ?? sensor));
    const lines = incident ? this.incidentTip(incident) : sensor ? this.sensorTip(sensor) : null;
    this.tip.hidden = !lines;
    if (!lines) return;
    const [title, ...rest] = lines;
    this.tip.replaceChildren(el("strong", {}, title), ...rest.map((line) => el("span", {}, line)));
    const left = Math.min(at[0] + 14, this.camera.width - this.tip.offsetWidth - 8);
    const below = at[1] + 18 + this.tip.offsetHeight <= this.camera.height;
    const top = below ? at[1] + 16 : at[1] - this.tip.offsetHeight - 10;
    this.tip.style.left = `${Math.max(8, left)}px`;
    this.tip.style.top = `${top}px`;
  }

  incidentTip(incident) {
    const since = span(this.now - Date.parse(incident.opened_at));
    return [
      spoken(incident.kind),
      `${SEVERITY[incident.severity].word}, ${incident.condition}, ${incident.handling}`,
      `${this.city.placeOf(incident)}, for ${since}`,
    ];
  }

  sensorTip(sensor) {
    const reading = this.store.readings.get(sensor.id);
    const silent = this.store.silent.get(sensor.id);
    const since = (at) => span(this.now - Date.parse(at));
    const unit = reading?.unit || sensor.unit;
    const at = (time) => `at ${clock(Date.parse(time))}, ${since(time)} ago`;
    const said = reading
      ? `${value(reading.value, unit)} ${at(reading.observed_at)}`
      : "nothing heard yet";
    const level = (word) => sensor[word] !== undefined && `${word} ${value(sensor[word], unit)}`;
    const levels = [level("warning"), level("danger")].filter(Boolean).join(", ");
    const silence = silent && `silent for ${since(silent.last_heard_at)}`;
    const name = sensor.name ? `${sensor.name} (${sensor.id})` : sensor.id;
    return [name, spoken(sensor.kind), said, silence ?? levels].filter(Boolean);
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
    if (!this.camera.width || document.hidden || time < this.free) return;
    const begun = performance.now();
    if (this.drawLayers(time)) this.free = begun + (performance.now() - begun) / SHARE;
  }

  /** Draws what has changed; false if nothing has. */
  drawLayers(time) {
    if (this.baseDirty && time - (this.baseAt ?? -Infinity) > GROUND_EVERY_MS) {
      this.ground.draw(this.pen(this.base), this.city, this.store);
      this.drawScale();
      this.baseDirty = false;
      this.baseAt = time;
      this.liveDirty = true;
    }
    const moves = this.moves && time - this.liveAt > MARKS_EVERY_MS;
    if (!this.liveDirty && !moves) return false;
    const { selected, evidence, city } = this;
    const scene = { incidents: this.drawable(), selected, evidence, city };
    this.moves = this.marks.draw(this.pen(this.live), scene, time);
    this.liveDirty = false;
    this.liveAt = time;
    return true;
  }

  pen(canvas) {
    const pen = canvas.getContext("2d");
    pen.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    pen.clearRect(0, 0, this.camera.width, this.camera.height);
    return pen;
  }

  drawScale() {
    const wanted = 90 / this.camera.scale;
    const power = 10 ** Math.floor(Math.log10(wanted));
    const metres = [5, 2, 1].map((step) => step * power).find((step) => step <= wanted) ?? power;
    byId("scale-line").style.width = `${metres * this.camera.scale}px`;
    setText(byId("scale-text"), distance(metres));
  }
}

const TRIANGLE = "M0-7 8 6H-8Z";

function drawLegend() {
  const severities = SEVERITIES.slice(0, 4).map((word) => {
    const { shape: path, word: text } = SEVERITY[word];
    return el("li", { "data-severity": word }, shape(path), text);
  });
  const sensors = [
    ["heard", "Sensor heard"],
    ["quiet", "Not heard yet"],
    ["silent", "Silent"],
  ].map(([name, text]) => el("li", {}, el("i", { class: `dot ${name}` }), text));
  const level = ([severity, text, look]) =>
    el("li", { "data-severity": severity }, shape(TRIANGLE, look), text);
  const levels = [
    ["moderate", "Beyond its warning", "shape hollow"],
    ["severe", "Beyond its danger", "shape small"],
  ].map(level);
  const place = el("li", {}, el("i", { class: "asset" }), "Asset: hospital, school, …");
  byId("legend").replaceChildren(...severities, ...sensors, ...levels, place);
}
