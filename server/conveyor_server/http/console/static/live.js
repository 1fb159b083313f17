// The last minute of one model, drawn from the server's counters once a second.

import { Chart } from "./chart.js";
import { h } from "./dom.js";
import { percent, plain, rows, seconds } from "./numbers.js";
import { Between } from "./pulse.js";

const LATENCIES = [0.5, 0.95, 0.99];
// Against the training images.
const DRIFT = [
  { title: "Input mean, shift", metric: "conveyor_input_channel_mean_shift", format: plain, least: 0.1 },
  { title: "Answers, distance", metric: "conveyor_class_distance", format: plain, least: 0.1 },
  { title: "Confidence, distance", metric: "conveyor_confidence_distance", format: plain, least: 0.1 },
];
// A version on trial against the stable one.
const TRIAL = [{ title: "Same answers", metric: "conveyor_shadow_agreement_ratio", format: percent, least: 1 }];

/** The section; `add` takes each look at the counters. */
export class Live {
  constructor(name) {
    this._name = name;
    this._before = null;
    this._requests = new Chart("Requests a second", { format: plain });
    this._queue = new Chart("Rows waiting", { format: plain });
    this._batch = new Chart("Rows in a batch, mean", { format: plain });
    this._latency = new Chart("Latency", { lines: ["p50", "p95", "p99"], format: seconds, least: 1e-4 });
    this._drift = new Comparison(DRIFT);
    this._trial = new Comparison(TRIAL);
    const fixed = [this._requests, this._queue, this._batch, this._latency];
    this._charts = h("div", { class: "charts" }, fixed.map((chart) => chart.element));
    this._said = h("p", { class: "hint", role: "status" });
    const words = h("p", {}, "All versions and all workers of this model, once a second.");
    const head = h("div", { class: "section-head" }, h("h2", { id: "live-title" }, "Last minute"), words);
    const compared = [this._drift.element, this._trial.element];
    this.element = h("section", { "aria-labelledby": "live-title" }, head, this._said, this._charts, compared);
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
    this._drift.add(between, driftTitle(between.gauge("conveyor_drift_window_rows")));
    this._trial.add(between, trialTitle(between.gauge("conveyor_shadow_rows_total")));
  }

  /** The counters cannot be had; the charts keep what they have. */
  fail(sentence) {
    this._said.textContent = sentence;
    // Nothing is known of the time until the next look.
    this._before = null;
  }
}

/** Charts under a title of their own, there while the server has something to say of any of them. */
class Comparison {
  constructor(kinds) {
    this._charts = kinds.map(({ title, metric, ...how }) => ({ metric, chart: new Chart(title, how) }));
    this._title = h("h3", { class: "charts-title" });
    const charts = this._charts.map(({ chart }) => chart.element);
    this.element = h("div", { hidden: true }, this._title, h("div", { class: "charts" }, charts));
  }

  /** A null title says that nothing is compared; a figure that is not known, or that the model has not, is left out. */
  add(between, title) {
    this.element.hidden = title === null;
    this._title.textContent = title ?? "";
    for (const { metric, chart } of this._charts) {
      const value = between.most(metric);
      chart.add([value]);
      chart.element.hidden = value === null;
    }
  }
}

function driftTitle(seen) {
  return seen ? `Compared with the training images, over ${rows(Math.round(seen))}` : null;
}

function trialTitle(compared) {
  if (compared === null) return null;
  return compared ? `Version on trial: compared over ${rows(compared)}` : "Version on trial: nothing was compared yet";
}
