// The last minute of one model, drawn from the server's counters once a second.

import { Chart } from "./chart.js";
import { h } from "./dom.js";
import { percent, plain, seconds } from "./numbers.js";
import { Between } from "./pulse.js";

const LATENCIES = [0.5, 0.95, 0.99];
// Against the training images, and against a version on trial: shown once the server has something to say of them.
const COMPARISONS = [
  { title: "Input mean, shift", metric: "conveyor_input_channel_mean_shift", format: plain, least: 0.1 },
  { title: "Answers, distance", metric: "conveyor_class_distance", format: plain, least: 0.1 },
  { title: "Confidence, distance", metric: "conveyor_confidence_distance", format: plain, least: 0.1 },
  { title: "Shadow agrees", metric: "conveyor_shadow_agreement_ratio", format: percent, least: 1 },
];

/** The section; `add` takes each look at the counters. */
export class Live {
  constructor(name) {
    this._name = name;
    this._before = null;
    this._requests = new Chart("Requests a second", { format: plain });
    this._queue = new Chart("Rows waiting", { format: plain });
    this._batch = new Chart("Rows in a batch, mean", { format: plain });
    this._latency = new Chart("Latency", { lines: ["p50", "p95", "p99"], format: seconds, least: 1e-4 });
    this._others = new Map();
    const fixed = [this._requests, this._queue, this._batch, this._latency];
    this._charts = h("div", { class: "charts" }, fixed.map((chart) => chart.element));
    this._said = h("p", { class: "hint", role: "status" });
    this._compared = h("div", { class: "charts" });
    this._trial = h("p", { class: "hint", role: "status" });
    this._comparedTitle = h("h3", { class: "charts-title" });
    this._comparison = h("div", { hidden: true }, this._comparedTitle, this._compared);
    const words = h("p", {}, "All versions and all workers of this model, once a second.");
    const head = h("div", { class: "section-head" }, h("h2", { id: "live-title" }, "Last minute"), words);
    this.element = h("section", { "aria-labelledby": "live-title" }, head, this._said, this._charts, this._trial,
      this._comparison);
  }

  /** One more look: the families by name, and when that was, in seconds. */
  add(families, at) {
    this._said.textContent = "";
    const before = this._before;
    this._before = { families, at };
    if (!before) return;
    const between = new Between(before.families, families, this._name, at - before.at);
    this._requests.add([between.rate("conveyor_requests_total")]);
    this._queue.add([between.gauge("conveyor_queue_rows")]);
    this._batch.add([between.mean("conveyor_batch_rows")]);
    this._latency.add(between.quantiles("conveyor_request_seconds", LATENCIES));
    for (const kind of COMPARISONS) this._addComparison(kind, between);
    const nothing = between.gauge("conveyor_shadow_rows_total") === 0;
    this._trial.textContent = nothing ? "A version is on trial. Nothing was compared yet." : "";
    const rows = between.gauge("conveyor_drift_window_rows");
    const over = rows ? `, over ${plain(Math.round(rows))} rows` : "";
    this._comparedTitle.textContent = `Compared with the training images${over}`;
  }

  /** The counters cannot be had; the charts keep what they have. */
  fail(sentence) {
    this._said.textContent = sentence;
    // Nothing is known of the time until the next look.
    this._before = null;
  }

  _addComparison({ title, metric, ...how }, between) {
    const value = between.most(metric);
    if (value === null) return;
    if (!this._others.has(metric)) {
      const chart = new Chart(title, how);
      this._others.set(metric, chart);
      this._compared.append(chart.element);
      this._comparison.hidden = false;
    }
    this._others.get(metric).add([value]);
  }
}
