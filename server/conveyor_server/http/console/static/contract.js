// A model's contract in words: what goes in, what comes out, what is done to a picture before.

import { h } from "./dom.js";
import { figure, plain } from "./numbers.js";

const MOST_LABELS = 2000;
// Characters of all labels together from which on they are scrolled.
const LONG_LABELS = 800;

/** The tab's content. */
export function contractPart(contract, status) {
  return h(
    "div",
    { class: "facts" },
    h("section", {}, h("h3", {}, "Signature"), signature(contract)),
    contract.preprocessing ? h("section", {}, h("h3", {}, "Preprocessing"), steps(contract.preprocessing)) : null,
    contract.labels.length ? h("section", {}, h("h3", {}, `Labels (${plain(contract.labels.length)})`), labels(contract)) : null,
    h("section", {}, h("h3", {}, "File"), facts(fileFacts(contract, status))),
    contract.provenance ? h("section", {}, h("h3", {}, "Where it comes from"), facts(origin(contract))) : null,
  );
}

/** Facts as a list; what is empty is left out. */
function facts(pairs) {
  const there = pairs.filter(([, value]) => value !== "" && value !== undefined && value !== null);
  return h(
    "dl",
    {},
    there.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
  );
}

function signature({ task, inputs, outputs, batching }) {
  return facts([
    ["Task", word(task)],
    ...inputs.map((spec) => ["Input", tensor(spec)]),
    ...outputs.map((spec) => ["Output", tensor(spec)]),
    ["Batches", batching ? `up to ${batching.max_batch_size} rows` : ""],
    ["Warmed at", batching ? batching.buckets.join(", ") : ""],
  ]);
}

function tensor({ name, datatype, shape, layout, meaning }) {
  const sizes = shape.map(({ size, symbol }) => symbol ?? size).join(" × ");
  return h("span", {}, h("code", {}, name), ` ${datatype} ${sizes}, ${LAYOUTS[layout] ?? word(layout)}, ${word(meaning)}`);
}

function steps({ height, width, colour_mode: colour, apply_exif_orientation: exif, resize, in_graph: graph, background }) {
  const size = `${height} × ${width}`;
  const filter = `${word(resize.filter)}${resize.antialias ? ", antialiased" : ""}`;
  const resized =
    resize.mode === "RESIZE_MODE_SHORTEST_SIDE"
      ? [`Resize the shorter side to ${resize.shortest_side} (${filter})`, `Crop the middle ${size}`]
      : [`Resize to ${size}, whatever the shape (${filter})`];
  return h(
    "ol",
    { class: "steps" },
    [
      "Decode the image",
      exif ? "Turn it as its EXIF data say" : null,
      `Convert to ${colour === "COLOUR_MODE_RGB" ? "RGB" : "grey"}, transparent parts over ${ground(background)}`,
      ...resized,
      graph ? inGraph(graph) : null,
    ]
      .filter(Boolean)
      .map((step) => h("li", {}, step)),
  );
}

function ground(colour) {
  return colour.some((value) => value > 0) ? `the colour ${colour.join(", ")}` : "black";
}

function inGraph({ scale, mean, standard_deviation: deviation }) {
  const list = (values) => values.map((value) => Number(value.toPrecision(3))).join(", ");
  // Scales are mostly 1/255, which a float cannot say.
  const divisor = Math.round(1 / scale);
  const scaled = Math.abs(scale * divisor - 1) < 1e-5 ? `÷ ${divisor}` : `× ${Number(scale.toPrecision(4))}`;
  return `In the graph: ${scaled}, − ${list(mean)}, ÷ ${list(deviation)}`;
}

function labels({ labels: all }) {
  const shown = all.slice(0, MOST_LABELS).map((label) => h("li", {}, label));
  const more = all.length - shown.length;
  const list = h("ul", { class: "chips" }, shown, more > 0 ? h("li", {}, `and ${plain(more)} more`) : null);
  if (all.join("").length < LONG_LABELS) return list;
  return h("div", { class: "tall scroller", tabindex: 0, role: "region", "aria-label": "Labels" }, list);
}

function fileFacts({ precision, provider, schema_version: schema, unproved }, status) {
  return [
    ["Digest", digest(status.file_digest)],
    ["Runs on", status.provider],
    ["Proved on", unproved ? "not proved" : provider],
    ["Precision", precision],
    ["Contract", schema],
  ];
}

function origin({ provenance, training_statistics: statistics }) {
  const versions = Object.entries(provenance.versions).map(([name, version]) => `${name} ${version}`);
  return [
    ["Data", provenance.data_set],
    ["Input mean", statistics ? statistics.input_mean.map(figure).join(", ") : ""],
    ["Deviation", statistics ? statistics.input_standard_deviation.map(figure).join(", ") : ""],
    ["Opset", provenance.opset],
    ["Made with", versions.join(", ")],
    ["Revision", provenance.source_revision],
    ["Model digest", digest(provenance.model_digest)],
  ];
}

function digest(text) {
  return text ? h("code", { title: text }, `${text.slice(0, 19)}…`) : "";
}

const LAYOUTS = { LAYOUT_NHWC: "NHWC", LAYOUT_NCHW: "NCHW", LAYOUT_NCL: "NCL", LAYOUT_NC: "NC" };
const PREFIXES = /^(TASK|MEANING|RESIZE_FILTER|RESIZE_MODE|LAYOUT)_/;

function word(name) {
  return name.replace(PREFIXES, "").toLowerCase().replaceAll("_", " ");
}
