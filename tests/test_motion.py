"""How things move, measured on blocks whose size, place and speed are known."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from oddframe.types import Bytes
from oddframe.video.motion import (
    PRESETS,
    MotionGrid,
    choose_grid,
    motion_cells,
    moving_pixels,
    optical_flow,
)
from scenes import SIZE, Block, filmed, scene, walkers

H, W = SIZE
LOOK = MotionGrid(frame_step=1, windows=(16, 24), stride=4)


def change(noise: float, size: tuple[int, int] = (240, 320)) -> Bytes:
    """Absolute difference of two pictures that differ by noise alone."""
    return np.abs(np.random.default_rng(0).normal(0, noise, size)).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("noise", [0.0, 2.0, 8.0, 25.0])
def test_noise_is_not_motion_however_strong(noise: float) -> None:
    """The level is at four standard deviations: 6 pixels in 100,000, before holes are closed."""
    assert moving_pixels(change(noise)).mean() < 0.002


@pytest.mark.parametrize("noise", [0.0, 2.0, 8.0])
def test_a_thing_in_the_noise_is(noise: float) -> None:
    there = change(noise)
    there[50:90, 100:120] = np.maximum(there[50:90, 100:120], 80)
    there[60:63, 105:108] = 0  # a hole, as in a coat of one colour
    moving = moving_pixels(there)
    assert set(np.unique(moving)) == {0, 1}
    assert moving[50:90, 100:120].mean() == 1, "with the hole closed"
    moving[47:93, 97:123] = 0
    assert moving.mean() < 0.002


def test_small_changes_are_never_motion() -> None:
    quiet = np.zeros((100, 100), np.uint8)
    quiet[40:60, 40:60] = 15
    assert moving_pixels(quiet).max() == 0
    quiet[40:60, 40:60] = 16
    assert moving_pixels(quiet).sum() == 400


@pytest.mark.parametrize("flow", sorted(PRESETS))
@pytest.mark.parametrize(("x", "y", "speed"), [(110, 20, 2), (30, 80, -3)])
def test_speed_is_measured_where_the_thing_is(flow: str, x: int, y: int, speed: int) -> None:
    block = Block(x, y, speed, size=(32, 24), wraps=False)
    before, now = scene([block], 2, noise=1.0)
    cell, numbers = motion_cells(before, now, 0.1, LOOK, flow)  # type: ignore[arg-type]
    h, w = LOOK.grid(SIZE)
    assert (h, w) == (30, 40)
    assert numbers.shape == (len(cell), 6)
    assert len(cell) > 4
    assert (np.diff(cell) > 0).all()
    rows, columns = (cell // w + 0.5) * 4, (cell % w + 0.5) * 4
    assert (y - 12 <= rows).all()
    assert (rows <= y + 32 + 12).all()
    assert (x - 12 - 3 <= columns).all()
    assert (columns <= x + 24 + 12 + 3).all()
    middle = np.hypot(rows - y - 16, columns - x - 12).argmin()
    momentum, energy, of_what_moves = numbers[middle, :3]
    assert of_what_moves == pytest.approx(abs(speed), rel=0.35)
    assert 0 < momentum <= of_what_moves * 1.001
    assert energy > 0


def test_speed_is_per_tenth_of_a_second_whatever_the_gap() -> None:
    before, now = scene([Block(60, 40, 2, size=(32, 24), wraps=False)], 2, noise=0)
    cell, slow = motion_cells(before, now, 0.2, LOOK, "medium")
    same, fast = motion_cells(before, now, 0.05, LOOK, "medium")
    np.testing.assert_array_equal(cell, same)
    for number in (0, 2, 3, 5):
        np.testing.assert_allclose(fast[:, number], 4 * slow[:, number], rtol=1e-4)
    for energy in (1, 4):
        np.testing.assert_array_equal(fast[:, energy], slow[:, energy])


def test_where_nothing_moves_there_are_no_cells() -> None:
    before, now = scene([], 2)
    cell, numbers = motion_cells(before, now, 0.1, LOOK, "medium")
    assert cell.shape == (0,)
    assert numbers.shape == (0, 6)


@pytest.mark.parametrize(
    ("shape", "grid"),
    [((240, 360), (60, 90)), ((7, 9), (1, 2)), ((2, 3), (1, 1)), ((30, 31), (7, 7))],
)
def test_the_grid_has_at_least_a_cell(shape: tuple[int, int], grid: tuple[int, int]) -> None:
    assert LOOK.grid(shape) == grid
    still = np.full(shape, 90, np.uint8)
    assert len(motion_cells(still, still, 0.1, LOOK, "medium")[0]) == 0


@pytest.mark.parametrize(
    ("height", "pace"),
    [
        pytest.param(14, 1.5, id="small, walking"),
        pytest.param(14, 0.5, id="small and slow"),
        pytest.param(26, 1.0, id="larger"),
        pytest.param(26, 0.3, id="so slow that nothing is seen to move in a tenth of a second"),
        pytest.param(26, 3.0, id="fast"),
    ],
)
def test_windows_follow_the_height_of_things_and_the_gap_their_pace(
    tmp_path: Path, height: int, pace: float
) -> None:
    """The frames compared are so far apart that things shift by 0.9 pixels. Speed is read off to within 30 %."""
    count = 4 if height < 20 else 2
    videos = []
    for k in range(3):
        blocks = walkers(k, count, pace=pace, size=(height, height // 2))
        videos.append(filmed(tmp_path / f"{k}.mp4", scene(blocks, 120, seed=k)))
    look = choose_grid(videos, size=360, fps=10.0)
    small, large = look.windows
    assert height - 2 <= small <= height + 6, "the blur at the edges makes things a little larger"
    assert large == pytest.approx(1.5 * small, abs=2)
    assert small % 2 == large % 2 == 0
    assert look.stride == round(small / 4)
    assert math.ceil(0.9 / (1.3 * pace)) <= look.frame_step <= min(5, math.ceil(0.9 / (0.7 * pace)))
    given = choose_grid(videos, size=360, fps=10.0, windows=(10, 40), frame_step=4)
    assert (given.windows, given.frame_step) == ((10, 40), 4)


def test_where_nothing_moves_the_look_is_the_usual_one(tmp_path: Path) -> None:
    still = [filmed(tmp_path / "still.mp4", scene([], 30))]
    look = choose_grid(still, size=360, fps=10.0)
    assert look.windows == (24, 36)
    assert look.frame_step == 1


def test_a_part_of_a_video_is_looked_at_within_its_span(tmp_path: Path) -> None:
    small, large = walkers(0, 4, size=(12, 6)), walkers(1, 2, size=(28, 14))
    pictures = np.concatenate([scene(small, 100, seed=0), scene(large, 100, seed=1)])
    video = filmed(tmp_path / "both.mp4", pictures)
    early, late = (
        choose_grid([replace(video, span=span)] * 3, size=360, fps=10.0).windows[0]
        for span in ((0.0, 10.0), (10.0, 20.0))
    )
    assert early < 18
    assert late > 24


@pytest.mark.parametrize("flow", sorted(PRESETS))
def test_flow_does_not_depend_on_what_was_seen_before(flow: str) -> None:
    """OpenCV's estimator changes itself for good when it is given a small picture."""
    film = scene(walkers(2), 2, seed=2)
    before, now = film
    first = optical_flow(before, now, flow)
    optical_flow(before[:16, :24], now[:16, :24], flow)
    np.testing.assert_array_equal(optical_flow(before, now, flow), first)
