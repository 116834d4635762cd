"""Jigsaw beyond the contract: every source of boxes, both levels, options that do not go together."""

import csv
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml  # type: ignore[import-untyped]

from films import film
from oddframe import fit
from oddframe.cli.main import main
from oddframe.cli.render import lines_of
from oddframe.datasets.base import open_data
from oddframe.detector import Detector
from oddframe.errors import BadInput
from oddframe.methods.jigsaw import Jigsaw, JigsawFrames, JigsawPublished
from oddframe.methods.jigsaw.boxes import BoxOptions
from oddframe.methods.jigsaw.cubes import BoxedVideo, Sampling, split_cubes
from oddframe.methods.jigsaw.detector import PuzzleDetector
from oddframe.methods.jigsaw.frame_level import FRAME_HEADS
from oddframe.methods.jigsaw.local_zscore import local_zscore
from oddframe.methods.jigsaw.networks import PieceNet, WideBranchNet
from oddframe.methods.jigsaw.object_level import paint_boxes
from oddframe.methods.jigsaw.proposals import expand_boxes, touches_edge
from oddframe.methods.jigsaw.puzzles import (
    PuzzleScorer,
    ShuffledTask,
    UnshuffledTask,
    ValidationLoss,
    puzzle_loss,
)
from oddframe.methods.jigsaw.shuffling import make_puzzles
from oddframe.registry import member
from oddframe.run import Run
from oddframe.scoring.pipeline import concatenate, score_video
from oddframe.serialization import load, save
from oddframe.training.config import Training
from oddframe.types import Scores, Video
from oddframe.video.reader import facts_of, times_of
from oddframe.workflows.evaluate import evaluate
from oddframe.workflows.score import score

TINY: dict[str, Any] = {
    "size": 32,
    "base_width": 1,
    "colour": "grey",
    "clip_length": 3,
    "sampling": Sampling(train_frame_step=12, epoch_cubes=16),
    "training": Training(epochs=1, batch=8, optimizer="adam", precision="float32"),
}


@pytest.fixture(scope="module")
def videos(street: Path) -> list[Video]:
    return list(open_data("simulated", street)[1].train)


def fitted(
    videos: list[Video], folder: Path, method: type[PuzzleDetector] = Jigsaw, **options: Any
) -> Any:
    given = {**TINY, **options}
    if method is Jigsaw:
        given.setdefault("ensemble", 1)
    detector = method(**given)
    detector.fit(videos, Run(folder))
    return detector


def scored(detector: Detector, video: Video) -> Scores:
    return concatenate(score_video(detector, video))


@pytest.fixture
def boxes(videos: list[Video], tmp_path: Path) -> Path:
    """One box a frame, as a detector would have written them, in pixels of the video."""
    told = {
        video.name: [
            np.array([[20 + k % 50, 30, 40 + k % 50, 70, 0.9]]) for k in range(len(times_of(video)))
        ]
        for video in videos
    }
    path = tmp_path / "boxes.pkl"
    path.write_bytes(pickle.dumps(told))
    return path


def of_file(path: Path) -> BoxOptions:
    return BoxOptions("file", file=str(path))


def test_boxes_of_a_file_are_what_is_looked_at(
    videos: list[Video], boxes: Path, tmp_path: Path
) -> None:
    detector = fitted(videos, tmp_path / "a", boxes=of_file(boxes))
    scores = scored(detector, videos[0])
    facts = facts_of(videos[0])
    assert scores.boxes is not None
    for frame, found in zip(scores.frame, scores.boxes, strict=True):
        x = 20 + frame % 50
        wanted = np.array([x, 30, x + 20, 70]) / ([facts.width, facts.height] * 2)
        np.testing.assert_allclose(found[0, :4], wanted, rtol=1e-5)
    smaller = fitted(videos, tmp_path / "b", boxes=of_file(boxes), frame_width=80)
    small = scored(smaller, videos[0])
    assert small.boxes is not None
    np.testing.assert_allclose(small.boxes[5][0, :4], scores.boxes[5][0, :4], atol=1e-5)


def test_boxes_of_other_videos_are_refused(
    videos: list[Video], boxes: Path, tmp_path: Path
) -> None:
    told = pickle.loads(boxes.read_bytes())
    told[videos[1].name] = told[videos[1].name][:-4]
    boxes.write_bytes(pickle.dumps(told))
    with pytest.raises(BadInput, match="of another video") as error:
        fitted(videos, tmp_path / "a", boxes=of_file(boxes))
    assert "\n" not in str(error.value)


def test_boxes_of_a_file_are_those_of_its_frames_whatever_part_is_learned_from(
    videos: list[Video], boxes: Path, tmp_path: Path
) -> None:
    """As `fit` cuts few videos into parts, to hold some of them out."""
    half = float(times_of(videos[0])[60])
    parts = [replace(videos[0], span=span) for span in ((0.0, half), (half, 2 * half))]
    detector = fitted(parts, tmp_path / "a", boxes=of_file(boxes))
    scores = scored(detector, parts[1])
    assert scores.frame[0] == 61
    assert scores.boxes is not None
    facts = facts_of(videos[0])
    for frame, found in zip(scores.frame, scores.boxes, strict=True):
        assert found[0, 0] * facts.width == pytest.approx(20 + frame % 50, abs=1e-3)
    told = pickle.loads(boxes.read_bytes())
    told[videos[0].name] = told[videos[0].name][:61]
    boxes.with_name("short.pkl").write_bytes(pickle.dumps(told))
    with pytest.raises(BadInput, match=r"boxes for 61 frames of .*, which has 120 frames"):
        fitted(parts[:1], tmp_path / "b", boxes=of_file(boxes.with_name("short.pkl")))


def test_a_detector_travels_with_the_run(videos: list[Video], shared: Path, tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes((shared / "weights" / "fastestdet" / "FastestDet.onnx").read_bytes())
    detector = fitted(videos, tmp_path / "a", boxes=BoxOptions("union", str(model), confidence=0.2))
    before = scored(detector, videos[0])
    save(detector, tmp_path)
    model.unlink()
    after = load(tmp_path)
    assert isinstance(after, Jigsaw)
    np.testing.assert_array_equal(scored(after, videos[0]).value, before.value)


@pytest.mark.parametrize("network", ["pieces", "published"])
@pytest.mark.parametrize("heads", ["all", "frame-spatial", "clip-temporal,frame-temporal:0.5"])
def test_whole_frames_make_puzzles_too(
    heads: str, network: str, videos: list[Video], tmp_path: Path
) -> None:
    long = "clip" in heads or heads == "all"
    options = {
        "heads": heads,
        "network": network,
        "sub_clips": 3 if long else 5,
        "pool_clip_head": long and network == "published",
        "sampling": Sampling(12, epoch_cubes=8),
    }
    detector = fitted(videos[:2], tmp_path, JigsawFrames, **options)
    assert detector.spec.size == (32, 32), "resized, not cut"
    assert detector.spec.length == (9 if long else 3)
    scores = scored(detector, videos[2])
    assert len(scores) == 120 - detector.spec.length + 1
    assert scores.frame[0] == detector.spec.length // 2, "a clip's score is its middle frame's"
    assert np.isfinite(scores.value).all()
    assert scores.map is None
    names = (tmp_path / "logs" / "jigsaw-1.csv").read_text().splitlines()[0].split(",")
    assert [name for name in names if "-" in name] == detector.heads


@pytest.mark.parametrize(
    ("method", "options", "parts"),
    [
        pytest.param("jigsaw", {}, ["temporal", "spatial", "pace"], id="object"),
        pytest.param("jigsaw-published", {}, ["temporal", "spatial"], id="object, published"),
        pytest.param(
            "jigsaw-frames",
            {"sub_clips": 3},
            [*FRAME_HEADS, "frame", "clip", "temporal", "spatial"],
            id="full-frame",
        ),
        pytest.param(
            "jigsaw-frames",
            {"heads": "frame-spatial,frame-temporal"},
            [*FRAME_HEADS[:2]],
            id="frames",
        ),
    ],
)
def test_each_head_is_measured_alone(
    method: str,
    options: dict[str, Any],
    parts: list[str],
    street: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = tmp_path / "run"
    options = {**TINY, **options, "sampling": Sampling(15, epoch_cubes=8)}
    fit(method, "simulated", root=street, out=run, options=options)
    found = evaluate(run, "simulated", root=street, out=tmp_path / "e", report=False)
    assert capsys.readouterr() == ("", "")
    told = "\n".join(lines_of("evaluate", found))
    assert list(found.parts) == parts
    shown = told.split("AUC of each part")[1].splitlines()
    assert [line.split()[0] for line in shown[1 : len(parts) + 2]] == [*parts, "combined"]
    assert f"{found.honest['micro_auc']:.4f}" in shown[len(parts) + 1], "the last row is the score"
    score(run, [street / "test" / "test01.mp4"], out=tmp_path / "s", overlay=False, clips=False)
    with (
        np.load(tmp_path / "s" / "test01.npz") as kept,
        (tmp_path / "s" / "scores.csv").open() as file,
    ):
        heads = parts[: len(parts) if len(parts) < 4 else 4]
        for begins, of in (("part.", "score"), ("raw.", "raw")):
            mean = np.mean([kept[f"{begins}{head}"] for head in heads], axis=0)
            if method == "jigsaw-frames":
                np.testing.assert_allclose(
                    mean, kept[of], rtol=1e-5, err_msg=f"{of}: the mean of the heads"
                )
            else:  # the strangest things of the heads may lie apart, and smoothing looks at one place
                assert (kept[of] <= mean + 1e-5).all()
                assert kept[of].max() > 0
        if "frame" in parts:
            frame = (kept["part.frame-temporal"] + kept["part.frame-spatial"]) / 2
            np.testing.assert_allclose(kept["part.frame"], frame, rtol=1e-5)
        rows = list(csv.DictReader(file))
        assert [float(row[f"part.{parts[-1]}"]) for row in rows] == pytest.approx(
            kept[f"part.{parts[-1]}"], rel=1e-4
        )
    assert main(["info", str(tmp_path / "s" / "test01.npz")]) == 0
    assert f"part.{parts[0]} " in capsys.readouterr().out


def test_a_curriculum_comes_before_the_published_puzzles(
    videos: list[Video], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    loss = ShuffledTask.__call__

    def noted(
        task: ShuffledTask, net: torch.nn.Module, batch: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        if net.training:
            asked.append(task.partial)
        return loss(task, net, batch)

    monkeypatch.setattr(ShuffledTask, "__call__", noted)
    fitted(videos, tmp_path, JigsawPublished, curriculum_epochs=2)
    assert asked == [True] * 4 + [False] * 2, "two epochs of two batches, then one"
    for name in ("jigsaw-1-curriculum", "jigsaw-1"):
        assert (tmp_path / "logs" / f"{name}.csv").is_file()


def test_nothing_that_moves_is_nothing_odd(videos: list[Video], tmp_path: Path) -> None:
    detector = fitted(videos, tmp_path / "run")
    facts = facts_of(videos[0])
    background = np.repeat(detector.background.numpy()[..., None], 3, -1)
    still = Video("still", film(tmp_path / "still.mp4", [background] * 20, fps=10))
    assert background.shape == (facts.height, facts.width, 3)
    scores = scored(detector, still)
    assert (scores.value == 0).all()
    assert scores.boxes is not None
    assert not any(len(found) for found in scores.boxes)
    with pytest.raises(BadInput, match="nothing moves in the training videos"):
        fitted([still], tmp_path / "other")


def test_a_detector_that_has_learned_nothing_says_so(videos: list[Video]) -> None:
    with pytest.raises(BadInput, match="fit it first"):
        scored(Jigsaw(), videos[0])


@pytest.mark.parametrize(
    ("method", "options", "why"),
    [
        (Jigsaw, {"clip_length": 8}, "clip_length is an odd number, got 8"),
        (Jigsaw, {"size": 40}, "divisible by 16"),
        (Jigsaw, {"frame_width": 8}, "frame_width is from 32 to"),
        (Jigsaw, {"heads": "clip-spatial"}, "heads are of temporal, spatial, pace"),
        (Jigsaw, {"reduce": "best"}, "reduce is mean or max"),
        (Jigsaw, {"min_motion": 1.0}, "min_motion is 0 or more and below 1"),
        (Jigsaw, {"base_width": 0}, "base_width is from 1 to"),
        (Jigsaw, {"half_life": -1.0}, "half_life is from 0 to 3 600"),
        (Jigsaw, {"ensemble": 2, "parallel": 3}, "parallel is from 1 to all 2 networks"),
        (Jigsaw, {"ensemble": 0}, "ensemble is from 1 to 6"),
        (JigsawPublished, {"heads": "pace"}, "heads are of temporal, spatial, each"),
        (JigsawPublished, {"curriculum_epochs": -1}, "curriculum_epochs is from 0"),
        (JigsawFrames, {"heads": "temporal"}, "heads are of frame-temporal"),
        (JigsawFrames, {"network": "wide"}, "network is pieces or published"),
        (JigsawFrames, {"sub_clips": 4}, "sub_clips are an odd number"),
        (
            JigsawFrames,
            {"sub_clips": 3, "heads": "frame-spatial"},
            "sub_clips count with clip-temporal",
        ),
        (JigsawFrames, {"curriculum_epochs": 3}, "count with --network published"),
        (JigsawFrames, {"pool_clip_head": True}, "counts with --network published"),
        (
            JigsawFrames,
            {"pool_clip_head": True, "network": "published", "heads": "clip-spatial"},
            "and clip-temporal",
        ),
        (BoxOptions, {"source": "detector"}, "--boxes.model MODEL.onnx"),
        (BoxOptions, {"source": "file"}, "--boxes.file FILE"),
        (BoxOptions, {"source": "eyes"}, "motion, detector, union or file"),
        (BoxOptions, {"model": "a.onnx"}, "counts with --boxes.source detector or union"),
        (BoxOptions, {"file": "a.npz"}, "counts with --boxes.source file"),
        (
            BoxOptions,
            {"source": "file", "file": "a.npz", "model": "a.onnx"},
            "counts with --boxes.source detector or union",
        ),
        (BoxOptions, {"confidence": 0.5}, "counts with --boxes.source detector, union or file"),
        (BoxOptions, {"margin": -0.1}, "margin is from 0 to 1"),
        (Sampling, {"jitter": 0.6}, "jitter is from 0 to 0.5"),
        (Sampling, {"train_frame_step": 0}, "train_frame_step is from 1"),
        (Sampling, {"epoch_cubes": -1}, "epoch_cubes is from 0"),
        (Sampling, {"cache_mb": 0}, "cache_mb is from 1"),
    ],
)
def test_options_that_cannot_work_are_one_line(
    method: Any, options: dict[str, Any], why: str
) -> None:
    with pytest.raises(ValueError, match=why) as error:
        method(**options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("method", [Jigsaw, JigsawPublished, JigsawFrames])
def test_a_method_has_a_dozen_options_beside_groups(method: type[PuzzleDetector]) -> None:
    plain = [value for value in method().options.values() if not isinstance(value, dict)]
    assert len(plain) <= 12


def test_what_stands_around_a_thing_can_be_seen_too() -> None:
    boxes = np.array([[10, 20, 30, 60]], np.float32)
    np.testing.assert_allclose(expand_boxes(boxes, 0.5), [[5, 10, 35, 70]])
    assert expand_boxes(np.zeros((3, 0)), 0.5).shape == (3, 0)


def test_a_puzzle_is_reduced_as_asked() -> None:
    cubes = np.random.default_rng(0).integers(0, 256, (8, 3, 32, 32, 1), np.uint8)
    options: dict[str, Any] = {"clip_length": 3, "colour": "grey", "base_width": 4, "ensemble": 1}
    mean, most = Jigsaw(**options).eval(), Jigsaw(**options, reduce="max").eval()
    most.load_state_dict(mean.state_dict())
    inside = np.zeros(8, bool)
    low, high = (one.head_scores(one.core(), cubes, inside) for one in (mean, most))
    assert (low < high).all(), "three puzzles of which no piece is sure"


def marked(*frames: int) -> list[BoxedVideo]:
    """Videos of so many frames, with one cube a frame."""
    return [
        BoxedVideo(Video(str(T), Path("x")), np.arange(T), np.arange(T), np.full((T, 4), 9.0))
        for T in frames
    ]


@pytest.mark.parametrize("share", [2, 3, 6])
@pytest.mark.parametrize("frames", [(100,) * 14, (3000,), (100, 700, 100), (100,), (40, 40)])
def test_each_cube_is_held_out_of_learning_once(frames: tuple[int, ...], share: int) -> None:
    videos, seen = marked(*frames), [list[int]() for _ in frames]
    for turn in range(share):
        learned, held = split_cubes(videos, share, turn)
        for k, (one, left, kept) in enumerate(zip(videos, learned, held, strict=True)):
            np.testing.assert_array_equal(np.sort(np.r_[left.place, kept.place]), one.place)
            assert len(left.box) == len(left.place)
            assert len(kept.box) == len(kept.place)
            assert len(kept.index) == len(one.index), "frames keep their places"
            seen[k] += kept.place.tolist()
        if len(frames) > 6:
            assert {len(one.place) for one in held} == {0, 100}, "whole short videos"
        assert 0.5 / share < sum(len(one.place) for one in held) / sum(frames) < 1.6 / share
    assert [sorted(mine) for mine in seen] == [one.place.tolist() for one in videos], (
        "each cube is held out once"
    )


def test_one_cube_in_all_is_learned_from_and_measured() -> None:
    videos = marked(1)
    assert [split_cubes(videos, 3, turn) for turn in range(3)] == [(videos, videos)] * 3


def boxed(videos: list[Video], detector: Jigsaw, folder: Path) -> list[BoxedVideo]:
    return detector.find_cubes(videos, Run(folder))


def test_each_network_is_validated_on_video_that_it_did_not_learn_from(
    videos: list[Video], tmp_path: Path
) -> None:
    detector = fitted(videos, tmp_path, ensemble=2)
    for name in ("jigsaw-1", "jigsaw-2"):
        with (tmp_path / "logs" / f"{name}.csv").open() as file:
            assert all(float(row["held_out"]) > 0 for row in csv.DictReader(file))
    things = sum(len(one.place) for one in boxed(videos, detector, tmp_path))
    assert len(detector.reference_scores) == 2 * things, "both scored all normal things"
    one, other = (list(net.parameters()) for net in detector.nets)
    assert not any(torch.equal(a, b) for a, b in zip(one, other, strict=True) if a.dim() > 1)
    cubes = np.random.default_rng(0).integers(0, 255, (4, 3, 32, 32, 1), np.uint8)
    inside = np.zeros(4, bool)
    each = [
        detector.head_scores(PuzzleScorer([net], detector.task), cubes, inside)
        for net in detector.nets
    ]
    assert not np.allclose(*each)
    together = detector.head_scores(detector.core(), cubes, inside)
    np.testing.assert_array_equal(together, np.mean(each, axis=0))


def test_what_the_edge_cuts_off_has_no_pace(videos: list[Video], tmp_path: Path) -> None:
    detector = fitted(videos, tmp_path)
    cubes = np.random.default_rng(0).integers(0, 255, (6, 3, 32, 32, 1), np.uint8)
    # so that every z-score is above 0, and differs by the cube
    detector.reference_scores[:] = -20.0
    inside, outside = (
        detector.zscores(cubes, np.tile([x, 9.0, x + 10, 19], (6, 1)), (48, 64)) for x in (9.0, 0.0)
    )
    assert len(np.unique(inside[:, 2])) == len(np.unique(outside[:, 0])) == 6
    assert len(np.unique(outside[:, 2])) == 1
    marks = [
        replace(one, box=np.tile(np.float32([0, 9, 10, 19]), (len(one.box), 1)))
        for one in boxed(videos[:1], detector, tmp_path)
    ]
    cache = detector.ensemble_training.cubes(marks, 0).cache
    normal = detector.score_normal(detector.nets[0], marks, cache).scores
    assert (normal[:, 2] == 0).all(), "nor do normal things, with which it is compared"
    assert len(np.unique(normal[:, 1])) > 1
    boxes = np.array([[9, 9, 19, 19], [1, 9, 19, 19], [9, 9, 62, 19]], np.float32)
    assert touches_edge(boxes, (48, 64)).tolist() == [False, True, True]
    assert not touches_edge(np.zeros((0, 4)), (48, 64)).size
    assert touches_edge(np.zeros((2, 0)), (48, 64)).tolist() == [False, False], "whole frames"


def test_networks_taught_at_once_are_those_taught_one_after_another(
    videos: list[Video], tmp_path: Path
) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    together = fitted(videos[:2], tmp_path / "a", ensemble=2, parallel=2)
    torch.set_num_threads(1)
    apart = fitted(videos[:2], tmp_path / "b", ensemble=2)
    torch.set_num_threads(threads)
    for name, value in apart.state_dict().items():
        torch.testing.assert_close(value, together.state_dict()[name], rtol=0, atol=0, msg=name)


def test_what_stops_a_process_that_teaches_is_said(videos: list[Video], tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="fewer than the 10000 of a step") as error:
        fitted(
            videos[:2], tmp_path, ensemble=2, parallel=2, training=Training(epochs=1, batch=10000)
        )
    assert "\n" not in str(error.value)


def test_the_same_puzzles_are_checked_every_time() -> None:
    net = WideBranchNet(frames=3, channels=1, side=32, width=2).eval()
    world, cut = (255 * a_world(40)).to(torch.uint8), list[int]()

    def cubes() -> torch.Tensor:
        cut.append(1)
        return world

    check = ValidationLoss(ShuffledTask({"temporal": 1.0, "spatial": 1.0}, 3, 0.1), cubes)
    assert not cut, "not before it is asked"
    state = torch.get_rng_state()
    with torch.no_grad():
        assert check(net) == check(net) > 0
    assert len(cut) == 1
    assert torch.equal(state, torch.get_rng_state())


def test_things_are_judged_by_normal_ones_near_them() -> None:
    random = np.random.default_rng(0)
    where = np.r_[np.zeros((300, 4)), np.ones((300, 4))]
    # hard to put together at the first place, easy at the second
    known = np.r_[random.normal(0, 1, (300, 2)), random.normal(-4, 0.5, (300, 2))]
    same = np.full((2, 2), -2.0)
    far, near = local_zscore(same, np.array([[0.0] * 4, [1.0] * 4]), known, where)
    assert (far == 0).all()
    np.testing.assert_allclose(near, 2 / (0.5 + 0.3), rtol=0.15)
    whole = local_zscore(same[:1], np.zeros((1, 0)), known, where)
    assert (whole >= 0).all()
    assert (whole < 0.2).all()


@pytest.mark.parametrize(
    "recipe",
    sorted((Path(__file__).parents[1] / "recipes").glob("jigsaw*.yaml")),
    ids=lambda path: path.stem,
)
def test_recipes_are_understood_and_start(
    recipe: Path, videos: list[Video], boxes: Path, tmp_path: Path
) -> None:
    """Each is fitted, on little video and with a narrow network, but otherwise as it says."""
    text = recipe.read_text()
    command = next(line for line in text.splitlines() if "oddframe fit" in line)
    words = command.removeprefix("#").split()
    assert words[:2] == ["oddframe", "fit"]
    assert words[words.index("--config") + 1] == f"recipes/{recipe.name}"
    assert words[3] in recipe.stem, "the data set is in the file's name"
    options = yaml.safe_load(text)
    if options.get("boxes", {}).get("source") == "file":
        assert "--boxes.file FILE" in command
        options["boxes"]["file"] = str(boxes)
    method = member("methods", words[2], "method")
    assert method.of(options).ensemble_training.training.epochs == options["training"]["epochs"]
    options["base_width"] = 1
    options["sampling"] |= {"train_frame_step": 12, "epoch_cubes": 4}
    options["training"] |= {"epochs": 1, "batch": 4, "precision": "float32"}
    for name in ("ensemble", "parallel", "curriculum_epochs"):
        if name in options:
            options[name] = 1
    detector = method.of(options)
    detector.fit(videos[:2], Run(tmp_path / "run"))
    scores = scored(detector, replace(videos[2], span=(0.0, 4.0)))
    assert len(scores)
    assert np.isfinite(scores.value).all()


def test_a_map_shows_the_strangest_thing_at_each_place() -> None:
    boxes = np.array([[0, 0, 40, 40], [20, 20, 80, 60], [159, 95, 160, 96]], np.float32)
    heat = paint_boxes(boxes, np.array([2.0, 1.0, 3.0]), (96, 160))
    assert heat.shape == (12, 20)
    assert heat[0, 0] == heat[4, 4] == 2
    assert heat[6, 8] == 1
    assert heat[11, 19] == 3
    assert heat[0, 10] == 0


def a_world(cubes: int, frames: int = 3, side: int = 32) -> torch.Tensor:
    """(cubes, 1, T, S, S): things that brighten as time goes on, darkest at their upper left. Easily put in order."""
    y, x, t = torch.meshgrid(
        torch.linspace(0, 1, side),
        torch.linspace(0, 1, side),
        torch.arange(frames) / frames,
        indexing="ij",
    )
    shade = (0.35 * y + 0.35 * x + 0.25 * t) * (0.7 + 0.3 * torch.rand(cubes, 1, 1, 1))
    return (shade + 0.05 * torch.rand(cubes, side, side, frames)).permute(0, 3, 1, 2)[:, None]


@pytest.mark.parametrize("ours", [True, False], ids=["pieces", "published"])
def test_what_does_not_go_as_learned_is_strange(ours: bool) -> None:
    torch.manual_seed(0)
    weights = {"temporal": 1.0, "spatial": 1.0}
    net: torch.nn.Module = WideBranchNet(frames=3, channels=1, side=32, width=4)
    task: ShuffledTask = ShuffledTask(weights, 3, 0.1)
    if ours:
        net, task = (
            PieceNet(heads=list(weights), frames=3, side=32, width=4),
            UnshuffledTask(weights, 3, 0.1),
        )
    steps = torch.optim.Adam(net.parameters(), 1e-3)
    for _ in range(80):
        loss = task(net, (255 * a_world(16)).to(torch.uint8))["loss"]
        steps.zero_grad()
        loss.backward()
        steps.step()
    net.eval()
    normal = a_world(30)
    with torch.no_grad():
        told, backwards, upside_down = (
            {
                name: said.exp().mean()
                for name, said in task.head_scores(net, (255 * cubes).to(torch.uint8)).items()
            }
            for cubes in (normal, normal.flip(2), normal.flip(3, 4))
        )
    assert backwards["temporal"] > told["temporal"] + 3
    assert upside_down["spatial"] > told["spatial"] + 0.5


def test_training_descends() -> None:
    """Sixty steps on one small batch: a network that cannot learn its puzzles by heart is wired wrongly."""
    torch.manual_seed(0)
    puzzles = make_puzzles(torch.rand(6, 1, 3, 32, 32), 3, 0.1)
    net = WideBranchNet(frames=3, channels=1, side=32, width=4)
    steps = torch.optim.Adam(net.parameters(), 3e-3)
    losses = []
    for _ in range(60):
        told = net(puzzles.pixels)
        loss = puzzle_loss(told["temporal"], puzzles.temporal, puzzles.is_temporal)
        loss = loss + puzzle_loss(told["spatial"], puzzles.spatial, ~puzzles.is_temporal)
        steps.zero_grad()
        loss.backward()
        steps.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]
