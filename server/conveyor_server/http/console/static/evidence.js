// What the export proved: each check, whether it held, and its figures.

import { h } from "./dom.js";
import { figure } from "./numbers.js";

/** The tab's content. */
export function evidencePart(contract) {
  const checks = contract.evidence?.checks ?? [];
  if (!checks.length) {
    return h("p", { class: "empty" }, "This file carries no evidence. conveyor export writes it.");
  }
  const held = checks.filter(({ ok }) => ok).length;
  const head = ["Check", "Held", "What was found", "Figures"].map((name) => h("th", { scope: "col" }, name));
  return h(
    "div",
    {},
    h("p", { class: "hint" }, `${held} of ${checks.length} checks of the export held.`),
    h(
      "div",
      { class: "scroller", tabindex: 0, role: "region", "aria-label": "Checks of the export" },
      h("table", {}, h("thead", {}, h("tr", {}, head)), h("tbody", {}, checks.map(checkRow))),
    ),
  );
}

function checkRow({ name, ok, detail, figures }) {
  const texts = Object.entries(figures).map(([key, value]) => `${words(key)} ${figure(value)}`);
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, words(name)),
    h("td", { class: ok ? "yes" : "no" }, ok ? "✓ yes" : "✗ no"),
    h("td", {}, detail),
    h("td", {}, texts.join(", ")),
  );
}

function words(name) {
  return name.replaceAll("_", " ");
}
