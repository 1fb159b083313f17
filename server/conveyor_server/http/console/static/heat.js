// Paints what a model was given, and over it what its answer rests on.

const SIZE = 296;
// How much of the colour lies over the picture where it weighs most.
const MOST_OPAQUE = 0.85;

/** The pixels as they are. */
export function paintRow(canvas, pixels) {
  canvas.getContext("2d").drawImage(pixels, 0, 0);
}

/** The pixels, dimmed, under a map of falls: what speaks for the answer in one colour, what against in another. */
export function paintHeat(canvas, pixels, falls) {
  canvas.width = SIZE;
  canvas.height = Math.round((SIZE * pixels.height) / pixels.width);
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.filter = "grayscale(1) brightness(0.7)";
  context.drawImage(pixels, 0, 0, canvas.width, canvas.height);
  context.filter = "none";
  context.imageSmoothingEnabled = true;
  context.imageSmoothingQuality = "high";
  context.drawImage(coloured(falls), 0, 0, canvas.width, canvas.height);
}

function coloured(falls) {
  const canvas = new OffscreenCanvas(falls[0].length, falls.length);
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  const most = Math.max(1e-6, ...falls.flat().map(Math.abs));
  const [speaksFor, speaksAgainst] = [colourOf("--for"), colourOf("--against")];
  falls.flat().forEach((fall, index) => {
    const opaque = (Math.abs(fall) / most) * MOST_OPAQUE;
    image.data.set([...(fall > 0 ? speaksFor : speaksAgainst), Math.round(opaque * 255)], index * 4);
  });
  context.putImageData(image, 0, 0);
  return canvas;
}

/** A colour of the page as [red, green, blue]. */
function colourOf(name) {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const [red, green, blue] = getComputedStyle(probe).color.match(/[\d.]+/g).map(Number);
  probe.remove();
  return [red, green, blue];
}
