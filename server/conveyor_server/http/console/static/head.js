// The head of a version's page: its name, the choice of the version, its state, and whether a newer one is there.

import { addressOf } from "./address.js";
import { h, say } from "./dom.js";
import { isReady, Pill } from "./models.js";

// Of a version that the list no longer has.
const NOT_LISTED = { state: "MODEL_STATE_UNAVAILABLE", reason: "the server no longer has it" };

/** Stays in its place while what it says changes, so that it never takes the keyboard's focus away. */
export class Head {
  constructor({ status, contract }) {
    this._version = status.model_version;
    this._choice = h("select", { id: "version", "aria-label": "Version" });
    this._choice.addEventListener("change", () => {
      location.hash = this._choice.value;
    });
    this._pill = new Pill();
    this._newer = h("a", { hidden: true });
    this._why = h("p", { class: "error", hidden: true });
    this._said = "";
    this.element = h(
      "header",
      { class: "model-head" },
      h("div", { class: "row" }, h("h1", {}, status.model_name), this._choice, this._pill.element, this._newer),
      h("p", { class: "meta" }, metaOf(status, contract).map((text) => h("span", {}, text))),
      this._why,
    );
  }

  /** What the list says of the version, if it still has it, and of the model's others. */
  update(status = NOT_LISTED, versions = []) {
    const said = JSON.stringify([status, versions]);
    if (said === this._said) return;
    const isFirst = this._said === "";
    this._said = said;
    this._showChoice(versions);
    this._pill.show(status);
    this._showWhy(status);
    const news = [this._showNewer(versions), isReady(status) ? "" : this._why.textContent].filter(Boolean).join(" ");
    if (!isFirst && news) say(news);
  }

  _showChoice(versions) {
    const options = versions.map((version) => {
      const chosen = version.model_version === this._version;
      const text = `Version ${version.model_version}${isReady(version) ? "" : " (not served)"}`;
      return h("option", { value: addressOf(version), selected: chosen }, text);
    });
    if (!versions.some((version) => version.model_version === this._version)) {
      options.push(h("option", { selected: true, disabled: true }, `Version ${this._version}`));
    }
    this._choice.replaceChildren(...options);
    this._choice.disabled = options.length === 1;
  }

  _showWhy(status) {
    this._why.hidden = isReady(status);
    this._why.className = status.state === "MODEL_STATE_LOADING" ? "hint" : "error";
    this._why.textContent = isReady(status) ? "" : whyNot(status);
  }

  /** Offers the newest version that serves, where that is not the shown one; its words. */
  _showNewer(versions) {
    const newest = versions.find(isReady);
    const isNewer = Boolean(newest) && Number(newest.model_version) > Number(this._version);
    this._newer.hidden = !isNewer;
    if (!isNewer) return "";
    this._newer.href = addressOf(newest);
    this._newer.textContent = `See version ${newest.model_version}, which is newer`;
    return `Version ${newest.model_version} is newer and ready.`;
  }
}

function whyNot({ state, reason }) {
  if (state === "MODEL_STATE_LOADING") return "This version is being loaded.";
  return `This version does not serve: ${(reason || "it is being unloaded").replace(/\.$/, "")}.`;
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
