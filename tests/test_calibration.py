"""Scores to rarities and to thresholds: held against distributions whose answer is known."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter
from scipy.stats import genpareto, norm

from oddframe.errors import BadInput, BadRun
from oddframe.scoring.calibration import COUNTED, GRID, PIECE, Calibration, calibrate
from oddframe.scoring.calibration_file import load_calibration, save_calibration
from oddframe.scoring.events import find_events
from oddframe.scoring.rarity import CEILING, SHAPES
from oddframe.types import Floats, Scores

FPS = 10.0


def film(value: Floats, name: str = "film") -> Scores:
    n = np.arange(len(value))
    return Scores(name, n, n / FPS, np.asarray(value, np.float64))


def independent(draw: Floats) -> Calibration:
    """The scale alone, of frames that follow each other by chance; events in them are not counted."""
    return Calibration(
        (np.sort(draw).astype(np.float32),), (len(draw) / FPS,), np.zeros((1, len(GRID))), "chance"
    )


def street(minutes: int, random: np.random.Generator, shape: float = 0.0) -> list[Scores]:
    """Normal video of one minute each: scores that hold together for about a second, with a generalised Pareto tail."""
    keep = math.exp(-1 / FPS)
    films = []
    for k in range(minutes):
        rough = random.standard_normal(int(60 * FPS) + 100)
        level = lfilter([math.sqrt(1 - keep**2)], [1, -keep], rough)[100:]
        films.append(film(genpareto.isf(norm.sf(level), shape), f"film {k}"))
    return films


def per_hour(calibration: Calibration, films: list[Scores], rarity: float) -> float:
    """Events counted one video at a time: the definition."""
    found = sum(
        len(find_events(replace(f, value=calibration.rarity(f.value)), rarity)) for f in films
    )
    return found * 60 / len(films)


@pytest.fixture(scope="module")
def ten_minutes() -> tuple[Calibration, list[Scores]]:
    films = street(10, np.random.default_rng(3))
    return calibrate(films, "leave one out"), films


# Rarity.


def test_rarity_is_minus_log10_of_the_share_that_score_as_high() -> None:
    N = 10_000
    ordinary = -np.log1p(-(np.arange(N) + 0.5) / N)  # quantiles of the exponential distribution
    calibration = independent(ordinary)
    assert calibration.rarity(np.array([ordinary[0] - 5, ordinary[0]])).tolist() == [0, 0], (
        "and what is below it"
    )
    for share in (0.5, 0.1, 0.03, 0.01, 0.001):
        assert calibration.rarity(np.array(-math.log(share))) == pytest.approx(
            -math.log10(share), abs=0.02
        )
    assert calibration.rarity(np.quantile(ordinary, 0.99)) == pytest.approx(2, abs=0.02)
    assert calibration.rarity(ordinary.reshape(100, 10, 10)).shape == (100, 10, 10)


@given(
    st.lists(st.floats(0, 1e6, width=32), min_size=1, max_size=60),
    st.lists(st.floats(-1e7, 1e7), min_size=2),
)
@settings(max_examples=60, deadline=None)
def test_rarity_rises_with_the_score_whatever_the_scores_are(
    normal: list[float], asked: list[float]
) -> None:
    calibration = calibrate([film(np.array(normal))], "one video")
    rarity = calibration.rarity(np.sort(asked))
    assert (np.diff(rarity) >= 0).all()
    assert (rarity >= 0).all()
    assert (rarity <= CEILING).all()
    assert calibration.rarity(np.array(min(normal))) == pytest.approx(0, abs=1e-9)
    rates = [calibration.rate(float(level)) for level in np.linspace(0.3, 11, 80)]
    assert (np.diff(rates) <= 1e-9).all()
    assert all(math.isfinite(rate) and rate >= 0 for rate in rates)


@pytest.mark.parametrize(("shape", "seed"), [(0.0, 0), (0.0, 1), (0.2, 2), (0.4, 3)])
def test_the_tail_reaches_beyond_the_recording(shape: float, seed: int) -> None:
    """Exponential and Pareto: from 20,000 frames to one in a million, where none was seen.

    One in a thousand was seen 20 times, which is uncertain by 1 / √20, a 0.1 of rarity: twice that is allowed. For the
    others, 400 frames are in the tail, so the shape's standard error is about (1 + shape) / 20 = 0.07. Over the 4.3
    decades (a factor e^10) between level and question, a shape off by 0.07 puts the rarity off by about
    4.3 · 10 · 0.07 / 2 = 1.5 at most, less where the true shape is larger. Two thirds of that are asked for.
    """
    random = np.random.default_rng(seed)
    calibration = independent(genpareto.rvs(shape, size=20_000, random_state=random))
    for share, within in ((1e-3, 0.2), (1e-4, 0.4), (1e-6, 1.0)):
        rarity = float(calibration.rarity(np.array(genpareto.isf(share, shape))))
        assert rarity == pytest.approx(-math.log10(share), abs=within)


@pytest.mark.parametrize("shape", [0.0, 0.15, 0.3, 0.45])
def test_the_tail_is_the_one_that_was_drawn_from(shape: float) -> None:
    """Above any level a generalised Pareto keeps its shape: the estimates of 20 samples lie around it."""
    random = np.random.default_rng(0)
    fits = [
        independent(genpareto.rvs(shape, size=20_000, random_state=random)).tail for _ in range(20)
    ]
    found = [tail for tail in fits if tail is not None]
    assert len(found) == 20
    # held to [0, 0.5], whose ends are reached by one-sided error: 0.4 of the standard error 0.05 on average
    assert np.mean([tail.shape for tail in found]) == pytest.approx(shape, abs=0.04)
    for tail in found:
        assert SHAPES[0] <= tail.shape <= SHAPES[1]
        assert tail.share == pytest.approx(0.02, rel=0.01)
        # the mean excess over a level is (scale + shape · level) / (1 − shape), here of scale 1; 400 of them
        mean = (1 + shape * tail.level) / (1 - shape)
        assert tail.scale / (1 - tail.shape) == pytest.approx(
            mean, rel=4 / math.sqrt(400 * (1 - 2 * shape))
        )


def test_a_tail_that_ends_is_not_believed() -> None:
    """Uniform scores end at 1, but a recording cannot know: beyond, rarity goes on rising, exponentially."""
    calibration = independent(np.random.default_rng(0).uniform(size=5000))
    assert calibration.tail is not None
    assert calibration.tail.shape == 0
    assert calibration.rarity(np.array(1.05)) > calibration.rarity(np.array(1.0)) > 2.5


@pytest.mark.parametrize("shape", [0.0, 0.3])
def test_score_at_inverts_rarity(shape: float) -> None:
    calibration = independent(
        genpareto.rvs(shape, size=5000, random_state=np.random.default_rng(1))
    )
    for rarity in (0.01, 0.5, 1.0, 1.69, 1.71, 2.5, 4.0, 7.0, 11.0):
        there = calibration.score_at(rarity)
        assert float(calibration.rarity(np.array(there))) == pytest.approx(rarity, abs=1e-3)
    levels = [calibration.score_at(float(rarity)) for rarity in np.linspace(0, 11, 200)]
    assert (np.diff(levels) > 0).all()


def test_what_is_rarer_than_any_recording_could_show_is_not_told_apart() -> None:
    calibration = independent(np.random.default_rng(0).exponential(size=1000))
    assert calibration.rarity(np.array([1e4, 1e30, np.inf])).tolist() == [CEILING] * 3


@pytest.mark.parametrize("level", [0.0, 0.7, 1e-9, 12345.678])
def test_normal_video_that_always_scores_the_same(level: float) -> None:
    """All ties: what scores as usual is not rare, and what scores higher is as rare as one unseen in so many."""
    calibration = calibrate([film(part) for part in np.full((10, 100), level)], "leave one out")
    assert calibration.tail is None
    assert calibration.rarity(np.array([level, np.float32(level), level - 1])).tolist() == [0, 0, 0]
    assert calibration.rarity(np.array(level + 1)) == pytest.approx(math.log10(1001))
    threshold = calibration.threshold(10.0)
    assert math.isfinite(threshold.rarity)
    assert threshold.rarity < math.log10(1001), "something strange can still be seen"


def test_excesses_that_are_all_alike_have_the_shortest_tail() -> None:
    """A score that saturates: the shape falls without end, it does not jump to the longest tail."""
    calibration = independent(np.repeat([0.0, 1.0], [970, 30]))
    assert calibration.tail is None or calibration.tail.shape == 0


def test_little_normal_video_is_enough_for_a_scale() -> None:
    for frames in (1, 2, 5, 30):
        calibration = calibrate([film(np.arange(float(frames)))], "one video")
        assert calibration.rarity(np.array(0.0)) == pytest.approx(0)
        assert math.isfinite(calibration.threshold(1.0).rarity)


@pytest.mark.parametrize(
    ("held_out", "words"),
    [
        ([], "no normal video"),
        ([film(np.zeros(0))], "no normal video"),
        ([film(np.array([1.0, np.inf]))], "finite"),
    ],
)
def test_nothing_to_learn_from_is_said(held_out: list[Scores], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        calibrate(held_out, "leave one out")


# Thresholds.


def test_alarms_are_counted_as_events_are_found(
    ten_minutes: tuple[Calibration, list[Scores]],
) -> None:
    calibration, films = ten_minutes
    for k in (0, 7, 20, 30, 50, 60):
        counted = calibration.alarms[:, k].sum() * 60 / len(films)
        assert counted == pytest.approx(per_hour(calibration, films, float(GRID[k])))


@pytest.mark.parametrize("asked", [600.0, 200.0, 60.0, 30.0, 18.0])
def test_a_counted_threshold_holds_on_the_video_it_was_counted_on(
    ten_minutes: tuple[Calibration, list[Scores]], asked: float
) -> None:
    calibration, films = ten_minutes
    threshold = calibration.threshold(asked)
    assert threshold.counted
    assert per_hour(calibration, films, threshold.rarity) <= asked
    assert threshold.expected <= asked
    assert threshold.interval[0] <= threshold.expected <= threshold.interval[1]
    lower = threshold.rarity - 0.05
    assert lower < GRID[0] or calibration.rate(lower) > asked, (
        "no threshold below it would have done"
    )


def test_a_lower_threshold_never_costs_less(ten_minutes: tuple[Calibration, list[Scores]]) -> None:
    calibration, _ = ten_minutes
    rates = [calibration.rate(float(rarity)) for rarity in np.arange(0.4, 11, 0.01)]
    assert (np.diff(rates) <= 1e-9).all(), (
        "also across the level at which counting ends and the tail takes over"
    )
    assert rates[-1] < 1e-4


@pytest.mark.parametrize("shape", [0.0, 0.3])
def test_thresholds_hold_on_video_that_was_not_seen(shape: float) -> None:
    """Six recordings of 20 minutes, each judged on the same 3 hours.

    Asked for 60 an hour, a recording holds about 20 events, which is uncertain by a factor of 1 ± 2 / √20, 0.55 to
    1.45. Asked for 1 an hour, which is extended by a decade: the mean of the six is within a factor of 3. And the
    intervals, which claim 95 %, hold at least five times in six.
    """
    random = np.random.default_rng(5)
    future = street(180, random, shape)
    whole = film(np.concatenate([one.value for one in future]))
    held: dict[float, list[bool]] = {}
    real: dict[float, list[float]] = {}
    for _ in range(6):
        calibration = calibrate(street(20, random, shape), "leave one out")
        judged = replace(whole, value=calibration.rarity(whole.value))
        for asked in (60.0, 1.0):
            threshold = calibration.threshold(asked)
            loud = judged.value >= 0.7 * threshold.rarity  # the others change nothing and take long
            near = loud | np.roll(loud, 1) | np.roll(loud, -1)
            some = Scores("film", judged.frame[near], judged.seconds[near], judged.value[near])
            rate = len(find_events(some, threshold.rarity)) / 3
            real.setdefault(asked, []).append(rate)
            held.setdefault(asked, []).append(
                threshold.interval[0] <= rate <= threshold.interval[1]
            )
    assert all(60 * 0.4 <= rate <= 60 * 1.7 for rate in real[60.0])
    for asked, rates in real.items():
        assert asked / 3 <= np.mean(rates) <= 3 * asked
        assert sum(held[asked]) >= 5


def test_what_cannot_be_counted_is_said(ten_minutes: tuple[Calibration, list[Scores]]) -> None:
    calibration, _ = ten_minutes
    threshold = calibration.threshold(1.0)
    assert not threshold.counted
    assert threshold.supported == pytest.approx(COUNTED * 6, rel=0.01), "three in ten minutes"
    assert threshold.rarity > calibration.threshold(threshold.supported * 1.01).rarity
    assert threshold.expected <= 1
    low, high = threshold.interval
    assert low == 0, "no recording excludes that something never happens"
    assert 1 < high < 60 * 6, "more than the expected, and less than was seen"
    for words in (
        "10.0 min of normal video",
        "no rate below 18",
        "1 per hour",
        f"up to {high:.0f}",
    ):
        assert words in threshold.note
    assert len(threshold.note) < 200


def test_longer_video_makes_surer() -> None:
    widths = []
    for minutes in (4, 12, 40):
        threshold = calibrate(
            street(minutes, np.random.default_rng(11)), "leave one out"
        ).threshold(60.0)
        widths.append(threshold.interval[1] / max(threshold.expected, 1))
    assert widths[0] > widths[1] > widths[2] > 1
    assert widths[2] < 2


def test_one_long_film_is_as_good_as_many_short_ones() -> None:
    """Without cutting it up, resampling would draw the long film or would not, and say nothing of its length."""
    films = street(20, np.random.default_rng(2))
    joined = film(np.concatenate([one.value for one in films]), "all")
    short = film(np.random.default_rng(1).exponential(size=50), "five seconds")
    many, one = (
        calibrate([*films, short], "x").threshold(30.0),
        calibrate([joined, short], "x").threshold(30.0),
    )
    assert one.rarity == pytest.approx(many.rarity, abs=0.1)
    assert one.interval[1] == pytest.approx(many.interval[1], rel=0.3)
    pieces = calibrate([joined, short], "x")
    assert max(pieces.seconds) <= PIECE * 1.02
    assert sum(pieces.seconds) == pytest.approx(20 * 60 + 5, rel=1e-3)
    assert sum(map(len, pieces.scores)) == len(joined) + len(short)


def test_the_seed_decides_the_interval_and_nothing_else(
    ten_minutes: tuple[Calibration, list[Scores]],
) -> None:
    calibration, _ = ten_minutes
    one, again, other = (calibration.threshold(1.0, seed) for seed in (0, 0, 1))
    assert one == again
    assert replace(other, interval=one.interval, note=one.note) == one


@pytest.mark.parametrize("asked", [0.0, -1.0, math.inf, math.nan])
def test_a_rate_is_a_number_above_zero(
    ten_minutes: tuple[Calibration, list[Scores]], asked: float
) -> None:
    with pytest.raises(BadInput, match="above 0"):
        ten_minutes[0].threshold(asked)


# On disk.


def test_saved_and_loaded_is_the_same(
    ten_minutes: tuple[Calibration, list[Scores]], tmp_path: Path
) -> None:
    calibration, _ = ten_minutes
    save_calibration(calibration, tmp_path / "calibration.npz")
    again = load_calibration(tmp_path / "calibration.npz")
    scores = np.linspace(0, 30, 500)
    np.testing.assert_array_equal(again.rarity(scores), calibration.rarity(scores))
    assert again.threshold(1.0) == calibration.threshold(1.0)
    assert (again.how, again.hours) == (calibration.how, calibration.hours)
    assert [path.name for path in tmp_path.iterdir()] == ["calibration.npz"]


def test_damage_is_said_in_one_line(
    ten_minutes: tuple[Calibration, list[Scores]], tmp_path: Path
) -> None:
    path = tmp_path / "calibration.npz"
    with pytest.raises(BadRun, match=r"calibration\.npz is missing"):
        load_calibration(path)
    save_calibration(ten_minutes[0], path)
    whole = path.read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], b"text", b"PK\x03\x04" + bytes(100)):
        path.write_bytes(damaged)
        with pytest.raises(BadRun) as error:
            load_calibration(path)
        assert "\n" not in str(error.value)
    path.write_bytes(whole)
    with np.load(path) as held:
        good = dict(held)
    for name in good:
        parts = {key: value for key, value in good.items() if key != name}
        np.savez(path, **parts)
        with pytest.raises(BadRun):
            load_calibration(path)
    np.savez(path, **(good | {"alarms": good["alarms"][:, :5]}))
    with pytest.raises(BadRun, match="do not fit"):
        load_calibration(path)


def test_a_pause_of_an_hour_is_not_normal_video() -> None:
    """Rates are events per filmed hour: a clock that jumps makes none of them rarer."""
    value = np.random.default_rng(0).normal(size=3000)
    n = np.arange(3000)
    plain = calibrate([Scores("v", n, n / 10, value)], "test")
    paused = calibrate([Scores("v", n, n / 10 + 3600.0 * (n >= 1234), value)], "test")
    assert plain.hours == pytest.approx(300 / 3600)
    assert paused.hours == pytest.approx(plain.hours)
    assert len(paused.seconds) == len(plain.seconds) == 5


def test_no_table_is_sized_by_a_clock() -> None:
    n = np.arange(40)
    leaping = calibrate([Scores("v", n, n * 86_000.0, n % 7 / 7)], "test")
    assert len(leaping.seconds) <= 40
