"""Drivers: labels as their authors write them, streams apart and together. The tree is built of real video."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from oddframe.api import fit
from oddframe.cli import main
from oddframe.commands.fusing import fuse
from oddframe.datasets.contract import open_data
from oddframe.datasets.dad import rows_in, truth_of
from oddframe.errors import BadInput, BadTruth
from oddframe.scores.fusion import fused
from oddframe.scores.judged import Judged
from oddframe.types import ClipSpec, Truth, Video
from oddframe.video.reader import read

VIEWS = {"front_IR": slice(0, 180), "top_IR": slice(180, 360)}  # the halves of a picture: two cameras on one scene


@pytest.fixture(scope="module")
def dad(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A miniature of the authors' tree, made of Ped2: three normal recordings, two to be judged on. Two streams."""
    root = tmp_path_factory.mktemp("dad") / "DAD"
    for k in range(3):
        put(root / "Tester1" / f"normal_driving_{k + 1}", shared, f"Train/Train00{k + 1}", 0)
    put(root / "val01" / "rec1", shared, "Test/Test002", 60)
    put(root / "val01" / "rec2", shared, "Test/Test001", 20)
    (root / "LABEL.csv").write_text("val01,rec1,0,34,N\n,,35,70,A\n,rec2,0,40,N\n,,41,79,A\n")
    return root


def put(folder: Path, shared: Path, clip: str, first: int, count: int = 80) -> None:
    frames = read(Video("clip", shared / f"ucsd/UCSDped2/{clip}.mp4"), ClipSpec(length=1, size=None, colour="grey"))
    for k, frame in enumerate(frames):
        if first <= k < first + count:
            for stream, part in VIEWS.items():
                (folder / stream).mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(folder / stream / f"img_{k - first}.png"), frame.pixels[::2, part][:, ::2])


def test_each_stream_is_a_video_with_the_truth_of_its_recording(dad: Path) -> None:
    _, split = open_data("dad", dad)
    assert [video.name for video in split.test[:2]] == ["val01_rec1-front_ir", "val01_rec1-top_ir"]
    assert {video.label for video in split.train} == {"front_ir", "top_ir"}
    assert len(split.train) == 6
    for video in split.test[:2]:
        assert video.truth is not None
        truth = video.truth(80)
        assert np.flatnonzero(truth.frame).tolist() == list(range(35, 71))
    _, front = open_data("dad", dad.parent, "front_ir")
    assert [video.name for video in front.test] == ["val01_rec1-front_ir", "val01_rec2-front_ir"]
    with pytest.raises(BadInput, match="no stream is called 'side_ir'"):
        open_data("dad", dad, "side_ir")
    assert open_data("dad", dad, "all")[1] == split


def test_streams_are_fitted_apart_and_fused(dad: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = []
    for stream in ("front_ir", "top_ir"):
        words = ["fit", "frame-difference", "dad", "--root", dad, "--stream", stream, "--out", tmp_path / stream]
        assert main([str(word) for word in words]) == 0
        runs.append(str(tmp_path / stream))
    capsys.readouterr()
    assert main(["fuse", *runs, "dad", "--root", str(dad), "--out", str(tmp_path / "out")]) == 0
    told = capsys.readouterr().out
    assert "2 recordings" in told
    assert "micro_auc of all" in told
    found = fuse([Path(run) for run in runs], "dad", root=dad, out=tmp_path / "out")
    assert set(found["streams"]) == {"all", "front_ir", "top_ir"}
    assert all(0 < numbers["micro_auc"] <= 1 for numbers in found["streams"].values())
    assert (tmp_path / "out" / "fusion.json").is_file()
    assert main(["evaluate", runs[0], "dad", "--root", str(dad), "--no-report"]) == 0
    assert "2 videos" in capsys.readouterr().out, "a run is measured on the stream it has learned"


def test_what_cannot_be_fused_is_said(dad: Path, tmp_path: Path, refused: Callable[..., str]) -> None:
    fit("constant", "dad", root=dad, out=tmp_path / "all")
    assert "two runs or more" in refused(2, "fuse", tmp_path / "all", "dad", "--root", dad, "--out", tmp_path / "o")
    line = refused(2, "fuse", tmp_path / "all", tmp_path / "all", "dad", "--root", dad, "--out", tmp_path / "o")
    assert "no single stream" in line


def judged(name: str, *value: float) -> Judged:
    odd = np.array([False] * (len(value) - 1) + [True])
    return Judged(name, np.array(value), np.array(value), Truth(odd), np.arange(len(value)) / 45)


def test_fusion_is_the_mean_of_rarities_and_forgives_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    streams: dict[str, Any] = {
        "front": {"a": judged("a", 1, 2, 3), "b": judged("b", 4, 4)},
        "top": {"a": judged("a", 3, 0)},
    }
    one, other = fused(streams)
    assert one.value.tolist() == [2, 1, 3]
    assert other.value.tolist() == [4, 4]
    assert "note: b lacks top" in capsys.readouterr().err
    with pytest.raises(BadInput, match="no recording in common"):
        fused({"front": {"a": judged("a", 1, 2)}, "top": {"b": judged("b", 1, 2)}})


def label(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "LABEL.csv"
    path.write_text(text)
    return path


def test_blank_cells_are_those_of_the_row_above(tmp_path: Path) -> None:
    rows = rows_in(
        label(
            tmp_path, "val,rec,start,end,label\nval01,rec1,,,\n,,0,9,N\n,,10,20,A\n\n,rec2,0,5,n\n2,1,0,7,A\n,,8,9,\n"
        )
    )
    assert rows == {
        "val01_rec1": [(0, 9, False), (10, 20, True)],
        "val01_rec2": [(0, 5, False)],
        "val02_rec1": [(0, 7, True)],
    }


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("val01,rec1,0,5,N\nval02,,6,9,A\n", "row 2: no row above says which recording of val02", id="rec"),
        pytest.param(",,0,5,N\n", "row 1: no row above says which recording it is", id="nothing above"),
        pytest.param("val01,rec1,0,5,B\n", "row 1: a label is N", id="label"),
        pytest.param("val01,rec1,9,5,A\n", "row 1: it ends at frame 5, before its start 9", id="backwards"),
        pytest.param("val01,rec1,0,x,A\n", "frame numbers from 0, got 'x'", id="number"),
        pytest.param("val01,rec1,-3,5,A\n", "frame numbers from 0, got '-3'", id="negative"),
        pytest.param("val01,rec1,0,9,N\n,,5,12,A\n", "row 2: frames 5 to 9 of val01 rec1 are said to be", id="overlap"),
        pytest.param("driver,rec1,0,9,N\n", "row 1: a cell val is written val01, got 'driver'", id="unknown"),
    ],
)
def test_labels_that_cannot_be_right_are_one_line(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(BadTruth) as error:
        rows_in(label(tmp_path, text))
    assert why in str(error.value)
    assert "\n" not in str(error.value)


def test_gaps_in_numbers_move_no_label(tmp_path: Path) -> None:
    for number in (0, 1, 2, 7, 8, 9, 10):
        cv2.imwrite(str(tmp_path / f"img_{number}.png"), np.zeros((8, 8), np.uint8))
    truth = truth_of(label(tmp_path, "val01,rec1,0,6,N\n,,7,9999,A\n"), "val01_rec1", tmp_path, 7)
    assert truth.frame.tolist() == [False] * 3 + [True] * 4
    assert "1 gaps" in truth.note
    assert "labels go up to frame 9999, its pictures to 10" in truth.note
    with pytest.raises(BadTruth, match="7 numbered pictures, but 5 frames"):
        truth_of(tmp_path / "LABEL.csv", "val01_rec1", tmp_path, 5)


def test_labels_of_recordings_that_are_not_there_are_noted(dad: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (dad / "LABEL.csv").read_text()
    try:
        (dad / "LABEL.csv").write_text(text + "val07,rec3,0,10,A\n")
        open_data("dad", dad)
        assert "tells of 1 recordings that are not there: val07_rec3" in capsys.readouterr().err
    finally:
        (dad / "LABEL.csv").write_text(text)
