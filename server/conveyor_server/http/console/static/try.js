// Trying a model: a drawing, or a picture from a file, the clipboard or another window; and the answer beside it.

import { Answer } from "./answer.js";
import { Drawing } from "./drawing.js";
import { h } from "./dom.js";
import { inkOf, pictureOf } from "./fitting.js";
import { tabs } from "./tabs.js";

const HELP = "Arrow keys move the pen, with Shift further; Space puts it down and lifts it; Backspace takes a stroke back; Enter asks at once.";
const CANVAS_HEIGHT = 560;
// Milliseconds without a new stroke after which the drawing is looked at.
const PAUSE = 350;

/** The section for one model version that takes images. */
export function trySection(model, contract) {
  const answer = new Answer(model);
  const show = (picture) => answer.show(picture);
  const draw = drawPart(inkOf(contract), show, () => answer.clear());
  const pick = pickPart(show);
  const isGrey = contract.preprocessing.colour_mode === "COLOUR_MODE_GRAYSCALE";
  const ways = tabs("Where the picture comes from", [
    { name: "Draw", content: () => draw },
    { name: "Picture", content: () => pick.element },
  ]);
  const left = h("div", { class: "card" }, ways.element);
  const section = h(
    "section",
    { "aria-labelledby": "try-title" },
    h(
      "div",
      { class: "section-head" },
      h("h2", { id: "try-title" }, "Try it"),
      h("p", {}, "Drop or paste a picture anywhere on this page."),
    ),
    h("div", { class: "try" }, left, answer.element),
  );
  ways.choose(isGrey ? 0 : 1);

  const take = (file) => {
    ways.choose(1);
    pick.take(file);
  };
  return { element: section, ...incoming(section, take) };
}

function drawPart(ink, show, clear) {
  const canvas = h("canvas", {
    tabindex: 0,
    role: "application",
    "aria-label": "Drawing",
    "aria-describedby": "draw-help",
    width: Math.round(CANVAS_HEIGHT * ink.aspect),
    height: CANVAS_HEIGHT,
  });
  const drawing = new Drawing(canvas, ink);
  const fit = h("input", { type: "checkbox", checked: true });
  let pause = 0;

  async function send() {
    if (!drawing.isEmpty) show(await pictureOf(drawing.strokes, ink, fit.checked));
  }

  function changed() {
    clearTimeout(pause);
    if (drawing.isEmpty) clear();
  }

  drawing.addEventListener("draw", changed);
  drawing.addEventListener("done", () => {
    changed();
    pause = setTimeout(send, PAUSE);
  });
  canvas.addEventListener("keydown", (event) => {
    if (event.key === "Enter") send();
  });
  fit.addEventListener("change", send);
  return h(
    "div",
    {},
    h("div", { class: "canvas-frame" }, canvas),
    h(
      "div",
      { class: "row under" },
      h("button", { type: "button", onclick: () => drawing.clear() }, "Clear"),
      h("button", { type: "button", onclick: () => drawing.undo() }, "Undo"),
    ),
    h("label", { class: "check" }, fit, "Centre it, as heavy as the training images"),
    h("p", { class: "hint", id: "draw-help" }, HELP),
  );
}

function pickPart(show) {
  // Only this is replaced: the field beside it may have the keyboard's focus.
  const shown = h("div", {}, h("p", {}, "Drop a picture here, paste one, or choose a file."));
  const words = h("span", {}, "Choose a file");
  const file = h("input", { type: "file", accept: "image/*", class: "unseen", id: "file" });
  let address = null;

  function take(picture) {
    if (address) URL.revokeObjectURL(address);
    address = URL.createObjectURL(picture);
    const image = h("img", { src: address, alt: picture.name ? `Your picture ${picture.name}` : "Your picture" });
    image.addEventListener("error", () => image.replaceWith(h("p", {}, picture.name || "Your picture")));
    shown.replaceChildren(image);
    words.textContent = "Choose another";
    show(picture);
  }

  file.addEventListener("change", () => {
    if (file.files.length) take(file.files[0]);
    file.value = "";
  });
  const frame = h("div", { class: "drop" }, shown, h("label", { class: "button", for: "file" }, file, words));
  return { element: frame, take };
}

/** Takes what is dropped on the page or pasted into it, while it listens. */
function incoming(section, take) {
  const mark = (on) => section.classList.toggle("dropping", on);
  const listeners = {
    dragover: (event) => {
      event.preventDefault();
      mark(true);
    },
    dragleave: (event) => {
      if (!event.relatedTarget) mark(false);
    },
    drop: (event) => {
      event.preventDefault();
      mark(false);
      if (event.dataTransfer.files.length) take(event.dataTransfer.files[0]);
    },
    paste: (event) => {
      const file = event.clipboardData.files[0];
      if (file) take(file);
    },
  };
  for (const [name, listener] of Object.entries(listeners)) document.addEventListener(name, listener);
  return {
    close() {
      for (const [name, listener] of Object.entries(listeners)) document.removeEventListener(name, listener);
    },
  };
}
