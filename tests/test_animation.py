"""Pictures of networks and of what they make: layers, training, copies, the score growing, frames one by one."""

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from oddframe.cli.main import main
from oddframe.methods.baselines import FrameDifference
from oddframe.methods.reconstruction import C3D, ConvLSTM, ReconstructionOptions
from oddframe.serialization import load
from oddframe.training.config import Training
from oddframe.types import ClipSpec, Event, Scores, Truth, Video
from oddframe.video.reader import facts_of, read, video_of
from oddframe.video.writer import video_writer
from oddframe.visualization.animation import write_pictures_as_film, write_score_animation
from oddframe.visualization.architecture import (
    Layer,
    draw_run,
    layers,
    one_of_copies,
    run_pictures,
    write_architecture_png,
    write_layers_csv,
    write_training_png,
)
from oddframe.visualization.overlay import overlay_frames
from oddframe.visualization.palette import ODD, RARITY
from oddframe.visualization.plots import write_regularity_png
from oddframe.visualization.reconstructions import HEAD, WIDE, moments, write_reconstructions
from oddframe.visualization.timeline import Timeline

LOG = "epoch,step,loss,criterion,lr,seconds\n1,10,0.5,0.5,0.01,3\n2,20,0.25,0.25,0.005,3\n"
FLOAT = Training(precision="float32")
TINY = ReconstructionOptions(size=(16, 24), clip_length=2)


def timeline(tmp_path: Path, frames: int = 40) -> Timeline:
    """A film that darkens, odd from frame 20 to 29."""
    path = tmp_path / "film.mp4"
    with video_writer(path, 10.0, (48, 64), crf=10) as writer:
        for k in range(frames):
            writer.write(np.full((48, 64, 3), 250 - 4 * k, np.uint8))
    frame = np.arange(frames)
    odd = (frame >= 20) & (frame < 30)
    where = np.full((frames, 6, 8), 0.2, np.float32)
    scores = Scores("film", frame, frame / 10.0, np.where(odd, 4.0, 1.0), map=where)
    return Timeline(video_of(path), scores, [Event("film", 2.0, 3.0, 4.0, 2.5)], 2.0, Truth(odd))


def shows(path: Path, colour: tuple[int, int, int]) -> bool:
    picture = cv2.imread(str(path))
    assert picture is not None
    return bool((np.abs(picture[..., ::-1].astype(int) - colour).max(-1) < 40).any())


def test_layers_are_listed_in_order_with_all_parameters() -> None:
    detector = C3D(reconstruction=ReconstructionOptions(size=(32, 48)), training=FLOAT).eval()
    rows = layers(detector)
    assert sum(row.total for row in rows) == 5_305_793
    assert sum(row.trainable for row in rows) == 5_303_873
    assert rows[0].kind == "Conv3d"
    assert rows[0].shape == (32, 16, 32, 48)
    assert rows[-1].shape == (1, 16, 32, 48)
    assert layers(FrameDifference()) == []


def test_the_table_of_layers_adds_up(tmp_path: Path) -> None:
    rows = layers(ConvLSTM(reconstruction=TINY, training=FLOAT).eval())
    write_layers_csv(tmp_path / "layers.csv", rows)
    lines = (tmp_path / "layers.csv").read_text().splitlines()
    assert len(lines) == len(rows) + 2
    assert lines[-1].endswith("5763137,5765249")
    write_architecture_png(tmp_path / "net.png", rows, "conv-lstm")
    assert shows(tmp_path / "net.png", RARITY)


def test_training_is_drawn_from_its_log(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text(LOG)
    assert write_training_png(tmp_path / "loss.png", tmp_path / "train.csv")
    assert shows(tmp_path / "loss.png", RARITY)
    (tmp_path / "empty.csv").write_text(LOG.splitlines()[0] + "\n")
    assert not write_training_png(tmp_path / "none.png", tmp_path / "empty.csv")
    assert not (tmp_path / "none.png").exists()


def test_a_run_folder_gets_its_pictures_and_one_without_a_network_none(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "train.csv").write_text(LOG)
    film = timeline(tmp_path).video
    draw_run(tmp_path, ConvLSTM(reconstruction=TINY, training=FLOAT).eval(), film)
    assert list(run_pictures(tmp_path)) == ["Training: train", "Network"]
    draw_run(tmp_path / "other", FrameDifference(), film)
    assert run_pictures(tmp_path / "other") == {}


def test_copies_are_shown_beside_what_was_given(tmp_path: Path) -> None:
    line = timeline(tmp_path)
    assert moments(line) == [0, 25]
    torch.manual_seed(0)
    detector = ConvLSTM(
        reconstruction=ReconstructionOptions(size=(32, 48), clip_length=4), training=FLOAT
    ).eval()
    drawn = write_reconstructions(detector, [line], tmp_path)
    picture = cv2.imread(str(drawn["film: given, made, error"]))
    # the first moment has no whole clip behind it, so one row is shown
    assert picture is not None
    assert picture.shape == (2 * HEAD + 160, 3 * WIDE, 3)
    given = picture[-100:, 100:140].mean()
    assert given == pytest.approx(250 - 4 * 25, abs=6)
    assert write_reconstructions(FrameDifference(), [line], tmp_path) == {}


def test_the_curve_grows_with_the_film(tmp_path: Path) -> None:
    line = timeline(tmp_path)
    write_score_animation(tmp_path / "growing.mp4", line, width=320)
    frames = [
        frame.pixels for frame in read(video_of(tmp_path / "growing.mp4"), ClipSpec(1, size=None))
    ]
    assert len(frames) == 40
    assert frames[0].shape == (240, 640, 3)

    def reach(picture: Any) -> int:
        blue = np.abs(picture[:, :320].astype(int) - RARITY).max(-1) < 25
        red = np.abs(picture[30:200, 34:308].astype(int) - ODD).max(-1) < 60
        columns = np.flatnonzero(blue.any(0))
        return int(max(columns.max(initial=0), np.flatnonzero(red.any(0)).max(initial=-34) + 34))

    reached = [reach(frames[k]) for k in (2, 12, 25, 39)]
    assert reached == sorted(reached)
    assert reached[0] < 70
    assert reached[-1] > 290


def test_the_overlay_comes_as_pictures_too(tmp_path: Path) -> None:
    line = timeline(tmp_path)
    assert overlay_frames(tmp_path / "film.overlay", line, width=320) == 40
    names = sorted(path.name for path in (tmp_path / "film.overlay").iterdir())
    assert names[0] == "000000.jpg"
    assert names[-1] == "000039.jpg"
    assert shows(tmp_path / "film.overlay" / "000025.jpg", ODD)
    assert not shows(tmp_path / "film.overlay" / "000010.jpg", ODD)


def test_a_folder_of_pictures_becomes_a_film(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for k in range(7):
        cv2.imwrite(str(folder / f"{k}.png"), np.full((32, 48, 3), 30 * k, np.uint8))
    write_pictures_as_film(tmp_path / "film.mp4", video_of(folder, 5.0))
    video = video_of(tmp_path / "film.mp4")
    assert (facts_of(video).height, facts_of(video).width) == (32, 48)
    frames = list(read(video, ClipSpec(1, size=None)))
    assert [round(float(frame.pixels.mean()) / 30) for frame in frames] == list(range(7))
    assert frames[-1].seconds == pytest.approx(6 / 5, abs=0.01)


def test_regularity_is_drawn_between_the_extremes(tmp_path: Path) -> None:
    line = timeline(tmp_path)
    score = np.where((np.arange(40) >= 20) & (np.arange(40) < 30), 8.0, 2.0)
    write_regularity_png(tmp_path / "regularity.png", line, score, 5.0)
    assert shows(tmp_path / "regularity.png", ODD)
    constant = Timeline(Video("v", line.video.source), line.scores, [], 2.0)
    write_regularity_png(tmp_path / "constant.png", constant, np.ones(40), np.inf)
    assert not shows(tmp_path / "constant.png", ODD)


def test_layers_are_drawn_as_real_pictures_pass_them(street: Path, tmp_path: Path) -> None:
    """A method may take pictures of one shape only, and its spec says but their width."""
    words = [
        "fit",
        "jigsaw",
        "simulated",
        "--root",
        str(street),
        "--out",
        str(tmp_path / "run"),
        "--epochs",
        "1",
    ]
    small = [
        "--size",
        "32",
        "--base-width",
        "2",
        "--epoch-cubes",
        "64",
        "--batch",
        "16",
        "--colour",
        "grey",
    ]
    assert main([*words, *small, "--clip-length", "5", "--precision", "float32"]) == 0
    rows = list(csv.DictReader((tmp_path / "run" / "layers.csv").read_text().splitlines()))
    assert {"Conv2d", "MultiheadAttention"} <= {row["kind"] for row in rows}
    nets = load(tmp_path / "run").nets
    assert int(rows[-1]["parameters"]) == sum(p.numel() for p in nets.parameters()), (
        "attention's own are counted too"
    )


def test_of_networks_that_are_alike_one_is_drawn() -> None:
    one = [
        Layer("nets.0.look.0", "Conv2d", (4, 8, 8), 9, 9),
        Layer("nets.0.out", "Linear", (7, 7), 3, 3),
    ]
    two = [replace(row, name=row.name.replace("0", "1", 1)) for row in one]
    assert list(one_of_copies([*one, *two])) == one
    other = [two[0], replace(two[1], shape=(9, 9))]
    for rows in (
        one,
        [*one, *other],
        [replace(row, name=f"net.{k}") for k, row in enumerate(one)],
        [],
    ):
        assert list(one_of_copies(rows)) == rows
