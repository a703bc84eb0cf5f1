// What the evidence of an incident says in words: the headline of an alert, and where to read on.
//
// Arrives: the incident's statements from REST, the newest first. Leaves: a section of the pane, or
// nothing. Whatever a link says, only one of the web is followed, and it learns nothing of us.

import { el } from "./dom.js";

const OF_THE_WEB = /^https?:\/\//i;

/** The section; nothing if nothing is said. */
export function statementsPart(statements) {
  if (statements.length === 0) return null;
  return el(
    "section",
    {},
    el("h3", {}, "In words"),
    el("ul", { class: "statements", "data-testid": "statements" }, ...statements.map(row)),
  );
}

function row({ sensor, headline, web, withdrawn }) {
  const text = headline || "More";
  const about = { href: web, target: "_blank", rel: "noopener noreferrer" };
  const said = OF_THE_WEB.test(web ?? "") ? el("a", about, text) : text;
  if (!withdrawn) return el("li", { title: sensor }, said);
  return el("li", { title: sensor }, el("s", {}, said), " ", el("span", { class: "note" }, "withdrawn"));
}
