"""What the metrics page says of drift."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from conveyor.v1 import model_pb2
from conveyor_server.drift.families import DriftKey, seen_of
from conveyor_server.drift.sums import DriftFigures, Values, figures_of
from conveyor_server.metrics.family import Family, Merge, Sample, counter, gauge
from conveyor_server.observation import Observation

# Of a model with more, only the distances are shown.
MOST_LABELS: Final = 100

_NOT_FINITE: Final = "Rows that were left out, as a value of theirs or of their answer's is no finite number."
_WINDOW_ROWS: Final = "Rows that the gauges of drift rest on, the older ones counting less."
_MEAN_SHIFT: Final = "How far the input's mean lies from the training's, in standard deviations of the training."
_DEVIATION_RATIO: Final = "The input's standard deviation over the training's."
_CLASS_DISTANCE: Final = "Half the summed difference of predicted and trained class shares, 0 to 1."
_CONFIDENCE_DISTANCE: Final = "Half the summed difference of the confidences' shares, served and held out, 0 to 1."


class DriftCounts:
    """A source: what was looked at, and what was predicted."""

    def __init__(self, observation: Observation) -> None:
        self._observation = observation

    def families(self) -> Iterable[Family]:
        """Of every model whose file says what it was trained on."""
        predictions, rows, not_finite = [], [], []
        for observer in self._observation:
            monitor, model = observer.drift, observer.model
            if monitor is None:
                continue
            labels = {"model": model.name, "version": model.version_text}
            rows.append(Sample(labels=labels, value=monitor.rows_seen))
            not_finite.append(Sample(labels=labels, value=monitor.not_finite))
            if len(model.labels) <= MOST_LABELS:
                for label, count in zip(model.labels, monitor.predictions.tolist(), strict=True):
                    predictions.append(Sample(labels={**labels, "label": label}, value=count))
        yield counter("conveyor_drift_rows_total", "Served rows that were looked at.", rows)
        yield counter("conveyor_drift_not_finite_rows_total", _NOT_FINITE, not_finite)
        text = f"Of the rows looked at, those with this label; of models with up to {MOST_LABELS} labels."
        yield counter("conveyor_predictions_total", text, predictions)


class DriftDistances:
    """A derivation: how far what all workers serve lies from what was trained on."""

    def __init__(self, observation: Observation) -> None:
        self._observation = observation

    def families(self, sums: Mapping[str, Family]) -> Iterable[Family]:
        """Of every model whose file says what it was trained on, and that has served."""
        seen = seen_of(sums.values())
        trained = self._trained()
        shifts, ratios, classes, confidences, weights = [], [], [], [], []
        for key, each in seen.items():
            if key not in trained or not each.sums.rows:
                continue
            figures: DriftFigures = figures_of(each.sums, trained[key])
            labels = {"model": key.model, "version": key.version}
            weights.append(Sample(labels=labels, value=each.sums.rows))
            shifts += _of_channels(labels, figures.mean_shift)
            ratios += _of_channels(labels, figures.deviation_ratio)
            if figures.class_distance is not None:
                classes.append(Sample(labels=labels, value=figures.class_distance))
            if figures.confidence_distance is not None:
                confidences.append(Sample(labels=labels, value=figures.confidence_distance))
        shown = {
            "conveyor_drift_window_rows": (_WINDOW_ROWS, weights),
            "conveyor_input_channel_mean_shift": (_MEAN_SHIFT, shifts),
            "conveyor_input_channel_deviation_ratio": (_DEVIATION_RATIO, ratios),
            "conveyor_class_distance": (_CLASS_DISTANCE, classes),
            "conveyor_confidence_distance": (_CONFIDENCE_DISTANCE, confidences),
        }
        for name, (text, samples) in shown.items():
            yield gauge(name, text, samples, Merge.MAX)

    def _trained(self) -> dict[DriftKey, model_pb2.TrainingStatistics]:
        found = {}
        for observer in self._observation:
            model = observer.model
            if observer.drift is not None:
                key = DriftKey(model=model.name, version=model.version_text, file=model.file_digest)
                found[key] = observer.drift.trained
        return found


def _of_channels(labels: Mapping[str, str], values: Values | None) -> list[Sample]:
    listed = [] if values is None else values.tolist()
    return [Sample(labels={**labels, "channel": str(index)}, value=each) for index, each in enumerate(listed)]
