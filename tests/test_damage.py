"""A camera that gives no picture is reported, with its seconds; a picture that is there is not."""

from pathlib import Path

import numpy as np
import pytest

from films import film
from oddframe.types import Bytes, ClipSpec
from oddframe.video.damage import LostPictures
from oddframe.video.reader import read, video_of

FRAMES = 200  # at ten a second


@pytest.fixture
def noise() -> Bytes:
    """Twenty seconds of a scene that never rests, (T, H, W, 3)."""
    random = np.random.default_rng(0)
    ground = random.integers(60, 180, (48, 64, 3))
    return (ground + random.normal(0, 6, (FRAMES, 48, 64, 3))).clip(0, 255).astype(np.uint8)


def lines_of(frames: Bytes) -> list[str]:
    lost = LostPictures()
    for k, frame in enumerate(frames):
        lost.see(k / 10, frame)
    return lost.lines()


@pytest.mark.parametrize(
    ("level", "word"), [(0, "black"), (16, "black"), (255, "white"), (110, "one colour")]
)
def test_a_picture_of_one_colour_is_lost(noise: Bytes, level: int, word: str) -> None:
    noise[50:120] = level
    assert lines_of(noise) == [f"picture lost 5.0–12.0 s ({word})"]


def test_a_frozen_picture_is_lost(noise: Bytes) -> None:
    noise[50:170] = noise[49]
    assert lines_of(noise) == ["picture lost 4.9–17.0 s (frozen)"]
    noise[120:] = noise[119]  # to the end
    assert lines_of(noise) == ["picture lost 4.9–19.9 s (frozen)"]


def test_a_short_gap_and_a_dark_scene_are_none(noise: Bytes) -> None:
    noise[50:60] = 0  # a second: a flash, a switch to night
    noise[100:190] = noise[99]  # nine seconds at rest
    assert lines_of(noise) == []
    assert lines_of(noise // 12) == []  # at night


def test_something_that_moves_between_the_samples_is_a_picture(noise: Bytes) -> None:
    still = np.repeat(np.kron(noise[:1], np.ones((1, 8, 8, 1), np.uint8)), FRAMES, axis=0)
    for k in range(FRAMES):
        still[k, 1, 1 + k % 5] = 255
    assert lines_of(still) == []


def test_reading_tells_of_it_by_the_files_name(tmp_path: Path, noise: Bytes) -> None:
    noise[50:120] = 16
    path = film(tmp_path / "gate.mp4", list(noise), fps=10, options={"qp": "20"})
    for spec in (ClipSpec(size=None), ClipSpec(size=(16, 24), colour="grey")):
        damage: list[str] = []
        assert len(list(read(video_of(path), spec, damage))) == FRAMES
        assert damage == ["gate.mp4: picture lost 5.0–12.0 s (black)"]
