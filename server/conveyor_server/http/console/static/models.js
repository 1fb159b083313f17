// The list of models, and the head of the one that is looked at.

import { h } from "./dom.js";

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

export function isReady({ state }) {
  return state === "MODEL_STATE_READY";
}

/** Where the page shows a version. */
export function addressOf({ model_name: name, model_version: version }) {
  return `#/${encodeURIComponent(name)}/${version}`;
}

/** The links of the list. */
export function listParts(groups, chosenName) {
  return groups.map(([name, versions]) => {
    const shown = usual(versions);
    const about = `Version ${shown.model_version}${versions.length > 1 ? `, ${versions.length} in all` : ""}`;
    return h(
      "li",
      {},
      h(
        "a",
        { href: addressOf(shown), "aria-current": name === chosenName ? "page" : null },
        h("span", { class: "name" }, name),
        stateOf(shown),
        h("span", { class: "about" }, about),
      ),
    );
  });
}

/** A version's state, as a pill. */
export function stateOf({ state }) {
  const [kind, text] = STATES[state] ?? ["asking", state];
  return h("span", { class: "pill", "data-state": kind }, text);
}

/** The head of the page's main part, with the choice of the version. */
export function headPart(status, versions, contract) {
  const options = versions.map((version) =>
    h(
      "option",
      { value: addressOf(version), selected: version.model_version === status.model_version },
      `Version ${version.model_version}${isReady(version) ? "" : " (not served)"}`,
    ),
  );
  const choice = h("select", { id: "version", "aria-label": "Version", disabled: versions.length === 1 }, options);
  choice.addEventListener("change", () => {
    location.hash = choice.value;
  });
  return h(
    "header",
    { class: "model-head" },
    h("div", { class: "row" }, h("h1", {}, status.model_name), choice, stateOf(status)),
    h("p", { class: "meta" }, metaOf(status, contract).map((text) => h("span", {}, text))),
  );
}

function metaOf({ provider, file_digest: digest }, contract) {
  const checks = contract?.evidence?.checks ?? [];
  const held = checks.filter(({ ok }) => ok).length;
  return [
    provider,
    contract?.precision,
    checks.length ? `${held} of ${checks.length} checks held` : "",
    digest && digest.slice(0, 19),
  ].filter(Boolean);
}
