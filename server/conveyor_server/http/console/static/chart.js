// A small chart of the last minute: lines, the newest figure in large, and words for those who do not see it.

import { h, svg } from "./dom.js";

const WIDTH = 240;
const HEIGHT = 72;
const NOTHING = "–";
// Points that a line has: one a second.
export const LENGTH = 60;

/** One card. `lines` are names, "" for a lone one; `format` turns a value into text. */
export class Chart {
  constructor(title, { lines = [""], format, least = 1 }) {
    this._title = title;
    this._format = format;
    this._least = least;
    this._names = lines;
    this._values = lines.map(() => []);
    this._figure = h("p", { class: lines.length > 1 ? "figure several" : "figure" }, NOTHING);
    this._lines = lines.map((_, index) => svg("path", { class: `s${index + 1}` }));
    this._top = h("span", {}, "");
    this._picture = svg(
      "svg",
      { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": `${title}: nothing yet` },
      svg("line", { class: "base", x1: 0, x2: WIDTH, y1: HEIGHT, y2: HEIGHT }),
      this._lines,
    );
    const ends = h("div", { class: "ends" }, h("span", {}, "−1 min"), this._top);
    this.element = h("div", { class: "card chart" }, h("h3", {}, title), this._figure, this._picture, ends);
  }

  /** One more point for each line; null where there is nothing to tell. */
  add(values) {
    this._values.forEach((line, index) => {
      line.push(values[index]);
      if (line.length > LENGTH) line.shift();
    });
    this._draw();
  }

  _draw() {
    const known = this._values.flat().filter((value) => value !== null);
    const top = Math.max(this._least, ...known);
    this._values.forEach((line, index) => this._lines[index].setAttribute("d", path(line, top)));
    const texts = this._names.map((name, index) => [name, this._text(this._values[index].at(-1))]);
    const parts = texts.map(([name, text]) => h("span", {}, h("small", {}, name && `${name} `), text));
    this._figure.replaceChildren(...parts);
    this._top.textContent = known.length ? `top ${this._format(Math.max(...known))}` : "";
    const words = texts.map(([name, text]) => `${name} ${text === NOTHING ? "nothing" : text}`.trim()).join(", ");
    this._picture.setAttribute("aria-label", `${this._title} now: ${words}`);
  }

  _text(value) {
    return value === null || value === undefined ? NOTHING : this._format(value);
  }
}

/** A line's path, the newest point at the right; where nothing is known there is a gap. */
function path(line, top) {
  let parts = "";
  let drawn = false;
  line.forEach((value, index) => {
    if (value !== null) {
      const x = WIDTH - ((line.length - 1 - index) * WIDTH) / (LENGTH - 1);
      const y = HEIGHT - 2 - (value / top) * (HEIGHT - 6);
      // A point alone is a dot.
      parts += drawn ? `L${x.toFixed(1)} ${y.toFixed(1)}` : `M${x.toFixed(1)} ${y.toFixed(1)}h0.1`;
    }
    drawn = value !== null;
  });
  return parts;
}
