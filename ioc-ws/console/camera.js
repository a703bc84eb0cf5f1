// Where the map looks: metres of the city to pixels of the screen, and back.

const ZOOM_MAX = 64;
const MARGIN = 28;

export class Camera {
  constructor() {
    Object.assign(this, { x: 0, y: 0, zoom: 1, width: 0, height: 0 });
    this.city = null;
  }

  /** The canvas has this size, or the city is another. */
  resize(width, height, city) {
    Object.assign(this, { width, height, city });
    this.clamp();
  }

  /** Pixels per metre at zoom 1: the whole city fits. */
  get fitScale() {
    const { width, height } = this.city.extent;
    const wide = (this.width - 2 * MARGIN) / width;
    const high = (this.height - 2 * MARGIN) / height;
    return Math.max(Math.min(wide, high), 1e-6);
  }

  /** Pixels per metre. */
  get scale() {
    return this.fitScale * this.zoom;
  }

  /** Where a place lies on the screen. */
  project(position) {
    const [x, y] = this.city.metres(position);
    return this.toScreen(x, y);
  }

  /** Where a point in metres lies on the screen. */
  toScreen(x, y) {
    const scale = this.scale;
    return [
      this.width / 2 + (x - this.x) * scale,
      this.height / 2 - (y - this.y) * scale,
    ];
  }

  /** Shows the whole city. */
  fit() {
    Object.assign(this, { x: 0, y: 0, zoom: 1 });
    this.clamp();
  }

  /** Goes to an incident. */
  goTo(incident) {
    if (!incident?.position) return;
    const [x, y] = this.city.metres(incident.position);
    const reach = Math.max(incident.radius_m, 250);
    const wanted = Math.min(this.width, this.height) / (reach * 5) / this.fitScale;
    Object.assign(this, { x, y, zoom: Math.min(Math.max(wanted, 2), ZOOM_MAX / 4) });
    this.clamp();
  }

  /** Zooms, keeping the place under `at` where it is. */
  zoomBy(factor, at = [this.width / 2, this.height / 2]) {
    const before = this.scale;
    this.zoom = Math.min(Math.max(this.zoom * factor, 1), ZOOM_MAX);
    const shift = 1 / before - 1 / this.scale;
    this.x += (at[0] - this.width / 2) * shift;
    this.y -= (at[1] - this.height / 2) * shift;
    this.clamp();
  }

  /** Moves by so many pixels. */
  panBy(dx, dy) {
    this.x -= dx / this.scale;
    this.y += dy / this.scale;
    this.clamp();
  }

  /** Keeps the city in sight. */
  clamp() {
    const { width, height } = this.city.extent;
    const clamp = (value, most) => Math.min(Math.max(value, -most), most);
    const room = 1 - 1 / this.zoom;
    this.x = clamp(this.x, (width / 2) * room + 1);
    this.y = clamp(this.y, (height / 2) * room + 1);
  }
}
