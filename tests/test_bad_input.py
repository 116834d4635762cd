"""Whatever comes in: one clear line, a code that is not 0, and what was there before is still there."""

import json
import os
import pickle
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from conftest import hidden, scores_of
from films import Picture, film, numbered, sound_only
from oddframe import __version__, load
from oddframe import serialization as saving
from oddframe.cli.main import main
from oddframe.errors import BadRun
from oddframe.registry import members

Refused = Callable[..., str]
Capture = pytest.CaptureFixture[str]
PARTS = ("run.json", "detector.json", "state.safetensors", "calibration.npz")
QUICK = ("--no-overlay", "--no-clips")  # leave out what is slow to draw


def walking(
    frames: int, size: tuple[int, int] = (48, 64), seed: int = 0, speed: float = 1.0
) -> list[Picture]:
    """A bright thing that goes to and fro before a still background, of (height, width)."""
    random = np.random.default_rng(seed)
    height, width = size
    ground = random.integers(60, 120, (height, width, 1), np.uint8).repeat(3, 2)
    side = max(2, height // 4)
    pictures = []
    for k in range(frames):
        picture = ground.copy()
        left = round(abs((speed * k + seed) % max(1, 2 * (width - side)) - (width - side)))
        picture[height // 3 : height // 3 + 2 * side, left : left + side] = 220
        pictures.append(picture)
    return pictures


# What is named is not there, or is something else.


@pytest.fixture(scope="module")
def useless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Things that are no videos."""
    folder = tmp_path_factory.mktemp("useless")
    (folder / "empty").mkdir()
    for name in ("texts", "pictures"):
        (folder / name).mkdir()
        (folder / name / ("a.txt" if name == "texts" else "a.png")).write_text("no picture")
    (folder / "zero.mp4").touch()
    (folder / "letter.mp4").write_text("Dear Sir or Madam\n" * 50)
    (folder / "noise.avi").write_bytes(np.random.default_rng(0).bytes(5000))
    sound_only(folder / "song.mp4")
    (folder / "cut.mp4").write_bytes(film(folder / "whole.mp4", 30).read_bytes()[:900])
    return folder


USELESS = {
    "gone.mp4": "no such file or folder",
    "empty": "it is empty); a video is a file that FFmpeg can open",
    "texts": "no video in",
    "pictures": "no frame can be read",
    "zero.mp4": "is empty (0 bytes)",
    "letter.mp4": "is not a video that FFmpeg can read",
    "noise.avi": "is not a video that FFmpeg can read",
    "song.mp4": "holds no video stream, only audio",
    "cut.mp4": "cut.mp4",
}


@pytest.mark.parametrize("name", USELESS)
def test_what_is_no_video_cannot_be_scored(
    refused: Refused, fitted: Path, useless: Path, tmp_path: Path, name: str
) -> None:
    line = refused(3, "score", fitted, useless / name, "--out", tmp_path / "out")
    assert USELESS[name] in line
    assert name in line
    assert not list((tmp_path / "out").glob("*"))


@pytest.mark.parametrize(
    ("name", "code", "says"),
    [
        ("gone", 2, "no such file or folder"),
        ("empty", 2, "no video in"),
        ("texts", 2, "no video in"),
        ("zero.mp4", 3, "is empty (0 bytes)"),
        ("song.mp4", 3, "only audio"),
    ],
)
def test_what_is_no_video_cannot_be_learned(
    useless: Path, tmp_path: Path, capsys: Capture, name: str, code: int, says: str
) -> None:
    assert main(["fit", "flowgrid", str(useless / name), "--out", str(tmp_path / "run")]) == code
    out, err = capsys.readouterr()
    assert err.startswith("oddframe: ")
    assert says in err.partition("\n")[0]
    assert name in err
    assert out == ""
    assert not (tmp_path / "run" / "run.json").exists()


def test_several_useless_videos_are_named_one_by_one(
    fitted: Path, useless: Path, tmp_path: Path, capsys: Capture
) -> None:
    assert (
        main(
            [
                "score",
                str(fitted),
                str(useless / "zero.mp4"),
                str(useless / "song.mp4"),
                "--out",
                str(tmp_path),
            ]
        )
        == 3
    )
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["left out", "left out", "oddframe"]
    assert "none of 2 videos could be scored; the first:" in lines[-1]
    assert out == ""


def test_a_good_video_among_useless_ones_is_scored(
    fitted: Path, useless: Path, short: Path, tmp_path: Path, capsys: Capture
) -> None:
    words = [
        "score",
        fitted,
        useless / "zero.mp4",
        short,
        useless / "letter.mp4",
        "--out",
        tmp_path,
        *QUICK,
    ]
    assert main([str(word) for word in words]) == 3
    out, err = capsys.readouterr()
    assert "short" in out
    assert "zero.mp4" in err
    assert err.splitlines()[-1].startswith(
        "oddframe: 2 of 3 videos could not be scored; the first:"
    )
    assert scores_of(tmp_path).keys() == {"short.npz"}
    assert (tmp_path / "report.html").is_file()


# Video that is damaged, short, small, large, or changes on the way.


def test_damaged_videos_give_what_can_be_read(
    fitted: Path, short: Path, tmp_path: Path, capsys: Capture
) -> None:
    random, whole = np.random.default_rng(3), short.read_bytes()
    given = tmp_path / "given"
    given.mkdir()
    for number in range(12):
        data = bytearray(whole)
        if number % 3:
            for at in random.integers(len(data), size=8 * number):
                data[at] ^= 1 << random.integers(8)
        else:
            del data[random.integers(200, len(data)) :]
        (given / f"hurt{number:02d}.mp4").write_bytes(data)
    shutil.copy(short, given / "whole.mp4")
    begun = time.monotonic()
    code = main(["score", str(fitted), str(given), "--out", str(tmp_path / "out")])
    assert time.monotonic() - begun < 120
    out, err = capsys.readouterr()
    lines = err.splitlines()
    told = [line for line in lines if line.startswith(("damaged: hurt", "left out: ", "hurt"))]
    failed = [line for line in lines if line.startswith("left out: ")]
    assert code == (3 if failed else 0)
    assert len(told) + (code != 0) == len(lines), err
    assert told, "not one corruption was noticed"
    made = scores_of(tmp_path / "out")
    assert len(made) == 13 - len(failed)
    assert "whole.npz" in made
    assert "whole: " in out
    assert not hidden(tmp_path / "out")


def test_one_frame_is_too_little_for_motion(refused: Refused, fitted: Path, tmp_path: Path) -> None:
    one = film(tmp_path / "one.mp4", [numbered(0, 120, 160)])
    line = refused(3, "score", fitted, one, "--out", tmp_path / "out")
    assert "one.mp4 is too short: flowgrid could score none of its frames" in line
    left = [path.name for path in (tmp_path / "out").iterdir()]
    assert left == [".oddframe.files"], "the list of what oddframe wrote there, which is empty"


def test_a_video_shorter_than_a_clip_is_scored_as_far_as_it_goes(
    fitted: Path, tmp_path: Path
) -> None:
    few = film(tmp_path / "few.mp4", walking(3, (120, 160)), fps=10)
    assert main(["score", str(fitted), str(few), "--out", str(tmp_path / "out"), *QUICK]) == 0
    with np.load(tmp_path / "out" / "few.npz") as held:
        assert held["frame"].tolist() == [1, 2], "the first frame has nothing before it"


@pytest.mark.parametrize(
    ("name", "size", "frames"),
    [("small", (12, 16), 20), ("large", (2880, 3840), 2), ("odd", (122, 162), 10)],
)
def test_the_same_camera_at_another_size(
    fitted: Path, tmp_path: Path, name: str, size: tuple[int, int], frames: int
) -> None:
    quick = {"preset": "ultrafast", "qp": "30"}
    video = film(tmp_path / f"{name}.mp4", walking(frames, size), fps=10, options=quick)
    assert main(["score", str(fitted), str(video), "--out", str(tmp_path / "out")]) == 0
    with np.load(tmp_path / "out" / f"{name}.npz") as held:
        assert len(held["rarity"]) == frames - 1
        assert np.isfinite(held["rarity"]).all()
        assert held["map"].shape == (frames - 1, 30, 40)


@pytest.mark.parametrize("size", [(16, 16), (2, 2), (480, 20)])
def test_a_method_without_geometry_takes_any_size(
    tmp_path: Path, difference: Path, size: tuple[int, int]
) -> None:
    video = film(tmp_path / "v.mp4", walking(4, size), fps=10)
    assert main(["score", str(difference), str(video), "--out", str(tmp_path / "out")]) == 0
    with np.load(tmp_path / "out" / "v.npz") as held:
        assert len(held["rarity"]) == 4


@pytest.fixture(scope="module")
def difference(street: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of frame-difference."""
    from oddframe import fit

    return fit(
        "frame-difference", "simulated", root=street, out=tmp_path_factory.mktemp("d") / "run"
    ).folder


def test_tiny_video_can_be_learned_and_judged(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    for k in range(2):
        film(
            tmp_path / "train" / f"{k}.mkv",
            walking(150, (16, 16), k),
            fps=10,
            codec="ffv1",
            pixel_format="gray",
        )
    odd = film(
        tmp_path / "odd.mkv",
        walking(30, (16, 16), 5, speed=4),
        fps=10,
        codec="ffv1",
        pixel_format="gray",
    )
    assert main(["fit", "flowgrid", str(tmp_path / "train"), "--out", str(tmp_path / "run")]) == 0
    assert main(["score", str(tmp_path / "run"), str(odd), "--out", str(tmp_path / "out")]) == 0


def test_another_camera_is_refused(refused: Refused, fitted: Path, tmp_path: Path) -> None:
    upright = film(tmp_path / "upright.mp4", walking(4, (160, 120)), fps=10)
    line = refused(3, "score", fitted, upright, "--out", tmp_path / "out")
    assert "upright has pictures of another shape (120×160)" in line
    assert "160×120" in line
    assert "fit a detector" in line


def test_a_stream_that_changes_its_size(fitted: Path, tmp_path: Path) -> None:
    parts = [
        film(tmp_path / f"{k}.ts", walking(15, size, k), fps=10).read_bytes()
        for k, size in enumerate([(120, 160), (240, 320), (160, 120)])
    ]
    (tmp_path / "change.ts").write_bytes(b"".join(parts))
    assert (
        main(["score", str(fitted), str(tmp_path / "change.ts"), "--out", str(tmp_path / "out")])
        == 0
    )
    with np.load(tmp_path / "out" / "change.npz") as held:
        assert len(held["frame"]) >= 40


@pytest.mark.parametrize(
    "name",
    [
        "a b ü",
        "-dash",
        "q'\"<>&#%?",
        "{{title}}",
        "line\nbreak",
        "$x_1^2$",
        "n" * 230,
        os.fsdecode(b"caf\xe9"),
    ],
    ids=["space", "dash", "HTML", "template", "line", "formula", "long", "not UTF-8"],
)
def test_a_video_may_be_called_anything(
    difference: Path, short: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / "in").mkdir()
    shutil.copy(short, tmp_path / "in" / f"{name}.mp4")
    assert (
        main(["score", str(difference), str(tmp_path / "in"), "--out", str(tmp_path / "out")]) == 0
    )
    assert len(list((tmp_path / "out").glob("*.npz"))) == 1
    assert not hidden(tmp_path / "out")


def test_videos_of_one_name_are_told_apart_and_none_is_scored_twice(
    difference: Path, short: Path, tmp_path: Path, capsys: Capture
) -> None:
    for folder in ("one", "two", "three"):
        (tmp_path / folder).mkdir()
        shutil.copy(short, tmp_path / folder / "a.mp4")
    shutil.copy(short, tmp_path / "two" / "a-2.mp4")
    given = [
        str(tmp_path / path) for path in ("one", "two/a-2.mp4", "two/a.mp4", "three", "one/a.mp4")
    ]
    assert (
        main(["score", str(difference), *given, "--out", str(tmp_path / "out"), *QUICK, "--json"])
        == 0
    )
    videos = json.loads(capsys.readouterr().out)["videos"]
    assert [video["video"] for video in videos] == ["a", "a-2", "a-3", "a-4"]
    assert [Path(video["source"]).parent.name for video in videos] == ["one", "two", "two", "three"]


def test_a_folder_of_folders_of_pictures(difference: Path, tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / "in" / name).mkdir(parents=True)
        for k in range(5):
            cv2.imwrite(str(tmp_path / "in" / name / f"{k}.png"), numbered(k, 120, 160))
    assert (
        main(
            ["score", str(difference), str(tmp_path / "in"), "--out", str(tmp_path / "out"), *QUICK]
        )
        == 0
    )
    assert scores_of(tmp_path / "out").keys() == {"first.npz", "second.npz"}


def test_earlier_scores_that_are_damaged_are_made_anew(
    difference: Path, short: Path, tmp_path: Path
) -> None:
    words = ["score", str(difference), str(short), "--out", str(tmp_path), *QUICK]
    assert main(words) == 0
    whole = scores_of(tmp_path)["short.npz"]
    random = np.random.default_rng(1)
    for _ in range(4):
        data = bytearray(whole)
        for at in random.integers(len(data), size=20):
            data[at] ^= 0xFF
        (tmp_path / "short.npz").write_bytes(data)
        assert main(words) == 0
        with np.load(tmp_path / "short.npz") as held:
            assert len(held["rarity"]) == 30
            assert held["map"].shape[0] == 30


# Data that does not serve for learning or measuring.


def test_a_broken_training_video_is_left_out_and_named(
    street: Path, tmp_path: Path, capsys: Capture
) -> None:
    data = shutil.copytree(street / "train", tmp_path / "data")
    (data / "broken.mp4").write_bytes((data / "train01.mp4").read_bytes()[:2000])
    (data / "zero.mp4").touch()
    assert main(["fit", "flowgrid", str(data), "--out", str(tmp_path / "run")]) == 0
    out, err = capsys.readouterr()
    assert [line[:10] for line in err.splitlines()] == ["left out: "] * 2
    assert "broken.mp4" in err
    assert "zero.mp4 is empty" in err
    assert "learned flowgrid from 3 of 5 videos" in out
    facts = load(tmp_path / "run").facts
    assert [video["name"] for video in facts["trained_on"]] == ["train01", "train02", "train03"]
    assert len(facts["left_out"]) == 2


def test_nothing_readable_is_not_learned_from(
    street: Path, tmp_path: Path, capsys: Capture
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for name in "ab":
        (data / f"{name}.mp4").write_bytes((street / "train" / "train01.mp4").read_bytes()[:2000])
    assert main(["fit", "flowgrid", str(data), "--out", str(tmp_path / "run")]) == 3
    assert (
        "oddframe: none of 2 videos could be read; the first:"
        in capsys.readouterr().err.splitlines()[-1]
    )


def test_damage_in_a_training_video_is_said(street: Path, tmp_path: Path, capsys: Capture) -> None:
    data = shutil.copytree(street / "train", tmp_path / "data")
    path = data / "train02.mp4"
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    assert main(["fit", "flowgrid", str(data), "--out", str(tmp_path / "run")]) == 0
    out, err = capsys.readouterr()
    assert "learned flowgrid from 3 videos" in out
    assert err
    assert all(line.startswith("damaged: train02.mp4: ") for line in err.splitlines())


def test_a_training_video_of_another_shape_is_named_and_left_out(
    street: Path, tmp_path: Path, capsys: Capture
) -> None:
    data = shutil.copytree(street / "train", tmp_path / "data")
    film(data / "wide.mp4", walking(120, (90, 160)), fps=10)
    assert main(["fit", "flowgrid", str(data), "--out", str(tmp_path / "run")]) == 0
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "wide" in line]
    assert "160" in line, "its pixels are said"
    learned = json.loads((tmp_path / "run" / "run.json").read_text())["trained_on"]
    assert [video["name"] for video in learned] == ["train01", "train02", "train03"]


def test_training_video_in_which_nothing_moves_is_refused(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    film(tmp_path / "data" / "still.mp4", [numbered(7, 96, 128)] * 300, fps=10)
    line = refused(2, "fit", "flowgrid", tmp_path / "data", "--out", tmp_path / "run")
    assert "nothing moves in the training videos" in line


def test_too_little_normal_video_is_refused(refused: Refused, short: Path, tmp_path: Path) -> None:
    line = refused(2, "fit", "flowgrid", short, "--out", tmp_path / "run")
    assert "3.0 s of normal video is too little" in line
    assert "at least 20 s" in line


@pytest.fixture
def small(street: Path, short: Path, tmp_path: Path) -> Path:
    """A folder of somebody's own with truth, to be spoilt."""
    root = tmp_path / "small"
    shutil.copytree(street / "train", root / "train")
    (root / "test").mkdir()
    shutil.copy(short, root / "test" / "monday.mp4")
    (root / "truth").mkdir()
    (root / "truth" / "monday.txt").write_text("0\n1\n" * 15)
    return root


def test_a_test_video_that_was_learned_from_is_refused(
    refused: Refused, fitted: Path, small: Path
) -> None:
    shutil.copy(small / "train" / "train02.mp4", small / "test" / "renamed.mp4")
    (small / "truth" / "renamed.txt").write_text("0\n1\n" * 60)
    line = refused(6, "evaluate", fitted, small)
    assert "renamed" in line
    assert "train02" in line


def test_truth_of_another_length_is_refused(
    refused: Refused, fitted: Path, small: Path, tmp_path: Path
) -> None:
    (small / "truth" / "monday.txt").write_text("0\n" * 29)
    line = refused(4, "evaluate", fitted, small, "--out", tmp_path / "out")
    assert "monday" in line
    assert "29" in line
    assert "30" in line
    assert not hidden(tmp_path / "out")


def test_tests_without_truth_cannot_be_measured(
    refused: Refused, fitted: Path, small: Path
) -> None:
    (small / "truth" / "monday.txt").unlink()
    assert "no test video with ground truth" in refused(2, "evaluate", fitted, small)


# A run folder that is incomplete, damaged, too new, or a trap.


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("command", ["info", "score"])
def test_an_incomplete_run_is_refused(
    refused: Refused, run: Path, short: Path, tmp_path: Path, command: str, name: str
) -> None:
    (run / name).unlink()
    more = (short, "--out", tmp_path / "out") if command == "score" else ()
    line = refused(5, command, run, *more)
    assert f"{name} is missing" in line
    assert "fit" in line


@pytest.mark.parametrize("name", PARTS)
def test_any_flipped_bit_is_noticed(refused: Refused, run: Path, name: str) -> None:
    path, random = run / name, np.random.default_rng(len(name))
    whole = path.read_bytes()
    for at in random.integers(len(whole), size=12):
        data = bytearray(whole)
        data[at] ^= 1 << random.integers(8)
        path.write_bytes(data)
        line = refused(5, "info", run)
        assert name in line or "newer" in line or "holds a detector" in line
    path.write_bytes(whole[: len(whole) // 2])
    assert name in refused(5, "info", run)
    path.write_bytes(b"")
    assert name in refused(5, "info", run)
    path.write_bytes(whole)
    assert main(["info", str(run)]) == 0


def test_other_things_are_no_run(refused: Refused, short: Path, tmp_path: Path) -> None:
    assert "is not a complete run" in refused(5, "info", tmp_path)
    assert "no such run folder" in refused(5, "info", tmp_path / "nowhere")
    assert str(short) in refused(2, "info", short)
    (tmp_path / "run.json").write_text("[1, 2]")
    assert "holds no JSON object" in refused(5, "info", tmp_path)


def test_a_run_of_a_newer_oddframe_is_refused_as_that(refused: Refused, run: Path) -> None:
    words = json.loads((run / "detector.json").read_text())
    for version in (
        "9.9.9",
        __version__,
    ):  # between releases the version stays and the format may not
        newer = words | {"format": saving.FORMAT + 1, "oddframe": version}
        (run / "detector.json").write_text(json.dumps(newer))
        line = refused(5, "info", run)
        assert f"format {saving.FORMAT + 1}, written by oddframe {version};" in line
        assert f"reads format {saving.FORMAT}: update oddframe" in line


def test_a_run_of_a_method_that_is_not_here_is_refused(refused: Refused, run: Path) -> None:
    words = json.loads((run / "detector.json").read_text())
    (run / "detector.json").write_text(json.dumps(words | {"method": "telepathy"}))
    line = refused(5, "info", run)
    assert (
        f"holds a detector 'telepathy'; this oddframe knows {', '.join(members('methods'))}" in line
    )


@pytest.mark.parametrize("options", [{"szie": 3}, {"size": 3}, {"size": "wide"}, {"windows": 3}])
def test_options_that_the_method_does_not_take_are_refused(
    run: Path, options: dict[str, Any]
) -> None:
    words = json.loads((run / "detector.json").read_text())
    (run / "detector.json").write_text(json.dumps(words | {"options": options}))
    with pytest.raises(BadRun, match="has options that flowgrid does not take"):
        saving.load(run)


class Trap:
    """What runs a command when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


def test_code_in_a_run_is_not_run(refused: Refused, run: Path, tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    pickle.loads(pickle.dumps(Trap(sprung)))
    assert sprung.exists(), "the trap works"
    sprung.unlink()
    torch.save({"bank": Trap(sprung)}, run / "state.safetensors")
    with pytest.raises(BadRun, match="is damaged or cut short"):
        saving.load(run)
    assert "state.safetensors is damaged or was changed" in refused(5, "info", run)
    (run / "state.safetensors").write_bytes(pickle.dumps(Trap(sprung)))
    with pytest.raises(BadRun):
        saving.load(run)
    assert not sprung.exists()
