"""The arithmetic of the explanation: where the patches go, what they cover, how much work it may be."""

import numpy as np
import pytest

from conveyor_server.http.console.occlusion import MOST_BYTES, covered_copies, falls, plan_occlusion


@pytest.mark.parametrize("shape", [(28, 28, 1), (8, 8, 1), (1, 1, 1), (3, 50, 3), (224, 160, 3)])
def test_every_pixel_is_covered_by_some_patch(shape: tuple[int, int, int]) -> None:
    row = np.zeros(shape, np.uint8)
    row[0] = 1
    plan = plan_occlusion(row)
    covered = np.zeros(shape[:2], bool)
    for top in plan.tops:
        for left in plan.lefts:
            covered[max(0, top) : top + plan.patch_height, max(0, left) : left + plan.patch_width] = True
    assert covered.all()
    assert sum(len(copies) for copies in covered_copies(row, plan, 32)) == plan.copies


@pytest.mark.parametrize("side", [8, 28, 224, 1024])
def test_the_work_is_bounded(side: int) -> None:
    plan = plan_occlusion(np.zeros((side, side, 3), np.uint8))
    assert plan.copies <= 14 * 14
    assert plan.copies * side * side * 3 <= 3 * MOST_BYTES


def test_no_more_rows_at_a_time_than_may_be() -> None:
    row = np.zeros((28, 28, 1), np.uint8)
    sizes = [len(copies) for copies in covered_copies(row, plan_occlusion(row), 10)]
    assert max(sizes) == 10
    assert sum(sizes) == 196


def test_for_a_sum_of_pixels_the_map_shows_the_bright_spot_and_the_ground_weighs_nothing() -> None:
    row = np.full((28, 28, 1), 10, np.uint8)
    row[4:8, 20:24] = 250
    plan = plan_occlusion(row)
    totals = np.concatenate([copies.sum(axis=(1, 2, 3), dtype=np.int64) for copies in covered_copies(row, plan, 64)])
    result = falls(float(row.sum(dtype=np.int64)), totals, plan)
    brightest = np.argwhere(result == result.max())[0].tolist()
    assert tuple(map(int, brightest)) in {(2, 10), (2, 11), (3, 10), (3, 11)}
    assert result.max() == 16 * 240
    assert result[7:, :].max() == 0
