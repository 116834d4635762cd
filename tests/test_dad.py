"""Drivers: labels as their authors write them, streams apart and together. The tree is built of real video."""

import errno
import os
import shutil
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from conftest import hidden
from films import film
from oddframe import evaluate, fit
from oddframe.cli.main import main
from oddframe.cli.render import lines_of
from oddframe.datasets.base import data_set, open_data
from oddframe.datasets.dad_labels import read_label_table, recording_mask_truth, recording_truth
from oddframe.datasets.inventory import take_inventory
from oddframe.errors import BadInput, BadTruth
from oddframe.evaluation.evaluated_video import EvaluatedVideo
from oddframe.evaluation.fusion import fused
from oddframe.files import listing
from oddframe.preparation import dad_layout as rearranging
from oddframe.preparation.dad_layout import DadLayout
from oddframe.types import ClipSpec, Truth, Video
from oddframe.video.reader import content_hash, read, times_of
from oddframe.workflows.fuse import fuse
from oddframe.workflows.prepare import prepare

ALL = ClipSpec(length=1, size=None)
VIEWS = {
    "front_IR": slice(0, 180),
    "top_IR": slice(180, 360),
}  # the halves of a picture: two cameras on one scene


def lay_out(root: Path, out: Path, *, frames: bool = False) -> DadLayout:
    """What `prepare` says of recordings that it lays out."""
    result = prepare("dad", root, out, frames=frames)
    assert isinstance(result, DadLayout)
    return result


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
    frames = read(
        Video("clip", shared / f"ucsd/UCSDped2/{clip}.mp4"),
        ClipSpec(length=1, size=None, colour="grey"),
    )
    for k, frame in enumerate(islice(frames, first + count)):
        if k >= first:
            for stream, part in VIEWS.items():
                (folder / stream).mkdir(parents=True, exist_ok=True)
                cv2.imwrite(
                    str(folder / stream / f"img_{k - first}.png"), frame.pixels[::2, part][:, ::2]
                )


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
    for spelling in ("front_IR", "Front IR", "front-ir"):
        assert open_data("dad", dad.parent, spelling)[1] == front
    assert front.stream == "front_ir"
    assert [video.name for video in front.test] == ["val01_rec1-front_ir", "val01_rec2-front_ir"]
    with pytest.raises(BadInput, match="no stream is called 'side_ir'"):
        open_data("dad", dad, "side_ir")
    assert open_data("dad", dad, "all")[1] == split


def test_streams_are_fitted_apart_and_fused(
    dad: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = []
    for stream in ("front_ir", "top_ir"):
        words = [
            "fit",
            "frame-difference",
            "dad",
            "--root",
            dad,
            "--stream",
            stream,
            "--out",
            tmp_path / stream,
        ]
        assert main([str(word) for word in words]) == 0
        runs.append(str(tmp_path / stream))
    capsys.readouterr()
    assert main(["fuse", *runs, "dad", "--root", str(dad), "--out", str(tmp_path / "out")]) == 0
    told = capsys.readouterr().out
    assert "2 recordings" in told
    assert "micro_auc of all" in told
    found = fuse([Path(run) for run in runs], "dad", root=dad, out=tmp_path / "out")
    assert set(found.streams) == {"all", "front_ir", "top_ir"}
    assert all(0 < numbers["micro_auc"] <= 1 for numbers in found.streams.values())
    assert (tmp_path / "out" / "fusion.json").is_file()
    assert found.weights == {"front_ir": 0.5, "top_ir": 0.5}
    with pytest.raises(BadInput, match="streams count the same"):
        fuse([Path(run) for run in runs], "dad", root=dad, out=tmp_path / "o", weights="earned")
    assert main(["evaluate", runs[0], "dad", "--root", str(dad), "--no-report"]) == 0
    assert "2 videos" in capsys.readouterr().out, "a run is measured on the stream it has learned"


def test_what_cannot_be_fused_is_said(
    dad: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    fit("constant", "dad", root=dad, out=tmp_path / "all")
    assert "two runs or more" in refused(
        2, "fuse", tmp_path / "all", "dad", "--root", dad, "--out", tmp_path / "o"
    )
    line = refused(
        2, "fuse", tmp_path / "all", tmp_path / "all", "dad", "--root", dad, "--out", tmp_path / "o"
    )
    assert "is given twice" in line
    fit("constant", "dad", root=dad, stream="top_ir", out=tmp_path / "top")
    line = refused(
        2, "fuse", tmp_path / "top", tmp_path / "all", "dad", "--root", dad, "--out", tmp_path / "o"
    )
    assert "no single stream" in line
    assert not (tmp_path / "o").exists()


def judged(name: str, *value: float) -> EvaluatedVideo:
    odd = np.array([False] * (len(value) - 1) + [True])
    return EvaluatedVideo(
        name, np.array(value), np.array(value), Truth(odd), np.arange(len(value)) / 45
    )


def test_fusion_is_the_mean_of_rarities_and_forgives_what_is_missing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    streams: dict[str, Any] = {
        "front": {"a": judged("a", 1, 2, 3), "b": judged("b", 4, 4)},
        "top": {"a": judged("a", 3, 0)},
    }
    one, other = fused(streams)
    assert one.value.tolist() == [2, 1, 3]
    assert other.value.tolist() == [4, 4]
    assert "note: b lacks top" in caplog.text
    with pytest.raises(BadInput, match="no recording in common"):
        fused({"front": {"a": judged("a", 1, 2)}, "top": {"b": judged("b", 1, 2)}})


def label(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "LABEL.csv"
    path.write_text(text)
    return path


def test_blank_cells_are_those_of_the_row_above(tmp_path: Path) -> None:
    rows = read_label_table(
        label(
            tmp_path,
            "val,rec,start,end,label\nval01,rec1,,,\n,,0,9,N\n,,10,20,A\n\n,rec2,0,5,n\n2,1,0,7,A\n,,8,9,\n",
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
        pytest.param(
            "val01,rec1,0,5,N\nval02,,6,9,A\n",
            "row 2: no row above says which recording of val02",
            id="rec",
        ),
        pytest.param(
            ",,0,5,N\n", "row 1: no row above says which recording it is", id="nothing above"
        ),
        pytest.param("val01,rec1,0,5,B\n", "row 1: a label is N", id="label"),
        pytest.param(
            "val01,rec1,9,5,A\n", "row 1: it ends at frame 5, before its start 9", id="backwards"
        ),
        pytest.param("val01,rec1,0,x,A\n", "frame numbers from 0, got 'x'", id="number"),
        pytest.param("val01,rec1,-3,5,A\n", "frame numbers from 0, got '-3'", id="negative"),
        pytest.param(
            "val01,rec1,0,9,N\n,,5,12,A\n",
            "row 2: frames 5 to 9 of val01 rec1 are said to be",
            id="overlap",
        ),
        pytest.param(
            "driver,rec1,0,9,N\n", "row 1: a cell val is written val01, got 'driver'", id="unknown"
        ),
    ],
)
def test_labels_that_cannot_be_right_are_one_line(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(BadTruth) as error:
        read_label_table(label(tmp_path, text))
    assert why in str(error.value)
    assert "\n" not in str(error.value)


def test_gaps_in_numbers_move_no_label(tmp_path: Path) -> None:
    for number in (0, 1, 2, 7, 8, 9, 10):
        cv2.imwrite(str(tmp_path / f"img_{number}.png"), np.zeros((8, 8), np.uint8))
    truth = recording_truth(
        label(tmp_path, "val01,rec1,0,6,N\n,,7,9999,A\n"), "val01_rec1", tmp_path, 7
    )
    assert truth.frame.tolist() == [False] * 3 + [True] * 4
    assert "1 gaps" in truth.note
    assert "labels go up to frame 9999, its pictures to 10" in truth.note
    with pytest.raises(BadTruth, match="7 numbered pictures, but 5 frames"):
        recording_truth(tmp_path / "LABEL.csv", "val01_rec1", tmp_path, 5)


def test_labels_of_recordings_that_are_not_there_are_noted(
    dad: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = (dad / "LABEL.csv").read_text()
    try:
        (dad / "LABEL.csv").write_text(text + "val07,rec3,0,10,A\n")
        open_data("dad", dad)
        assert "labels of 1 recordings that are not there: val07_rec3" in caplog.text
    finally:
        (dad / "LABEL.csv").write_text(text)


# Laid out as the jigsaw variant has it.


@pytest.fixture(scope="module")
def laid(dad: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("laid") / "DAD_Jigsaw"
    assert main(["prepare", "dad", str(dad.parent), str(out)]) == 0
    return out


def test_the_layout_is_made_of_links_and_masks(dad: Path, laid: Path) -> None:
    links = [path for path in laid.rglob("*") if path.is_symlink()]
    assert {path.relative_to(laid).as_posix() for path in links} == {
        *(f"training/{stream}/frames/01_00{k}" for stream in VIEWS for k in (1, 2, 3)),
        *(f"testing/{stream}/frames/01_000{k}" for stream in VIEWS for k in (1, 2)),
    }
    assert not any(os.path.isabs(os.readlink(path)) for path in links), "both may move together"
    assert (
        laid / "training/top_IR/frames/01_002"
    ).resolve() == dad / "Tester1/normal_driving_2/top_IR"
    files = {path.relative_to(laid).as_posix() for path in laid.rglob("*") if path.is_file()}
    assert files == {f"testing/frame_masks/01_000{k}.npy" for k in (1, 2)}, "nothing is copied"
    mask = np.load(laid / "testing/frame_masks/01_0001.npy")
    assert (mask.dtype, mask.shape) == (np.int8, (80,)), "as long as the recording"
    assert np.flatnonzero(mask).tolist() == list(range(35, 71)), (
        "the last frame of a range is in it"
    )


def test_both_layouts_are_the_same_videos(dad: Path, laid: Path) -> None:
    _, shipped = open_data("dad", dad)
    for root in (laid, laid.parent):
        _, again = open_data("dad", root)
        for one, other in zip(
            [*shipped.train, *shipped.test], [*again.train, *again.test], strict=True
        ):
            assert (one.name, one.label, one.fps) == (other.name, other.label, other.fps)
            assert content_hash(one.source) == content_hash(other.source)
        for one, other in zip(shipped.test, again.test, strict=True):
            assert one.truth is not None
            assert other.truth is not None
            np.testing.assert_array_equal(one.truth(80).frame, other.truth(80).frame)
    assert data_set("dad").missing(laid) == (), (
        "nobody has the others: a stream that nobody has is not missing"
    )


def test_a_stream_that_only_some_recordings_have_is_missing(dad: Path, tmp_path: Path) -> None:
    own = tmp_path / "DAD"
    shutil.copytree(dad, own)
    assert not [line for line in data_set("dad").missing(own) if ":" in line]
    (gone,) = own.glob("val01/rec1/top_IR*")
    shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
    assert "val01_rec1: top_IR" in data_set("dad").missing(own)


def test_a_run_is_worth_the_same_in_both_layouts(dad: Path, laid: Path, tmp_path: Path) -> None:
    fit("frame-difference", "dad", root=laid, stream="top_ir", out=tmp_path / "run")
    found = [
        evaluate(tmp_path / "run", "dad", root=root, out=tmp_path / f"e{k}", report=False)
        for k, root in enumerate((dad, laid))
    ]
    assert found[0].honest == found[1].honest
    assert list(found[1].videos) == ["val01_rec1-top_ir", "val01_rec2-top_ir"]


def test_a_layout_that_was_begun_is_gone_on_with(
    dad: Path, laid: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (laid / "training/front_IR/frames/01_003").unlink()
    (laid / "testing/frame_masks/01_0002.npy").unlink()
    capsys.readouterr()
    told = lay_out(dad, laid)
    assert capsys.readouterr() == ("", "")
    assert (told.linked, told.there, told.masks, told.without_truth) == (1, 9, 2, ())
    assert told.recordings["testing"] == {"front_IR": 2, "top_IR": 2}
    said = "\n".join(lines_of("prepare", lay_out(dad, laid)))
    assert "0 new, 10 there before" in said
    assert "jigsaw-frames dad" in said
    assert "--stream front_ir" in said
    assert (laid / "testing/frame_masks/01_0002.npy").is_file()


def test_what_cannot_be_laid_out_is_one_line(
    dad: Path,
    laid: Path,
    tmp_path: Path,
    refused: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert "is laid out so already" in refused(2, "prepare", "dad", laid, tmp_path / "o")
    assert "--vary divide clips" in refused(2, "prepare", "dad", dad, tmp_path / "o", "--seed", 3)
    with pytest.raises(BadInput, match="there is neither Tester1/ nor val01/"):
        prepare("dad", tmp_path, tmp_path / "o")
    assert not (tmp_path / "o").exists(), "nothing is made before ROOT is known to be good"
    other = tmp_path / "other" / "training/front_IR/frames/01_001"
    other.mkdir(parents=True)
    line = refused(2, "prepare", "dad", dad, tmp_path / "other")
    assert f"{other} is there and is no link to {dad / 'Tester1/normal_driving_1/front_IR'}" in line

    def no_links(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "symlink_to", no_links)
    line = refused(2, "prepare", "dad", dad, tmp_path / "exfat")
    assert "(Operation not permitted); name a folder on a disk that takes symbolic links" in line
    assert f"{dad} is read as it is" in line


def test_recordings_without_labels_get_no_mask_and_that_is_said(dad: Path, tmp_path: Path) -> None:
    root = tmp_path / "DAD"
    root.mkdir()
    for name in ("Tester1", "val01"):
        (root / name).symlink_to(dad / name)
    (root / "LABEL.csv").write_text("val01,rec2,0,40,N\n,,41,79,A\n")
    told = lay_out(root, tmp_path / "out")
    assert (told.masks, told.without_truth) == (1, ("val01_rec1",))
    assert "  no truth  val01_rec1" in lines_of("prepare", told)
    test = open_data("dad", tmp_path / "out")[1].test
    assert [video.truth is not None for video in test] == [False, False, True, True]
    (root / "LABEL.csv").unlink()
    assert lay_out(root, tmp_path / "none").masks == 0


def test_masks_go_by_the_numbers_of_frames_too(tmp_path: Path) -> None:
    """Those that others write are 10,000 long, whatever the recording is."""
    for number in (0, 1, 2, 7, 8, 9, 10):
        cv2.imwrite(str(tmp_path / f"img_{number}.png"), np.zeros((8, 8), np.uint8))
    mask = np.zeros(10_000, np.int8)
    mask[7:] = 1
    np.save(tmp_path / "01_0001.npy", mask)
    truth = recording_mask_truth(tmp_path / "01_0001.npy", tmp_path, 7)
    assert truth.frame.tolist() == [False] * 3 + [True] * 4
    assert "1 gaps" in truth.note
    assert "labels go up to frame 9999, its pictures to 10" in truth.note
    np.save(tmp_path / "01_0001.npy", mask[:10])
    with pytest.raises(BadTruth, match=r"has 10 labels, but the frames of .* go up to number 10"):
        recording_mask_truth(tmp_path / "01_0001.npy", tmp_path, 7)
    np.save(tmp_path / "01_0001.npy", np.zeros((11, 4, 4)))
    with pytest.raises(BadTruth, match=r"got an array of shape \(11, 4, 4\)"):
        recording_mask_truth(tmp_path / "01_0001.npy", tmp_path, 7)


# Films in place of folders of pictures.


@pytest.fixture(scope="module")
def films(dad: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same recordings, each stream a film; one is an mp4 in colour."""
    root = tmp_path_factory.mktemp("films") / "DAD"
    for stream in sorted([*dad.glob("Tester1/*/*"), *dad.glob("val01/*/*")]):
        to = root / stream.relative_to(dad)
        to.parent.mkdir(parents=True, exist_ok=True)
        pictures = [
            frame.pixels for frame in read(Video("stream", stream), ClipSpec(length=1, size=None))
        ]
        if to.parts[-2:] == ("rec1", "top_IR"):
            film(
                to.with_name("top_IR.mp4"),
                [picture // np.array([1, 2, 3], np.uint8) for picture in pictures],
                fps=45,
            )
        else:
            film(to.with_name(f"{to.name}.avi"), pictures, codec="mpeg4", fps=45)
    shutil.copy(dad / "LABEL.csv", root)
    return root


def test_films_are_read_as_they_are(dad: Path, films: Path) -> None:
    _, pictured = open_data("dad", dad)
    _, filmed = open_data("dad", films.parent)
    for one, other in zip(
        [*pictured.train, *pictured.test], [*filmed.train, *filmed.test], strict=True
    ):
        assert (one.name, one.label, one.fps) == (other.name, other.label, other.fps)
        assert other.source.is_file()
    for one, other in zip(pictured.test, filmed.test, strict=True):
        assert one.truth is not None
        assert other.truth is not None
        np.testing.assert_array_equal(one.truth(80).frame, other.truth(80).frame)
        with pytest.raises(BadTruth, match="has 80 frames, but 79 frames were decoded"):
            other.truth(79)
    stock = take_inventory(data_set("dad"), films)
    assert stock.usable
    assert (stock.found.train_frames, stock.found.test_frames, stock.found.anomalous_frames) == (
        480,
        320,
        150,
    )


def test_films_are_linked_and_pictures_made_only_when_asked_for(
    films: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    told = lay_out(films, out)
    assert (told.linked, told.films, told.pictures, told.masks) == (10, 10, 0, 2)
    assert not list(out.rglob("*.png"))
    assert (out / "testing/top_IR/videos/01_0001.mp4").is_symlink()
    linked = open_data("dad", out)[1]
    assert [video.name for video in linked.test] == [
        video.name for video in open_data("dad", films)[1].test
    ]
    assert all(video.source.is_file() for video in [*linked.train, *linked.test])
    truth = linked.test[1].truth
    assert truth is not None
    assert truth(80).frame.sum() == 36
    told = lay_out(films, out, frames=True)
    assert told.pictures == 800
    assert "10; 800 new pictures of them" in "\n".join(lines_of("prepare", told))
    written = open_data("dad", out)[1]
    for one, other in zip(
        [*linked.train, *linked.test], [*written.train, *written.test], strict=True
    ):
        assert one.name == other.name
        assert other.source.is_dir()
        assert [path.name for path in listing(other.source)] == [f"img_{n}.png" for n in range(80)]
        for before, after in zip(read(one, ALL), read(other, ALL), strict=True):
            np.testing.assert_array_equal(before.pixels, after.pixels, err_msg="nothing is lost")
    assert cv2.imread(str(written.train[0].source / "img_0.png"), cv2.IMREAD_UNCHANGED).ndim == 2, (
        "grey stays grey"
    )
    assert not hidden(out)


def test_pictures_that_were_begun_are_gone_on_with(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[Path] = []

    def until_stopped(path: Path, pixels: np.ndarray) -> None:
        if len(done) == 100:
            raise KeyboardInterrupt
        done.append(path)
        one_picture(path, pixels)

    one_picture = rearranging.write_picture
    monkeypatch.setattr(rearranging, "write_picture", until_stopped)
    with pytest.raises(KeyboardInterrupt):
        prepare("dad", films, tmp_path / "out", frames=True)
    halfway = open_data("dad", tmp_path / "out")[1]
    assert [len(times_of(video)) for video in [*halfway.train, *halfway.test]] == [80] * 10, (
        "no half recording is seen"
    )
    assert sum(video.source.is_dir() for video in halfway.train) == 1
    monkeypatch.setattr(rearranging, "write_picture", one_picture)
    assert lay_out(films, tmp_path / "out", frames=True).pictures == 700
    assert lay_out(films, tmp_path / "out", frames=True).pictures == 0


def test_a_damaged_film_is_said_and_the_others_are_written(
    films: Path, tmp_path: Path, refused: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    root = Path(shutil.copytree(films, tmp_path / "DAD"))
    (root / "Tester1/normal_driving_2/top_IR.avi").write_bytes(b"nothing of the sort")
    assert main(["prepare", "dad", str(root), str(tmp_path / "out"), "--frames"]) == 3
    told = capsys.readouterr()
    assert "720 new pictures" in told.out
    assert "1 films cannot be read; the first" in told.err
    assert "normal_driving_2/top_IR.avi" in told.err
    assert "--frames writes pictures of dad, and needs OUT" in refused(
        2, "prepare", "dad", root, "--frames"
    )
    assert "--frames writes pictures of dad" in refused(
        2, "prepare", "class-folders", root, tmp_path / "o", "--frames"
    )
