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
  node.append(...children.filter((child) => child || child === 0 || child === ""));
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

/**
 * Makes the children of `root` like `nodes`, changing what differs and keeping the rest: a button
 * that is being pressed, the focus and a selected text outlive a redraw. Nodes with other data of
 * their own are other nodes.
 */
export function morph(root, nodes) {
  const focused = root.contains(document.activeElement) ? document.activeElement : null;
  const was = focused && identity(focused);
  likeThese(root, nodes);
  if (!focused || root.contains(document.activeElement)) return;
  const same = [...root.querySelectorAll(focused.tagName)].find((node) => identity(node) === was);
  same?.focus({ preventScroll: true });
}

function likeThese(root, nodes) {
  const wanted = [...nodes];
  while (root.childNodes.length > wanted.length) root.lastChild.remove();
  wanted.forEach((node, place) => {
    const there = root.childNodes[place];
    if (!there) root.append(node);
    else if (!like(there, node)) there.replaceWith(node);
  });
}

/** Makes one node like another; false if it is another. */
function like(there, node) {
  if (there.nodeType !== node.nodeType) return false;
  if (there.nodeType === Node.TEXT_NODE) {
    if (there.data !== node.data) there.data = node.data;
    return true;
  }
  if (there.nodeName !== node.nodeName || identity(there) !== identity(node)) return false;
  for (const { name } of [...there.attributes]) {
    if (!node.hasAttribute(name)) there.removeAttribute(name);
  }
  for (const { name, value } of node.attributes) {
    if (there.getAttribute(name) !== value) there.setAttribute(name, value);
  }
  likeThese(there, node.childNodes);
  return true;
}

/** What an element is about: its data, but for how grave and in which state it is. */
function identity(node) {
  if (!node.dataset) return "";
  const { severity, condition, handling, state, type, ...own } = node.dataset;
  return JSON.stringify(own);
}
