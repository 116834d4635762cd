"""Deep pictures are shown at one stretch, which fit learns and the run keeps; and pictures at the rate of the run."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from films import film, numbered
from oddframe import fit, load
from oddframe.datasets.discovery import with_rate
from oddframe.datasets.folder import Folder
from oddframe.errors import BadInput, BadVideo
from oddframe.scoring.fitting import readable
from oddframe.types import Bytes, ClipSpec, Video
from oddframe.video.levels import learn_levels
from oddframe.video.reader import facts_of, read, times_of, video_of
from scenes import scene, walkers

GREY = ClipSpec(size=None, colour="grey")
Deep = Callable[[Bytes], np.ndarray]


def counts(picture: Bytes) -> np.ndarray:
    """What a thermal camera counts: 20 kelvin in 510 of 65,535 values."""
    return (7500 + 2 * picture.astype(np.uint16)).astype(np.uint16)


def kelvin(picture: Bytes) -> np.ndarray:
    return (280 + picture / 8).astype(np.float32)


def pictures(folder: Path, frames: Bytes, deep: Deep) -> Video:
    folder.mkdir(parents=True)
    for k, frame in enumerate(frames):
        Image.fromarray(deep(frame)).save(folder / f"{k:04d}.tif")
    return video_of(folder)


@pytest.fixture(scope="module")
def frames() -> Bytes:
    return scene(walkers(1), 40)


@pytest.mark.parametrize("deep", [counts, kelvin])
def test_a_narrow_band_is_shown_in_full(tmp_path: Path, frames: Bytes, deep: Deep) -> None:
    video = pictures(tmp_path / "v", frames, deep)
    levels = learn_levels([video])
    assert levels is not None
    shown = [frame.pixels[:, :, 0] for frame in read(replace(video, levels=levels), GREY)]
    assert len(shown) == 40
    for k in (0, 20, 39):
        # the same scene in 8 bits, with a margin on either side for what is hotter or colder
        agreement = np.corrcoef(shown[k].ravel(), frames[k].ravel())[0, 1]
        assert agreement > 0.999
        assert shown[k].std() > 0.5 * frames[k].std()
        assert shown[k].min() > 0
        assert shown[k].max() < 255


def test_what_fills_its_range_is_left_alone(tmp_path: Path, frames: Bytes) -> None:
    wide = pictures(tmp_path / "v", frames[:3], lambda one: one.astype(np.uint16) * 257)
    plain = pictures(tmp_path / "w", frames[:3], lambda one: one)
    assert learn_levels([wide, plain]) is None
    for one, other in zip(read(wide, GREY), read(plain, GREY), strict=True):
        assert np.array_equal(one.pixels, other.pixels)


def test_a_picture_of_one_value_has_levels_too(tmp_path: Path) -> None:
    for name, deep in (("v", counts), ("w", kelvin)):
        video = pictures(tmp_path / name, np.full((2, 48, 64), 100, np.uint8), deep)
        levels = learn_levels([video])
        assert levels is not None
        assert levels[0] < levels[1]
        assert len(list(read(replace(video, levels=levels), GREY))) == 2


@pytest.fixture(scope="module")
def thermal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three thermal recordings, ten pictures a second."""
    root = tmp_path_factory.mktemp("thermal")
    for seed in range(3):
        pictures(root / f"day{seed}", scene(walkers(seed), 120, seed=seed), counts)
    return root


@pytest.fixture(scope="module")
def run(thermal: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    return fit("flowgrid", thermal, out=out, frame_rate=10.0, options={"bank": 50}).folder


def test_the_run_keeps_stretch_and_rate(run: Path, thermal: Path) -> None:
    fitted = load(run)
    assert fitted.facts["frame_rate"] == 10
    assert fitted.calibration.hours == pytest.approx(36 / 3600, rel=0.05)
    video = fitted.as_learned(video_of(thermal / "day1"))
    assert video.levels == tuple(fitted.facts["levels"])
    assert video.fps == 10
    scores = fitted.score(video_of(thermal / "day1"))
    assert scores.seconds[-1] == pytest.approx(11.9)


def test_scoring_at_another_rate_says_so(
    run: Path, thermal: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fitted = load(run)
    with caplog.at_level(logging.WARNING, logger="oddframe"):
        fitted.as_learned(video_of(thermal / "day1", fps=10))
        fitted.as_learned(video_of(film(tmp_path / "a.mp4", 5, fps=30)))  # is thinned to 10
        assert not caplog.records
        fitted.as_learned(video_of(thermal / "day1", fps=5))
    assert "scored at 5 frames a second, learned at 10: speeds do not compare" in caplog.text
    with caplog.at_level(logging.WARNING, logger="oddframe"):
        fitted.as_learned(video_of(thermal / "day1", fps=20))  # faster than the method looks at
    assert "said to be 20 pictures a second, learned at 10" in caplog.text


def test_a_rate_is_that_of_the_truth_too(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    film(tmp_path / "train" / "a.mp4", 5)
    test = tmp_path / "test" / "b"
    test.mkdir(parents=True)
    for k in range(50):
        Image.fromarray(numbered(k)).save(test / f"{k:02d}.png")
    (tmp_path / "truth").mkdir()
    (tmp_path / "truth" / "b.csv").write_text("start_seconds,end_seconds\n1.0,2.0\n")
    (video,) = Folder().read_split(tmp_path).test
    for fps, first in ((None, 25), (10.0, 10)):
        told = video if fps is None else with_rate(video, fps)
        assert told.truth is not None
        assert int(np.flatnonzero(told.truth(50).frame)[0]) == first
        assert times_of(told)[-1] == pytest.approx(49 / (fps or 25))
        assert facts_of(told).fps == (fps or 25)


def test_a_rate_that_cannot_be_is_refused(thermal: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="frame_rate is from"):
        fit("flowgrid", thermal, out=tmp_path / "run", frame_rate=-1.0)


def test_one_picture_is_nothing_to_learn_from(tmp_path: Path) -> None:
    lone = pictures(tmp_path / "lone", np.zeros((1, 48, 64), np.uint8), lambda one: one)
    good = video_of(film(tmp_path / "a.mp4", 5))
    assert readable(good) == good
    with pytest.raises(BadVideo, match="lone is one picture: nothing can be learned from it"):
        readable(lone)
