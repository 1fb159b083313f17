// The page as a whole: which model it shows, whether the server is there, and the token where one is asked for.

import { namedIn } from "./address.js";
import { getModel, getPulse, Gone, keepToken, listModels, Refusal } from "./api.js";
import { say } from "./dom.js";
import { byName, firstOf, ModelList, usual } from "./models.js";
import { emptyPage, refusedPage } from "./placeholder.js";
import { VersionPage } from "./version.js";

// Milliseconds.
const BEAT = 1000;
const BEATS_PER_LIST = 3;
const AWAY = "The server does not answer. The page keeps what it has, and goes on asking.";
const NO_TOKEN = "This server asks for a token. Load the page again to enter one.";

const element = (id) => document.getElementById(id);
const list = new ModelList(element("models"));
const page = {
  groups: null,
  // What stands in the main part, and the address that it was shown for.
  view: null,
  address: null,
  // Counts the views that were begun: a slow answer must not take a later one's place.
  turn: 0,
  gone: false,
  // Why the server is not ready, as a sentence; "" when it is.
  notReady: "",
  // The visitor has said that there is no token to give.
  declined: false,
  beats: 0,
};

async function beat() {
  try {
    if (!document.hidden) await attempt(look);
  } finally {
    page.beats += 1;
    setTimeout(beat, BEAT);
  }
}

/** Does what asks the server, and says what came in its way, whatever that was: the page goes on. */
async function attempt(work) {
  try {
    await work();
    page.gone = false;
    showNotice(page.declined ? NO_TOKEN : page.notReady, "mild");
  } catch (error) {
    page.gone = error instanceof Gone;
    showTrouble(error);
  }
}

function showTrouble(error) {
  if (error instanceof Refusal) {
    showStatus("waiting", "Answers, but refuses");
    showNotice(page.declined ? NO_TOKEN : error.message, "mild");
    return;
  }
  page.view?.live?.fail("");
  if (error instanceof Gone) {
    showStatus("gone", "Not reached");
    showNotice(AWAY);
    return;
  }
  console.error(error);
  showStatus("waiting", "Not understood");
  showNotice(`The page cannot make out what the server answers (${error.message}). It goes on asking.`);
}

async function look() {
  if (page.gone || page.groups === null || page.beats % BEATS_PER_LIST === 0) await refresh();
  try {
    const pulse = await getPulse();
    showReadiness(pulse.not_ready);
    page.view?.live?.add(pulse.families, performance.now() / 1000);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    page.notReady = "";
    showStatus("waiting", "Answers");
    page.view?.live?.fail(error.message);
  }
}

/** The list anew, and another view where what is shown is not what was chosen any more. */
async function refresh() {
  page.groups = byName(await listModels());
  const address = location.hash;
  const chosen = choose(address);
  list.show(page.groups, chosen.name);
  const turn = (page.turn += 1);
  if (!page.view?.isOf(chosen)) {
    const view = await viewOf(chosen);
    if (turn !== page.turn) return;
    put(view);
  }
  page.address = address;
  page.view.update(chosen);
}

/** The version that the address names, else the first that is ready; what a visitor has before them stays. */
function choose(address) {
  const kept = page.view?.serves && address === page.address ? page.view : null;
  const { name, version } = kept ?? namedIn(address);
  const [known, versions] = page.groups.find(([each]) => each === name) ?? (name ? [name, []] : firstOf(page.groups)) ?? [, []];
  const status = version ? versions.find((each) => each.model_version === version) : usual(versions);
  return { name: known, version: version ?? status?.model_version ?? "1", status, versions };
}

async function viewOf(chosen) {
  if (!chosen.name) return emptyPage(chosen);
  try {
    return new VersionPage(await getModel(chosen.name, chosen.version));
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return refusedPage(error, chosen, page.groups);
  }
}

function put(view) {
  const main = element("main");
  const held = main.contains(document.activeElement) ? document.activeElement.id : null;
  const isOther = page.view && (page.view.name !== view.name || page.view.version !== view.version);
  page.view?.close();
  page.view = view;
  main.replaceChildren(...view.parts);
  document.title = view.name ? `${view.name} – Conveyor console` : "Conveyor console";
  if (view.name) say(`${view.name}, version ${view.version}`);
  // The choice of the version is chosen on with; whoever stood elsewhere begins at the new view's top.
  if (isOther) scrollTo(0, 0);
  if (held !== null) (element(held) ?? main).focus({ preventScroll: true });
}

function showReadiness(reason) {
  page.notReady = reason === null ? "" : `The server is not ready: ${reason}.`;
  if (reason === null) showStatus("ready", "Ready");
  else showStatus("waiting", "Not ready");
}

/** Under the bar; "mild" where the server answers. */
function showNotice(text, weight = "grave") {
  const notice = element("notice");
  notice.className = `notice ${weight}`;
  notice.hidden = text === "";
  change(notice, text);
}

function showStatus(state, text) {
  element("status").dataset.state = state;
  change(element("status"), text);
}

/** Texts that are set again are read out again. */
function change(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function askForToken(event) {
  const dialog = element("token-dialog");
  element("token-why").textContent = event.detail;
  if (!dialog.open && !page.declined) dialog.showModal();
}

document.addEventListener("token-needed", askForToken);
element("token-dialog").addEventListener("close", (event) => {
  const field = element("token");
  page.declined = event.target.returnValue !== "use" || !field.value;
  if (!page.declined) keepToken(field.value.trim());
  field.value = "";
  attempt(refresh);
});
// The link's own way would be another address, which is another model.
element("skip").addEventListener("click", (event) => {
  event.preventDefault();
  element("main").focus();
});
addEventListener("hashchange", () => attempt(refresh));
beat();
