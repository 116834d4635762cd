"""From a source to scores: the running mean, the thread that reads ahead, frames of which nothing can be said."""

import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from films import film
from oddframe.detector import Detector
from oddframe.errors import BadVideo
from oddframe.run import Run
from oddframe.scoring.pipeline import concatenate, score_frames, score_video
from oddframe.scoring.smoothing import smooth
from oddframe.types import Clips, ClipSpec, Frame, Scores, Video
from oddframe.video.prefetch import prefetch
from oddframe.video.reader import read


class Brightness(Detector):
    """The mean of a clip's last frame, with two parts, a map, boxes, and nothing to say of every `silent`-th frame."""

    def __init__(self, *, silent: int = 0) -> None:
        super().__init__()
        self.silent = silent

    @property
    def spec(self) -> ClipSpec:
        return ClipSpec(length=2, size=(8, 16), colour="grey")

    @property
    def half_life(self) -> float:
        return 0.1

    def fit(self, videos: Sequence[Video], run: Run) -> None:
        """There is nothing to learn."""

    def score(self, clips: Clips) -> Scores:
        last = clips.pixels[:, 0, -1].astype(np.float32)  # (N, H, W)
        value = last.mean((1, 2))
        if self.silent:
            value[clips.frame_index % self.silent == 0] = np.nan
        boxes = tuple(np.full((n % 2, 5), n / 100) for n in clips.frame_index)
        halves = {"upper": last[:, :4].mean((1, 2)), "lower": last[:, 4:].mean((1, 2))}
        return Scores(
            clips.video,
            clips.frame_index,
            clips.seconds,
            value,
            map=last[:, ::4, ::4],
            boxes=boxes,
            components=halves,
        )


def stream(value: np.ndarray, batch: int, heat: bool = True) -> Iterator[Scores]:
    for start in range(0, len(value), batch):
        part = slice(start, start + batch)
        n = np.arange(len(value))[part]
        where = value[part, None, None] * np.ones((1, 2, 3)) if heat else None
        yield Scores(
            "film", n, n / 10, value[part], map=where, components={"double": 2 * value[part]}
        )


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("batch", [1, 7, 100])
def test_smoothing_is_a_causal_running_mean(weight: float, batch: int) -> None:
    half_life = 0.1 / np.log2(1 / weight) if weight else 0.0
    value = np.random.default_rng(0).exponential(size=50)
    expected = [value[0]]
    for now in value[1:]:
        expected.append(weight * expected[-1] + (1 - weight) * now)
    scores = concatenate(smooth(stream(value, batch), half_life))
    np.testing.assert_allclose(scores.value, expected, rtol=1e-12)
    assert scores.map is not None
    assert scores.map.shape == (50, 2, 3)
    np.testing.assert_allclose(scores.map[:, 1, 2], expected, rtol=1e-5)
    np.testing.assert_allclose(scores.components["double"], 2 * np.array(expected), rtol=1e-12)
    assert (scores.frame == np.arange(50)).all()


def test_smoothing_leaves_what_it_is_given_alone() -> None:
    value = np.arange(10.0)
    given = list(stream(value, 5))
    before = [scores.value.copy() for scores in given]
    concatenate(smooth(given, 0.1))
    for scores, was in zip(given, before, strict=True):
        np.testing.assert_array_equal(scores.value, was)
        np.testing.assert_array_equal(scores.components["double"], 2 * was)
    assert concatenate(smooth(stream(value, 5, heat=False), 0.1)).map is None


def test_a_component_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match=r"3 frames, but the component upper has shape \(2,\)"):
        Scores(
            "film", np.arange(3), np.arange(3) / 10, np.zeros(3), components={"upper": np.zeros(2)}
        )


def test_joined_is_one_scores() -> None:
    scores = concatenate(stream(np.arange(10.0), 3))
    assert len(scores) == 10
    assert scores.value.tolist() == list(range(10))
    assert scores.components["double"].tolist() == list(range(0, 20, 2))
    nothing = concatenate([], "silence")
    assert (len(nothing), nothing.video) == (0, "silence")


# The thread that reads ahead.


def quiet(threads: int) -> bool:
    """Whether there are no more threads than before, in a second at most."""
    for _ in range(100):
        if threading.active_count() <= threads:
            return True
        time.sleep(0.01)
    return False


def test_ahead_gives_the_same_items() -> None:
    threads = threading.active_count()
    assert list(prefetch(iter(range(1000)), 4)) == list(range(1000))
    assert list(prefetch(iter([]), 1)) == []
    assert quiet(threads)


def test_an_error_comes_where_it_would_have_come() -> None:
    def damaged() -> Iterator[int]:
        yield from range(3)
        raise BadVideo("the rest is lost")

    threads = threading.active_count()
    items = prefetch(damaged(), 8)
    assert [next(items) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(BadVideo, match="the rest is lost"):
        next(items)
    assert quiet(threads)


def test_ahead_is_only_so_far_ahead() -> None:
    made: list[int] = []

    def counted() -> Iterator[int]:
        for n in range(1000):
            made.append(n)
            yield n

    items = prefetch(counted(), 5)
    assert next(items) == 0
    time.sleep(0.3)
    assert len(made) <= 1 + 5 + 1, "the one taken, those in line, and the one in hand"
    items.close()  # type: ignore[attr-defined]


def test_abandoned_it_ends_its_thread_and_lets_go_of_the_source() -> None:
    closed = threading.Event()

    def endless() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    threads = threading.active_count()
    items = prefetch(endless(), 2)
    next(items)
    items.close()  # type: ignore[attr-defined]
    assert quiet(threads)
    assert closed.wait(1), "a file would stay open"


# Frames to scores.


def test_frames_of_which_nothing_is_said_are_left_out(tmp_path: Path) -> None:
    video = Video("film", film(tmp_path / "film.mp4", 30))
    everything = concatenate(score_frames(Brightness(), read(video, Brightness().spec), "film", 4))
    some = concatenate(
        score_frames(Brightness(silent=3), read(video, Brightness().spec), "film", 4)
    )
    told = everything.frame % 3 != 0
    np.testing.assert_array_equal(some.frame, everything.frame[told])
    np.testing.assert_array_equal(some.value, everything.value[told])
    assert some.map is not None
    assert everything.map is not None
    np.testing.assert_array_equal(some.map, everything.map[told])
    np.testing.assert_array_equal(some.components["lower"], everything.components["lower"][told])
    assert some.boxes is not None
    assert [len(box) for box in some.boxes] == [int(n) % 2 for n in some.frame]
    assert np.isfinite(concatenate(score_video(Brightness(silent=3), video)).value).all(), (
        "NaN would spread by smoothing"
    )


def test_a_method_that_never_speaks_gives_no_scores(tmp_path: Path) -> None:
    video = Video("film", film(tmp_path / "film.mp4", 10))
    assert len(concatenate(score_video(Brightness(silent=1), video), "film")) == 0


def test_a_video_is_scored_as_its_frames_are(tmp_path: Path) -> None:
    video = Video("film", film(tmp_path / "film.mp4", 40))
    detector, seen = Brightness(), list[int]()
    whole = concatenate(score_video(detector, video, batch=7, seen=seen.append))
    assert seen == sorted(seen)
    assert seen[-1] == 39
    raw = concatenate(score_frames(detector, read(video, detector.spec), "film", batch=1))
    smoothed = concatenate(smooth([raw], 0.1))
    np.testing.assert_array_equal(whole.frame, np.arange(1, 40))
    np.testing.assert_allclose(whole.value, smoothed.value)
    np.testing.assert_allclose(
        concatenate(score_video(detector, video, half_life=0.0)).value, raw.value
    )


def test_a_source_that_gives_nothing_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    threads = threading.active_count()
    with pytest.raises(BadVideo):
        list(score_video(Brightness(), Video("text", tmp_path / "text.mp4")))
    assert quiet(threads)


def test_what_was_lost_is_told(tmp_path: Path) -> None:
    path = film(tmp_path / "film.ts", 60, container="mpegts")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    lost: list[str] = []
    scores = concatenate(score_video(Brightness(), Video("film", path), damage=lost))
    assert 5 < len(scores) < 60


def test_a_camera_that_ends_early_is_scored_as_far_as_it_came(tmp_path: Path) -> None:
    video = Video("film", film(tmp_path / "film.mp4", 30))

    def camera() -> Iterator[Frame]:
        for n, frame in enumerate(read(video, Brightness().spec)):
            if n == 12:
                return
            yield frame

    assert concatenate(score_frames(Brightness(), camera(), "camera", 5)).frame.tolist() == list(
        range(1, 12)
    )
