"""Scene on scenes of which everything is known: what it finds, where, what it says of it, and what it must leave
alone.
"""

import json
import logging
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest

import oddframe
from oddframe.cli.main import main
from oddframe.errors import BadInput, BadRun
from oddframe.methods.scene import Scene
from oddframe.methods.scene.cells import STANDING, CellStream, StandingCounter
from oddframe.methods.scene.evidence import CEILING, KNOTS, LEAST_SAY, learn_curve
from oddframe.methods.scene.memories import MEMORIES
from oddframe.methods.scene.remembered import cut_to
from oddframe.run import Run
from oddframe.scoring.pipeline import concatenate, score_frames
from oddframe.scoring.run_folder import load_run
from oddframe.serialization import load, save
from oddframe.types import Bytes, Clips, Floats, Scores, Video
from oddframe.video.clips import clips_of
from oddframe.video.reader import read
from scenes import SIZE, Block, as_frames, filmed, scene, walkers

H, W = SIZE
BENCH = Block(100, 20, 0, start=50, end=105, wraps=False)  # in every normal film it stands there
DOORWAY = Block(20, 76, 0, size=(16, 10), start=40, wraps=False)  # where nothing ever stood
RUSHES = Block(20, 60, 6, wraps=False)
ROWS = 5  # of walkers, at heights of their own
FRAMES = 160


def lanes(seed: int, count: int = ROWS) -> list[Block]:
    """Walkers who all go to the right."""
    found = []
    for block in walkers(seed, count):
        found.append(replace(block, speed=abs(block.speed)))
    return found


def wrong_way(seed: int, row: int) -> list[Block]:
    """The same, but one of them goes the other way."""
    blocks = lanes(seed)
    blocks[row] = replace(blocks[row], speed=-blocks[row].speed)
    return blocks


def said(detector: Scene, pictures: Bytes, batch: int = 8) -> Scores:
    frames = iter(as_frames(pictures))
    return concatenate(score_frames(detector, frames, "film", batch=batch))


def fit_on(
    films: Sequence[Bytes], folder: Path, seed: int = 0, **options: Any
) -> tuple[Scene, Run]:
    folder.mkdir(exist_ok=True, parents=True)
    videos = [filmed(folder / f"{k}.mp4", pictures) for k, pictures in enumerate(films)]
    detector, run = Scene(**options), Run(folder / "run", seed=seed)
    detector.fit(videos, run)
    return detector, run


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[Video]:
    folder = tmp_path_factory.mktemp("normal")
    films = [scene([*lanes(k), BENCH], FRAMES, seed=k) for k in range(4)]
    return [filmed(folder / f"normal{k}.mp4", pictures) for k, pictures in enumerate(films)]


@pytest.fixture(scope="module")
def detector(videos: list[Video], tmp_path_factory: pytest.TempPathFactory) -> Scene:
    detector = Scene()
    detector.fit(videos, Run(tmp_path_factory.mktemp("run")))
    return detector


@pytest.fixture(scope="module")
def usual(detector: Scene) -> Scores:
    """A normal film that it has not seen."""
    return said(detector, scene(lanes(10), 130, seed=10))


def lies_on(detector: Scene, scores: Scores, block: Block, t: int) -> bool:
    """Whether the hottest cell of frame t lies on a block, or beside it."""
    assert scores.map is not None
    heat = scores.map[int(np.flatnonzero(scores.frame == t)[0])]
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    corner = block.corner(t, W)
    assert corner is not None
    s = detector.stride
    reach = 2 * s + abs(block.speed)
    x, y = (column + 0.5) * s, (row + 0.5) * s
    inside_x = corner[0] - reach <= x <= corner[0] + block.size[1] + reach
    return bool(inside_x and corner[1] - reach <= y <= corner[1] + block.size[0] + reach)


# What is found, and where.


@pytest.mark.parametrize("row", [1, 2])
def test_the_wrong_way_is_rarer_than_normal_and_hottest_where_it_is(
    detector: Scene, usual: Scores, row: int
) -> None:
    blocks = wrong_way(10, row)
    scores = said(detector, scene(blocks, 60, seed=10))
    assert np.median(scores.value) > np.quantile(usual.value, 0.95)
    shown = [t for t in range(5, 60) if 5 < (blocks[row].corner(t, W) or (0, 0))[0] < W - 20]
    hits = [lies_on(detector, scores, blocks[row], t) for t in shown]
    assert np.mean(hits) > 0.9


def test_what_rushes_is_rarer_than_normal_and_hottest_where_it_is(
    detector: Scene, usual: Scores
) -> None:
    scores = said(detector, scene([*lanes(10), RUSHES], 20, seed=10))
    during = scores.value[(scores.frame >= 3) & (scores.frame < 18)]
    assert during.min() > usual.value.max()
    assert np.mean([lies_on(detector, scores, RUSHES, t) for t in range(3, 18)]) > 0.9


def test_what_stands_where_nothing_stood_is_found_and_what_stands_where_things_do_is_not(
    detector: Scene, usual: Scores
) -> None:
    scores = said(detector, scene([*lanes(10, 2), DOORWAY], 110, seed=10))
    late = scores.frame >= 60
    assert scores.value[late].min() > usual.value.max()
    assert all(lies_on(detector, scores, DOORWAY, t) for t in range(60, 110, 5))
    bench = said(detector, scene([BENCH], 95, seed=10))
    assert np.median(bench.value[bench.frame >= 60]) < 1.0, "as one normal frame in ten"


def test_nobody_there_is_nothing(detector: Scene, usual: Scores) -> None:
    assert said(detector, scene([], 40, seed=5)).value.max() == 0
    assert usual.map is not None
    assert usual.map.shape[1:] == detector.grid
    assert np.median(usual.value) < 1.0


# What it must leave alone.


@pytest.mark.parametrize("share", [-0.3, 0.3])
def test_slow_light_raises_nothing(detector: Scene, usual: Scores, share: float) -> None:
    light = 1 + share * np.arange(130) / 130
    for blocks in (lanes(10), []):
        pictures = scene(blocks, 130, seed=10) * light[:, None, None]
        scores = said(detector, np.clip(pictures, 0, 255).astype(np.uint8))
        assert np.quantile(scores.value, 0.95) < 1.3 * np.quantile(usual.value, 0.95)


def test_flicker_raises_nothing_much(detector: Scene) -> None:
    light = 1 + 0.08 * (-1.0) ** np.arange(130)
    pictures = scene(lanes(10), 130, seed=10) * light[:, None, None]
    scores = said(detector, np.clip(pictures, 0, 255).astype(np.uint8))
    assert np.median(scores.value) < 1.0, "as one normal frame in ten"
    assert np.quantile(scores.value, 0.95) < 2.0


def test_more_noise_raises_nothing_much(detector: Scene) -> None:
    scores = said(detector, scene(lanes(10), 130, seed=10, noise=4.0))
    assert np.median(scores.value) < 1.0, "as one normal frame in ten"
    assert np.quantile(scores.value, 0.95) < 2.0
    night = said(detector, scene([], 60, noise=8.0))
    assert np.quantile(night.value, 0.95) == 0, "nobody is there"


# Standing.


def seconds_standing(detector: Scene, pictures: Bytes, at: tuple[int, int], batch: int) -> Floats:
    """(T,) of the cell at (x, y) in each frame; 0 where it is not covered."""
    stream = CellStream(detector.watcher())
    frames = as_frames(pictures)
    cell = at[1] // detector.stride * detector.grid[1] + at[0] // detector.stride
    found = np.zeros(len(frames))
    for first in range(0, len(frames), batch):
        for frame, cells in stream.see(frames[first : first + batch]):
            found[frame.index] = cells.numbers[cells.cell == cell, STANDING].sum()
    return found


def test_standing_is_counted_in_seconds_since_the_cell_was_empty(detector: Scene) -> None:
    block = replace(DOORWAY, end=80)
    pictures = scene([block, replace(block, start=90, end=999)], 150, seed=20)
    seconds = seconds_standing(detector, pictures, (25, 84), batch=7)
    assert seconds[:40].max() == 0
    assert seconds[79] == pytest.approx(4.0 - 0.5, abs=0.25), "half a second tells that it stands"
    assert seconds[82:90].max() == 0
    assert seconds[94] <= 0.2, "counted anew"
    assert seconds[149] == pytest.approx(detector.standing_seconds), "and no further"
    assert seconds.max() <= detector.standing_seconds + 1e-6
    for batch in (1, 64):
        np.testing.assert_array_equal(
            seconds, seconds_standing(detector, pictures, (25, 84), batch=batch)
        )


def test_standing_counter_counts_what_was_still_since_empty_twice() -> None:
    counter = StandingCounter((1, 1), 5, 20)

    def push(still: bool, empty: bool) -> int:
        return int(counter.push(np.array([[still]]), np.array([[empty]]))[0, 0])

    assert [push(True, False) for _ in range(7)] == [1, 2, 3, 4, 5, 5, 5]
    assert push(False, True) == 4, "one frame without it may be a miss"
    assert push(True, False) == 4
    assert [push(False, True), push(False, True)][1] == 0
    assert push(True, False) == 1


def test_what_is_there_from_the_start_or_for_long_has_not_come() -> None:
    counter = StandingCounter((1, 1), 5, 20)
    there, empty = np.array([[True]]), np.array([[False]])
    counter.push(there, empty)
    assert not counter.arrived.any(), "nothing tells whether it came"
    for _ in range(2):
        counter.push(empty, there)
    counter.push(there, empty)
    assert counter.arrived.all()
    for _ in range(20):
        counter.push(there, empty)
    assert not counter.arrived.any(), "it is part of the place now"


def test_scores_are_the_same_whatever_the_batch_and_wherever_a_clip_was_cut(
    detector: Scene,
) -> None:
    pictures = scene([*lanes(11), DOORWAY], 110, seed=11)
    scores = said(detector, pictures)
    np.testing.assert_array_equal(scores.value, said(detector, pictures, batch=3).value)
    frames = as_frames(pictures)
    for end in (30, 60, 109):
        begin = max(0, end + 1 - detector.spec.length)
        clips = list(clips_of(frames[begin : end + 1], detector.spec, "cut", 8))[-1]
        value = detector.score(clips).value[-1]
        assert value == pytest.approx(scores.value[scores.frame == end][0], rel=1e-5)


# Why.


def last_clips(detector: Scene, pictures: Bytes) -> Clips:
    return list(clips_of(as_frames(pictures), detector.spec, "film", 8))[-1]


def heard_alone(detector: Scene, name: str) -> Scene:
    """The same, but only one memory is heard."""
    other = Scene()
    other.load_state(detector.state(), detector.metadata())
    other.say = np.where([memory == name for memory in MEMORIES], 1.0, 0.0).astype(np.float32)
    return other


LARGE = Block(60, 50, 1.5, size=(44, 40), wraps=False)


@pytest.mark.parametrize(
    ("memory", "block", "frames", "words"),
    [
        ("motion", RUSHES, 14, "most similar normal motion at this height"),
        ("size", LARGE, 20, "of its surroundings"),
        ("standing", DOORWAY, 100, "Something stands: still for"),
    ],
)
def test_an_explanation_names_the_memory_with_numbers_and_a_real_example(
    detector: Scene,
    videos: list[Video],
    tmp_path: Path,
    memory: str,
    block: Block,
    frames: int,
    words: str,
) -> None:
    save(heard_alone(detector, memory), tmp_path)
    fitted = load(tmp_path)
    assert isinstance(fitted, Scene)
    clips = last_clips(fitted, scene([*lanes(10, 2), block], frames, seed=10))
    example = fitted.nearest_normal(clips)
    assert words in example.text
    assert any(character.isdigit() for character in example.text)
    assert example.source in [video.source for video in videos]
    assert example.frame is not None
    assert 1 <= example.frame < FRAMES
    corner = block.corner(frames - 1, W)
    assert corner is not None
    for box in (example.box, example.example_box):
        assert box is not None
        assert 0 <= box[0] < box[2] <= 1
        assert 0 <= box[1] < box[3] <= 1
    x1, y1, x2, y2 = example.box
    assert x1 < (corner[0] + block.size[1] / 2) / W < x2
    assert y1 < (corner[1] + block.size[0] / 2) / H < y2


def test_the_memory_that_finds_it_rarest_speaks(detector: Scene) -> None:
    rushes = last_clips(detector, scene([*lanes(10, 2), RUSHES], 14, seed=10))
    assert "Moves" in detector.nearest_normal(rushes).text
    assert "to the right" in detector.nearest_normal(rushes).text
    stands = last_clips(detector, scene([*lanes(10, 2), DOORWAY], 100, seed=10))
    assert "Something stands" in detector.nearest_normal(stands).text


def test_where_nothing_is_the_explanation_says_so(detector: Scene) -> None:
    example = detector.nearest_normal(last_clips(detector, scene([], 20, seed=1)))
    assert "Nothing is there" in example.text
    assert example.source is None


# Which memories are heard.


def test_a_memory_that_cannot_tell_is_silent(detector: Scene) -> None:
    pictures = scene([*lanes(10), RUSHES], 14, seed=10)
    clips = last_clips(detector, pictures)
    cells = detector.cells_of_clip(clips, len(clips) - 1)
    assert cells is not None
    for k, name in enumerate(MEMORIES):
        quiet = Scene()
        quiet.load_state(detector.state(), detector.metadata())
        quiet.say = detector.say.copy()
        quiet.say[k] = LEAST_SAY - 0.01
        assert not quiet.rarities_of(cells)[k].any()
        assert quiet.what_speaks()[name]["heard"] is False
        others = np.arange(len(MEMORIES)) != k
        np.testing.assert_array_equal(
            quiet.rarities_of(cells)[others], detector.rarities_of(cells)[others]
        )


def test_every_memory_tells_its_own_faults_here(detector: Scene) -> None:
    speaks = detector.what_speaks()
    assert list(speaks) == list(MEMORIES)
    assert all(one["heard"] for one in speaks.values())


def test_an_answer_that_many_normal_frames_share_is_as_rare_as_the_first_of_them() -> None:
    curve = learn_curve(np.array([0.0] * 80 + [1.0] * 15 + [2.0] * 5))
    assert len(curve.knots) == KNOTS
    rarity = curve.rarity(np.array([0.0, 1.0, 1.5, 2.0, 50.0]))
    assert rarity[0] == 0
    assert rarity[1] == pytest.approx(-np.log10(0.2), abs=0.02)
    assert (np.diff(rarity) > 0).all()
    assert rarity[-1] == CEILING


# Scenes that are not as they should be.


def test_without_any_thing_there_is_nothing_to_learn(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="nothing moves"):
        fit_on([scene([], 40, seed=k) for k in range(2)], tmp_path)


def test_one_thing_that_is_always_there_is_normal(tmp_path: Path) -> None:
    detector, _ = fit_on([scene([Block(0, 60, 1.5)], 120, seed=k) for k in range(2)], tmp_path)
    scores = said(detector, scene([Block(30, 60, 1.5)], 60, seed=9))
    assert np.isfinite(scores.value).all()
    assert np.median(scores.value) <= 1.0
    other = said(detector, scene([Block(150, 60, -1.5, wraps=False)], 40, seed=9))
    assert np.isfinite(other.value).all()


def shaken(pictures: Bytes, seed: int) -> Bytes:
    """Frames displaced by a random walk of some pixels."""
    random = np.random.default_rng(seed)
    at = np.zeros(2, int)
    moved = []
    for picture in pictures:
        at = np.clip(at + random.integers(-2, 3, 2), -6, 6)
        moved.append(np.roll(picture, at.tolist(), (0, 1)))
    return np.stack(moved)


def test_a_camera_that_moves_is_said_and_scores_stay_finite(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    films = [shaken(scene(lanes(k), 100, seed=k), k) for k in range(2)]
    with caplog.at_level(logging.WARNING):
        detector, run = fit_on(films, tmp_path)
    assert "the camera moves" in caplog.text
    assert not detector.has_background
    assert float(str(run.notes["background_explains"])) < 0.5
    assert not detector.what_speaks()["standing"]["heard"]
    scores = said(detector, shaken(scene(lanes(9), 40, seed=9), 9))
    assert np.isfinite(scores.value).all()
    other = Scene()
    other.load_state(detector.state(), detector.metadata())
    assert other.background is None


def test_a_place_that_changes_for_good_is_said_and_scores_stay_finite(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    films = [scene(lanes(k), 100, seed=k) for k in range(4)]
    films[2:] = [np.roll(pictures, (37, 53), (1, 2)) for pictures in films[2:]]
    with caplog.at_level(logging.WARNING):
        detector, run = fit_on(films, tmp_path)
    assert "the place itself changes: 50 %" in caplog.text
    assert run.notes["same_place"] == 0.5
    for pictures in (scene(lanes(9), 40, seed=9), np.roll(scene(lanes(9), 40), (37, 53), (1, 2))):
        assert np.isfinite(said(detector, pictures).value).all()


# Going on from an earlier run.


def copies(videos: Sequence[Video], folder: Path) -> list[Path]:
    return [Path(shutil.copy(video.source, folder)) for video in videos]


def test_a_run_goes_on_without_its_old_videos_as_if_all_had_been_there(
    videos: list[Video], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = copies(videos, tmp_path)
    old = oddframe.fit("scene", sources[:2], out=tmp_path / "old", keep_features=True)
    assert isinstance(old.detector, Scene)
    for source in sources[:2]:
        source.rename(source.with_suffix(".gone"))
    new = oddframe.fit(None, sources[2:], add=old.folder, out=tmp_path / "new")
    for source in sources[:2]:
        source.with_suffix(".gone").rename(source)
    view = old.detector

    def look_as_the_old(self: Scene, _: object) -> None:
        self.see_as(view)

    monkeypatch.setattr(Scene, "learn_view", look_as_the_old)
    whole = oddframe.fit("scene", sources, out=tmp_path / "whole")
    for name, array in whole.detector.state().items():
        np.testing.assert_array_equal(array, new.detector.state()[name], err_msg=name)
    saved = [(run.folder / "calibration.npz").read_bytes() for run in (new, whole)]
    assert saved[0] == saved[1]
    assert new.threshold == whole.threshold


def test_a_part_of_what_is_kept_is_what_the_part_alone_gives(
    detector: Scene, videos: list[Video]
) -> None:
    describer = detector.describer
    whole = describer.see(videos[0], Event())
    for span in ((0.0, 4.0), (3.7, 12.0), (8.05, 99.0)):
        alone = describer.described(describer.see(replace(videos[0], span=span), Event()))
        part = describer.described(cut_to(whole, span))
        for name, array in alone.items():
            assert part[name].dtype == array.dtype, name
            np.testing.assert_array_equal(part[name], array, err_msg=name)


def test_how_long_things_stand_is_the_same_from_what_is_kept(
    detector: Scene, videos: list[Video]
) -> None:
    arrays = detector.describer.described(detector.describer.see(videos[0], Event()))
    pictures = as_frames(np.stack([f.pixels[..., 0] for f in read(videos[0], detector.spec)]))
    seen = CellStream(detector.watcher()).see(pictures)
    standing = np.concatenate([cells.numbers[:, STANDING] for _, cells in seen])
    assert standing.max() > 2
    np.testing.assert_array_equal(arrays["numbers"][:, STANDING], standing.astype(np.float16))


def test_what_is_kept_and_damaged_is_refused(videos: list[Video], tmp_path: Path) -> None:
    sources = copies(videos[:3], tmp_path)
    old = oddframe.fit("scene", sources[:2], out=tmp_path / "old", keep_features=True)
    kept = sorted((old.folder / "features").glob("*.scene.npz"))
    assert len(kept) == 2
    for source in sources[:2]:
        source.unlink()
    whole = kept[0].read_bytes()
    kept[0].write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadRun, match="is damaged"):
        oddframe.fit(None, sources[2], add=old.folder, out=tmp_path / "new")
    kept[0].unlink()
    with pytest.raises(BadRun, match="no longer there to be seen again"):
        oddframe.fit(None, sources[2], add=old.folder, out=tmp_path / "newer")


# What a run tells of itself.


def test_info_and_the_report_tell_which_memories_speak(
    videos: list[Video], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert main(["fit", *(str(video.source) for video in videos), "--out", str(out)]) == 0
    capsys.readouterr()
    assert main(["info", str(out)]) == 0
    told = capsys.readouterr().out
    assert "background_explains 1.0" in told
    assert re.search(r"memories \(motion \(auc_on_made_faults [\d.]+, heard True\), size \(", told)
    facts = json.loads((out / "run.json").read_text())
    fitted = load_run(out).detector
    assert isinstance(fitted, Scene)
    assert main(["score", str(out), str(videos[0].source), "--out", str(tmp_path / "found")]) == 0
    page = (tmp_path / "found" / "report.html").read_text()
    for words in ("background_explains", "memories", *MEMORIES, "auc_on_made_faults"):
        assert f"<dt>{words}</dt>" in page
    assert facts["learned"]["memories"] == fitted.what_speaks(), "of the run, and of no fold of it"


# State and options.


def test_the_same_seed_gives_the_same_scores_bit_for_bit(
    detector: Scene, videos: list[Video], tmp_path: Path
) -> None:
    again, other = Scene(), Scene(bank=500)
    again.fit(videos, Run(tmp_path / "again"))
    other.fit(videos, Run(tmp_path / "other", seed=1))
    for name, array in detector.state().items():
        np.testing.assert_array_equal(array, again.state()[name], err_msg=name)
    pictures = scene(wrong_way(12, 2), 30, seed=12)
    np.testing.assert_array_equal(said(detector, pictures).value, said(again, pictures).value)
    assert len(other.bank) == 500


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("picture", lambda array: array[:-12]),
        ("noise", lambda array: -1 - array),
        ("bank", lambda array: array * np.nan),
        ("bank", lambda array: array[:-1]),
        ("origin", lambda array: array + 99),
        ("speed", lambda array: array[:-1]),
        ("standing", lambda array: array[:-1]),
        ("knots", lambda array: array[:, ::-1]),
        ("say", lambda array: array + 2),
    ],
)
def test_a_damaged_state_is_refused(detector: Scene, name: str, change: Any) -> None:
    state = dict(detector.state())
    state[name] = change(state[name])
    with pytest.raises(ValueError, match=r"."):
        Scene().load_state(state, detector.metadata())


@pytest.mark.parametrize(
    "change",
    [
        {"stride": 0},
        {"stride": 2.5},
        {"explained": 2},
        {"one_view": "all"},
        {"learned_from": ["one"]},
        {"learned_from": 3},
        {"stride": 12},
    ],
)
def test_damaged_metadata_are_refused(detector: Scene, change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        Scene().load_state(detector.state(), detector.metadata() | change)


@pytest.mark.parametrize(
    "options",
    [
        {"size": 4},
        {"fps": 0.0},
        {"flow": "slow"},
        {"bank": 0},
        {"bank": 3, "neighbours": 5},
        {"standing_seconds": 0.0},
        {"half_life": -0.1},
        {"stride": 0},
    ],
)
def test_impossible_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises((BadInput, ValueError), match=f"(?s)({'|'.join(options)}).*got"):
        Scene(**options)
