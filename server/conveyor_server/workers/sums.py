"""The statistics of several workers as if one had counted everything."""

from __future__ import annotations

from collections.abc import Sequence

from conveyor_server.inference import inference_pb2 as pb

PARTS = ("success", "fail", "queue", "compute_input", "compute_infer", "compute_output", "cache_hit", "cache_miss")


def sum_statistics(answers: Sequence[pb.ModelStatisticsResponse]) -> pb.ModelStatisticsResponse:
    """One entry for each version that any answer holds."""
    sums: dict[tuple[str, str], pb.ModelStatistics] = {}
    for answer in answers:
        for counted in answer.model_stats:
            key = (counted.name, counted.version)
            if key in sums:
                _add(sums[key], counted)
            else:
                sums[key] = counted
    return pb.ModelStatisticsResponse(model_stats=[sums[key] for key in sorted(sums)])


def _add(total: pb.ModelStatistics, more: pb.ModelStatistics) -> None:
    total.last_inference = max(total.last_inference, more.last_inference)
    total.inference_count += more.inference_count
    total.execution_count += more.execution_count
    for part in PARTS:
        _add_duration(getattr(total.inference_stats, part), getattr(more.inference_stats, part))
    batches = {batch.batch_size: batch for batch in total.batch_stats}
    for batch in more.batch_stats:
        if batch.batch_size in batches:
            _add_duration(batches[batch.batch_size].compute_infer, batch.compute_infer)
        else:
            batches[batch.batch_size] = batch
    merged = [batches[size] for size in sorted(batches)]
    del total.batch_stats[:]
    total.batch_stats.extend(merged)


def _add_duration(total: pb.StatisticDuration, more: pb.StatisticDuration) -> None:
    total.count += more.count
    total.ns += more.ns
