"""FlowGrid on scenes of which everything is known: what it finds, where, and what it must leave alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oddframe.errors import BadInput
from oddframe.methods.flowgrid import FlowGrid
from oddframe.methods.flowgrid.standing import LEAST_STANDING, LOOK_SECONDS
from oddframe.run import Run
from oddframe.scoring.cross_validation import refit_each_fold
from oddframe.scoring.pipeline import concatenate, score_frames
from oddframe.serialization import load, save
from oddframe.types import Bytes, Clips, Scores, Video
from oddframe.video.clips import clips_of
from scenes import SIZE, Block, as_frames, filmed, scene, walkers

H, W = SIZE
BENCH = Block(
    100, 20, 0, start=40, end=100, wraps=False
)  # in every normal film something stands here for six seconds
DOORWAY = (20, 8)  # (x, y) where nothing ever was
STOPS = 40  # the frame from which on something stands


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[Video]:
    folder = tmp_path_factory.mktemp("normal")
    return [
        filmed(folder / f"normal{k}.mp4", scene([*walkers(k), BENCH], 160, seed=k))
        for k in range(3)
    ]


@pytest.fixture(scope="module")
def detector(videos: list[Video], tmp_path_factory: pytest.TempPathFactory) -> FlowGrid:
    detector = FlowGrid()
    detector.fit(videos, Run(tmp_path_factory.mktemp("run")))
    return detector


@pytest.fixture(scope="module")
def usual(detector: FlowGrid) -> Scores:
    """A normal film that it has not seen."""
    return said(detector, scene(walkers(10), 130, seed=10))


def said(detector: FlowGrid, pictures: Bytes) -> Scores:
    return concatenate(score_frames(detector, iter(as_frames(pictures)), "film"))


def heat_of(scores: Scores, frame: int) -> Any:
    """(h, w)"""
    assert scores.map is not None
    return scores.map[int(np.flatnonzero(scores.frame == frame)[0])]


def cells(detector: FlowGrid, block: Block, t: int) -> tuple[slice, slice]:
    """Rows and columns of the map that lie under a block."""
    corner, s = block.corner(t, W), detector.grid.stride
    assert corner is not None
    (x, y), (h, w) = (int(corner[0]), int(corner[1])), block.size
    return slice(y // s, -(-(y + h) // s)), slice(max(0, x // s), -(-(x + w) // s))


# Motion.


def test_windows_are_about_as_large_as_the_walkers(detector: FlowGrid) -> None:
    small, large = detector.grid.windows
    assert 12 <= small <= 22, "blocks of 16 pixels, and the blur that finds them"
    assert large == pytest.approx(1.5 * small, abs=2)
    assert detector.grid.frame_step == 1, "1.5 pixels a frame are enough to see"


@pytest.mark.parametrize(
    ("x", "y", "speed"),
    [
        pytest.param(20, 30, 6, id="above, to the right"),
        pytest.param(150, 90, -6, id="below, to the left"),
    ],
)
def test_what_rushes_is_hottest_where_it_is(
    detector: FlowGrid, usual: Scores, x: int, y: int, speed: float
) -> None:
    block = Block(x, y, speed, wraps=False)
    scores = said(detector, scene([*walkers(10), block], 22, seed=10))
    hits = 0
    for t in range(6, 18):
        corner = block.corner(t, W)
        assert corner is not None
        row, column = np.unravel_index(heat_of(scores, t).argmax(), heat_of(scores, t).shape)
        s, reach = detector.grid.stride, detector.grid.windows[1] / 2
        hits += (
            corner[0] - abs(speed) - reach
            <= (column + 0.5) * s
            <= corner[0] + 8 + abs(speed) + reach
            and corner[1] - reach <= (row + 0.5) * s <= corner[1] + 16 + reach
        )
    assert hits >= 11, "the hottest cell lies on the block, in x and in y"
    during = (scores.frame >= 6) & (scores.frame < 18)
    assert scores.value[during].min() > np.quantile(usual.value, 0.95)
    assert scores.value[during].mean() > 1.5 * usual.value.max()


def test_the_map_covers_the_picture(detector: FlowGrid, usual: Scores) -> None:
    assert usual.map is not None
    s = detector.grid.stride
    assert usual.map.shape[1:] == (H // s, W // s)
    np.testing.assert_array_equal(usual.map.reshape(len(usual), -1).max(1), usual.value)


def test_an_empty_street_scores_nothing(detector: FlowGrid) -> None:
    assert said(detector, scene([], 40, seed=5)).value.max() == 0


@pytest.mark.parametrize("share", [-0.3, 0.3])
def test_slow_light_raises_nothing(detector: FlowGrid, usual: Scores, share: float) -> None:
    pictures = scene(walkers(10), 130, seed=10).astype(float)
    light = 1 + share * np.arange(130) / 130
    scores = said(detector, np.clip(pictures * light[:, None, None], 0, 255).astype(np.uint8))
    assert np.quantile(scores.value, 0.95) < 1.5 * np.quantile(usual.value, 0.95)
    still = said(
        detector, np.clip(scene([], 130, seed=3) * light[:, None, None], 0, 255).astype(np.uint8)
    )
    assert still.value.max() < usual.value.max()


def test_more_noise_raises_nothing_much(detector: FlowGrid, usual: Scores) -> None:
    scores = said(detector, scene(walkers(10), 60, seed=10, noise=4.0))
    assert np.quantile(scores.value, 0.95) < 1.5 * np.quantile(usual.value, 0.95)
    assert said(detector, scene([], 30, noise=8.0)).value.max() < usual.value.max(), (
        "a dark night without anybody"
    )


# Standing.


def test_what_stops_where_nothing_stood_is_seen_after_the_margin_and_not_before(
    detector: FlowGrid,
) -> None:
    block = Block(*DOORWAY, 0, size=(16, 10), start=STOPS, wraps=False)
    scores = said(detector, scene([*walkers(10), block], 130, seed=10))
    where = cells(detector, block, 60)
    heat = np.array([heat_of(scores, t)[where].max() for t in range(1, 130)])
    margin = float(detector.longest_dwell[where].min()) * LOOK_SECONDS
    assert LEAST_STANDING <= margin <= 6
    assert heat[STOPS + 5 : STOPS + int(10 * (margin - 0.5))].max() == 0, (
        "it has not stood for long enough"
    )
    late = heat[STOPS + int(10 * (margin + 1.0)) :]
    assert len(late) > 10
    assert late.min() > float(detector.reference_level), (
        "and then stands out more than nearly all normal motion"
    )
    assert (np.diff(late) >= 0).all(), "the longer the more"


def test_what_stands_where_things_stand_is_left_alone(detector: FlowGrid) -> None:
    block = Block(BENCH.x, BENCH.y, 0, start=STOPS, wraps=False)
    scores = said(detector, scene([block], 130, seed=10))
    where = cells(detector, block, 60)
    assert max(heat_of(scores, t)[where].max() for t in range(STOPS + 5, 130)) == 0


def test_what_stands_is_held_out_as_it_is_scored(tmp_path: Path) -> None:
    """Held-out video is judged frame by frame, scored video clip by clip: both must count the same seconds."""
    block = Block(*DOORWAY, 0, size=(16, 10), start=10, wraps=False)
    films = [
        filmed(tmp_path / "one.mp4", scene(walkers(1), 110, seed=1)),
        filmed(tmp_path / "two.mp4", scene([*walkers(2), block], 110, seed=2)),
    ]
    detector, run = FlowGrid(windows=(16, 24), frame_step=1), Run(tmp_path)
    quick = list(detector.score_folds(films, [0, 1], run))[1]
    general = list(refit_each_fold(detector, films, [0, 1], run))[1]
    waiting = (quick.frame > 15) & (quick.frame < 10 + 10 * LEAST_STANDING)
    assert quick.value[-10:].min() > 1.5 * np.median(quick.value[waiting]), "it stands out"
    np.testing.assert_allclose(quick.value, general.value, rtol=1e-2)


def test_watching_for_what_stands_can_be_switched_off(videos: list[Video], tmp_path: Path) -> None:
    detector = FlowGrid(dwell_seconds=0)
    detector.fit(videos[:2], Run(tmp_path))
    assert detector.spec.length == 2
    block = Block(*DOORWAY, 0, size=(16, 10), start=STOPS, wraps=False)
    scores = said(detector, scene([block], 130, seed=10))
    assert scores.value[scores.frame > STOPS + 5].max() == 0


# Why.


def last_clips(detector: FlowGrid, pictures: Bytes) -> Clips:
    return list(clips_of(as_frames(pictures), detector.spec, "film", 8))[-1]


def test_the_nearest_normal_example_is_real(
    detector: FlowGrid, videos: list[Video], tmp_path: Path
) -> None:
    block = Block(20, 30, 6, wraps=False)
    clips = last_clips(detector, scene([*walkers(10), block], 16, seed=10))
    save(detector, tmp_path)
    for fitted in (detector, load(tmp_path)):
        assert isinstance(fitted, FlowGrid)
        example = fitted.nearest_normal(clips)
        assert example.source in [video.source for video in videos]
        assert example.source.is_file()
        assert 1 <= example.frame < 160
        for box in (example.box, example.example_box):
            assert box is not None
            x1, y1, x2, y2 = box
            assert 0 <= x1 < x2 <= 1
            assert 0 <= y1 < y2 <= 1
        corner = block.corner(15, W)
        assert corner is not None
        x1, y1, x2, y2 = example.box
        assert x1 < (corner[0] + 4) / W < x2
        assert y1 < (corner[1] + 8) / H < y2
        here, usually = (
            float(word) for word in example.text.replace("%", " ").split() if word.isdigit()
        )
        assert here == pytest.approx(100 * 60 / W, rel=0.4), "six pixels in a tenth of a second"
        assert usually < here
        assert usually <= 100 * 25 / W, "walkers make 1.7 at most"


def test_an_example_of_something_that_stands_says_so(detector: FlowGrid) -> None:
    block = Block(*DOORWAY, 0, size=(16, 10), start=0, wraps=False)
    example = detector.nearest_normal(last_clips(detector, scene([block], 110, seed=10)))
    assert "stands" in example.text
    assert example.source is None
    x1, y1, x2, y2 = example.box
    # what stands also makes the cells around it, up to four, unlike their background: the local mean changes
    around = 4 * detector.grid.stride
    assert x1 - around / W < (DOORWAY[0] + 5) / W < x2 + around / W
    assert y1 - around / H < (DOORWAY[1] + 8) / H < y2 + around / H


# State and options.


def test_what_was_learned_survives(detector: FlowGrid) -> None:
    other = FlowGrid()
    other.load_state(detector.state(), detector.metadata())
    assert other.grid == detector.grid
    assert other.learned_from == detector.learned_from
    assert other.spec == detector.spec
    assert other.metadata() == detector.metadata()
    assert other.state().keys() == detector.state().keys()


@pytest.mark.parametrize(
    "options",
    [
        {"size": 4},
        {"fps": 0.0},
        {"fps": float("nan")},
        {"flow": "slow"},
        {"bank": 0},
        {"neighbours": 0},
        {"bank": 3, "neighbours": 5},
        {"row_weight": -1.0},
        {"half_life": -0.1},
        {"half_life": float("inf")},
        {"rare_share": 1.5},
        {"dwell_seconds": -1.0},
        {"windows": (0, 10)},
        {"frame_step": 0},
    ],
)
def test_impossible_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises((BadInput, ValueError), match=f"(?s)({'|'.join(options)}).*got"):
        FlowGrid(**options)


def test_given_windows_and_gap_are_used(videos: list[Video], tmp_path: Path) -> None:
    detector = FlowGrid(windows=(20, 30), frame_step=3, dwell_seconds=3)
    detector.fit(videos[:1], Run(tmp_path))
    assert detector.grid.windows == (20, 30)
    assert detector.grid.frame_step == detector.spec.stride == 3
    assert detector.spec.length == 11, "three seconds and the frame now, at every third frame"


def test_without_motion_there_is_nothing_to_learn(tmp_path: Path) -> None:
    still = [filmed(tmp_path / f"{k}.mp4", scene([], 30, seed=k)) for k in range(2)]
    with pytest.raises(BadInput, match="nothing moves"):
        FlowGrid().fit(still, Run(tmp_path / "run"))


def test_another_seed_remembers_other_windows(videos: Sequence[Video], tmp_path: Path) -> None:
    one, other = (FlowGrid(bank=50, windows=(16, 24), frame_step=1) for _ in range(2))
    one.fit(videos[:1], Run(tmp_path, seed=0))
    other.fit(videos[:1], Run(tmp_path, seed=1))
    assert one.bank.shape == other.bank.shape == (50, 7)
    assert not np.array_equal(one.bank, other.bank)
