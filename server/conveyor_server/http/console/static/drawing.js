// A canvas to draw on, by mouse, finger or pen, or with the arrow keys and the space bar.

import { say } from "./dom.js";

// All in shares of the canvas's height.
const PEN = 0.085;
const STEP = 1 / 28;
const LONG_STEP = 4 / 28;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** Strokes, each a list of points [x, y]: y from 0 to 1, x from 0 to the canvas's width in heights. */
export class Drawing extends EventTarget {
  /** Dispatches "draw" while the drawing changes, and "done" when a stroke has ended or gone. */
  constructor(canvas, { light, aspect }) {
    super();
    this.strokes = [];
    this._canvas = canvas;
    this._light = light;
    this._width = aspect;
    this._current = null;
    this._cursor = { x: aspect / 2, y: 0.5, down: false, seen: false };
    this._listen();
    this._paint();
  }

  get isEmpty() {
    return this.strokes.length === 0;
  }

  clear() {
    this.strokes = [];
    this._lift();
    this._changed(true);
  }

  /** Takes the last stroke back. */
  undo() {
    this._lift();
    this.strokes.pop();
    this._changed(true);
  }

  _listen() {
    const canvas = this._canvas;
    canvas.addEventListener("pointerdown", (event) => this._pointerDown(event));
    canvas.addEventListener("pointermove", (event) => this._pointerMove(event));
    canvas.addEventListener("pointerup", () => this._pointerUp());
    canvas.addEventListener("pointercancel", () => this._pointerUp());
    canvas.addEventListener("keydown", (event) => this._key(event));
    canvas.addEventListener("focus", () => this._showCursor(canvas.matches(":focus-visible")));
    canvas.addEventListener("blur", () => {
      this._putDown();
      this._showCursor(false);
    });
  }

  _pointerDown(event) {
    if (event.button !== 0) return;
    this._putDown();
    this._showCursor(false);
    this._canvas.setPointerCapture(event.pointerId);
    this._current = [this._pointOf(event)];
    this.strokes.push(this._current);
    this._changed(false);
  }

  _pointerMove(event) {
    if (!this._current || this._cursor.down) return;
    for (const part of event.getCoalescedEvents?.() ?? []) this._current.push(this._pointOf(part));
    this._current.push(this._pointOf(event));
    this._changed(false);
  }

  _pointerUp() {
    if (!this._current || this._cursor.down) return;
    this._current = null;
    this._changed(true);
  }

  _pointOf(event) {
    const box = this._canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.height, (event.clientY - box.top) / box.height];
  }

  _key(event) {
    const arrow = ARROWS[event.key];
    if (arrow) this._move(arrow, event.shiftKey ? LONG_STEP : STEP);
    else if (event.key === " ") this._togglePen();
    else if (event.key === "Backspace" || event.key === "Delete") this.undo();
    else if (event.key === "Escape") this._putDown();
    else return;
    event.preventDefault();
    this._showCursor(true);
  }

  _move([across, down], step) {
    const cursor = this._cursor;
    cursor.x = Math.min(this._width, Math.max(0, cursor.x + across * step));
    cursor.y = Math.min(1, Math.max(0, cursor.y + down * step));
    if (cursor.down) this._current.push([cursor.x, cursor.y]);
    this._changed(false);
  }

  _togglePen() {
    if (this._cursor.down) {
      this._putDown();
      return;
    }
    this._cursor.down = true;
    this._current = [[this._cursor.x, this._cursor.y]];
    this.strokes.push(this._current);
    say("Pen down");
    this._changed(false);
  }

  /** Ends a stroke of the keyboard's pen. */
  _putDown() {
    if (!this._cursor.down) return;
    this._lift();
    say("Pen up");
    this._changed(true);
  }

  _lift() {
    this._cursor.down = false;
    this._current = null;
  }

  _showCursor(seen) {
    this._cursor.seen = seen;
    this._paint();
  }

  _changed(done) {
    this._paint();
    this.dispatchEvent(new Event(done ? "done" : "draw"));
  }

  _paint() {
    const { width, height } = this._canvas;
    const context = this._canvas.getContext("2d");
    paintStrokes(context, { width, height, strokes: this.strokes, pen: PEN, light: this._light });
    if (this._cursor.seen) paintCursor(context, height, this._cursor, this._light);
  }
}

/** Strokes on a ground of the other colour; `pen` in shares of the height. */
export function paintStrokes(context, { width, height, strokes, pen, light }) {
  context.fillStyle = light ? "#000000" : "#ffffff";
  context.fillRect(0, 0, width, height);
  context.strokeStyle = context.fillStyle = light ? "#ffffff" : "#000000";
  context.lineWidth = pen * height;
  context.lineCap = context.lineJoin = "round";
  for (const stroke of strokes) {
    context.beginPath();
    context.moveTo(stroke[0][0] * height, stroke[0][1] * height);
    for (const [x, y] of stroke) context.lineTo(x * height, y * height);
    // A lone point is a dot.
    if (stroke.length === 1) context.lineTo(stroke[0][0] * height + 0.01, stroke[0][1] * height);
    context.stroke();
  }
}

function paintCursor(context, height, { x, y, down }, light) {
  const radius = (PEN * height) / 2 + 4;
  // Seen on both colours.
  for (const [colour, width] of [
    [light ? "#000000" : "#ffffff", 5],
    [down ? "#ff9447" : "#5aa9ff", 2.5],
  ]) {
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.beginPath();
    context.arc(x * height, y * height, radius, 0, 2 * Math.PI);
    context.stroke();
  }
}
