// Making elements. Text is always text: nothing that the server says is ever read as markup.

const SVG = "http://www.w3.org/2000/svg";

/** The element with this id, which the page has. */
export const byId = (id) => document.getElementById(id);

/** An element with attributes and children; strings become text. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

function svg(viewBox, className, path) {
  const node = document.createElementNS(SVG, "svg");
  node.setAttribute("viewBox", viewBox);
  node.setAttribute("class", className);
  node.setAttribute("aria-hidden", "true");
  const shape = document.createElementNS(SVG, "path");
  shape.setAttribute("d", path);
  node.append(shape);
  return node;
}

/** A pictogram on a square of 24. */
export const picture = (path, className = "pictogram") => svg("0 0 24 24", className, path);

/** A severity's shape. */
export const shape = (path, className = "shape") => svg("-11 -11 22 22", className, path);

/** Sets text only where it differs, so that a screen reader is not told what it knows. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
