"""A model's counters as this wire writes them."""

from __future__ import annotations

from conveyor_server.inference import inference_pb2 as pb
from conveyor_server.model import Model
from conveyor_server.statistics import Tally


def statistics_of(model: Model) -> pb.ModelStatistics:
    """Everything since the version was loaded. A request's four parts add up to its whole."""
    counted = model.batcher.statistics
    return pb.ModelStatistics(
        name=model.name,
        version=model.version_text,
        last_inference=int(counted.last_inference * 1000),
        inference_count=counted.rows,
        execution_count=sum(tally.count for tally in counted.batches.values()),
        inference_stats=pb.InferStatistics(
            success=_duration(counted.success),
            fail=_duration(counted.fail),
            queue=_duration(counted.queue),
            compute_input=_duration(counted.compute_input),
            compute_infer=_duration(counted.compute_infer),
            compute_output=_duration(counted.compute_output),
            cache_hit=pb.StatisticDuration(),
            cache_miss=pb.StatisticDuration(),
        ),
        batch_stats=[
            pb.InferBatchStatistics(batch_size=rows, compute_infer=_duration(tally))
            for rows, tally in sorted(counted.batches.items())
        ],
    )


def _duration(tally: Tally) -> pb.StatisticDuration:
    return pb.StatisticDuration(count=tally.count, ns=int(tally.seconds * 1_000_000_000))
