"""The background follows the light, and learns nothing that only waits before it."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from oddframe.types import Bytes, ClipSpec, Floats, Video
from oddframe.video.background import softened
from oddframe.video.eigenbackground import (
    SOFT,
    EigenBackground,
    LearnedBackground,
    displaced,
    learn_eigenbackground,
    sampled_chunks,
)
from scenes import SIZE, Block, filmed, scene, walkers

H, W = SIZE
SPEC = ClipSpec(size=360, colour="grey")
FRAMES = 160  # 16 s: two chunks


def under_shadow(pictures: Bytes, edge: Floats, dark: float = 0.75) -> Bytes:
    """Frames (T, H, W) darker left of an edge (T,), soft over a few pixels."""
    across = np.arange(W)[None, None]
    lit = dark + (1 - dark) / (1 + np.exp(-(across - edge[:, None, None]) / 3))
    return (pictures * lit).astype(np.uint8)


def learned(folder: Path, *films: Bytes) -> LearnedBackground:
    """From films of these pictures."""
    folder.mkdir(exist_ok=True)
    videos = [filmed(folder / f"{k}.mp4", pictures) for k, pictures in enumerate(films)]
    return learn_eigenbackground(videos, SPEC)


@pytest.fixture(scope="module")
def lit(tmp_path_factory: pytest.TempPathFactory) -> EigenBackground:
    """Of films in each of which the edge of a shadow lies elsewhere, from 20 to 60 pixels."""
    films = []
    for k in range(5):
        edge = np.linspace(20 + 8 * k, 28 + 8 * k, FRAMES)
        films.append(under_shadow(scene(walkers(k), FRAMES, seed=k), edge))
    return learned(tmp_path_factory.mktemp("lit"), *films).background


def things_in(background: EigenBackground, picture: Bytes) -> Bytes:
    return background.foreground(softened(picture, SOFT))


@pytest.mark.parametrize("gain", [0.8, 1.2])
def test_a_global_gain_is_no_foreground(lit: EigenBackground, gain: float) -> None:
    picture = under_shadow(scene([], 1, seed=50), np.array([40.0]))[0]
    brighter = np.clip(picture * gain, 0, 255).astype(np.uint8)
    assert things_in(lit, brighter).mean() < 0.01


def test_an_edge_of_shadow_that_moves_is_next_to_no_foreground(lit: EigenBackground) -> None:
    empty = scene([], 9, seed=51)
    moving = under_shadow(empty, np.linspace(28, 52, 9))
    found = np.array([things_in(lit, picture).mean() for picture in moving])
    fixed = EigenBackground(lit.picture, np.zeros_like(lit.variation), np.zeros_like(lit.noise))
    without = np.array([things_in(fixed, picture).mean() for picture in moving])
    assert found.max() < 0.05
    assert found.mean() < 0.3 * without.mean(), "the ways of changing are what explains it"


def test_a_thing_unlike_the_background_is_foreground(lit: EigenBackground) -> None:
    block = Block(90, 60, 0, size=(20, 12), wraps=False)
    picture = under_shadow(scene([block], 1, seed=52), np.array([40.0]))[0]
    for gain in (0.85, 1.0, 1.15):
        found = things_in(lit, np.clip(picture * gain, 0, 255).astype(np.uint8))
        assert found[62:78, 92:100].mean() > 0.9
        outside = found.copy()
        outside[56:84, 86:106] = 0
        assert outside.mean() < 0.01


def test_who_stands_through_a_whole_chunk_is_not_learned(tmp_path: Path) -> None:
    films = [scene(walkers(k), FRAMES, seed=k) for k in range(4)]
    waits = Block(70, 70, 0, size=(24, 12), end=80, wraps=False)  # eight of 64 seconds
    films[0] = scene([*walkers(0), waits], FRAMES, seed=0)
    background, explained, one_view = learned(tmp_path, *films)
    assert (explained, one_view) == (1.0, 1.0)
    found = things_in(background, scene([waits], 1, seed=60)[0])
    assert found[72:92, 72:80].mean() > 0.9, "it is still a thing"
    assert things_in(background, scene([], 1, seed=60)[0])[70:94, 70:82].mean() == 0


def test_another_view_has_no_foreground_and_is_not_explained(lit: EigenBackground) -> None:
    random = np.random.default_rng(0)
    noise = random.normal(0, 90, SIZE).astype(np.float32)
    other = np.clip(120 + 4 * cv2.GaussianBlur(noise, (0, 0), 4), 0, 255).astype(np.uint8)
    soft = softened(other, SOFT)
    assert not lit.explains(soft)
    assert not lit.foreground(soft).any()


def shaken(pictures: Bytes, seed: int, step: int, most: int) -> Bytes:
    """Frames displaced by a random walk of at most so many pixels."""
    random = np.random.default_rng(seed)
    at = np.zeros(2, int)
    moved = []
    for picture in pictures:
        at = np.clip(at + random.integers(-step, step + 1, 2), -most, most)
        moved.append(np.roll(picture, at.tolist(), (0, 1)))
    return np.stack(moved)


@pytest.mark.parametrize(("step", "most"), [(1, 3), (2, 8)])
def test_a_camera_that_moves_is_not_explained(tmp_path: Path, step: int, most: int) -> None:
    still = [scene(walkers(k), FRAMES, seed=k) for k in range(2)]
    moving = [shaken(pictures, k, step, most) for k, pictures in enumerate(still)]
    assert learned(tmp_path / "still", *still).explained == 1.0
    assert learned(tmp_path / "moving", *moving).explained < 0.5


def test_a_frame_from_elsewhere_is_displaced_and_one_with_a_thing_is_not() -> None:
    wall = scene([], 1, noise=0.0)[0].astype(np.float32)
    there = scene([Block(60, 40, 0, size=(40, 40), wraps=False)], 1, seed=1)[0]
    assert not displaced(there, wall)
    assert displaced(np.roll(there, 3, 1), wall)
    assert displaced(np.roll(there, -2, 0), wall)
    assert not displaced(np.clip(there * 0.7, 0, 255).astype(np.uint8), wall)


def test_what_changes_for_good_shows_another_place(tmp_path: Path) -> None:
    before = [scene(walkers(k), FRAMES, seed=k) for k in range(2)]
    after = [np.roll(scene(walkers(k), FRAMES, seed=k), (37, 53), (1, 2)) for k in range(2, 4)]
    assert learned(tmp_path, *before, *after).one_view == 0.5


def test_what_is_looked_at_does_not_grow_with_the_number_of_videos(tmp_path: Path) -> None:
    video = filmed(tmp_path / "one.mp4", scene([], 20))
    many = [Video(f"{k}", video.source) for k in range(100)]
    assert len(list(sampled_chunks(many, SPEC))) == 40
