"""What every method promises, present and future: the family is walked, so a new method is tested by existing.

Each is fitted once, with its defaults, on the small street.
"""

import inspect
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, is_dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest
import torch

from oddframe.cli.main import main
from oddframe.datasets.base import open_data
from oddframe.detector import Detector, FastFolds
from oddframe.errors import OddframeError
from oddframe.methods.jigsaw.cubes import Sampling
from oddframe.methods.reconstruction import ReconstructionOptions
from oddframe.methods.scene import Scene
from oddframe.methods.temporal_queue.losses import QueueOptions
from oddframe.registry import members
from oddframe.run import Run
from oddframe.scoring.calibration import calibrate
from oddframe.scoring.cross_validation import folds_of, refit_each_fold, segments_of
from oddframe.scoring.pipeline import (
    ClipStream,
    concatenate,
    open_stream,
    score_frames,
    score_video,
)
from oddframe.scoring.run_folder import save_run
from oddframe.scoring.smoothing import smooth
from oddframe.serialization import NOT_FITTING, load, save
from oddframe.training.config import Training
from oddframe.training.network_detector import NetworkDetector
from oddframe.types import Clips, ClipSpec, Frame, Scores, Video
from oddframe.video.clips import clips_of
from oddframe.video.eigenbackground import learn_eigenbackground
from oddframe.video.reader import read
from oddframe.video.writer import video_writer
from runs import run_facts

METHODS: dict[str, type[Detector]] = members("methods")
_BRIEF = Training(epochs=2, batch=4, lr=2e-3, precision="float32")
_CUBES = Training(epochs=3, batch=16, optimizer="adamw", lr=4e-3, precision="float32")
SMALL: dict[
    str, dict[str, Any]
] = {  # options with which a method that learns for long learns quickly
    "conv-lstm": {
        "reconstruction": ReconstructionOptions(size=(16, 24), clip_length=2, frame_step=3),
        "training": _BRIEF,
    },
    "c3d": {
        "reconstruction": ReconstructionOptions(size=(16, 16)),
        "training": _BRIEF,
    },
    "tclr": {
        "network": "small",
        "clip_length": 8,
        "size": 32,
        "max_video_frames": 40,
        "projection": 8,
        "training": Training(epochs=2, batch=2, precision="float32"),
    },
    "temporal-queue": {
        "network": "basic",
        "size": 32,
        "contrast": QueueOptions(segment=40, queue=8, update="segment"),
        "training": Training(epochs=2, batch=1, precision="float32"),
    },
    "embedding": {
        "network": "image-resnet18",
        "clip_length": 2,
        "clip_seconds": 0.2,
        "hop_seconds": 0.4,
        "size": 32,
        "precision": "float32",
    },
    "jigsaw": {
        "size": 32,
        "base_width": 8,
        "colour": "grey",
        "clip_length": 5,
        "ensemble": 2,
        "sampling": Sampling(train_frame_step=4, epoch_cubes=200),
        "training": _CUBES,
    },
    "jigsaw-published": {
        "size": 32,
        "base_width": 8,
        "colour": "grey",
        "clip_length": 5,
        "curriculum_epochs": 1,
        "sampling": Sampling(train_frame_step=4, epoch_cubes=200),
        "training": _CUBES,
    },
    "jigsaw-frames": {
        "size": 32,
        "base_width": 8,
        "clip_length": 5,
        "sub_clips": 3,
        "sampling": Sampling(train_frame_step=4, epoch_cubes=100),
        "training": _CUBES,
    },
}
BLIND = {
    "constant": "it is the AUC of knowing nothing, so nothing is stranger to it than anything else"
}
# what is otherwise read off all the videos, and so is not quite the same when some are held out
SETTLED: dict[str, dict[str, Any]] = {
    "flowgrid": {"windows": (16, 24), "frame_step": 1},
    "scene": {"stride": 6},
    "embedding": SMALL["embedding"],
}
# lengths of what is learned that nothing else tells: bytes of a file, embeddings remembered
FREE = {"detector_model", "head.bank"}
MADE_WHEN_LOADED = {"embedding"}  # whose network is made with the weights, of a kind that is known
CLOSE = 1e-5  # relative; single precision sums in another order when the batch is larger (2e-6 on some processors)


class Attempt(NamedTuple):
    """A fitted detector, and what it noted for run.json."""

    detector: Detector
    run: Run


@pytest.fixture(scope="module", params=sorted(METHODS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def videos(street: Path) -> list[Video]:
    return list(open_data("simulated", street)[1].train)


@pytest.fixture(scope="module")
def ordinary(street: Path) -> Video:
    """A test video in which nothing is odd: no method has seen it."""
    for video in open_data("simulated", street)[1].test:
        if video.truth and not video.truth(120).frame.any():
            return video
    raise AssertionError("the street has no normal test video")


@pytest.fixture(scope="module")
def attempt(name: str, videos: list[Video], tmp_path_factory: pytest.TempPathFactory) -> Attempt:
    torch.manual_seed(0)
    detector = METHODS[name](**SMALL.get(name, {}))
    run = Run(tmp_path_factory.mktemp(name))
    detector.fit(videos, run)
    return Attempt(detector, run)


@pytest.fixture(scope="module")
def detector(attempt: Attempt) -> Detector:
    return attempt.detector


@pytest.fixture(scope="module")
def frames(detector: Detector, ordinary: Video) -> list[Frame]:
    return list(read(ordinary, detector.spec))


@pytest.fixture(scope="module")
def whole(detector: Detector, frames: list[Frame]) -> Scores:
    """What the method says of the ordinary video, unsmoothed."""
    return scored(detector, frames)


def scored(detector: Detector, frames: Sequence[Frame], batch: int = 32) -> Scores:
    return concatenate(score_frames(detector, iter(frames), "film", batch))


def same(one: Scores, other: Scores, close: float = CLOSE) -> None:
    """Frames, times, scores and maps agree."""
    np.testing.assert_array_equal(one.frame, other.frame)
    np.testing.assert_array_equal(one.seconds, other.seconds)
    scale = max(1e-6, float(np.abs(one.value).max()))
    np.testing.assert_allclose(one.value, other.value, rtol=close, atol=close * scale)
    assert list(one.components) == list(other.components)
    for part, again in zip(one.components.values(), other.components.values(), strict=True):
        np.testing.assert_allclose(
            part, again, rtol=close, atol=close * max(1e-6, float(np.abs(part).max()))
        )
    assert (one.map is None) == (other.map is None)
    if one.map is not None and other.map is not None:
        np.testing.assert_allclose(one.map, other.map, rtol=close, atol=close * scale)


def with_a_rushing_block(frames: Sequence[Frame], start: int = 30) -> list[Frame]:
    """From frame `start` on a large bright block crosses the picture, from one side to the other in under a second."""
    out = []
    for n, frame in enumerate(frames):
        pixels = frame.pixels.copy()
        H, W = pixels.shape[:2]
        side, way = H // 3, 0.15 * W
        if n >= start:
            x = round((n - start) * way % (W + side)) - side
            y = H // 3
            pixels[y : y + side, max(0, x) : max(0, x + side)] = 250
            cv2.rectangle(
                pixels,
                (x + side // 4, y + side // 4),
                (x + side // 2, y + side // 2),
                (20, 20, 20),
                -1,
            )
        out.append(replace(frame, pixels=pixels))
    return out


def test_strange_clips_score_higher(
    name: str, detector: Detector, frames: list[Frame], whole: Scores
) -> None:
    odd = scored(detector, with_a_rushing_block(frames))
    from_then = odd.frame >= frames[30].index
    if name in BLIND:
        assert (odd.value == whole.value).all(), f"{name} is excused: {BLIND[name]}"
        return
    np.testing.assert_array_equal(odd.frame, whole.frame)
    assert odd.value[from_then].mean() > whole.value[from_then].mean()
    assert odd.value[from_then].mean() > odd.value[~from_then].mean()


def test_scores_have_the_promised_shapes(detector: Detector, frames: list[Frame]) -> None:
    N = 0
    for clips in clips_of(frames, detector.spec, "film", 16):
        scores = detector.score(clips)
        assert scores.video == "film"
        assert scores.value.shape == (len(clips),)
        assert np.issubdtype(scores.value.dtype, np.floating)
        np.testing.assert_array_equal(scores.frame, clips.frame_index)
        np.testing.assert_array_equal(scores.seconds, clips.seconds)
        nothing_said = np.isnan(scores.value)
        assert np.isfinite(scores.value[~nothing_said]).all()
        made_up = np.isnan(clips.times).any(1)
        assert not (nothing_said & ~made_up).any(), "NaN only where the clip's past is made up"
        if scores.map is not None:
            assert scores.map.ndim == 3
            assert len(scores.map) == len(clips)
            assert np.isfinite(scores.map).all()
            assert (scores.map >= 0).all()
        for part in scores.components.values():
            assert part.shape == scores.value.shape
            assert np.isfinite(part[~nothing_said]).all()
        for boxes in scores.boxes or ():
            assert boxes.ndim == 2
            assert boxes.shape[1] == 5
            assert (boxes[:, :4] >= 0).all()
            assert (boxes[:, :4] <= 1).all()
        N += len(clips)
    assert N, "the small street gives every method some clips"


def test_clips_are_not_written_to(detector: Detector, frames: list[Frame]) -> None:
    clips = next(clips_of(frames, detector.spec, "film", 8))
    before = clips.pixels.copy()
    detector.score(clips)
    assert np.array_equal(clips.pixels, before), (
        "overlapping clips are views: another clip would change as well"
    )


@pytest.mark.parametrize("batch", [1, 7])
def test_neighbours_in_a_batch_do_not_matter(
    detector: Detector, frames: list[Frame], whole: Scores, batch: int
) -> None:
    same(scored(detector, frames, batch), whole)


def test_order_in_a_batch_does_not_matter(detector: Detector, frames: list[Frame]) -> None:
    clips = list(clips_of(frames, detector.spec, "film", 24))[-1]
    order = np.random.default_rng(0).permutation(len(clips))
    shuffled = Clips(
        clips.pixels[order],
        "film",
        clips.frame_index[order],
        clips.seconds[order],
        clips.times[order],
    )
    one, other = detector.score(clips), detector.score(shuffled)
    np.testing.assert_allclose(other.value, one.value[order], rtol=CLOSE)
    if one.map is not None and other.map is not None:
        np.testing.assert_allclose(other.map, one.map[order], rtol=CLOSE, atol=1e-6)


def test_a_film_and_a_camera_agree(
    detector: Detector, ordinary: Video, frames: list[Frame]
) -> None:
    def camera() -> Iterator[Frame]:
        yield from frames

    live = smooth(score_frames(detector, camera(), ordinary.name, batch=1), detector.half_life)
    same(concatenate(live), concatenate(score_video(detector, ordinary, batch=13)))


def test_frame_by_frame_is_as_by_clips(detector: Detector, frames: list[Frame]) -> None:
    """A method's own stream gives what `score` gives for clips, also behind a pause."""
    pause = [replace(frame, seconds=frame.seconds + 600) for frame in frames[40:70]]
    for given in (frames, [*frames[:40], *pause]):
        by_clips = ClipStream(detector, "film", 16)
        batches = [by_clips.push_many(given), by_clips.finish()]
        expected = concatenate([batch for batch in batches if batch is not None])
        stream = open_stream(detector, "film")
        pushed = [stream.push(frame) for frame in given]
        pushed.append(stream.finish())
        same(concatenate([one for one in pushed if one is not None]), expected)


def test_no_clip_joins_frames_over_a_pause(detector: Detector, frames: list[Frame]) -> None:
    """What comes behind a pause is scored as the start of a stream is."""
    later = [replace(frame, seconds=frame.seconds + 600) for frame in frames[60:100]]
    behind = scored(detector, [*frames[:60], *later])
    alone = scored(detector, later)
    np.testing.assert_array_equal(behind.frame[behind.frame >= later[0].index], alone.frame)
    np.testing.assert_allclose(
        behind.value[behind.frame >= later[0].index], alone.value, rtol=CLOSE, atol=1e-6
    )


def test_saved_and_loaded_is_the_same(
    detector: Detector, frames: list[Frame], whole: Scores, tmp_path: Path
) -> None:
    save(detector, tmp_path)
    again = load(tmp_path)
    assert type(again) is type(detector)
    assert again.options == detector.options
    assert again.spec == detector.spec
    assert again.half_life == detector.half_life
    same(scored(again, frames), whole, close=0)


def test_its_run_is_told_of(
    attempt: Attempt, whole: Scores, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calibration = calibrate([replace(whole, value=whole.value + 1e-3 * np.arange(len(whole)))], "x")
    save_run(
        tmp_path / "run",
        attempt.detector,
        calibration,
        calibration.threshold(60.0),
        run_facts(attempt.detector, attempt.run.notes),
    )
    for more in ([], ["--json"]):
        assert main(["info", str(tmp_path / "run"), *more]) == 0
        out, err = capsys.readouterr()
        assert attempt.detector.name in out
        assert err == ""


def test_a_state_of_another_shape_type_or_name_is_refused(detector: Detector) -> None:
    """Each array in turn; of the many of a network, some."""
    whole, plain = detector.state(), detector.metadata()
    detector.fresh().load_state(whole, plain)
    learned = [name for name in whole if not re.search(r"(^|\.)(nets?|model)\.", name)]
    in_networks = [name for name in whole if name not in learned]
    for name in [*learned, *in_networks[:: max(1, len(in_networks) // 3)]]:
        array = whole[name]
        without = {other: value for other, value in whole.items() if other != name}
        spoilt = [without, {**without, f"{name}2": array}]
        if array.size:
            other_type = np.float64 if array.dtype.kind != "f" else np.int32
            spoilt.append({**without, name: array.astype(other_type)})
            spoilt.append({**without, name: array[None, None]})
        if array.size and name not in FREE:
            longer = np.concatenate([array, array]) if array.ndim else np.stack([array, array])
            spoilt.append({**without, name: longer})
        for state in spoilt:
            with pytest.raises(NOT_FITTING) as refusal:
                detector.fresh().load_state(state, plain)
            assert "\n" not in str(refusal.value), name
    if plain:
        with pytest.raises(NOT_FITTING):
            detector.fresh().load_state(whole, {})


def test_a_network_larger_than_what_was_saved_is_not_made(detector: Detector) -> None:
    numbers = sum(array.size for array in detector.state().values())
    type(detector).refuse_size(detector.options, numbers)
    if isinstance(detector, NetworkDetector) and detector.name not in MADE_WHEN_LOADED:
        with pytest.raises(ValueError, match="numbers"):
            type(detector).refuse_size(detector.options, 10)


def test_the_future_is_not_read_beyond_the_declared_lookahead(
    detector: Detector, frames: list[Frame], whole: Scores
) -> None:
    for kept in (len(frames) // 2, len(frames) - 1):
        early = scored(detector, frames[:kept])
        known = whole.frame <= frames[kept - 1 - detector.spec.lookahead].index
        if known.any():
            np.testing.assert_array_equal(early.frame, whole.frame[known])
            np.testing.assert_allclose(early.value, whole.value[known], rtol=CLOSE)


def test_another_future_does_not_change_the_past(
    detector: Detector, frames: list[Frame], whole: Scores
) -> None:
    """Not by its pixels either: a method could read ahead within its batch."""
    odd = scored(detector, with_a_rushing_block(frames, start=60))
    before = whole.frame < frames[60 - detector.spec.lookahead].index
    np.testing.assert_allclose(odd.value[before], whole.value[before], rtol=CLOSE)


def test_the_same_seed_gives_the_same_scores_whatever_was_learned_before(
    name: str,
    videos: list[Video],
    detector: Detector,
    frames: list[Frame],
    whole: Scores,
    tmp_path: Path,
) -> None:
    again = METHODS[name](**SMALL.get(name, {}))
    again.fit(videos[:1], Run(tmp_path / "one", seed=7))
    torch.manual_seed(0)
    again.fit(videos, Run(tmp_path / "all"))
    assert again.spec == detector.spec
    same(scored(again, frames), whole, close=0)


def test_holding_out_quickly_is_holding_out(
    name: str, videos: list[Video], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not issubclass(METHODS[name], FastFolds):
        return
    detector = METHODS[name](**SETTLED.get(name, {}))
    parts = segments_of(videos[:2])
    folds = folds_of(parts, np.random.default_rng(0))
    assert len(set(folds)) > 1
    run = Run(tmp_path)
    if isinstance(detector, Scene):  # its background is that of all videos: it tells of no motion
        learned = learn_eigenbackground(parts, ClipSpec(size=detector.size, colour="grey"))
        monkeypatch.setattr(
            "oddframe.methods.scene.detector.learn_eigenbackground", lambda *_: learned
        )
    quick = list(detector.score_folds(parts, folds, run))
    general = list(refit_each_fold(detector, parts, folds, run))
    assert len(quick) == len(general) == len(parts)
    for one, other in zip(quick, general, strict=True):
        assert one.video == other.video
        np.testing.assert_array_equal(one.frame, other.frame)
        # what is kept between the two passes is in half precision: eleven bits
        np.testing.assert_allclose(
            one.value, other.value, rtol=2e-2, atol=2e-2 * float(other.value.max())
        )
        assert np.abs(one.value - other.value).mean() < 1e-3 * float(other.value.max())


def test_every_option_is_explained(name: str) -> None:
    cls = METHODS[name]
    words = inspect.getdoc(cls) or ""
    assert len(words.splitlines()[0]) > 20, "the first line says what the method does"
    for option, given in inspect.signature(cls.__init__).parameters.items():
        if option == "self":
            continue
        assert given.kind is inspect.Parameter.KEYWORD_ONLY, f"{option} is keyword-only"
        assert given.default is not inspect.Parameter.empty, f"{option} has a default"
        assert given.annotation is not inspect.Parameter.empty, f"{option} has a type"
        assert re.search(rf"^ +{option}: .{{15,}}", words, re.MULTILINE), (
            f"{option} has a line in the docstring"
        )


def test_options_are_recorded_with_defaults_filled_in(name: str) -> None:
    cls = METHODS[name]
    given = inspect.signature(cls.__init__).parameters.values()
    defaults = {
        option.name: asdict(option.default) if is_dataclass(option.default) else option.default  # type: ignore[arg-type]
        for option in given
        if option.name != "self"
    }
    detector = cls()
    assert detector.options == defaults
    assert detector.fresh().options == defaults


@cache
def _noise(size: tuple[int, int], frames: int = 25) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    still = cv2.GaussianBlur(random.integers(0, 255, (*size, 3), np.uint8), (5, 5), 0)
    return [np.roll(still, 2 * n, axis=1) for n in range(frames)]


@pytest.mark.parametrize(
    "size",
    [
        pytest.param((240, 320), id="larger-same-shape"),
        pytest.param((60, 80), id="smaller-same-shape"),
        pytest.param((160, 90), id="upright"),
        pytest.param((16, 16), id="tiny"),
    ],
)
def test_a_video_of_another_size_works_or_is_refused_in_one_line(
    detector: Detector, tmp_path: Path, size: tuple[int, int]
) -> None:
    path = tmp_path / "other.mp4"
    with video_writer(path, 10.0, size) as film:
        for picture in _noise(size):
            film.write(picture)
    refusal = ""
    try:
        scores = concatenate(score_video(detector, Video("other", path)))
    except OddframeError as error:
        refusal = str(error)
    if refusal:
        assert "\n" not in refusal
        assert len(refusal) > 20
    else:
        assert len(scores)
        assert np.isfinite(scores.value).all()
