"""Smoothing that looks ahead: the formula, gaps, memory, and the false alarms that were asked for."""

import json
import math
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import genpareto, norm

from oddframe import evaluate, score
from oddframe.errors import BadInput
from oddframe.methods.baselines import Constant
from oddframe.scoring.calibration import Calibration, calibrate, raw_segments
from oddframe.scoring.calibration_file import load_calibration, save_calibration
from oddframe.scoring.events import find_events
from oddframe.scoring.pipeline import concatenate, score_video, slice_scores
from oddframe.scoring.run_folder import load_run, save_run
from oddframe.scoring.smoothing import smooth
from oddframe.scoring.two_sided import TwoSidedSmoother, calibrate_again, smooth_both
from oddframe.types import Floats, Scores
from oddframe.video.reader import video_of
from runs import run_facts


def scores_at(seconds: Floats, value: Floats) -> Scores:
    """Value, component, map and one box, that never moves, all of one number."""
    heat = value[:, None, None] * np.ones((1, 2, 3))
    boxes = tuple(np.array([[0.1, 0.1, 0.3, 0.3, one]]) for one in value)
    return Scores(
        "film",
        np.arange(len(seconds)),
        seconds,
        value,
        map=heat,
        boxes=boxes,
        components={"part": value + 1},
    )


def in_batches(scores: Scores, sizes: list[int]) -> Iterator[Scores]:
    for start, end in pairwise([0, *np.cumsum(sizes).tolist(), len(scores)]):
        yield slice_scores(scores, start, min(end, len(scores)))


def smoothed(scores: Scores, half_life: float, lookahead: float, sizes: list[int]) -> Scores:
    pairs = list(smooth_both(in_batches(scores, sizes), half_life, lookahead))
    raw = concatenate(one for one, _ in pairs)
    np.testing.assert_array_equal(raw.value, scores.value)
    np.testing.assert_array_equal(raw.frame, scores.frame)
    return concatenate(two for _, two in pairs)


def by_formula(seconds: Floats, value: Floats, half_life: float, lookahead: float) -> Floats:
    """Of one stretch."""
    lag = seconds[None] - seconds[:, None]
    weight = 2.0 ** (-np.abs(lag) / half_life) * (lag <= lookahead + 1e-9)
    return np.asarray((weight * value).sum(1) / weight.sum(1))


@pytest.mark.parametrize(("half_life", "lookahead"), [(0.1, 0.3), (0.5, 0.2), (2.0, 5.0)])
@pytest.mark.parametrize("sizes", [[1, 2, 30, 3], [], [1] * 79])
def test_it_is_the_mean_of_the_formula(
    half_life: float, lookahead: float, sizes: list[int]
) -> None:
    random = np.random.default_rng(0)
    seconds = np.cumsum(random.uniform(0.05, 0.15, size=80))
    value = random.exponential(size=80)
    found = smoothed(scores_at(seconds, value), half_life, lookahead, sizes)
    expected = by_formula(seconds, value, half_life, lookahead)
    np.testing.assert_allclose(found.value, expected)
    np.testing.assert_allclose(found.components["part"], expected + 1)
    assert found.map is not None
    assert found.boxes is not None
    np.testing.assert_allclose(found.map[:, 1, 2], expected, rtol=1e-5)
    np.testing.assert_allclose([box[0, 4] for box in found.boxes], expected)


def test_many_frames_at_once_are_smoothed_in_parts_alike() -> None:
    random = np.random.default_rng(1)
    seconds = np.arange(900) / 10
    value = random.exponential(size=900)
    found = smoothed(scores_at(seconds, value), 1.0, 3.0, [])
    np.testing.assert_allclose(found.value, by_formula(seconds, value, 1.0, 3.0))


def test_behind_a_gap_nothing_of_before_counts_and_nothing_is_seen_over_it() -> None:
    random = np.random.default_rng(2)
    value = random.exponential(size=60)
    seconds = np.arange(60) / 10
    seconds[25:] += 3600
    found = smoothed(scores_at(seconds, value), 1.0, 2.0, [7, 7, 7, 7])
    before = by_formula(seconds[:25], value[:25], 1.0, 2.0)
    behind = by_formula(seconds[25:], value[25:], 1.0, 2.0)
    np.testing.assert_allclose(found.value, np.concatenate([before, behind]))
    assert found.boxes is not None
    np.testing.assert_allclose([box[0, 4] for box in found.boxes], found.value)


def test_a_box_is_followed_as_it_moves_and_is_nothing_where_it_is_not() -> None:
    boxes = tuple(np.array([[0.05 * k, 0.0, 0.05 * k + 0.2, 0.2, 1.0]]) for k in range(6))
    empty = np.zeros((0, 5))
    seconds = np.arange(12) / 10
    given = Scores("film", np.arange(12), seconds, np.ones(12), boxes=(*boxes, *[empty] * 6))
    found = smoothed(given, 0.5, 0.3, [4])
    assert found.boxes is not None
    seen = (np.arange(12) < 6).astype(float)
    expected = by_formula(seconds, seen, 0.5, 0.3)
    np.testing.assert_allclose([box[0, 4] for box in found.boxes[:6]], expected[:6])
    np.testing.assert_allclose(found.boxes[3][0, :4], boxes[3][0, :4])
    assert [len(box) for box in found.boxes[6:]] == [0] * 6


def test_without_a_lookahead_it_is_the_causal_mean_bit_for_bit() -> None:
    random = np.random.default_rng(3)
    given = scores_at(np.arange(50) / 10, random.exponential(size=50))
    causal = concatenate(smooth(in_batches(given, [9, 9]), 0.3))
    found = smoothed(given, 0.3, 0.0, [9, 9])
    for name in ("value", "map"):
        np.testing.assert_array_equal(getattr(found, name), getattr(causal, name))
    np.testing.assert_array_equal(found.boxes, causal.boxes)


def test_a_score_comes_once_its_lookahead_has_passed() -> None:
    smoother = TwoSidedSmoother(1.0, 0.5)
    given = scores_at(np.arange(20) / 10, np.ones(20))
    assert [len(one) for one, _ in smoother.push(given)] == [14]
    assert [len(one) for one, _ in smoother.finish()] == [6]
    assert [len(one) for one, _ in smoother.finish()] == []
    for wrong in ((0.0, 1.0), (1.0, 0.0), (math.nan, 1.0)):
        with pytest.raises(ValueError, match="above 0 seconds"):
            TwoSidedSmoother(*wrong)


def test_memory_is_that_of_the_lookahead_however_long_the_video() -> None:
    side = 64
    a_second = 10 * side * side * 4  # bytes of maps

    def film() -> Iterator[Scores]:
        for k in range(0, 3000, 10):
            n = np.arange(k, k + 10)
            heat = np.ones((10, side, side), np.float32)
            yield Scores("film", n, n / 10, np.ones(10), map=heat)

    tracemalloc.start()
    frames = sum(len(one) for one, _ in smooth_both(film(), 2.0, 5.0))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert frames == 3000
    assert peak < 4 * 6 * a_second  # of 300 seconds


# Calibration.


def normal_video(minutes: int, seed: int) -> list[Scores]:
    """Scores that hold together for about a second, one minute each."""
    random = np.random.default_rng(seed)
    keep = math.exp(-1 / 10)
    films = []
    for k in range(minutes):
        rough = random.standard_normal(700)
        level = lfilter([math.sqrt(1 - keep**2)], [1, -keep], rough)[100:]
        n = np.arange(600)
        films.append(Scores(f"film {k}", n, n / 10, genpareto.isf(norm.sf(level), 0.1)))
    return films


def calibrated(films: list[Scores], half_life: float) -> Calibration:
    causal = [concatenate(smooth([one], half_life)) for one in films]
    return replace(calibrate(causal, "leave one out"), raw=raw_segments(films))


def per_hour(calibration: Calibration, films: list[Scores], rarity: float) -> float:
    found = 0
    for one in films:
        value = calibration.rarity(smoothed(one, 1.0, 3.0, []).value)
        found += len(find_events(replace(one, value=value), rarity))
    return found * 60 / len(films)


def test_a_lookahead_has_the_false_alarms_that_were_asked_for(tmp_path: Path) -> None:
    """Two hours to calibrate on, eight others to count on: 20 an hour is 40 and 160 events, 18 % off at one standard
    deviation of both together."""
    causal = calibrated(normal_video(120, 1), 1.0)
    save_calibration(causal, tmp_path / "calibration.npz")
    stored = load_calibration(tmp_path / "calibration.npz")
    again = calibrate_again(stored, 1.0, 3.0)
    others = normal_video(480, 2)
    threshold = again.threshold(20.0)
    assert per_hour(again, others, threshold.rarity) == pytest.approx(20.0, rel=0.4)
    twice = calibrate_again(causal, 1.0, 3.0)
    np.testing.assert_array_equal(twice.alarms, again.alarms)
    np.testing.assert_array_equal(twice.ascending, again.ascending)
    # a mean over both sides is smoother: on the causal scale the rate would be another
    wrong = causal.threshold(20.0)
    assert per_hour(causal, others, wrong.rarity) < 14.0


def test_a_run_without_unsmoothed_scores_is_refused() -> None:
    with pytest.raises(BadInput, match="does not hold the unsmoothed scores"):
        calibrate_again(replace(calibrated(normal_video(2, 0), 1.0), raw=()), 1.0, 1.0)


# Whole runs.


def test_a_run_scores_ahead_and_says_so(fitted: Path, street: Path, tmp_path: Path) -> None:
    film = street / "test" / "test01.mp4"
    plain = load_run(fitted)
    causal = plain.score(film)
    ahead = plain.with_lookahead(1.0)
    batches = score_video(plain.detector, video_of(film), half_life=0.0)
    raw = concatenate(batches)
    rarity = ahead.calibration.rarity(by_formula(raw.seconds, raw.value, 0.1, 1.0))
    np.testing.assert_allclose(ahead.score(film).value, rarity, atol=1e-4)
    assert ahead.lookahead == plain.lookahead + 10
    assert plain.with_lookahead(0.0) is plain
    with pytest.raises(BadInput, match="a stream cannot look ahead"):
        ahead.stream()
    with pytest.raises(BadInput, match="given once"):
        ahead.with_lookahead(2.0)
    with pytest.raises(BadInput, match="from 0 to 60 seconds, got 61"):
        plain.with_lookahead(61)

    first = score(fitted, [film], out=tmp_path, overlay=False, clips=False)
    with np.load(tmp_path / "test01.npz") as stored:
        np.testing.assert_array_equal(stored["rarity"], causal.value)
        key = json.loads(str(stored["key"]))
    assert "lookahead" not in key
    second = score(fitted, [film], out=tmp_path, overlay=False, clips=False, lookahead=1.0)
    with np.load(tmp_path / "test01.npz") as stored:
        np.testing.assert_allclose(stored["rarity"], rarity, atol=1e-4)
        assert json.loads(str(stored["key"])) == {**key, "lookahead": 1.0}
    assert (first.lookahead_seconds, second.lookahead_seconds) == (0.0, 1.0)
    told = json.loads((tmp_path / "events.json").read_text())
    assert told["lookahead_seconds"] == 1.0
    assert "smoothed with 1 s of what comes after" in (tmp_path / "report.html").read_text()


def test_an_evaluation_says_how_far_it_looked_ahead(run: Path, street: Path) -> None:
    found = evaluate(run, "simulated", root=street, report=False, lookahead=0.5)
    assert found.folder.name == "evaluation-simulated-lookahead-0.5s"
    told = json.loads((found.folder / "evaluation.json").read_text())
    assert told["lookahead_seconds"] == 0.5
    assert told["honest"]["lookahead"] == 5


def test_a_method_that_does_not_smooth_is_refused(
    tmp_path: Path, refused: Callable[..., str]
) -> None:
    calibration = calibrated(normal_video(2, 0), 1.0)
    detector = Constant()
    folder = tmp_path / "run"
    save_run(folder, detector, calibration, calibration.threshold(1.0), run_facts(detector))
    line = refused(2, "score", folder, tmp_path, "--out", tmp_path / "out", "--lookahead", 2)
    assert "does not smooth its scores" in line
    line = refused(2, "score", folder, tmp_path, "--out", tmp_path / "out", "--lookahead", 61)
    assert line == "--lookahead is from 0 to 60, got 61.0"
