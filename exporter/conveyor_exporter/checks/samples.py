"""The golden samples, replayed as a server will: decode, preprocess, run, compare."""

import numpy as np

from conveyor.v1 import model_pb2
from conveyor_contract.errors import ContractError, ImageError
from conveyor_contract.golden import compare, row_of_sample, tolerance_for
from conveyor_contract.preprocessing import Preprocessor
from conveyor_exporter.checks.candidate import Candidate, failed, passed


def replay(candidate: Candidate, golden: model_pb2.GoldenSamples, preprocessor: Preprocessor | None) -> model_pb2.Check:
    """Every golden sample gives the stored row and the stored answer."""
    if not golden.samples:
        return failed("there are no golden samples; export the model again.")
    differences = []
    for sample in golden.samples:
        try:
            row = row_of_sample(sample, preprocessor)
            tolerance = tolerance_for(golden, candidate.provider, candidate.precision)
            answer = candidate.session.run(row[np.newaxis])[0]
            difference = compare(answer, np.array(sample.reference_output, dtype=np.float32), tolerance)
        except (ContractError, ImageError) as error:
            return failed(str(error))
        if not difference.ok:
            return failed(
                f"golden sample {sample.name!r} is answered {difference.max_absolute:.2e} from its stored answer; "
                "the sample, the graph or its weights were altered.",
                max_difference=difference.max_absolute,
            )
        if sample.label and int(answer.argmax()) != sample.label_index:
            return failed(f"golden sample {sample.name!r} is no longer labelled {sample.label!r}; it was altered.")
        differences.append(difference.max_absolute)
    kind = "synthetic" if golden.synthetic else "real"
    return passed(
        f"{len(differences)} {kind} samples within {max(differences):.1e}",
        max_difference=max(differences),
        samples=len(differences),
    )
