// The page as a whole: which model it shows, whether the server is there, and the token where one is asked for.

import { getModel, getPulse, Gone, keepToken, listModels, Refusal } from "./api.js";
import { contractPart } from "./contract.js";
import { h } from "./dom.js";
import { evidencePart } from "./evidence.js";
import { Live } from "./live.js";
import { addressOf, byName, headPart, isReady, listParts, usual } from "./models.js";
import { tabs } from "./tabs.js";
import { trainingPart } from "./training.js";
import { trySection } from "./try.js";

// Milliseconds.
const BEAT = 1000;
const BEATS_PER_LIST = 3;

const page = {
  groups: null,
  // What the list said of the version that is shown; another makes the page anew.
  shown: "",
  live: null,
  trying: null,
  gone: false,
  // The visitor has said that there is no token to give.
  declined: false,
  beats: 0,
};
const element = (id) => document.getElementById(id);

async function beat() {
  if (!document.hidden) {
    try {
      await look();
    } catch (error) {
      if (error instanceof Gone) showGone();
      else if (error instanceof Refusal) showStatus("waiting", "Answers, but refuses", error.message);
      else throw error;
    } finally {
      page.beats += 1;
    }
  }
  setTimeout(beat, BEAT);
}

async function look() {
  if (page.gone || page.groups === null || page.beats % BEATS_PER_LIST === 0) await refresh();
  try {
    const pulse = await getPulse();
    showReadiness(pulse.not_ready);
    page.live?.add(pulse.families, performance.now() / 1000);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    showStatus("waiting", "Answers", error.message);
    page.live?.fail(error.message);
  }
}

/** The list anew, and the model where something about it has changed. */
async function refresh() {
  page.groups = byName(await listModels());
  if (page.gone) {
    page.gone = false;
    element("notice").hidden = true;
  }
  await show();
}

async function show() {
  const chosen = choose();
  element("models").replaceChildren(...listParts(page.groups, chosen?.status.model_name));
  const mark = JSON.stringify(chosen ?? null);
  if (mark === page.shown) return;
  if (!chosen) showNothing();
  else await showModel(chosen);
  page.shown = mark;
}

/** The version that the address names, else the first that is ready. */
function choose() {
  const [, name, version] = location.hash.split("/").map(decodeURIComponent);
  const named = page.groups.find(([known]) => known === name);
  if (name && !named) return { status: { model_name: name, model_version: version ?? "" }, versions: null };
  const [, versions] = named ?? page.groups.find(([, all]) => isReady(usual(all))) ?? page.groups[0] ?? [];
  if (!versions) return null;
  return { status: versions.find((known) => known.model_version === version) ?? usual(versions), versions };
}

function showNothing() {
  leave();
  element("main").replaceChildren(
    h(
      "div",
      { class: "empty" },
      h("h2", {}, "No models yet"),
      h("p", {}, "Whatever is put into the repository shows up here."),
      h("code", {}, "conveyor train mnist_cnn --data digits --run runs/digits --export models --name digits"),
    ),
  );
}

async function showModel({ status, versions }) {
  const { model_name: name, model_version: version } = status;
  let answer;
  try {
    answer = await getModel(name, version || "1");
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    leave();
    element("main").replaceChildren(h("p", { class: "error", role: "alert" }, error.message), backPart());
    return;
  }
  leave();
  document.title = `${name} – Conveyor console`;
  const { contract } = answer;
  const model = { model: name, version };
  page.live = new Live(name);
  element("main").replaceChildren(
    headPart(answer.status, versions, contract),
    ...(contract ? [tryPart(model, contract)] : [withoutContract(answer.status)]),
    page.live.element,
    ...(contract ? [factsPart(model, contract, answer.status)] : []),
  );
}

function backPart() {
  const first = page.groups[0];
  return first ? h("p", {}, h("a", { href: addressOf(usual(first[1])) }, `See ${first[0]} instead`)) : "";
}

function tryPart(model, contract) {
  if (!contract.preprocessing) {
    return h("p", { class: "empty" }, "This model takes tensors, not pictures, so it cannot be tried here.");
  }
  page.trying = trySection(model, contract);
  return page.trying.element;
}

function withoutContract(status) {
  if (isReady(status)) {
    const words = "This file has no contract, so it is served through tensors only. conveyor adopt writes one into it.";
    return h("p", { class: "empty" }, words);
  }
  const reason = (status.reason || "it is being loaded").replace(/\.$/, "");
  return h("p", { class: "error" }, `This version does not serve: ${reason}.`);
}

function factsPart(model, contract, status) {
  const parts = tabs("About this version", [
    { name: "Contract", content: () => contractPart(contract, status) },
    { name: "Evidence", content: () => evidencePart(contract) },
    { name: "Training", content: () => trainingPart(model) },
  ]);
  return h("section", { class: "card", "aria-label": "About this version" }, parts.element);
}

/** Lets go of what the last model listened to. */
function leave() {
  page.trying?.close();
  page.trying = null;
  page.live = null;
}

function showGone() {
  page.gone = true;
  element("notice").textContent = "The server does not answer. The page keeps what it has, and goes on asking.";
  element("notice").hidden = false;
  showStatus("gone", "Not reached");
  page.live?.fail("");
}

function showReadiness(reason) {
  if (reason === null) showStatus("ready", "Ready");
  else showStatus("waiting", "Not ready", reason);
}

function showStatus(state, text, why = "") {
  const status = element("status");
  if (status.dataset.state === state && status.textContent === text && status.title === why) return;
  status.dataset.state = state;
  status.textContent = text;
  status.title = why;
}

function askForToken(event) {
  const dialog = element("token-dialog");
  element("token-why").textContent = event.detail;
  if (!dialog.open && !page.declined) dialog.showModal();
}

document.addEventListener("token-needed", askForToken);
element("token-dialog").addEventListener("close", (event) => {
  const field = element("token");
  if (event.target.returnValue === "use" && field.value) {
    keepToken(field.value.trim());
    page.shown = "";
    refresh().catch(() => {});
  } else {
    page.declined = true;
    element("notice").textContent = "This server asks for a token. Load the page again to enter one.";
    element("notice").hidden = false;
  }
  field.value = "";
});
addEventListener("hashchange", () => {
  if (page.groups) show().catch(() => {});
});
beat();
