"""A half-life in seconds: neither the frame rate nor a dropped frame changes for how long a score counts."""

from dataclasses import replace

import numpy as np
import pytest

from oddframe.scoring.smoothing import Smoother, smooth, smooth_boxes
from oddframe.types import Scores
from oddframe.video.boxes import overlap


def scores_at(seconds: list[float], value: list[float]) -> Scores:
    n = np.arange(len(seconds))
    values = np.array(value, float)
    box = [np.array([[0.1, 0.1, 0.3, 0.3, one]]) for one in value]
    heat = values[:, None, None] * np.ones((1, 2, 3))
    return Scores(
        "film", n, np.array(seconds), values, map=heat, boxes=tuple(box), components={"a": values}
    )


def test_after_a_half_life_half_is_left_at_any_rate() -> None:
    for step in (0.04, 0.1, 0.5):
        count = round(2.0 / step)
        seconds = [step * k for k in range(count + 1)]
        given = scores_at(seconds, [1.0] + [0.0] * count)
        (smoothed,) = smooth([given], 1.0)
        assert smoothed.value[round(1.0 / step)] == pytest.approx(0.5)
        assert smoothed.value[count] == pytest.approx(0.25)


def test_a_dropped_frame_counts_as_time_that_passed() -> None:
    every = scores_at([0.0, 0.1, 0.2, 0.3], [1.0, 0.0, 0.0, 0.0])
    dropped = scores_at([0.0, 0.3], [1.0, 0.0])
    (one,), (other,) = smooth([every], 0.1), smooth([dropped], 0.1)
    assert other.value[1] == pytest.approx(one.value[3])


def test_value_component_map_and_box_are_smoothed_alike() -> None:
    (smoothed,) = smooth([scores_at([0.0, 0.1, 0.2], [4.0, 0.0, 2.0])], 0.1)
    assert smoothed.map is not None
    assert smoothed.boxes is not None
    expected = [4.0, 2.0, 2.0]
    np.testing.assert_allclose(smoothed.value, expected)
    np.testing.assert_allclose(smoothed.components["a"], expected)
    np.testing.assert_allclose(smoothed.map[:, 1, 2], expected)
    np.testing.assert_allclose([box[0, 4] for box in smoothed.boxes], expected)


def test_behind_a_jump_of_the_clock_the_mean_begins_anew() -> None:
    seconds = [0.0, 0.1, 0.2, 3600.0, 3600.1]
    (smoothed,) = smooth([scores_at(seconds, [8.0, 8.0, 8.0, 0.0, 0.0])], 10.0)
    np.testing.assert_allclose(smoothed.value, [8.0, 8.0, 8.0, 0.0, 0.0])


def test_batches_do_not_matter_and_a_state_can_be_used_again() -> None:
    random = np.random.default_rng(0)
    given = scores_at([0.1 * k for k in range(20)], list(random.exponential(size=20)))
    (whole,) = smooth([given], 0.3)
    before, _ = Smoother(0.3).push(head(given, 0, 8))
    for _ in range(2):
        _, rest = before.push(head(given, 8, 20))
        np.testing.assert_array_equal(rest.value, whole.value[8:])


def head(scores: Scores, start: int, stop: int) -> Scores:
    part = slice(start, stop)
    assert scores.map is not None
    assert scores.boxes is not None
    return replace(
        scores,
        frame=scores.frame[part],
        seconds=scores.seconds[part],
        value=scores.value[part],
        map=scores.map[part],
        boxes=scores.boxes[part],
        components={name: values[part] for name, values in scores.components.items()},
    )


def test_a_box_takes_the_past_of_the_thing_that_it_overlaps() -> None:
    before = np.array([[0.0, 0.0, 0.2, 0.2, 6.0], [0.8, 0.8, 1.0, 1.0, 9.0]])
    now = np.array([[0.02, 0.0, 0.22, 0.2, 2.0], [0.4, 0.4, 0.6, 0.6, 2.0]])
    np.testing.assert_allclose(smooth_boxes(now, before, 0.5)[:, 4], [4.0, 1.0])
    assert overlap(now, before)[0, 0] == pytest.approx(0.18 * 0.2 / (0.22 * 0.2))


def test_no_half_life_leaves_scores_as_they_are() -> None:
    given = scores_at([0.0, 0.1], [1.0, 0.0])
    (same,) = smooth([given], 0.0)
    np.testing.assert_array_equal(same.value, given.value)
    with pytest.raises(ValueError, match="0 seconds or more, got -1"):
        Smoother(-1)
