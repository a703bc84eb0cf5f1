// The list that an operator works from: what nobody has seen first, then the gravest, then the
// newest.
//
// Arrives: the store. Leaves: rows, and the operator's choice. Only the rows in sight are in the
// page (`window.js`), so that ten thousand incidents cost what twenty do. Next: `detail.js`.

import { passedOn } from "./handling.js";
import { el, picture, setText, shape } from "./dom.js";
import { byUrgency, counts, isNew, isOpen } from "./store.js";
import { SEVERITY, TICK, pictogram, plural, short, span, spoken, watch, whole } from "./words.js";
import { inSight } from "./window.js";

/** As in the theme. */
const ROW_PX = 58;
const EXPLAINED_PX = 76;
/** So many rows a page key moves by. */
const PAGE = 10;

const TABS = [
  { name: "open", word: "Open", shows: isOpen, count: (c) => c.open },
  { name: "new", word: "New", shows: isNew, count: (c) => c.new },
  { name: "ended", word: "Ended", shows: (incident) => !isOpen(incident), count: (c) => c.ended },
];

export class List {
  /** `onSelect(id)` is told of each choice, `onDraw()` when it is to be drawn again;
   * `placeOf(incident)` says where one is, `titleOf(id)` what it is called. */
  constructor({ root, more, tabs, find, onSelect, onDraw, placeOf, titleOf }) {
    Object.assign(this, { root, more, find, onSelect, onDraw, placeOf, titleOf });
    this.rows = new Map();
    this.shown = [];
    this.tops = [];
    this.tab = TABS[0];
    this.room = el("div", { class: "room", role: "presentation" });
    root.append(this.room);
    this.tabButtons = TABS.map((tab) => this.tabButton(tab));
    tabs.append(...this.tabButtons);
    tabs.addEventListener("keydown", (event) => this.tabKey(event));
    // Rows move while others come: what is meant is what was under the pointer when it went down.
    const rowAt = (event) => event.target.closest("[data-incident-id]")?.dataset.incidentId ?? null;
    let pressed = null;
    root.addEventListener("pointerdown", (event) => (pressed = rowAt(event)));
    root.addEventListener("click", (event) => {
      const id = pressed ?? rowAt(event);
      pressed = null;
      if (id !== null) onSelect(id);
    });
    root.addEventListener("scroll", onDraw, { passive: true });
    new ResizeObserver(onDraw).observe(root);
    find.addEventListener("input", onDraw);
    find.addEventListener("keydown", (event) => this.findKey(event));
  }

  tabButton(tab) {
    const about = {
      type: "button", role: "tab", "data-tab": tab.name, "aria-controls": "incidents",
      "aria-keyshortcuts": String(TABS.indexOf(tab) + 1),
    };
    const button = el("button", about, tab.word);
    button.append(el("span", { class: "badge" }, "0"));
    button.addEventListener("click", () => this.show(tab));
    return button;
  }

  /** Shows the open, the new or the ended ones: by place. */
  showTab(place) {
    this.show(TABS[place]);
  }

  show(tab) {
    this.tab = tab;
    this.root.scrollTop = 0;
    this.onDraw();
  }

  tabKey({ key }) {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[key];
    if (!by) return;
    const to = (TABS.indexOf(this.tab) + by + TABS.length) % TABS.length;
    this.showTab(to);
    this.tabButtons[to].focus();
  }

  /** Shows those that fit a word; all again, if they are shown already. */
  seek(word) {
    this.find.value = this.find.value === word ? "" : word;
    this.show(TABS[0]);
  }

  /** In the field: the arrow goes on to the list, escape forgets what was sought. */
  findKey(event) {
    if (event.key === "Escape") this.find.value = "";
    else if (event.key !== "ArrowDown" && event.key !== "Enter") return;
    event.preventDefault();
    event.stopPropagation();
    this.root.focus();
    if (event.key !== "Escape") this.move(0);
    this.onDraw();
  }

  /** Draws the picture; `now` is logical time in milliseconds, `heard` as `heardOf` says. */
  draw({ store, selected, now, heard }) {
    this.last = { store, selected, now, heard };
    const all = [...store.incidents.values()].filter(this.tab.shows);
    this.shown = this.found(all).sort(byUrgency);
    this.drawTabs(counts(store));
    this.drawRows(selected, now);
    const hidden = all.length - this.shown.length;
    this.more.hidden = hidden === 0;
    setText(this.more, `${plural(hidden, "other")} not shown: "${this.find.value.trim()}"`);
  }

  /** Those that fit what is sought: each word is somewhere in the kind, place, severity or id. */
  found(all) {
    const words = this.find.value.toLowerCase().split(" ").filter(Boolean);
    if (words.length === 0) return all;
    return all.filter((incident) => {
      const { id, kind, severity, handling, condition } = incident;
      const place = this.placeOf(incident);
      const lower = [spoken(kind), place, severity, handling, condition, id].join(" ").toLowerCase();
      return words.every((word) => lower.includes(word));
    });
  }

  drawTabs(count) {
    TABS.forEach((tab, place) => {
      const button = this.tabButtons[place];
      const chosen = tab === this.tab;
      button.setAttribute("aria-selected", String(chosen));
      button.tabIndex = chosen ? 0 : -1;
      button.classList.toggle("alert", tab.name === "new" && count.new > 0);
      setText(button.lastChild, short(tab.count(count)));
      button.title = whole(tab.count(count));
    });
  }

  drawRows(selected, now) {
    const heights = this.shown.map((each) => (each.suppressed_by ? EXPLAINED_PX : ROW_PX));
    const { scrollTop, clientHeight } = this.root;
    const { first, end, tops, total } = inSight(heights, scrollTop, clientHeight);
    this.tops = tops;
    this.room.style.height = `${total}px`;
    const rows = new Map();
    // The chosen row stays in the page, for what follows the choice by its id.
    const chosenAt = this.shown.findIndex(({ id }) => id === selected);
    const places = new Set(chosenAt < 0 ? [] : [chosenAt]);
    for (let place = first; place < end; place += 1) places.add(place);
    for (const place of [...places].sort((a, b) => a - b)) {
      const incident = this.shown[place];
      const row = this.rows.get(incident.id) ?? newRow(incident);
      rows.set(incident.id, row);
      this.drawRow(row, incident, selected === incident.id, now);
      row.node.style.transform = `translateY(${tops[place]}px)`;
      row.node.setAttribute("aria-posinset", String(place + 1));
      row.node.setAttribute("aria-setsize", String(this.shown.length));
      const there = this.room.children[rows.size - 1];
      if (there !== row.node) this.room.insertBefore(row.node, there ?? null);
    }
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
    const sought = this.find.value.trim();
    empty.firstChild.replaceChildren(...(enough && !sought ? [picture(TICK)] : []));
    setText(empty.lastChild, sought ? `Nothing here is called "${sought}".` : nothing);
  }

  drawRow(row, incident, chosen, now) {
    row.node.setAttribute("aria-selected", String(chosen));
    setText(row.age, span(now - Date.parse(incident.ended_at ?? incident.opened_at)));
    const place = this.placeOf(incident);
    const cause = incident.suppressed_by ? this.titleOf(incident.suppressed_by) : null;
    if (row.drawn === incident && row.place === place && row.cause === cause) return;
    Object.assign(row, { drawn: incident, place, cause });
    row.node.title = `${spoken(incident.kind)}, ${place}`;
    const data = row.node.dataset;
    data.severity = incident.severity;
    data.condition = incident.condition;
    data.handling = incident.handling;
    row.node.classList.toggle("fresh", isNew(incident));
    row.node.classList.toggle("over", !isOpen(incident));
    row.node.classList.toggle("explained", cause !== null);
    row.design.hidden = cause === null;
    setText(row.design, cause === null ? "" : `suppressed by design: caused by ${cause}`);
    row.shape.replaceChildren(shape(SEVERITY[incident.severity].shape));
    setText(row.where, place);
    setText(row.severity, SEVERITY[incident.severity].word);
    setText(row.condition, incident.condition);
    setText(row.handling, handlingWord(incident));
    row.handling.title = passedOn(incident) ?? "";
    row.handling.classList.toggle("late", Boolean(incident.escalated_to));
    setText(row.sensors, plural(incident.sensors, "sensor"));
  }

  /** Moves the choice by so many rows. */
  move(step) {
    if (this.shown.length === 0) return;
    const at = this.shown.findIndex((incident) => incident.id === this.last.selected);
    const to = at < 0 ? 0 : Math.min(Math.max(at + step, 0), this.shown.length - 1);
    this.onSelect(this.shown[to].id);
  }

  /** Moves the choice to the first row or the last, or by a page. */
  moveFar(key) {
    const ends = { Home: this.shown[0], End: this.shown.at(-1) };
    if (ends[key]) this.onSelect(ends[key].id);
    else this.move({ PageUp: -PAGE, PageDown: PAGE }[key] ?? 0);
  }

  /** Brings the chosen row into sight. */
  reveal(id) {
    const place = this.shown.findIndex((incident) => incident.id === id);
    if (place < 0) return;
    const top = this.tops[place] ?? 0;
    const bottom = this.tops[place + 1] ?? this.room.offsetHeight;
    const { scrollTop, clientHeight } = this.root;
    if (top < scrollTop) this.root.scrollTop = top;
    else if (bottom > scrollTop + clientHeight) this.root.scrollTop = bottom - clientHeight;
  }
}

function handlingWord({ escalated_to, shelved_until, handling }) {
  if (shelved_until) return "shelved";
  return escalated_to ? "passed on" : handling;
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
