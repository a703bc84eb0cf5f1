// Strokes that both parts of the map use.

/** Adds a circle to the path. */
export function dot(pen, x, y, radius) {
  pen.moveTo(x + radius, y);
  pen.arc(x, y, radius, 0, 2 * Math.PI);
}

/** Adds a triangle to the path. */
export function triangle(pen, x, y, size) {
  pen.moveTo(x, y - size);
  pen.lineTo(x + size, y + size * 0.8);
  pen.lineTo(x - size, y + size * 0.8);
  pen.closePath();
}

/** Adds a cross to the path. */
export function cross(pen, x, y, size) {
  pen.moveTo(x - size, y - size);
  pen.lineTo(x + size, y + size);
  pen.moveTo(x + size, y - size);
  pen.lineTo(x - size, y + size);
}
