"""Videos that do not belong to the others are named; scenes that have nothing in common are left alone."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from oddframe.errors import BadInput
from oddframe.types import Bytes, Video
from oddframe.video.scene_check import (
    SceneSample,
    change_of_view,
    check_scenes,
    check_videos,
    sample_scene,
    view_change,
)
from oddframe.workflows.fit import fit
from oddframe.workflows.prepare import Preparation, prepare
from oddframe.workflows.score import score
from scenes import Block, filmed, scene, walkers

LARGE = (240, 320)


def pictures(seed: int, frames: int = 60) -> Bytes:
    """A scene larger than the picture, so that a camera can move in it."""
    return scene(walkers(seed), frames, seed=seed, size=LARGE)


def cut(whole: Bytes, x: int = 80, y: int = 60) -> Bytes:
    """What a camera of 120 × 160 sees of it from this place."""
    return whole[:, y : y + 120, x : x + 160]


def handheld(whole: Bytes) -> Bytes:
    """The same by a hand: each frame from another place."""
    random = np.random.default_rng(0)
    places = random.integers(-8, 9, (len(whole), 2))
    return np.stack(
        [cut(one[None], 80 + x, 60 + y)[0] for one, (x, y) in zip(whole, places, strict=True)]
    )


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> list[SceneSample]:
    folder = tmp_path_factory.mktemp("steady")
    return [sample(folder / f"{k}.mp4", cut(pictures(k))) for k in range(5)]


def sample(path: Path, frames: Bytes) -> SceneSample:
    return sample_scene(filmed(path, np.ascontiguousarray(frames)))


def test_steady_videos_of_one_camera_belong_together(steady: list[SceneSample]) -> None:
    check = check_scenes(steady)
    assert check.misfits == ()
    assert check.view is not None
    assert all(view_change(check.view, one) is None for one in steady)


def test_a_handheld_clip_among_steady_ones_is_named(
    steady: list[SceneSample], tmp_path: Path
) -> None:
    hand = sample(tmp_path / "handheld.mp4", handheld(pictures(7)))
    (misfit,) = check_scenes([*steady[:3], hand, *steady[3:]]).misfits
    assert misfit.name == "handheld"
    assert "the camera moves" in misfit.reason


def test_another_view_is_named(steady: list[SceneSample], tmp_path: Path) -> None:
    other = sample(tmp_path / "yard.mp4", cut(pictures(8), 0, 0)[:, :, ::-1])
    (misfit,) = check_scenes([*steady, other]).misfits
    assert str(misfit) == "yard: it shows another view than most others"


def test_a_portrait_clip_is_named_with_its_pixels(
    steady: list[SceneSample], tmp_path: Path
) -> None:
    tall = sample(tmp_path / "tall.mp4", np.moveaxis(cut(pictures(9)), 1, 2))
    (misfit,) = check_scenes([tall, *steady]).misfits
    assert str(misfit) == "tall: its picture is 120 × 160 pixels, that of most others 160 × 120"


def test_the_same_camera_at_half_the_size_belongs(
    steady: list[SceneSample], tmp_path: Path
) -> None:
    small = np.stack(
        [cv2.resize(one, (80, 60), interpolation=cv2.INTER_AREA) for one in cut(pictures(6))]
    )
    assert check_scenes([*steady, sample(tmp_path / "small.mp4", small)]).misfits == ()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(lambda one: np.full_like(one, 16), "the picture is black", id="black"),
        pytest.param(lambda one: one // 4, "darker than in most others", id="night"),
    ],
)
def test_exposure_is_held_against_the_others(
    steady: list[SceneSample], tmp_path: Path, change, reason: str
) -> None:  # type: ignore[no-untyped-def]
    (misfit,) = check_scenes(
        [*steady, sample(tmp_path / "dark.mp4", change(cut(pictures(4))))]
    ).misfits
    assert misfit.name == "dark"
    assert reason in misfit.reason


def test_day_and_night_of_one_camera_belong(steady: list[SceneSample], tmp_path: Path) -> None:
    night = [sample(tmp_path / f"night{k}.mp4", cut(pictures(k)) // 4) for k in range(4)]
    assert check_scenes([*steady, *night]).misfits == ()


def test_of_many_scenes_nothing_is_said(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    samples = []
    for k in range(5):
        wall = cv2.GaussianBlur(random.normal(110, 60, (120, 160)).astype(np.float32), (0, 0), 2.5)
        frames = np.repeat(np.clip(wall, 0, 255).astype(np.uint8)[None], 20, 0)
        samples.append(sample(tmp_path / f"{k}.mp4", frames))
    check = check_scenes(samples)
    assert check.misfits == ()
    assert check.view is None, "so that no later video is said to show another one"


def test_a_camera_that_was_turned_is_noticed(steady: list[SceneSample], tmp_path: Path) -> None:
    view = check_scenes(steady).view
    assert view is not None
    turned = sample(tmp_path / "turned.mp4", cut(pictures(3), 104, 60))
    change = view_change(view, turned)
    assert change is not None
    assert "the camera points elsewhere (by 15%" in change
    busy = sample(
        tmp_path / "busy.mp4",
        cut(scene([*walkers(1), Block(150, 100, 0, size=(40, 30))], 60, size=LARGE)),
    )
    assert view_change(view, busy) is None, "a thing that stands there is not another view"
    black = sample(tmp_path / "black.mp4", np.full((20, 120, 160), 16, np.uint8))
    assert view_change(view, black) == "the picture is black"


def test_videos_with_classes_and_unreadable_ones_are_passed_over(tmp_path: Path) -> None:
    videos = [filmed(tmp_path / f"{k}.mp4", cut(pictures(k, 20))) for k in range(3)]
    assert check_videos([replace(video, label="walk") for video in videos]).view is None
    (tmp_path / "broken.mp4").write_bytes(b"no film")
    check = check_videos([*videos, Video("broken", tmp_path / "broken.mp4")])
    assert check.misfits == ()
    assert check.view is not None
    assert change_of_view(check.view, videos[0]) is None
    assert change_of_view(check.view, Video("broken", tmp_path / "broken.mp4")) is None
    assert change_of_view(None, videos[0]) is None
    moved = filmed(tmp_path / "moved.mp4", cut(pictures(1, 20), 110, 60))
    assert "the view has changed since this was learned" in str(change_of_view(check.view, moved))


def test_two_shapes_without_a_majority_are_refused_before_anything_is_learned(
    tmp_path: Path,
) -> None:
    wide = filmed(tmp_path / "wide.mp4", cut(pictures(1, 20)))
    tall = filmed(
        tmp_path / "tall.mp4", np.ascontiguousarray(np.moveaxis(cut(pictures(1, 20)), 1, 2))
    )
    line = "wide is 160 × 120 pixels and tall 120 × 160"
    with pytest.raises(BadInput, match=line):
        check_videos([wide, tall], one_shape=True)
    assert check_videos([wide, tall]).misfits == ()


def test_fit_leaves_out_what_does_not_belong_and_score_says_that_the_view_has_changed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "camera"
    folder.mkdir()
    for k in range(4):
        filmed(folder / f"{k}.mp4", cut(pictures(k, 120)))
    filmed(folder / "handheld.mp4", handheld(pictures(7, 120)))
    run = fit("frame-difference", folder, out=tmp_path / "run")
    assert [video["name"] for video in run.facts["trained_on"]] == ["0", "1", "2", "3"]
    (misfit,) = run.facts["misfits"]
    assert misfit.startswith("handheld: the camera moves")
    assert any("--keep-all keeps it" in record.message for record in caplog.records)
    prepared = prepare("folder", folder)
    assert isinstance(prepared, Preparation)
    assert prepared.misfits == (misfit,), "prepare says what fit will do"
    kept = fit("frame-difference", folder, out=tmp_path / "kept", keep_all=True)
    assert len(kept.facts["trained_on"]) == 5
    assert kept.facts["misfits"] == []

    filmed(tmp_path / "same.mp4", cut(pictures(5, 40)))
    filmed(tmp_path / "turned.mp4", cut(pictures(5, 40), 110, 60))
    found = score(
        tmp_path / "run",
        [tmp_path / "same.mp4", tmp_path / "turned.mp4"],
        out=tmp_path / "out",
        overlay=False,
        clips=False,
    )
    assert found.videos[0].notes == ()
    (note,) = found.videos[1].notes
    assert note.startswith("the view has changed since this was learned")
    page = (tmp_path / "out" / "report.html").read_text()
    assert "turned: the view has changed since this was learned" in page
    assert "not learned from, as they do not belong to the others: handheld" in page
