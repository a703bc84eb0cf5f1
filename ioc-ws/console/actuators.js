// What can be ordered: each actuator with its commands and what came of the last one.
//
// Arrives: the actuators from REST, the last command to each from the store. Leaves: a list, and
// the operator's choice. Buttons work only for whoever may give orders. Bounded: ROWS_MAX rows.

import { el, morph, setText } from "./dom.js";
import { isCommandOver } from "./store.js";
import { clock, plural } from "./words.js";

const ROWS_MAX = 100;

/** What the progress of a command means, in a few words. */
const PROGRESS = {
  sent: "sent, no answer yet",
  accepted: "accepted by the device",
  done: "done, says the device",
  confirmed: "confirmed",
  rejected: "rejected by the device",
  failed: "failed, says the device",
  expired: "no device answered in time",
  not_confirmed: "nothing shows that it is done",
  outcome_unknown: "nobody knows whether it arrived",
  superseded: "replaced by another",
};

export class Actuators {
  /** `onOrder(actuator, command, replaces)` is told of each choice. */
  constructor({ root, onOrder }) {
    Object.assign(this, { root, onOrder });
    this.list = [];
    this.total = 0;
    this.drawn = null;
    root.addEventListener("click", (event) => {
      const button = event.target.closest("[data-command]");
      if (!button) return;
      const { actuator, command, replaces } = button.dataset;
      onOrder(actuator, command, replaces || null);
    });
  }

  /** Fetches which there are. */
  async load() {
    try {
      const answer = await fetch(`/api/v1/actuators?limit=${ROWS_MAX}`);
      if (!answer.ok) return;
      const { actuators, total } = await answer.json();
      this.list = actuators;
      this.total = total;
      this.drawn = null;
    } catch {
      // The link is down, which the banner says; the next picture asks again.
    }
  }

  draw({ store, may }) {
    const rows = this.list.map((actuator) => [actuator, store.commands.get(actuator.id) ?? null]);
    const key = JSON.stringify([rows, may, this.total]);
    if (key === this.drawn) return;
    this.drawn = key;
    this.root.hidden = rows.length === 0;
    const title = el("h2", { id: "actuators-title" }, "Actuators");
    const needed = rows.filter(([, last]) => last?.person_needed).length;
    const note = needed ? `${plural(needed, "command")} for a person to see to` : "";
    const head = el("div", { class: "panel-head" }, title, el("span", { class: "note" }, note));
    const list = el("ul", { class: "actuator-rows" }, ...rows.map((row) => actuatorRow(row, may)));
    const left = this.total - rows.length;
    const more = left > 0 ? el("p", { class: "more" }, `${left.toLocaleString("en")} more`) : null;
    morph(this.root, [head, list, more].filter(Boolean));
  }
}

function actuatorRow([actuator, last], may) {
  const under_way = last && !isCommandOver(last) ? last : null;
  const buttons = actuator.commands.map(({ command }) =>
    el(
      "button",
      {
        type: "button",
        "data-actuator": actuator.id,
        "data-command": command,
        "data-replaces": under_way?.key ?? "",
        disabled: !may.ok,
        title: buttonTitle(actuator, command, under_way, may),
      },
      command,
    ),
  );
  const state = el("span", { class: "actuator-state", "data-testid": "actuator-state" });
  if (last) {
    const at = clock(Date.parse(last.updated_at));
    const detail = last.answer?.detail ? `: ${last.answer.detail}` : "";
    setText(state, `${last.command} by ${last.ordered_by}: ${PROGRESS[last.progress]}${detail}, ${at}`);
    state.classList.toggle("grave", last.person_needed);
  }
  const name = el("code", {}, actuator.id);
  const row = { class: "actuator", "data-actuator-id": actuator.id, "data-testid": "actuator" };
  return el("li", row, name, state, el("span", { class: "actuator-buttons" }, ...buttons));
}

function buttonTitle(actuator, command, under_way, may) {
  if (!may.ok) return may.why;
  const order = `Order ${actuator.id} to ${command}`;
  return under_way ? `${order}, in place of ${under_way.command}, which is under way` : order;
}
