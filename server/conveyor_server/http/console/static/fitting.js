// From a drawing to a picture such as the model was trained on: centred, as large, its strokes as heavy.

import { paintStrokes } from "./drawing.js";

// Pixels of the picture that is sent, unless the model takes larger ones: so few are decoded at once. The server makes
// of it what the contract says.
const LEAST_HEIGHT = 112;
const TRIAL_HEIGHT = 64;
const USUAL_PEN = 0.09;
const PENS = [0.05, 0.17];
// Data sets of thin strokes leave a wide margin, as MNIST does (20 of 28 pixels); heavy ones fill the picture.
const THIN_INK = 0.2;
const THIN_BOX = 20 / 28;
const HEAVY_BOX = 0.94;
// A dot is not blown up to a blot.
const MOST_GROWTH = 3;
// Above this share of ink the training images are no drawings.
const MOST_INK = 0.4;

/** How a model's training images look, from its contract: light strokes or dark ones, and how much ink they hold. */
export function inkOf(contract) {
  const { height, width } = contract.preprocessing;
  const means = contract.training_statistics?.input_mean ?? [];
  const mean = means.length ? means.reduce((sum, value) => sum + value, 0) / means.length : null;
  // Without statistics: light on dark, as handwritten digits come.
  const light = mean === null || mean < 0.5;
  const ink = mean === null ? null : Math.min(mean, 1 - mean);
  const known = ink !== null && ink < MOST_INK;
  return { light, ink: known ? ink : null, aspect: width / height, pixels: Math.max(LEAST_HEIGHT, height) };
}

/** A PNG Blob of the drawing; `fit` centres it and gives it the size and weight of the training images. */
export async function pictureOf(strokes, { light, ink, aspect, pixels }, fit) {
  const box = ink !== null && ink < THIN_INK ? THIN_BOX : HEAVY_BOX;
  let pen = USUAL_PEN;
  let placed = strokes;
  if (fit) {
    pen = ink === null ? USUAL_PEN : penFor(strokes, ink, box, aspect);
    placed = fitted(strokes, box, pen, aspect);
  }
  const canvas = new OffscreenCanvas(Math.max(1, Math.round(pixels * aspect)), pixels);
  paintStrokes(canvas.getContext("2d"), { width: canvas.width, height: pixels, strokes: placed, pen, light });
  return canvas.convertToBlob({ type: "image/png" });
}

/** The strokes, scaled so that with their pen they fill `box` of the picture, in its middle. */
function fitted(strokes, box, pen, aspect) {
  const points = strokes.flat();
  const [left, right] = ends(points.map(([x]) => x));
  const [top, bottom] = ends(points.map(([, y]) => y));
  const grow = Math.min(
    (box - pen) / Math.max(bottom - top, 1e-6),
    (box * aspect - pen) / Math.max(right - left, 1e-6),
    MOST_GROWTH,
  );
  const [x0, y0] = [(left + right) / 2, (top + bottom) / 2];
  return strokes.map((stroke) => stroke.map(([x, y]) => [aspect / 2 + (x - x0) * grow, 0.5 + (y - y0) * grow]));
}

function ends(values) {
  return [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))];
}

/** The pen with which the fitted drawing holds as much ink as a training image does on average. */
function penFor(strokes, ink, box, aspect) {
  let [low, high] = PENS;
  for (let round = 0; round < 7; round += 1) {
    const pen = (low + high) / 2;
    if (inkWith(fitted(strokes, box, pen, aspect), pen, aspect) < ink) low = pen;
    else high = pen;
  }
  return (low + high) / 2;
}

function inkWith(strokes, pen, aspect) {
  const canvas = new OffscreenCanvas(Math.max(1, Math.round(TRIAL_HEIGHT * aspect)), TRIAL_HEIGHT);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  paintStrokes(context, { width: canvas.width, height: TRIAL_HEIGHT, strokes, pen, light: true });
  const { data } = context.getImageData(0, 0, canvas.width, TRIAL_HEIGHT);
  let sum = 0;
  for (let index = 0; index < data.length; index += 4) sum += data[index];
  return sum / 255 / (data.length / 4);
}
