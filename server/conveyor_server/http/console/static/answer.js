// What came of a picture: the labels as bars, where the time went, what the model was given, and why it said so.

import { explain, look } from "./api.js";
import { h, say, svg } from "./dom.js";
import { paintHeat, paintRow } from "./heat.js";
import { figure, microseconds, percent, plain, rows } from "./numbers.js";

const TOP = 5;
// Characters of a label that is shown a little smaller.
const LONG = 4;
// Characters of the longest label that stands beside its bar.
const SHORT = 18;
// Values that are read out.
const TOLD = 5;
const METHODS = { occlusion: "Covered parts", activation: "Class activation" };

/** The card beside the picture. */
export class Answer {
  /** `model` is {model, version}. */
  constructor(model) {
    this.element = h("div", { class: "card", "aria-label": "Answer", role: "region" });
    this._model = model;
    this._explains = false;
    this._method = "occlusion";
    // Those that the server offers, once it has said so.
    this._methods = [];
    this._asking = null;
    this.clear();
  }

  clear() {
    this._asking?.abort();
    this.element.replaceChildren(h("p", { class: "waiting-for" }, "The answer will stand here."));
  }

  /** Asks about a picture, given as a Blob; a later one takes its place. */
  async show(picture) {
    this._asking?.abort();
    const asking = (this._asking = new AbortController());
    this.element.setAttribute("aria-busy", "true");
    try {
      const found = await look(this._model, picture, TOP, asking.signal);
      await this._showFound(picture, found, asking.signal);
    } catch (error) {
      if (!asking.signal.aborted) this._showError(error);
    } finally {
      if (this._asking === asking) this.element.removeAttribute("aria-busy");
    }
  }

  async _showFound(picture, found, signal) {
    const { predictions, values } = found.results[0].answer;
    const row = await rowPart(found.row);
    const why = this._whyPart(picture, found, row, signal);
    const given = h("div", { class: "given" }, row.element, why.element, why.beside);
    const texts = predictions.length ? labelsPart(predictions) : valuesPart(values);
    this.element.replaceChildren(
      h("div", { class: "result" }, h("div", {}, texts), given, timingsPart(found)),
    );
    say(predictions.length ? `${predictions[0].label}, ${percent(predictions[0].probability)}` : valuesSaid(values));
  }

  /** The explanation, on demand; once asked for, later answers bring theirs too. */
  _whyPart(picture, found, row, signal) {
    const { predictions } = found.results[0].answer;
    const index = predictions.length ? predictions[0].index : 0;
    const what = predictions.length ? `“${predictions[0].label}”` : "the first value";
    const version = { model: found.model_name, version: found.model_version };
    const element = h("div", { hidden: true });
    const button = h("button", { type: "button", "aria-pressed": "false" }, "Show why");
    const words = h("p", { class: "hint" });
    const choice = h("div", { hidden: true });

    const work = async () => {
      const method = this._method;
      button.setAttribute("aria-pressed", "true");
      // A disabled button would lose the keyboard's focus.
      button.setAttribute("aria-busy", "true");
      try {
        const map = await explain(version, picture, index, method, signal);
        // Another was chosen meanwhile.
        if (method !== this._method) return;
        this._methods = map.methods;
        element.replaceChildren(heatPart(map, row.pixels, what));
        words.replaceChildren(...keyPart(map, what));
        say(`What ${what} rests on is shown.`);
      } catch (error) {
        if (signal.aborted || method !== this._method) return;
        element.replaceChildren(h("p", { class: "error" }, error.message));
      }
      if (this._methods.length > 1 && !choice.hasChildNodes()) choice.append(choicePart(this._methods, method, choose));
      element.hidden = choice.hidden = words.hidden = !this._explains;
      button.removeAttribute("aria-busy");
    };
    const choose = (method) => {
      this._method = method;
      work();
    };
    button.addEventListener("click", () => {
      this._explains = !this._explains;
      button.setAttribute("aria-pressed", String(this._explains));
      element.hidden = choice.hidden = words.hidden = !this._explains;
      if (this._explains) work();
    });
    if (this._explains) work();
    return { element, beside: h("div", { class: "why" }, button, choice, words) };
  }

  _showError(error) {
    this.element.replaceChildren(h("p", { class: "error", role: "alert" }, error.message));
  }
}

function labelsPart(predictions) {
  const [best] = predictions;
  return [
    h("p", { class: best.label.length > LONG ? "top long" : "top" }, best.label, h("small", {}, percent(best.probability))),
    h("ol", { class: isWide(predictions) ? "bars long" : "bars", "aria-label": "Most probable labels" }, predictions.map(barPart)),
  ];
}

/** Whether labels need lines of their own to be told apart. */
function isWide(predictions) {
  return predictions.some(({ label }) => label.length > SHORT);
}

function barPart({ label, probability }) {
  return h(
    "li",
    {},
    h("span", { class: "label" }, label),
    svg(
      "svg",
      { viewBox: "0 0 100 12", preserveAspectRatio: "none", "aria-hidden": "true" },
      svg("rect", { class: "track", width: 100, height: 12, rx: 1 }),
      svg("rect", { class: "fill", width: probability * 100, height: 12, rx: 1 }),
    ),
    h("span", { class: "share" }, percent(probability)),
  );
}

function valuesPart(values) {
  if (values.length === 1) return h("p", { class: "top" }, figure(values[0]));
  return h(
    "ol",
    { class: "chips", "aria-label": "Values" },
    values.map((value) => h("li", {}, figure(value))),
  );
}

function valuesSaid(values) {
  const told = values.slice(0, TOLD).map(figure).join(", ");
  return values.length > TOLD ? `${told} and ${plain(values.length - TOLD)} more` : told;
}

function timingsPart({ timings, model_version: version }) {
  const facts = [
    ["Preprocess", microseconds(timings.preprocess_us)],
    ["Queue", microseconds(timings.queue_us)],
    ["Compute", microseconds(timings.compute_us)],
    ["Batch", rows(timings.batch_size)],
    ["Version", version],
  ];
  return h(
    "dl",
    { class: "timings", "aria-label": "Where the time went" },
    facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
  );
}

async function rowPart({ png, width, height }) {
  const pixels = await createImageBitmap(blobOf(png));
  const canvas = h("canvas", { width, height, role: "img", "aria-label": `The model's input, ${width} x ${height}` });
  paintRow(canvas, pixels);
  const caption = h("figcaption", {}, `What the model was given: ${width} × ${height} pixels`);
  return { element: h("figure", {}, canvas, caption), pixels };
}

function heatPart(map, pixels, what) {
  const canvas = h("canvas", { role: "img", "aria-label": `What ${what} rests on` });
  paintHeat(canvas, pixels, map.falls ?? map.contributions);
  return h("figure", {}, canvas, h("figcaption", {}, `What ${what} rests on`));
}

/** The choice between explanations; `choose` is called with the one that is wanted. */
function choicePart(methods, chosen, choose) {
  const options = methods.map((method) => {
    const radio = h("input", { type: "radio", name: "method", value: method, checked: method === chosen });
    radio.addEventListener("change", () => choose(method));
    return h("label", { class: "check" }, radio, METHODS[method]);
  });
  return h("fieldset", { class: "methods" }, h("legend", { class: "unseen" }, "How to explain it"), options);
}

function keyPart(map, what) {
  return [
    h("span", { class: "key for" }),
    `speaks for ${what}, `,
    h("span", { class: "key against" }),
    "against it. ",
    ...(map.method === "activation" ? activationWords(map) : occlusionWords(map)),
  ];
}

function occlusionWords({ copies, patch, methods }) {
  return [
    `${copies} copies of the picture, each with another ${patch.width} × ${patch.height} pixels covered, `,
    "went through the model; the colour says how far the answer fell.",
    methods.length > 1 ? "" : " For this model there is no other way to explain it.",
  ];
}

function activationWords({ contributions }) {
  return [
    `The network’s last maps have ${contributions[0].length} × ${contributions.length} places; `,
    "the colour says what each adds to the answer, as the dense layer weighs it.",
  ];
}

function blobOf(base64) {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  return new Blob([bytes], { type: "image/png" });
}
