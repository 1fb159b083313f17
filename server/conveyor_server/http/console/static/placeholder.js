// What the page shows where there is no version to show.

import { addressOf } from "./address.js";
import { h } from "./dom.js";
import { firstOf, usual } from "./models.js";

const NOT_FOUND = 404;

/** Where nothing is served: how to begin. */
export function emptyPage(chosen) {
  const words = h("p", {}, "Whatever is put into the repository shows up here.");
  const command = "conveyor train mnist_cnn --data digits --run runs/digits --export models --name digits";
  return page(chosen, h("div", { class: "empty" }, h("h1", {}, "No models yet"), words, h("code", {}, command)));
}

/** The server's sentence on a version that it will not tell of, and a way on; other refusals than "not found" may pass. */
export function refusedPage(refusal, chosen, groups) {
  const [name, versions] = groups.find(([known]) => known === chosen.name) ?? firstOf(groups) ?? [];
  const way = versions && h("p", {}, h("a", { href: addressOf(usual(versions)) }, `See ${name} instead`));
  const sentence = h("p", { class: "error", role: "alert" }, refusal.message);
  const shown = page(chosen, h("h1", {}, chosen.name), sentence, way ?? "");
  return refusal.status === NOT_FOUND ? shown : { ...shown, isOf: () => false };
}

function page(chosen, ...parts) {
  const mark = JSON.stringify(chosen);
  return { parts, serves: false, live: null, isOf: (other) => JSON.stringify(other) === mark, update() {}, close() {} };
}
