"""What the charts are drawn from."""

import json

from conveyor_server.http.console.pulse import pulse_of
from conveyor_server.metrics.family import Distribution, Family, Kind, Sample, gauge


def test_own_families_become_json_and_what_is_no_number_is_left_out() -> None:
    histogram = Distribution(bounds=(1.0, 2.0), counts=(3, 0, 1), total=9.0)
    families = [
        gauge("conveyor_ratio", "A ratio.", [Sample(labels={"model": "a"}, value=float("nan"))]),
        gauge("conveyor_wait", "A wait.", [Sample(labels={"model": "a"}, value=float("inf"))]),
        Family(name="conveyor_rows", kind=Kind.HISTOGRAM, help="Rows.", samples=[Sample(labels={}, value=histogram)]),
        gauge("nv_inference_count", "Another's name.", [Sample(labels={}, value=1.0)]),
    ]
    pulse = json.loads(json.dumps(pulse_of(families, "no model serves"), allow_nan=False))
    assert pulse["not_ready"] == "no model serves"
    assert pulse["families"] == {
        "conveyor_ratio": {"kind": "gauge", "samples": []},
        "conveyor_wait": {"kind": "gauge", "samples": []},
        "conveyor_rows": {
            "kind": "histogram",
            "samples": [[{}, {"bounds": [1.0, 2.0], "counts": [3, 0, 1], "total": 9.0}]],
        },
    }
