"""Boxes: of what moves, of a detector, of a file; and the cubes cut around them."""

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from films import film
from oddframe.errors import BadInput, BadVideo
from oddframe.methods.jigsaw.cubes import (
    BLOCK_FRAMES,
    STRETCH,
    BoxedVideo,
    Cubes,
    FrameCache,
    jitter_boxes,
    jitter_light,
)
from oddframe.methods.jigsaw.proposals import (
    crop_cubes,
    filter_boxes,
    motion_proposals,
    union_boxes,
)
from oddframe.methods.jigsaw.scene import Scene, learn_scene
from oddframe.types import ClipSpec, Video
from oddframe.video.object_boxes import (
    BoxFile,
    OnnxDetector,
    decode_boxes,
    non_maximum_suppression,
    read_model,
    scale_boxes,
)
from oddframe.video.reader import read

H, W = 96, 160
GREY = np.random.default_rng(0).integers(100, 110, (H, W), np.uint8)
SCENE = Scene(GREY, np.full((H, W), 2, np.float32), ((0.0, 24.0),), 0.5)


def walker(picture: np.ndarray, x: float, y: float, h: int = 24, w: int = 12) -> None:
    cv2.ellipse(picture, (round(x + w / 2), round(y + h / 2)), (w // 2, h // 2), 0, 0, 360, 30, -1)


def clip_of(*things: tuple[float, float, float], frames: int = 7, **size: int) -> np.ndarray:
    """(T, H, W): things at x, y that move by dx a frame; the place is that of the middle frame."""
    clip = np.stack([GREY] * frames)
    for t, picture in enumerate(clip):
        for x, y, dx in things:
            walker(picture, x + dx * (t - frames // 2), y, **size)
    return clip


def shares(box: tuple[float, float, float, float], boxes: np.ndarray) -> float:
    """Best intersection over union of one box with any of many."""
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    both = (high - low).clip(0).prod(1)
    return float(
        (
            both
            / ((boxes[:, 2:] - boxes[:, :2]).prod(1) + (box[2] - box[0]) * (box[3] - box[1]) - both)
        ).max()
    )


@pytest.mark.parametrize("speed", [0.3, 2.0, 5.0], ids=["slow", "walking", "fast"])
def test_a_walker_is_one_whole_box_however_slow(speed: float) -> None:
    boxes = motion_proposals(clip_of((60, 40, speed)), SCENE)
    assert len(boxes) == 1
    assert shares((60, 40, 72, 64), boxes) > 0.6


def test_two_who_touch_and_part_are_two_boxes() -> None:
    clip = clip_of((50, 40, 2.0), (60, 40, -2.0))
    boxes = motion_proposals(clip, SCENE)
    assert shares((50, 40, 62, 64), boxes) > 0.4
    assert shares((60, 40, 72, 64), boxes) > 0.4


def test_a_crowd_is_split_and_something_large_and_solid_is_kept_whole() -> None:
    crowd = motion_proposals(
        clip_of(*((30 + 10 * k, 30 + 4 * (k % 3), 1.0) for k in range(8))), SCENE
    )
    assert len(crowd) >= 5
    cart = motion_proposals(clip_of((50, 20, 2.0), h=50, w=70), SCENE)
    assert shares((50, 20, 120, 70), cart) > 0.8


def test_nothing_moves_nothing_is_found_and_specks_are_not_things() -> None:
    assert motion_proposals(clip_of(), SCENE).shape == (0, 4)
    assert motion_proposals(clip_of((60, 40, 1.0), h=4, w=4), SCENE).shape == (0, 4)


def test_without_a_background_what_moved_is_found_still() -> None:
    boxes = motion_proposals(clip_of((60, 40, 5.0)), Scene(None, None, ((0.0, 24.0),), 0.5))
    assert shares((60, 40, 72, 64), boxes) > 0.5


def test_light_that_changes_everywhere_is_no_thing() -> None:
    brighter = np.clip(clip_of().astype(int) + 60, 0, 255).astype(np.uint8)
    assert not len(motion_proposals(brighter, SCENE))


def test_pictures_of_another_size_are_refused_in_one_line() -> None:
    with pytest.raises(BadVideo, match=r"are 80×48 where those learned from were 160×96") as error:
        motion_proposals(np.zeros((7, 48, 80), np.uint8), SCENE)
    assert "\n" not in str(error.value)


def test_background_and_perspective_are_learned(tmp_path: Path) -> None:
    """Small far up, large below; the still picture is what remains when they are gone."""
    pictures = []
    for t in range(60):
        picture = np.stack([GREY] * 3, -1)
        for row, high in ((4, 12), (34, 20), (62, 30)):
            grey = picture[..., 0].copy()
            walker(grey, (8 + 2.5 * t + 40 * (row % 3)) % (W - 20), row, high, high // 2)
            picture = np.stack([grey] * 3, -1)
        pictures.append(picture)
    video = Video("walk", film(tmp_path / "walk.mp4", pictures, fps=10))
    scene = learn_scene([video], ClipSpec(length=7, size=None, colour="grey"))
    assert scene.background is not None
    assert np.abs(scene.background.astype(int) - GREY).mean() < 4
    assert scene.height(16) < scene.height(54) < scene.height(92)
    assert scene.height(92) == pytest.approx(30, abs=6)


def test_videos_of_several_cameras_have_no_common_background(tmp_path: Path) -> None:
    other = np.random.default_rng(2).integers(0, 255, (3, H // 16, W // 16, 3), np.uint8)
    films = [
        Video(
            str(k),
            film(
                tmp_path / f"{k}.mp4", [np.kron(one, np.ones((16, 16, 1), np.uint8))] * 12, fps=10
            ),
        )
        for k, one in enumerate(other)
    ]
    assert learn_scene(films, ClipSpec(length=7, size=None)).background is None


def test_boxes_are_tidied_as_published() -> None:
    boxes = np.array(
        [
            [10, 10, 50, 60],
            [20, 20, 40, 40],  # strictly inside the first
            [10, 10, 50, 50],  # inside, but not on all four sides
            [-5, -5, 20, 20],  # reaches out
            [90, 90, 99, 96],  # too small
            [100, 50, 100, 80],  # no width
            [200, 10, 240, 60],  # outside
        ],
        np.float32,
    )
    assert filter_boxes(boxes, (H, W)).tolist() == [
        [10, 10, 50, 60],
        [10, 10, 50, 50],
        [0, 0, 20, 20],
    ]
    assert filter_boxes(np.zeros((0, 5), np.float32), (H, W)).shape == (0, 4)


def test_a_union_adds_only_what_is_not_covered() -> None:
    first = np.array([[0, 0, 20, 40, 0.9]], np.float32)
    more = np.array([[2, 2, 18, 38], [60, 0, 80, 40]], np.float32)
    assert union_boxes(first, more).tolist() == [[0, 0, 20, 40], [60, 0, 80, 40]]
    assert union_boxes(first[:0], more).tolist() == more.tolist()
    assert union_boxes(first, more[:0]).tolist() == first[:, :4].tolist()


@pytest.mark.parametrize(
    "box", [(20.25, 10.5, 52.25, 42.5), (3.0, 5.0, 19.0, 37.0), (0.0, 0.0, 160.0, 96.0)]
)
def test_cubes_are_those_of_roi_align(box: tuple[float, float, float, float]) -> None:
    torchvision = pytest.importorskip("torchvision")
    random = np.random.default_rng(1).integers(0, 255, (3, 12, 20, 3), np.uint8)
    clip = np.stack([cv2.resize(one, (W, H), interpolation=cv2.INTER_CUBIC) for one in random])
    got = crop_cubes(clip, np.array([box], np.float32), 32)[0]
    pixels = torch.from_numpy(clip).permute(0, 3, 1, 2).float()
    rois = [torch.tensor([box])] * 3
    wanted = (
        torchvision.ops.roi_align(pixels, rois, 32, sampling_ratio=4, aligned=True)
        .permute(0, 2, 3, 1)
        .numpy()
    )
    assert got.shape == (3, 32, 32, 3)
    assert np.abs(got.astype(float) - wanted).mean() < 1.5


def test_a_box_as_large_as_the_cube_is_copied_in_grey_as_in_colour() -> None:
    clip = np.random.default_rng(0).integers(0, 255, (3, H, W, 1), np.uint8)
    box = np.array([[20, 10, 52, 42]], np.float32)
    np.testing.assert_array_equal(crop_cubes(clip, box, 32)[0], clip[:, 10:42, 20:52])
    np.testing.assert_array_equal(
        crop_cubes(np.repeat(clip, 3, -1), box, 32)[0, ..., 1:2], clip[:, 10:42, 20:52]
    )


def a_video(tmp_path: Path, frames: int = 90) -> Video:
    pictures = [np.stack([clip_of((10 + t, 40, 0), frames=1)[0]] * 3, -1) for t in range(frames)]
    return Video("one", film(tmp_path / "one.mp4", pictures, fps=10))


def test_windows_from_the_cache_are_the_frames_as_read_and_memory_is_bounded(
    tmp_path: Path,
) -> None:
    video, spec = a_video(tmp_path), ClipSpec(length=7, size=None)
    frames = np.stack([frame.pixels for frame in read(video, spec)])
    marked = BoxedVideo(video, np.arange(90), np.zeros(0, np.int64), np.zeros((0, 4)))
    tight = 2 * BLOCK_FRAMES * frames[0].nbytes
    cache = FrameCache([marked], spec, tight)
    for place in (3, BLOCK_FRAMES - 1, BLOCK_FRAMES + 2, 2 * BLOCK_FRAMES, 86, 3):
        np.testing.assert_array_equal(cache.window(0, place), frames[place - 3 : place + 4])
        assert cache.bytes <= tight


def test_a_cube_depends_on_seed_epoch_and_number_alone(tmp_path: Path) -> None:
    spec = ClipSpec(length=5, size=None, colour="grey")
    place = np.arange(3, 80, 4)
    box = np.column_stack(
        [place, np.full(len(place), 38), place + 16, np.full(len(place), 66)]
    ).astype(np.float32)
    marked = [BoxedVideo(a_video(tmp_path), np.arange(90), place, box)]

    def epoch(number: int, **options: Any) -> list[bytes]:
        data = Cubes(marked, spec, side=32, seed=1, **options)
        data.set_epoch(number)
        return [data[i].numpy().tobytes() for i in range(len(data))]

    assert epoch(0) == epoch(0)
    assert epoch(0) != epoch(1)
    cubes = Cubes(marked, spec, side=32, seed=1)
    cubes.set_epoch(1)
    assert cubes[7].numpy().tobytes() == epoch(1)[7]
    assert cubes[0].shape == (1, 5, 32, 32)
    assert cubes[0].dtype == torch.uint8
    # little memory changes the order, not what an epoch holds, nor how often a frame is decoded
    tight = Cubes(marked, spec, side=32, seed=1, memory=4 * BLOCK_FRAMES * H * W)
    assert len({tight[i].numpy().tobytes() for i in range(len(tight))}) == len(place)
    assert len(Cubes(marked, spec, side=32, count=5)) == 5


def test_cubes_of_other_videos_are_other_cubes(tmp_path: Path) -> None:
    """Whole frames of two videos of one length lie at the same places."""
    spec, place = ClipSpec(length=5, size=(32, 32), colour="grey"), np.arange(3, 80, 4)
    light, dark = (
        Video(
            name,
            film(tmp_path / f"{name}.mp4", [np.full((32, 32, 3), grey, np.uint8)] * 90, fps=10),
        )
        for name, grey in (("light", 200), ("dark", 50))
    )

    def fingerprint(video: Video, **options: Any) -> str:
        boxed = BoxedVideo(video, np.arange(90), place, np.zeros((len(place), 0)))
        return Cubes([boxed], spec, side=32, **options).fingerprint()

    assert fingerprint(light) == fingerprint(light)
    assert fingerprint(light) != fingerprint(dark)
    assert fingerprint(light) != fingerprint(light, jitter=0.1)
    assert fingerprint(light) != fingerprint(light, seed=1)
    assert fingerprint(light) != fingerprint(replace(light, span=(0.0, 9.0)))


def test_jitter_moves_boxes_and_light_a_little_and_the_same_each_time(tmp_path: Path) -> None:
    boxes = np.array([[10, 20, 30, 60]], np.float32)
    np.testing.assert_allclose(
        jitter_boxes(boxes, np.array([[0.1, -0.1, 0, 0]])), [[12, 16, 32, 56]]
    )
    np.testing.assert_allclose(
        jitter_boxes(boxes, np.array([[0, 0, np.log(1.1), np.log(0.9)]])),
        [[9, 22, 31, 58]],
        rtol=1e-6,
    )
    assert jitter_boxes(np.zeros((1, 0)), np.zeros((1, 4))).shape == (1, 0)
    flat = np.arange(50, 200, dtype=np.uint8).reshape(3, 5, 10, 1)
    lit = jitter_light(flat, 0.1, 0.1)
    assert lit.shape == flat.shape
    assert abs(float(lit.mean()) - flat.mean() - 25.5) < 1
    np.testing.assert_allclose(np.ptp(lit), 1.2 * np.ptp(flat), rtol=0.01)
    assert (np.diff(lit.ravel().astype(int)) >= 0).all(), "what is brighter stays brighter"
    assert (jitter_light(flat, 0.0, 0.0) == flat).all()

    spec, place = ClipSpec(length=5, size=None, colour="grey"), np.arange(3, 80, 4)
    box = np.column_stack(
        [place, np.full(len(place), 38), place + 16, np.full(len(place), 66)]
    ).astype(np.float32)
    marked = [BoxedVideo(a_video(tmp_path), np.arange(90), place, box)]
    still, one, two = (Cubes(marked, spec, side=32, jitter=jitter) for jitter in (0.0, 0.1, 0.1))
    assert torch.equal(one[1], two[1])
    assert not torch.equal(one[1], still[1])
    as_it_was, sides = one.box[one.rows], 16 + 12 * (np.arange(4) % 2)
    shifts = (one.boxes - as_it_was) / sides
    assert 0.02 < np.abs(shifts).mean() < 0.1
    assert (np.abs(shifts) <= 0.1 + (np.exp(0.1) - 1) / 2 + 1e-6).all()
    assert 0.02 < np.abs(one.light).mean() < 0.08
    assert (np.abs(one.light) <= 0.1).all()


def test_long_video_is_decoded_about_once_an_epoch_in_little_memory(tmp_path: Path) -> None:
    video, spec = (
        Video("long", film(tmp_path / "long.mp4", 640, fps=10, size=(32, 48))),
        ClipSpec(length=7, size=None),
    )
    place = np.arange(3, 636, 3)
    box = np.tile(np.array([[4, 4, 30, 30]], np.float32), (len(place), 1))
    memory = (STRETCH + 2) * BLOCK_FRAMES * 32 * 48 * 3
    data = Cubes([BoxedVideo(video, np.arange(640), place, box)], spec, side=32, memory=memory)
    order = [data.order(0)[i] for i in range(len(place))]
    assert sorted(order) == list(range(len(place)))
    for i in range(len(data)):
        data[i]
        assert data.cache.bytes <= memory
    assert data.cache.decoded <= 1.4 * 640 / BLOCK_FRAMES


def test_no_cube_at_all_is_said(tmp_path: Path) -> None:
    nothing = [
        BoxedVideo(a_video(tmp_path, 12), np.arange(12), np.zeros(0, np.int64), np.zeros((0, 4)))
    ]
    with pytest.raises(BadInput, match="nothing moves in the training videos"):
        Cubes(nothing, ClipSpec(length=7, size=None), side=32)


def test_a_real_detector_finds_people(shared: Path) -> None:
    find = OnnxDetector(
        read_model(shared / "weights" / "fastestdet" / "FastestDet.onnx"), min_confidence=0.4
    )
    frame = next(
        read(Video("t", shared / "ucsd/UCSDped2/Train/Train001.mp4"), ClipSpec(length=1, size=None))
    )
    boxes = find(frame.pixels)
    assert len(boxes) >= 4
    assert (boxes[:, 4] >= 0.4).all()
    height, wide = boxes[:, 3] - boxes[:, 1], boxes[:, 2] - boxes[:, 0]
    assert 15 < np.median(height) < 60
    assert (height > wide).mean() > 0.8, "people stand"
    np.testing.assert_array_equal(find(frame.pixels), boxes)


def test_rows_of_a_yolo_are_boxes() -> None:
    five = np.zeros((1, 100, 7), np.float32)
    five[0, 3] = [176, 88, 35.2, 70.4, 0.8, 0.1, 0.5]
    eight = np.zeros((1, 6, 100), np.float32)
    eight[0, :, 3] = [176, 88, 35.2, 70.4, 0.1, 0.4]
    for out in (five, eight):
        np.testing.assert_allclose(
            decode_boxes(out, 352)[3], [0.45, 0.15, 0.55, 0.35, 0.4], atol=1e-6
        )
    with pytest.raises(BadInput, match=r"array of shape \(1, 10\)"):
        decode_boxes(np.zeros((1, 10), np.float32), 352)


def test_of_boxes_that_overlap_the_surest_stays() -> None:
    boxes = np.array([[0, 0, 10, 10, 0.5], [1, 0, 11, 10, 0.9], [30, 0, 40, 10, 0.2]], np.float32)
    assert non_maximum_suppression(boxes).tolist() == [1, 2]


@pytest.mark.parametrize("what", ["not a model", ""])
def test_what_is_no_detector_is_refused(tmp_path: Path, what: str) -> None:
    (tmp_path / "model.onnx").write_text(what)
    with pytest.raises(BadInput) as error:
        OnnxDetector(read_model(tmp_path / "model.onnx"))
    assert "\n" not in str(error.value)
    with pytest.raises(BadInput, match="No such file"):
        read_model(tmp_path / "none.onnx")


def published(tmp_path: Path, phase: str = "train", **videos: int) -> Path:
    """A pickle as the authors publish theirs, boxes that tell their frame by x1."""
    told = {
        name[1:]: [np.array([[k, 1, k + 20, 30, 0.9], [0, 0, 5, 5, 0.2]]) for k in range(n)]
        for name, n in videos.items()
    }
    path = tmp_path / f"ped2_{phase}_detect_result_yolov3.pkl"
    path.write_bytes(pickle.dumps(told))
    return path


def test_the_published_pickle_is_read_and_videos_are_found_by_number(tmp_path: Path) -> None:
    published(tmp_path, "train", _01=3, _02=4)
    published(tmp_path, "test", _01=5)
    boxes = BoxFile(tmp_path, min_confidence=0.5)
    assert boxes.boxes("Train001", 2).tolist() == [[2, 1, 22, 30, np.float32(0.9)]]
    assert len(BoxFile(tmp_path).boxes("Test001", 4)) == 2
    boxes.check_length("Test001", 5)
    with pytest.raises(BadInput, match="has boxes for 3 frames of Train001, which has 9 frames"):
        boxes.check_length("Train001", 9)
    with pytest.raises(BadInput, match="has a frame 7"):
        boxes.boxes("Train001", 7)
    with pytest.raises(BadInput, match="no boxes of Train003; it has those of"):
        boxes.boxes("Train003", 0)


def test_an_npz_of_rows_is_read(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "boxes.npz",
        cam=np.array([[4, 1, 2, 30, 40], [4, 5, 5, 20, 20], [6, 0, 0, 9, 9]]),
    )
    boxes = BoxFile(tmp_path / "boxes.npz")
    assert boxes.boxes("cam", 4)[:, :4].tolist() == [[1, 2, 30, 40], [5, 5, 20, 20]]
    assert boxes.boxes("cam", 5).shape == (0, 5)
    with pytest.raises(BadInput, match="frame 6 of cam, which has 6 frames"):
        boxes.check_length("cam", 6)
    np.testing.assert_array_equal(
        scale_boxes(boxes.boxes("cam", 6), (240, 360), (120, 360))[0, :4], [0, 0, 9, 4.5]
    )


class Hostile:
    """Would leave a file behind if it were loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


def test_a_hostile_pickle_is_not_run(tmp_path: Path) -> None:
    left = tmp_path / "left"
    for told in (
        {"01": [Hostile(left)]},
        Hostile(left),
        {"01": [np.array([Hostile(left)], object)]},
    ):
        (tmp_path / "boxes.pkl").write_bytes(pickle.dumps(told))
        with pytest.raises(BadInput, match="holds code") as error:
            BoxFile(tmp_path / "boxes.pkl")
        assert "\n" not in str(error.value)
        assert not left.exists()


@pytest.mark.parametrize(
    ("told", "why"),
    [
        pytest.param([1, 2], "dict of video name", id="no dict"),
        pytest.param({"01": 5}, "dict of video name", id="no list"),
        pytest.param({"01": [np.zeros(4) + 1]}, "rows of x1 y1 x2 y2", id="no rows"),
        pytest.param(
            {"01": [np.array([[1, 1, np.nan, 9, 1]])]}, "rows of x1 y1 x2 y2", id="no number"
        ),
        pytest.param(
            {"01": [np.array([[9, 9, 1, 1, 1.0]])]}, "ends before it begins", id="width and height"
        ),
    ],
)
def test_other_pickles_are_refused(tmp_path: Path, told: Any, why: str) -> None:
    (tmp_path / "boxes.pkl").write_bytes(pickle.dumps(told))
    with pytest.raises(BadInput, match=why) as error:
        BoxFile(tmp_path / "boxes.pkl")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["boxes.pkl", "boxes.npz"])
def test_damaged_files_of_boxes_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x80\x04 nothing of the kind")
    with pytest.raises(BadInput) as error:
        BoxFile(tmp_path / name)
    assert "\n" not in str(error.value)
    with pytest.raises(BadInput, match="no file or folder of boxes"):
        BoxFile(tmp_path / "none" / name)
