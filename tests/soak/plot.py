"""The picture of a soak: memory, threads, descriptors and answers over time, with what was done to the server."""

from itertools import pairwise
from pathlib import Path

import matplotlib

from tests.soak.sampling import Sampler

PANELS = (("resident_mib", "resident MiB"), ("threads", "threads"), ("descriptors", "file descriptors"))


def draw(sampler: Sampler, title: str, target: Path) -> None:
    """Writes a PNG."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(len(PANELS) + 1, 1, sharex=True, figsize=(10, 11), layout="constrained")
    for number, (pid, samples) in enumerate(sampler.by_process()):
        minutes = [sample.seconds / 60 for sample in samples]
        name = "parent" if number == 0 and len({s.pid for s in sampler.samples}) > 1 else f"process {pid}"
        for axis, (field, _) in zip(axes, PANELS, strict=False):
            axis.plot(minutes, [getattr(sample, field) for sample in samples], label=name, linewidth=1.2)
        if number == 0:
            pairs = list(pairwise(samples))
            rates = [(b.answered - a.answered) / max(1e-9, b.seconds - a.seconds) for a, b in pairs]
            axes[-1].plot(minutes[1:], rates, linewidth=0.8, color="tab:gray")
    for axis, words in zip(axes, [*(words for _, words in PANELS), "answers/s"], strict=True):
        axis.set_ylabel(words)
        axis.set_ylim(bottom=0)
        axis.grid(visible=True, alpha=0.3)
        for seconds, _ in sampler.events:
            axis.axvline(seconds / 60, color="tab:red", alpha=0.25, linewidth=0.7)
    axes[0].set_title(f"{title}; red: something was done to the server")
    axes[0].legend(loc="lower right", fontsize="small")
    axes[-1].set_xlabel("minutes")
    figure.savefig(target, dpi=110)
    pyplot.close(figure)
