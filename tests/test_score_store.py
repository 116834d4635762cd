"""Scores on disk: found again, never taken for another's, in memory that does not grow."""

import json
import os
import shutil
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from films import film
from oddframe.detector import Detector
from oddframe.errors import BadVideo
from oddframe.files import listing
from oddframe.methods.baselines import Constant, FrameDifference
from oddframe.scoring import score_store as stored
from oddframe.scoring.calibration import calibrate
from oddframe.scoring.pipeline import score_video
from oddframe.scoring.run_folder import FittedDetector, load_run, save_run
from oddframe.scoring.score_store import hold_score_files, score_to
from oddframe.types import Clips, Scores, Video
from runs import run_facts


def run_of(folder: Path, detector: FrameDifference | Constant, seed: int = 0) -> FittedDetector:
    random = np.random.default_rng(seed)
    normal = [
        Scores(str(k), np.arange(300), np.arange(300) / 10, random.exponential(size=300))
        for k in range(4)
    ]
    calibration = calibrate(normal, "leave one out")
    return save_run(folder, detector, calibration, calibration.threshold(1.0), run_facts(detector))


@pytest.fixture
def fitted(tmp_path: Path) -> FittedDetector:
    return run_of(tmp_path / "run", FrameDifference(size=64))


@pytest.fixture
def video(tmp_path: Path) -> Video:
    return Video("film", film(tmp_path / "film.mp4", 40))


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of videos, one for each time that one was scored."""
    calls: list[str] = []

    def counted(detector: Detector, video: Video, **rest: Any) -> Iterator[Scores]:
        calls.append(video.name)
        return score_video(detector, video, **rest)

    monkeypatch.setattr(stored, "score_video", counted)
    return calls


def test_what_is_stored_is_what_was_scored(
    fitted: FittedDetector, video: Video, tmp_path: Path
) -> None:
    one = score_to(tmp_path / "out" / "film.npz", fitted, video)
    straight = fitted.score(video)
    np.testing.assert_array_equal(one.scores.frame, straight.frame)
    np.testing.assert_array_equal(one.scores.seconds, straight.seconds)
    np.testing.assert_allclose(one.scores.value, straight.value)
    np.testing.assert_allclose(fitted.calibration.rarity(one.score), one.scores.value)
    assert one.scores.map is not None
    assert straight.map is not None
    assert one.scores.map.shape == straight.map.shape
    np.testing.assert_allclose(one.scores.map, straight.map, rtol=2**-10, atol=1e-6)
    weight = fitted.detector.half_life
    assert weight == 0
    np.testing.assert_allclose(one.raw, one.score)
    assert one.damage == ()


def test_scores_are_found_again_without_decoding(
    fitted: FittedDetector,
    video: Video,
    tmp_path: Path,
    decoded: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "film.npz"
    first = score_to(path, fitted, video)
    written = path.read_bytes()
    monkeypatch.setattr("oddframe.scoring.pipeline.read", lambda *_: pytest.fail("decoded again"))
    again = score_to(path, load_run(fitted.folder), video)
    assert decoded == ["film"]
    assert path.read_bytes() == written
    np.testing.assert_array_equal(first.scores.value, again.scores.value)
    np.testing.assert_array_equal(first.raw, again.raw)
    assert first.scores.map is not None
    assert again.scores.map is not None
    np.testing.assert_array_equal(first.scores.map, again.scores.map)


def test_a_renamed_video_is_the_same_video(
    fitted: FittedDetector, video: Video, tmp_path: Path, decoded: list[str]
) -> None:
    score_to(tmp_path / "film.npz", fitted, video)
    other = Video("other", tmp_path / "other.mp4")
    shutil.copy(video.source, other.source)
    found = score_to(tmp_path / "film.npz", fitted, other)
    assert decoded == ["film"]
    assert found.scores.video == found.video.name == "other"


@pytest.mark.parametrize(
    "change", ["video", "span", "fps", "options", "calibration", "method", "maps"]
)
def test_another_detector_or_video_is_not_taken_for_it(
    fitted: FittedDetector, video: Video, tmp_path: Path, decoded: list[str], change: str
) -> None:
    path = tmp_path / "film.npz"
    first = score_to(path, fitted, video)
    maps = change != "maps"
    if change == "video":
        video = Video("film", film(tmp_path / "another.mp4", 40, start=3))
    elif change == "span":
        video = replace(video, span=(0.2, 1.0))
    elif change == "fps":
        video = replace(video, fps=5.0)
    elif change == "options":
        fitted = run_of(tmp_path / "other", FrameDifference(size=32))
    elif change == "calibration":
        fitted = run_of(tmp_path / "other", FrameDifference(size=64), seed=1)
    elif change == "method":
        fitted = run_of(tmp_path / "other", Constant())
    second = score_to(path, fitted, video, maps=maps)
    assert len(decoded) == 2
    assert (second.scores.map is None) == (change in ("maps", "method"))
    if change not in ("maps", "span", "fps"):
        assert not np.array_equal(first.scores.value, second.scores.value)


def test_damage_is_scored_anew(
    fitted: FittedDetector, video: Video, tmp_path: Path, decoded: list[str]
) -> None:
    path = tmp_path / "film.npz"
    good = score_to(path, fitted, video)
    value, whole = good.scores.value.copy(), path.read_bytes()
    middle = len(whole) // 2
    damages = [b"", b"text", whole[:middle], whole[:middle] + b"\xff" * 200 + whole[middle + 200 :]]
    for damaged in damages:
        path.write_bytes(damaged)
        again = score_to(path, fitted, video)
        np.testing.assert_array_equal(again.scores.value, value)
        assert again.scores.map is not None
        assert np.isfinite(np.asarray(again.scores.map)).all()
    assert len(decoded) == 1 + len(damages)


def test_nothing_is_left_lying_about(fitted: FittedDetector, video: Video, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with hold_score_files(out / "film.npz", out / "never scored.npz"):
        score_to(out / "film.npz", fitted, video)
    assert [path.name for path in listing(out)] == ["film.npz"]
    with np.load(out / "film.npz") as held:
        assert {"frame", "seconds", "score", "raw", "rarity", "map", "key", "damage"} <= set(
            held.files
        )
        assert json.loads(str(held["key"]))["maps"] is True


def test_an_error_leaves_what_was_there(
    fitted: FittedDetector, video: Video, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    with hold_score_files(out / "film.npz"):
        score_to(out / "film.npz", fitted, video)
    before = (out / "film.npz").read_bytes()
    rare, calls = FittedDetector.rare, []

    def failing(self: FittedDetector, scores: Scores, *ignored: Any) -> Scores:
        calls.append(1)
        if len(calls) > 1:
            raise RuntimeError("in the middle")
        return rare(self, scores, *ignored)

    monkeypatch.setattr(FittedDetector, "rare", failing)
    other = Video("film", film(tmp_path / "another.mp4", 80))
    with pytest.raises(RuntimeError, match="in the middle"):
        score_to(out / "film.npz", fitted, other)
    assert [path.name for path in listing(out)] == ["film.npz"]
    assert (out / "film.npz").read_bytes() == before


def test_a_map_cannot_be_cut_by_anybody(
    fitted: FittedDetector, video: Video, tmp_path: Path
) -> None:
    """What is read lies in a file without a name, so that no cleaner pulls it from under the reader."""
    one = score_to(tmp_path / "out" / "film.npz", fitted, video)
    assert one.scores.map is not None
    before = np.array(one.scores.map)
    for path in tmp_path.rglob("*"):
        if path.is_file() and path != video.source:
            os.truncate(path, min(100, path.stat().st_size))
    np.testing.assert_array_equal(np.array(one.scores.map), before)
    assert not list(tmp_path.rglob("*unpacked*"))


def test_a_video_that_changes_while_it_is_read_is_not_stored(
    fitted: FittedDetector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = film(tmp_path / "film.mp4", 80)
    whole = source.read_bytes()
    rare = FittedDetector.rare

    def cutting(self: FittedDetector, scores: Scores, *ignored: Any) -> Scores:
        os.truncate(source, len(whole) // 2)
        return rare(self, scores, *ignored)

    monkeypatch.setattr(FittedDetector, "rare", cutting)
    video = Video("film", source)
    with pytest.raises(BadVideo, match="changed while it was read"):
        score_to(tmp_path / "out.npz", fitted, video)
    assert not (tmp_path / "out.npz").exists()
    monkeypatch.undo()
    source.write_bytes(whole)
    clean = score_to(tmp_path / "out.npz", fitted, video)
    assert len(clean.scores) == 80


class FineMaps(FrameDifference):
    """A map of as many numbers as two hundred frames have pixels."""

    def score(self, clips: Clips) -> Scores:
        scores = super().score(clips)
        noise = np.random.default_rng(0).random((len(clips), 128, 256), np.float32)
        return replace(scores, map=noise)


class InParts(FrameDifference):
    """With the running mean of a method whose score is made of two."""

    @property
    def half_life(self) -> float:
        return 0.1

    def score(self, clips: Clips) -> Scores:
        scores = super().score(clips)
        return replace(scores, components={"less": 0.5 * scores.value, "more": 1.5 * scores.value})


def test_parts_of_a_score_are_kept_beside_it(tmp_path: Path, video: Video) -> None:
    fitted = replace(run_of(tmp_path / "run", FrameDifference(size=64)), detector=InParts(size=64))
    one = score_to(tmp_path / "film.npz", fitted, video, maps=False)
    assert list(one.scores.components) == list(one.raw_parts) == ["less", "more"]
    np.testing.assert_allclose(
        one.scores.components["more"], 1.5 * one.score, err_msg="smoothed, and no rarity", rtol=1e-6
    )
    np.testing.assert_allclose(one.raw_parts["less"], 0.5 * one.raw, rtol=1e-6)
    assert not np.allclose(one.raw_parts["less"], one.scores.components["less"])
    with np.load(one.path) as held:
        kept = {name: held[name] for name in held.files}
    assert {name for name in kept if "." in name} == {
        "part.less",
        "part.more",
        "raw.less",
        "raw.more",
    }
    np.savez(one.path, **{name: values for name, values in kept.items() if "." not in name})
    older = score_to(tmp_path / "film.npz", fitted, video, maps=False)
    np.testing.assert_array_equal(older.scores.value, one.scores.value)
    assert older.scores.components == older.raw_parts == {}, (
        "what was scored before parts were kept is read as ever"
    )


def test_memory_does_not_grow_with_the_video(tmp_path: Path) -> None:
    """A map of 300 frames here is 20 MB on disk and 40 in memory; of that a batch, a twentieth, may be held."""
    fitted = replace(run_of(tmp_path / "run", FrameDifference(size=64)), detector=FineMaps(size=64))
    peaks = []
    for frames in (60, 300):
        video = Video("film", film(tmp_path / f"{frames}.mp4", frames))
        tracemalloc.start()
        one = score_to(tmp_path / f"{frames}.npz", fitted, video)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert isinstance(one.scores.map, np.memmap)
        assert one.scores.map.shape == (frames, 128, 256)
    assert peaks[1] < 1.15 * peaks[0], [f"{peak / 2**20:.1f} MB" for peak in peaks]


def test_a_video_without_scores_is_stored_as_such(tmp_path: Path) -> None:
    """One frame, and a method that needs two, if its start is not filled: no score, and no crash on reading back."""

    class Pairs(FrameDifference):
        @property
        def spec(self):  # type: ignore[no-untyped-def]
            return replace(super().spec, pad_start=False)

    fitted = replace(run_of(tmp_path / "run", FrameDifference(size=64)), detector=Pairs(size=64))
    picture = tmp_path / "pictures" / "0.png"
    picture.parent.mkdir()
    assert cv2.imwrite(str(picture), np.zeros((48, 64, 3), np.uint8))
    one = score_to(tmp_path / "one.npz", fitted, Video("one", picture.parent))
    assert len(one.scores) == len(one.raw) == 0
    assert one.scores.map is None
