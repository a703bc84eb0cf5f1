// The list that an operator works from: what nobody has seen first, then the gravest, then the
// newest. Bounded: at most ROWS_MAX rows are drawn, and it says how many more there are.

import { passedOn } from "./handling.js";
import { el, picture, setText, shape } from "./dom.js";
import { byUrgency, counts, isNew, isOpen, survivor } from "./store.js";
import { SEVERITY, TICK, pictogram, plural, span, spoken, watch } from "./words.js";

const ROWS_MAX = 200;

const TABS = [
  { name: "open", word: "Open", shows: isOpen, count: (c) => c.open },
  { name: "new", word: "New", shows: isNew, count: (c) => c.new },
  { name: "ended", word: "Ended", shows: (incident) => !isOpen(incident), count: (c) => c.ended },
];

export class List {
  /** `onSelect(id)` is told of each choice; `placeOf(incident)` says where it is. */
  constructor({ root, more, tabs, onSelect, placeOf }) {
    Object.assign(this, { root, more, onSelect, placeOf });
    this.rows = new Map();
    this.shown = [];
    this.tab = TABS[0];
    this.tabButtons = TABS.map((tab) => this.tabButton(tab));
    tabs.append(...this.tabButtons);
    root.addEventListener("click", (event) => {
      const row = event.target.closest("[data-incident-id]");
      if (row) onSelect(row.dataset.incidentId);
    });
  }

  tabButton(tab) {
    const button = el("button", { type: "button", role: "tab", "data-tab": tab.name }, tab.word);
    button.append(el("span", { class: "badge" }, "0"));
    button.addEventListener("click", () => {
      this.tab = tab;
      this.draw(this.last);
    });
    return button;
  }

  /** Draws the picture; `now` is logical time in milliseconds, `heard` as `heardOf` says. */
  draw({ store, selected, now, heard }) {
    this.last = { store, selected, now, heard };
    const all = [...store.incidents.values()].filter(this.tab.shows).sort(byUrgency);
    this.shown = all.slice(0, ROWS_MAX);
    this.drawTabs(counts(store));
    this.drawRows(selected, now);
    const left = all.length - this.shown.length;
    this.more.hidden = left === 0;
    setText(this.more, `${left.toLocaleString("en")} more`);
  }

  drawTabs(count) {
    TABS.forEach((tab, place) => {
      const button = this.tabButtons[place];
      button.setAttribute("aria-selected", String(tab === this.tab));
      button.classList.toggle("alert", tab.name === "new" && count.new > 0);
      setText(button.lastChild, String(tab.count(count)));
    });
  }

  drawRows(selected, now) {
    const rows = new Map();
    this.shown.forEach((incident, place) => {
      const row = this.rows.get(incident.id) ?? newRow(incident);
      rows.set(incident.id, row);
      this.drawRow(row, incident, selected === incident.id, now);
      const there = this.root.children[place];
      if (there !== row.node) this.root.insertBefore(row.node, there ?? null);
    });
    for (const [id, row] of this.rows) if (!rows.has(id)) row.node.remove();
    this.rows = rows;
    this.drawEmpty(this.last.heard);
    const chosen = selected && rows.get(selected);
    if (chosen) this.root.setAttribute("aria-activedescendant", chosen.node.id);
    else this.root.removeAttribute("aria-activedescendant");
  }

  drawEmpty(heard) {
    let empty = this.root.querySelector(".empty");
    if (this.shown.length > 0) {
      empty?.remove();
      return;
    }
    if (!empty) {
      empty = el("div", { class: "empty" }, el("span", {}), el("p", {}));
      this.root.append(empty);
    }
    const { nothing, enough } = watch(heard);
    empty.firstChild.replaceChildren(...(enough ? [picture(TICK)] : []));
    setText(empty.lastChild, nothing);
  }

  drawRow(row, incident, chosen, now) {
    row.node.setAttribute("aria-selected", String(chosen));
    setText(row.age, span(now - Date.parse(incident.ended_at ?? incident.opened_at)));
    const place = this.placeOf(incident);
    if (row.drawn === incident && row.place === place) return;
    row.drawn = incident;
    row.place = place;
    row.node.title = `${spoken(incident.kind)}, ${place}`;
    const data = row.node.dataset;
    data.severity = incident.severity;
    data.condition = incident.condition;
    data.handling = incident.handling;
    row.node.classList.toggle("fresh", isNew(incident));
    row.node.classList.toggle("over", !isOpen(incident));
    row.node.classList.toggle("explained", Boolean(incident.suppressed_by));
    row.design.hidden = !incident.suppressed_by;
    setText(row.design, this.explained(incident));
    row.shape.replaceChildren(shape(SEVERITY[incident.severity].shape));
    setText(row.where, place);
    setText(row.severity, SEVERITY[incident.severity].word);
    setText(row.condition, incident.condition);
    setText(row.handling, incident.escalated_to ? "passed on" : incident.handling);
    row.handling.title = passedOn(incident) ?? "";
    row.handling.classList.toggle("late", Boolean(incident.escalated_to));
    setText(row.sensors, plural(incident.sensors, "sensor"));
  }

  /** By what it is explained, for as long as that lasts. */
  explained({ suppressed_by: id }) {
    if (!id) return "";
    const { store } = this.last;
    const cause = store.incidents.get(survivor(store, id));
    const name = cause ? `${spoken(cause.kind)}, ${this.placeOf(cause)}` : id;
    return `suppressed by design: caused by ${name}`;
  }

  /** Moves the choice by so many rows. */
  move(step) {
    if (this.shown.length === 0) return;
    const at = this.shown.findIndex((incident) => incident.id === this.last.selected);
    const to = at < 0 ? 0 : Math.min(Math.max(at + step, 0), this.shown.length - 1);
    this.onSelect(this.shown[to].id);
  }

  /** Brings the chosen row into sight. */
  reveal(id) {
    this.rows.get(id)?.node.scrollIntoView({ block: "nearest" });
  }
}

function newRow(incident) {
  const row = {
    shape: el("span", { class: "row-shape" }),
    where: el("span", { class: "where" }),
    severity: el("span", { class: "severity-word" }),
    condition: el("span", { class: "condition" }),
    handling: el("span", { class: "handling" }),
    age: el("span", { class: "age" }),
    sensors: el("span", { class: "sensors" }),
    design: el("div", { class: "row-design", "data-testid": "suppressed" }),
  };
  const title = el("span", { class: "title" }, spoken(incident.kind));
  const kind = el("span", { class: "row-kind" }, picture(pictogram(incident.kind)));
  row.node = el(
    "div",
    {
      class: "row",
      role: "option",
      id: `row-${incident.id}`,
      "data-testid": "incident",
      "data-incident-id": incident.id,
      "data-kind": incident.kind,
    },
    kind,
    el("div", { class: "row-main" }, el("div", {}, title, row.where),
      el("div", { class: "row-words" }, row.shape, row.severity, row.condition, row.handling),
      row.design),
    el("div", { class: "row-side" }, row.age, row.sensors),
  );
  return row;
}
