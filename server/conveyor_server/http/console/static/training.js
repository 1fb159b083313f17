// The pictures that training left beside the model's file.

import { getPicture, listPictures } from "./api.js";
import { h } from "./dom.js";

/** The tab's content; it fills itself. */
export function trainingPart(model) {
  const part = h("div", {}, h("p", { class: "hint" }, "Looking for pictures."));
  fill(part, model).catch((error) => part.replaceChildren(h("p", { class: "error" }, error.message)));
  return part;
}

async function fill(part, model) {
  const names = await listPictures(model);
  if (!names.length) {
    const words = "Training left no pictures beside this version (its folder report/).";
    part.replaceChildren(h("p", { class: "empty" }, words));
    return;
  }
  const frames = names.map((name) => h("figure", {}, h("figcaption", {}, caption(name))));
  part.replaceChildren(h("div", { class: "pictures" }, frames));
  for (const [index, name] of names.entries()) frames[index].prepend(await picture(model, name));
}

async function picture(model, name) {
  try {
    const address = URL.createObjectURL(await getPicture(model, name));
    const image = h("img", { src: address, alt: caption(name) });
    image.addEventListener("load", () => URL.revokeObjectURL(address));
    return image;
  } catch (error) {
    return h("p", { class: "error" }, error.message);
  }
}

function caption(name) {
  return name.replace(/\.png$/, "").replaceAll(/[_-]+/g, " ");
}
