// From two looks at the server's counters to what happened in between.

/** One model's counters, as they were at one moment. */
class Reading {
  constructor(families, model) {
    this._families = families;
    this._model = model;
  }

  /** The sum over all versions and outcomes; null for a metric that the server does not have. */
  sum(name, wanted = () => true) {
    const samples = this._samples(name, wanted);
    return samples.length ? samples.reduce((total, [, value]) => total + value, 0) : null;
  }

  /** The largest over all versions. */
  most(name) {
    const samples = this._samples(name);
    return samples.length ? Math.max(...samples.map(([, value]) => Math.abs(value))) : null;
  }

  /** The histograms of all versions as one. */
  histogram(name) {
    const all = this._samples(name).map(([, value]) => value);
    if (!all.length) return null;
    const counts = all[0].counts.map((_, index) => all.reduce((total, { counts }) => total + counts[index], 0));
    return { bounds: all[0].bounds, counts, total: all.reduce((total, part) => total + part.total, 0) };
  }

  _samples(name, wanted = () => true) {
    const samples = this._families[name]?.samples ?? [];
    return samples.filter(([labels]) => labels.model === this._model && wanted(labels));
  }
}

/** What happened to one model between two looks, `seconds` apart. */
export class Between {
  constructor(before, after, model, seconds) {
    this._before = new Reading(before, model);
    this._after = new Reading(after, model);
    this._seconds = seconds;
  }

  /** A counter's growth a second; null where it is not known, as after a restart. */
  rate(name, wanted) {
    const [now, then] = [this._after.sum(name, wanted), this._before.sum(name, wanted)];
    if (now === null) return null;
    const grown = now - (then ?? 0);
    return grown < 0 ? null : grown / this._seconds;
  }

  /** A gauge now. */
  gauge(name) {
    return this._after.sum(name);
  }

  /** The largest of a gauge's values now. */
  most(name) {
    return this._after.most(name);
  }

  /** The mean of what a histogram counted; null when that was nothing. */
  mean(name) {
    const grown = this._grown(name);
    return grown && grown.total / grown.count;
  }

  /** Quantiles of what a histogram counted, each within its bucket by a straight line. */
  quantiles(name, shares) {
    const grown = this._grown(name);
    return shares.map((share) => grown && quantile(grown, share));
  }

  _grown(name) {
    const [now, then] = [this._after.histogram(name), this._before.histogram(name)];
    if (now === null) return null;
    const counts = now.counts.map((count, index) => count - (then?.counts[index] ?? 0));
    const count = counts.reduce((total, part) => total + part, 0);
    if (count <= 0 || counts.some((part) => part < 0)) return null;
    return { bounds: now.bounds, counts, count, total: now.total - (then?.total ?? 0) };
  }
}

function quantile({ bounds, counts, count }, share) {
  let before = 0;
  for (const [index, inside] of counts.entries()) {
    if (inside && before + inside >= share * count) {
      const low = index ? bounds[index - 1] : 0;
      // Over the last bound nothing more is known.
      const high = bounds[index] ?? low;
      return low + ((share * count - before) / inside) * (high - low);
    }
    before += inside;
  }
  return null;
}
