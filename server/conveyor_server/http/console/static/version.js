// What the page shows of one version: its head, the place to try it, its last minute, and what is known of its file.

import { contractPart } from "./contract.js";
import { h } from "./dom.js";
import { evidencePart } from "./evidence.js";
import { Head } from "./head.js";
import { Live } from "./live.js";
import { isReady } from "./models.js";
import { tabs } from "./tabs.js";
import { trainingPart } from "./training.js";
import { trySection } from "./try.js";

/** Stays while its version's file does, whatever becomes of the version's state: what a visitor has drawn is in it. */
export class VersionPage {
  /** `answer` is the server's, {status, contract}. */
  constructor(answer) {
    const { status, contract } = answer;
    this.name = status.model_name;
    this.version = status.model_version;
    this.live = new Live(this.name);
    this._status = status;
    this._head = new Head(answer);
    this._trying = contract?.preprocessing ? trySection(this._model, contract) : null;
    this.parts = [this._head.element, ...this._middle(contract), this.live.element, ...this._facts(contract)];
  }

  /** Whether there is a file behind it. */
  get serves() {
    return isReady(this._status);
  }

  /** Whether it still shows what was chosen. */
  isOf({ name, version, status }) {
    if (name !== this.name || version !== this.version) return false;
    if (!this.serves) return JSON.stringify(status) === JSON.stringify(this._status);
    // Only what is loaded has a digest.
    return !status?.file_digest || status.file_digest === this._status.file_digest;
  }

  update({ status, versions }) {
    this._head.update(status, versions);
  }

  /** Lets go of what it listens to. */
  close() {
    this._trying?.close();
  }

  get _model() {
    return { model: this.name, version: this.version };
  }

  _middle(contract) {
    if (this._trying) return [this._trying.element];
    if (!this.serves) return [];
    const words = contract
      ? "This model takes tensors, not pictures, so it cannot be tried here."
      : "This file has no contract, so it is served through tensors only. conveyor adopt writes one into it.";
    return [h("p", { class: "empty" }, words)];
  }

  _facts(contract) {
    if (!contract) return [];
    const about = tabs("About this version", [
      { name: "Contract", content: () => contractPart(contract, this._status) },
      { name: "Evidence", content: () => evidencePart(contract) },
      { name: "Training", content: () => trainingPart(this._model) },
    ]);
    return [h("section", { class: "card", "aria-label": "About this version" }, about.element)];
  }
}
