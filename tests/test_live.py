"""Pictures given as arrays are scored as the same film from a file."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from oddframe import BadInput, fit, load
from oddframe.scoring.pipeline import concatenate
from oddframe.scoring.run_folder import FittedDetector
from oddframe.types import ClipSpec, Scores, Video
from oddframe.video.reader import read


@pytest.fixture(scope="module")
def film(street: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Video, np.ndarray]:
    """A film as a folder of PNGs at 25 a second, and its pictures (T, H, W, 3)."""
    folder = tmp_path_factory.mktemp("pictures")
    source = Video("test01", street / "test" / "test01.mp4")
    pictures = np.stack([frame.pixels for frame in read(source, ClipSpec(size=None))])
    for k, picture in enumerate(pictures):
        cv2.imwrite(str(folder / f"{k:04}.png"), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    return Video("gate", folder, fps=25.0), pictures


@pytest.fixture(scope="module", params=["flowgrid", "frame-difference"])
def run(request: pytest.FixtureRequest, street: Path, fitted: Path, tmp_path_factory: Any) -> Any:
    """A run of a method with a stream of its own, and one of a method that is given clips."""
    if request.param == "flowgrid":
        return load(fitted)
    folder = tmp_path_factory.mktemp("difference") / "run"
    return fit(request.param, "simulated", root=street, out=folder, options={"size": 80})


@pytest.mark.parametrize("edges", [None, (0, 1, 2, 40, 119, 120)])
def test_the_scores_are_those_of_the_file(
    run: FittedDetector, film: tuple[Video, np.ndarray], edges: tuple[int, ...] | None
) -> None:
    video, pictures = film
    expected = run.score(video)
    seconds = np.arange(len(pictures)) / 25
    stream, found = run.stream("gate"), []
    if edges is None:
        found += [stream.push(one, at) for one, at in zip(pictures, seconds, strict=True)]
    else:
        for first, end in pairwise((*edges[:-1], len(pictures))):
            found.append(stream.push(pictures[first:end], seconds[first:end]))
    found.append(stream.finish())
    told = concatenate([scores for scores in found if scores is not None])
    same(told, expected)
    assert run.events(told) == run.events(expected)


def same(told: Scores, expected: Scores) -> None:
    assert told.video == expected.video
    np.testing.assert_array_equal(told.frame, expected.frame)
    np.testing.assert_allclose(told.seconds, expected.seconds)
    np.testing.assert_allclose(told.value, expected.value, rtol=1e-6)
    assert (told.map is None) == (expected.map is None)
    if told.map is not None and expected.map is not None:
        np.testing.assert_allclose(told.map, expected.map, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("frames", "seconds", "says"),
    [
        (np.zeros((60, 80), np.uint8), 0.0, "of uint8"),
        (np.zeros((60, 80, 3), np.float32), 0.0, "of float32"),
        (np.zeros((2, 60, 80, 3), np.uint8), 0.0, "2 pictures have as many times"),
        (np.zeros((2, 60, 80, 3), np.uint8), [1.0, 1.0], "ascend"),
        (np.zeros((60, 80, 3), np.uint8), float("nan"), "finite"),
        (np.zeros((60, 80, 3), np.uint8), "noon", "are numbers"),
        (np.zeros((0, 80, 3), np.uint8), 0.0, "one size"),
    ],
)
def test_what_is_no_stream_is_one_line(
    run: FittedDetector, frames: Any, seconds: Any, says: str
) -> None:
    with pytest.raises(BadInput, match=says):
        run.stream().push(frames, seconds)


def test_a_stream_goes_on_in_one_size_and_in_time(
    run: FittedDetector, film: tuple[Video, np.ndarray]
) -> None:
    _, pictures = film
    stream = run.stream()
    stream.push(pictures[0], 5.0)
    with pytest.raises(BadInput, match="all of one size"):
        stream.push(pictures[1][:-2], 5.1)
    with pytest.raises(BadInput, match="ascend"):
        stream.push(pictures[1], 5.0)
    stream.push(pictures[1], 5.1)
    assert stream.count == 2
