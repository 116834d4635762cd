"""Runs of different methods on the same videos: aligned, weighed by what they earn, written as scores."""

import json
import logging
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oddframe import BadInput, fit, load
from oddframe.cli.main import main
from oddframe.evaluation import earned_weights
from oddframe.evaluation.earned_weights import (
    Earned,
    auc_of_run,
    earn_weights,
    normal_videos,
    tampered_clips,
)
from oddframe.evaluation.fused_runs import refuse_other_cameras, weigh
from oddframe.scoring.fused_scores import WeighedRun, fuse_scores
from oddframe.scoring.run_folder import FittedDetector
from oddframe.scoring.score_store import ScoredVideo, score_to
from oddframe.synthetic.tamper import tamper
from oddframe.types import Scores, Video
from oddframe.video.ignored_files import read_area
from oddframe.video.reader import video_of
from oddframe.workflows.fuse import fuse, mean_threshold
from scenes import Block, filmed, scene, walkers

Refused = Callable[..., str]


@pytest.fixture(scope="module", autouse=True)
def few_clips() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(earned_weights, "CLIPS", 4)
        yield


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with normal recordings, a test video in which somebody rushes, and the truth."""
    root = tmp_path_factory.mktemp("place")
    for part in ("train", "test", "truth"):
        (root / part).mkdir()
    for seed in range(4):
        film = scene(walkers(seed), 120, seed=seed)
        filmed(root / "train" / f"day{seed}.mp4", film)
    rush = Block(0, 60, 7.0, (18, 9), start=50, end=80)
    filmed(root / "test" / "today.mp4", scene([*walkers(9), rush], 100, seed=9))
    (root / "truth" / "today.csv").write_text("start_seconds,end_seconds\n5.0,8.0\n")
    return root


@pytest.fixture(scope="module")
def runs(place: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Runs of three methods on one place."""
    out = tmp_path_factory.mktemp("runs")
    options: dict[str, dict[str, Any]] = {
        "flowgrid": {"bank": 200},
        "frame-difference": {"size": 80},
        "constant": {},
    }
    found = []
    for method, given in options.items():
        fit(method, place / "train", out=out / method, options=given)
        found.append(out / method)
    return found


@pytest.fixture(scope="module")
def other_place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of another camera, of another shape."""
    root = tmp_path_factory.mktemp("other")
    for seed in range(3):
        film = scene(walkers(seed), 100, seed=seed, size=(120, 240))
        filmed(root / f"day{seed}.mp4", film)
    return fit("frame-difference", root, out=root / "run", options={"size": 80}).folder


# ── weights ──


def test_runs_earn_their_weights_on_normal_video(
    runs: list[Path], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted = [load(run) for run in runs]
    earned = earn_weights(fitted)
    assert isinstance(earned, Earned)
    flow, difference, constant = earned.aucs
    assert flow > 0.6
    assert constant == 0.5
    assert earned.weights[0] == pytest.approx(2 * flow - 1, abs=1e-4)
    assert earned.weights[1] == pytest.approx(max(0, 2 * difference - 1), abs=1e-4)
    assert earned.weights[2] == 0
    monkeypatch.setattr(earned_weights, "score_clip", None)
    assert earn_weights(fitted) == earned, "measured once"
    with caplog.at_level(logging.WARNING, logger="oddframe"):
        told = weigh(fitted, "earned")
    assert "constant" in told.silent()
    assert "constant falls silent" in caplog.text
    assert [run.label for run in told.runs] == ["flowgrid", "frame-difference", "constant"]


def test_no_test_video_is_looked_at_for_weights(runs: list[Path], place: Path) -> None:
    sources = {video.source for video in normal_videos([load(run) for run in runs])}
    assert sources == set((place / "train").iterdir())


def test_where_normal_video_is_gone_all_count_the_same(
    runs: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    fitted = [gone(load(run)) for run in runs[:2]]
    with caplog.at_level(logging.WARNING, logger="oddframe"):
        told = weigh(fitted, "earned")
    assert [run.weight for run in told.runs] == [1, 1]
    assert told.aucs is None
    assert "no longer where it was" in caplog.text
    changed = [replace(load(run), facts=changed_hash(load(run))) for run in runs[:2]]
    assert normal_videos(changed) == []
    assert weigh([load(run) for run in runs], "equal").how == "all runs count the same: asked for"


def gone(run: FittedDetector) -> FittedDetector:
    trained = [one | {"source": "gone.mp4"} for one in run.facts["trained_on"]]
    return replace(run, facts={**run.facts, "trained_on": trained})


def changed_hash(run: FittedDetector) -> dict[str, Any]:
    trained = [one | {"hash": "0"} for one in run.facts["trained_on"]]
    return {**run.facts, "trained_on": trained}


def test_where_nothing_moves_or_none_finds_it_all_count_the_same(
    runs: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    constant = load(runs[2])
    assert "no run tells" in str(earn_weights([constant, constant]))
    monkeypatch.setattr(earned_weights, "tampered_clips", lambda *_given: iter(()))
    assert "nothing moves" in str(earn_weights([constant]))


def test_neither_memory_nor_the_making_of_clips_earns(runs: list[Path]) -> None:
    run = load(runs[0])
    high = run.calibration.ascending.max() + np.arange(1.0, 5.0)
    assert auc_of_run(run, high, high - 4) > 0.8  # type: ignore[operator]
    # all of the clip is as odd as the fault: it was made so
    assert auc_of_run(run, high, high) == 0.5
    # what was learned is known by heart, but a fault is no odder than normal video that was not
    usual = run.calibration.ascending
    assert auc_of_run(run, usual, np.full(9, -1.0)) == pytest.approx(0.5)
    assert auc_of_run(run, np.zeros(0), usual) is None


def test_faults_are_put_where_something_is_looked_at(place: Path) -> None:
    videos = [video_of(path) for path in sorted((place / "train").iterdir())]
    clips = list(tampered_clips(videos, None))
    assert len(clips) == 4
    for clip in clips:
        assert clip.frames.shape[1:] == (120, 160, 3)
        assert clip.odd.any()
        assert not clip.odd.all()
    everything_below = read_area("0,0.2 1,0.2 1,1 0,1")
    assert list(tampered_clips(videos, everything_below)) == []


def test_a_fault_lasts_as_long_at_any_rate() -> None:
    slow, fast = scene(walkers(3), 100, seed=3), scene(walkers(3, pace=0.5), 300, seed=3)
    for seed in range(4):
        one = tamper(slow, "frozen-box", np.random.default_rng(seed))
        other = tamper(fast, "frozen-box", np.random.default_rng(seed), fps=30)
        assert one is not None
        assert other is not None
        lengths = [
            len(np.flatnonzero((m.frames != f).any((1, 2))))
            for m, f in ((one, slow), (other, fast))
        ]
        assert 20 < lengths[1] <= 123
        assert lengths[0] <= 41


# ── fused scores ──


def test_rarities_are_aligned_to_the_nearest_earlier_frame(
    runs: list[Path], place: Path, tmp_path: Path
) -> None:
    fitted = load(runs[1])
    stored = score_to(tmp_path / "a.npz", fitted, video_of(place / "test" / "today.mp4"))
    shutil.copy(stored.path, tmp_path / "b.npz")

    def of(path: str, frame: list[int], value: list[float], cells: tuple[int, int]) -> ScoredVideo:
        heat = np.ones((len(frame), *cells), np.float32) * np.array(value)[:, None, None]
        numbers = np.array(value)
        scores = Scores("today", np.array(frame), np.array(frame) / 10, numbers, heat)
        return replace(stored, scores=scores, score=numbers, raw=numbers, path=tmp_path / path)

    one = of("a.npz", [0, 1, 2, 3], [1.0, 2.0, 3.0, 4.0], (2, 2))
    other = of("b.npz", [1, 3], [0.0, 8.0], (4, 4))
    weighed = [WeighedRun("one", fitted, 3.0), WeighedRun("other", fitted, 1.0)]
    fused = fuse_scores(tmp_path / "fused.npz", [one, other], weighed)
    assert fused.scores.frame.tolist() == [0, 1, 2, 3]
    assert fused.scores.seconds.tolist() == [0.0, 0.1, 0.2, 0.3]
    expected = [1.0, 0.75 * 2, 0.75 * 3, 0.75 * 4 + 0.25 * 8]
    assert fused.scores.value.tolist() == expected
    assert fused.scores.components["other"].tolist() == [0, 0, 0, 8]
    assert fused.scores.map is not None
    assert fused.scores.map.shape == (4, 4, 4)
    np.testing.assert_allclose(fused.scores.map[:].mean((1, 2)), expected, rtol=1e-3)
    written = (tmp_path / "fused.npz").stat().st_mtime_ns
    fuse_scores(tmp_path / "fused.npz", [one, other], weighed)
    assert (tmp_path / "fused.npz").stat().st_mtime_ns == written, "found again"
    alone = [WeighedRun("one", fitted, 1.0), WeighedRun("other", fitted, 0.0)]
    again = fuse_scores(tmp_path / "fused.npz", [one, other], alone)
    assert again.scores.value.tolist() == [1, 2, 3, 4]


def test_boxes_count_as_places_too(runs: list[Path], place: Path, tmp_path: Path) -> None:
    fitted = load(runs[1])
    stored = score_to(tmp_path / "a.npz", fitted, video_of(place / "test" / "today.mp4"))
    boxes = (np.array([[0.5, 0.5, 1.0, 1.0, 6.0]]), np.zeros((0, 5)))
    numbers = np.array([6.0, 0.0])
    scores = Scores("today", np.arange(2), np.arange(2) / 10, numbers, boxes=boxes)
    one = replace(stored, scores=scores, score=numbers, raw=numbers)
    weighed = [WeighedRun("one", fitted, 1.0), WeighedRun("other", fitted, 1.0)]
    fused = fuse_scores(tmp_path / "fused.npz", [one, one], weighed)
    assert fused.scores.map is not None
    heat = fused.scores.map[0]
    assert heat[-1, -1] == 6
    assert heat[0, 0] == 0
    assert not fused.scores.map[1].any()


def test_the_threshold_is_the_mean_that_the_weights_ask_for(runs: list[Path]) -> None:
    own = [load(run).threshold for run in runs[:2]]
    told = mean_threshold(own, None, [0.75, 0.25])
    assert told.rarity == pytest.approx(0.75 * own[0].rarity + 0.25 * own[1].rarity)
    assert mean_threshold(own, 2.0).rarity == 2.0
    assert not told.counted


# ── the command ──


def test_fuse_writes_what_score_writes_and_measures(
    runs: list[Path], place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["fuse", *map(str, runs), str(place), "--out", str(tmp_path / "out"), "--overlay"]
    words += ["--rarity", "2"]
    assert main([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert set(told["streams"]) == {"all", "flowgrid", "frame-difference", "constant"}
    assert told["streams"]["all"]["micro_auc"] > 0.7
    assert told["streams"]["constant"]["micro_auc"] == 0.5
    assert told["weights"]["constant"] == 0
    assert sum(told["weights"].values()) == pytest.approx(1)
    assert told["aucs"]["flowgrid"] > 0.6
    (video,) = told["videos"]
    assert video["events"]
    out = tmp_path / "out"
    for name in ("scores.csv", "events.json", "fusion.json", "today.npz", "today.overlay.mp4"):
        assert (out / name).stat().st_size > 0
    assert (out / video["events"][0]["picture"]).is_file()
    assert (out / video["events"][0]["clip"]).is_file()
    assert video["events"][0]["box"] is not None
    assert (out / "flowgrid" / "today.npz").is_file()
    page = (out / "report.html").read_text()
    assert "constant falls silent" in page
    head = (out / "scores.csv").read_text().splitlines()[0]
    assert head.endswith("part.flowgrid,part.frame-difference,part.constant")
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "micro_auc of all" in said
    assert "weights: flowgrid " in said


def test_a_single_video_without_truth_is_scored(
    runs: list[Path], place: Path, tmp_path: Path
) -> None:
    film = shutil.copy(place / "test" / "today.mp4", tmp_path / "gate.mp4")
    found = fuse(runs[:2], film, out=tmp_path / "out", weights="equal", clips=False)
    assert found.streams == {}
    assert found.weights == {"flowgrid": 0.5, "frame-difference": 0.5}
    assert found.weighing == "all runs count the same: asked for"
    assert [one.video for one in found.videos] == ["gate"]
    assert found.videos[0].frames_scored > 90


def test_runs_of_one_method_are_told_apart(runs: list[Path], place: Path, tmp_path: Path) -> None:
    other = fit("frame-difference", place / "train", out=tmp_path / "fine", options={"size": 160})
    found = fuse([runs[1], other.folder], place, out=tmp_path / "out", weights="equal")
    assert list(found.weights) == ["frame-difference frame-difference", "frame-difference fine"]


@pytest.mark.parametrize(
    ("given", "code", "says"),
    [
        (["{0}"], 2, "two runs or more"),
        (["{0}", "{0}"], 2, "is given twice"),
        (["{0}", "{other}"], 2, "they are of different cameras"),
        (["{0}", "nowhere"], 5, "nowhere"),
        (["{0}", "{1}", "--weights", "loud"], 2, "one of equal, earned"),
    ],
)
def test_what_cannot_be_fused_is_one_line_and_nothing_is_scored(
    refused: Refused,
    runs: list[Path],
    other_place: Path,
    place: Path,
    tmp_path: Path,
    given: list[str],
    code: int,
    says: str,
) -> None:
    words = [word.format(*runs, other=other_place) for word in given]
    assert says in refused(code, "fuse", *words, place, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_different_views_of_one_shape_are_refused(runs: list[Path]) -> None:
    one, other = load(runs[0]), load(runs[1])
    refuse_other_cameras([one, other])
    view = one.calibration.view
    assert view is not None
    turned = replace(other.calibration, view=np.ascontiguousarray(view[::-1, ::-1]))
    with pytest.raises(BadInput, match="learned different views"):
        refuse_other_cameras([one, replace(other, calibration=turned)])


def test_a_test_video_that_one_run_learned_is_a_leak(
    refused: Refused, runs: list[Path], place: Path, tmp_path: Path
) -> None:
    shutil.copytree(place, tmp_path / "place")
    shutil.copy(place / "train" / "day0.mp4", tmp_path / "place" / "test" / "today.mp4")
    words = ["fuse", *runs, tmp_path / "place", "--out", tmp_path / "out"]
    assert "also learned from" in refused(6, *words)


def test_a_video_that_cannot_be_read_is_left_out(
    runs: list[Path], place: Path, tmp_path: Path
) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    shutil.copy(place / "test" / "today.mp4", videos / "good.mp4")
    (videos / "bad.mp4").write_bytes(b"no film")
    words = ["fuse", *runs[:2], videos, "--out", tmp_path / "out", "--weights", "equal"]
    assert main([str(word) for word in words]) == 3
    told = json.loads((tmp_path / "out" / "events.json").read_text())
    assert [one["name"] for one in told["left_out"]] == ["bad"]


def test_videos_are_read_without_what_the_runs_ignore(place: Path, tmp_path: Path) -> None:
    made = []
    for method in ("frame-difference", "constant"):
        run = fit(method, place / "train", out=tmp_path / method, ignore="0,0 1,0 1,0.3 0,0.3")
        made.append(run.folder)
    video = Video("today", place / "test" / "today.mp4")
    fitted = [load(run) for run in made]
    parts = [score_to(tmp_path / f"{k}.npz", run, video) for k, run in enumerate(fitted)]
    weighed = [WeighedRun(run.detector.name, run, 1.0) for run in fitted]
    fused = fuse_scores(tmp_path / "all.npz", parts, weighed)
    assert fused.video.ignored == fitted[0].ignored
    assert fused.scores.map is not None
    assert not fused.scores.map[:][:, :3].any()
