// The list of models, and how a version's state is shown.

import { addressOf } from "./address.js";
import { h } from "./dom.js";

// Pixels beside the list's first link.
const ROW_EDGE = 16;
const STATES = {
  MODEL_STATE_READY: ["ready", "Ready"],
  MODEL_STATE_LOADING: ["waiting", "Loading"],
  MODEL_STATE_UNLOADING: ["waiting", "Unloading"],
  MODEL_STATE_UNAVAILABLE: ["gone", "Not served"],
};

/** Versions by model, the newest first: [[name, [status, ...]], ...]. */
export function byName(statuses) {
  const groups = new Map();
  for (const status of statuses) groups.set(status.model_name, [...(groups.get(status.model_name) ?? []), status]);
  for (const versions of groups.values()) versions.sort((a, b) => b.model_version - a.model_version);
  return [...groups];
}

/** The version that a visitor wants to see first: the newest that is ready, else the newest. */
export function usual(versions) {
  return versions.find(isReady) ?? versions[0];
}

/** Of all models, the one to begin with, [name, versions]: the first that is ready, else the first. */
export function firstOf(groups) {
  return groups.find(([, versions]) => isReady(usual(versions))) ?? groups[0];
}

export function isReady({ state }) {
  return state === "MODEL_STATE_READY";
}

/** A version's state. */
export class Pill {
  constructor() {
    this.element = h("span", { class: "pill" });
  }

  show({ state }) {
    const [kind, text] = STATES[state] ?? ["asking", state];
    this.element.dataset.state = kind;
    this.element.textContent = text;
  }
}

/** The links to the models, in the list's own element. */
export class ModelList {
  constructor(element) {
    this._element = element;
    this._shown = "";
    this._chosenName = null;
  }

  /** Another list, or another model chosen; where nothing is new nothing is touched. */
  show(groups, chosenName) {
    const said = JSON.stringify([groups, chosenName]);
    if (said === this._shown) return;
    const isOther = chosenName !== this._chosenName;
    this._shown = said;
    this._chosenName = chosenName;
    const focused = this._element.contains(document.activeElement) ? document.activeElement.dataset.model : null;
    const links = groups.map(([name, versions]) => linkTo(name, versions, name === chosenName));
    this._element.replaceChildren(...links.map((link) => h("li", {}, link)));
    links.find((link) => link.dataset.model === focused)?.focus({ preventScroll: true });
    // Where the list is a row that can be pushed sideways.
    const chosen = links.find((link) => link.dataset.model === chosenName);
    if (isOther && chosen) this._element.scrollLeft = chosen.offsetLeft - ROW_EDGE;
  }
}

function linkTo(name, versions, isChosen) {
  const shown = usual(versions);
  const about = `Version ${shown.model_version}${versions.length > 1 ? `, ${versions.length} in all` : ""}`;
  const pill = new Pill();
  pill.show(shown);
  return h(
    "a",
    { href: addressOf(shown), "data-model": name, "aria-current": isChosen ? "page" : null },
    h("span", { class: "name" }, name),
    pill.element,
    h("span", { class: "about" }, about),
  );
}
