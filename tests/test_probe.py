"""What embeddings are worth is measured as said: on clips at the said places, against labels, without looking twice."""

import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from films import film, number_of
from oddframe.cli.main import main
from oddframe.datasets.base import open_data
from oddframe.evaluation import finetune_probe
from oddframe.evaluation.finetune_probe import fit_classifier
from oddframe.evaluation.linear_probe import (
    chance_at_1,
    evenly_spaced_clips,
    find_neighbours,
    linear,
)
from oddframe.methods.temporal_queue.detector import TemporalQueue
from oddframe.run import Run
from oddframe.scoring.run_folder import load_run
from oddframe.training.config import Training
from oddframe.training.trainer import History, train
from oddframe.types import ClipSpec, Video


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Films of a bright or a dark square that goes to the right: five of each to learn from, three to test."""
    root = tmp_path_factory.mktemp("classes")
    random = np.random.default_rng(0)
    for side, count in (("train", 5), ("test", 3)):
        for label, grey in (("bright", 230), ("dark", 20)):
            (root / side / label).mkdir(parents=True)
            for k in range(count):
                ground = cv2.GaussianBlur(
                    random.integers(60, 180, (48, 64, 3), np.uint8), (9, 9), 0
                )
                pictures = []
                for t in range(24):
                    picture = ground.copy()
                    picture[12:36, t : t + 24] = grey
                    pictures.append(picture)
                film(root / side / label / f"{label}{k}.mp4", pictures, fps=10)
    return root


@pytest.fixture(scope="module")
def run(classes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A temporal queue fitted on them."""
    out = tmp_path_factory.mktemp("run")
    words = "--network basic --size 32 --segment 24 --queue 8 --update segment --epochs 1 --precision float32"
    assert (
        main(
            [
                "fit",
                "temporal-queue",
                "labelled",
                "--root",
                str(classes),
                "--out",
                str(out),
                *words.split(),
            ]
        )
        == 0
    )
    return out


def test_a_fit_draws_what_was_learned(run: Path) -> None:
    made = {path.name for path in run.iterdir()}
    assert {f"embeddings-{when}-{n}d.png" for when in ("before", "after") for n in (2, 3)} <= made
    assert "temporal-queue.loss.png" in made
    page = (run / "embeddings.html").read_text()
    assert "before training" in page
    assert "after training" in page
    assert "cdn.plot.ly" not in page.split("<body>")[1].split("<script")[0], "it needs no network"


def test_a_linear_probe_finds_what_there_is_and_remembers(
    run: Path,
    classes: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = [
        "probe",
        str(run),
        "labelled",
        "--root",
        str(classes),
        "--out",
        str(tmp_path),
        "--json",
    ]
    assert main(words) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["classes"] == ["bright", "dark"]
    assert (result["train_videos"], result["test_videos"]) == (10, 6)
    assert result["linear"]["accuracy"] == 1.0
    assert result["linear"]["confusion"] == [[3, 0], [0, 3]]
    assert result["linear"]["commonest"] == 0.5
    assert json.loads((tmp_path / "probe.json").read_text()) == result
    assert cv2.imread(str(tmp_path / "confusion-linear.png")) is not None

    def again(*_: object) -> None:
        raise AssertionError("embedded again")

    monkeypatch.setattr(TemporalQueue, "embed", again)
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out) == result


def test_retrieval_counts_and_shows(
    run: Path, classes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main(
            [
                "retrieve",
                str(run),
                "labelled",
                "--root",
                str(classes),
                "--out",
                str(tmp_path),
                "--json",
            ]
        )
        == 0
    )
    result = json.loads(capsys.readouterr().out)
    assert set(result["embeddings"]) == {"R@1", "R@5", "R@10"}, "as far as the gallery goes"
    assert result["embeddings"]["R@10"] == 1.0
    assert result["chance_at_1"] == 0.5
    page = (tmp_path / "retrieval.html").read_text()
    assert page.count('class="query"') == 6
    assert page.count("data:image/jpeg") == 6 * 7
    assert page.count('class="right"') + page.count('class="wrong"') == 6 * 6


@pytest.mark.parametrize(
    ("whole", "batch_norm"), [(False, "frozen"), (False, "updating"), (True, "updating")]
)
def test_a_network_can_be_tuned_and_the_run_does_not_change(
    run: Path, classes: Path, tmp_path: Path, whole: bool, batch_norm: str
) -> None:
    embedder = load_run(run).detector
    before = {
        name: part.clone()
        for name, part in embedder.state_dict().items()
        if isinstance(part, torch.Tensor)
    }
    split = open_data("labelled", classes)[1]
    training = Training(
        epochs=6, batch=5, optimizer="adam", lr=1e-3 if whole else 1e-1, precision="float32"
    )
    verdict = fit_classifier(
        embedder,  # type: ignore[arg-type]
        (split.train, split.test),
        Run(tmp_path),
        training,
        whole=whole,
        batch_norm=batch_norm,  # type: ignore[arg-type]
        positions=3,
    )
    assert verdict.accuracy >= 4 / 6
    after = embedder.state_dict()
    assert all(torch.equal(part, after[name]) for name, part in before.items())


@pytest.mark.parametrize("whole", [True, False])
def test_an_interrupted_classifier_goes_on_and_another_is_trained_anew(
    run: Path, classes: Path, tmp_path: Path, whole: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checkpoints of an interrupted probe lie in the folder: other weights, labels, seeds must not go on from them."""
    embedder = load_run(run).detector
    split = open_data("labelled", classes)[1]
    training = Training(epochs=1, batch=5, optimizer="adam", lr=1e-2, precision="float32")
    histories: list[list[dict[str, float]]] = []
    stop = True

    def recorded(*given: Any, **more: Any) -> History:
        history = train(*given, **more)
        histories.append(history.rows)
        if stop:
            raise KeyboardInterrupt
        return history

    monkeypatch.setattr(finetune_probe, "train", recorded)

    def probed(embedder: Any, train_side: Any, seed: int = 0) -> list[dict[str, float]]:
        sides = (train_side, split.test)
        how: Any = {"whole": whole, "batch_norm": "updating", "positions": 2}
        with suppress(KeyboardInterrupt):
            fit_classifier(embedder, sides, Run(tmp_path, seed=seed), training, **how)
        return histories[-1]

    first = probed(embedder, split.train)
    stop = False
    assert probed(embedder, split.train) == first, "the seconds too: nothing was trained again"
    stop = True
    other_weights = deepcopy(embedder)
    with torch.no_grad():
        next(other_weights.parameters()).mul_(1.5)
    names = {"bright": "dark", "dark": "bright"}
    swapped = [replace(video, label=names[str(video.label)]) for video in split.train]
    for embedder_given, videos, seed in (
        (other_weights, split.train, 0),
        (embedder, swapped, 0),
        (embedder, split.train, 3),
    ):
        assert probed(embedder_given, videos, seed)[0]["loss"] != first[0]["loss"]
    shutil.copytree(classes / "train", tmp_path / "moved" / "train")
    shutil.copytree(classes / "test", tmp_path / "moved" / "test")
    moved = open_data("labelled", tmp_path / "moved")[1]
    probed(embedder, split.train)
    assert probed(embedder, moved.train) == histories[-2], "the content counts, not the place"


def test_a_probe_after_another_fit_is_of_the_new_run(
    run: Path, classes: Path, tmp_path: Path
) -> None:
    again = Path(shutil.copytree(run, tmp_path / "run"))
    words = ["probe", str(again), "labelled", "--root", str(classes), "--finetune", "--json"]
    words += ["--epochs", "2", "--batch", "5"]
    assert main(words) == 0
    first = np.load(again / "probe-labelled" / "classifier-finetune.npz")
    assert list(first["classes"]) == ["bright", "dark"]
    fit = "--network basic --size 32 --segment 24 --queue 8 --update segment --epochs 1 --seed 5"
    fit_words = ["fit", "temporal-queue", "labelled", "--root", str(classes), "--out", str(again)]
    assert main([*fit_words, *fit.split(), "--precision", "float32", "--no-resume"]) == 0
    assert main(words) == 0
    second = np.load(again / "probe-labelled" / "classifier-finetune.npz")
    assert main([*words, "--out", str(tmp_path / "fresh")]) == 0
    fresh = np.load(tmp_path / "fresh" / "classifier-finetune.npz")
    assert not np.array_equal(first["fc.weight"], second["fc.weight"])
    for name in fresh.files:
        np.testing.assert_array_equal(second[name], fresh[name])


def test_tuning_from_the_command_line(
    run: Path, classes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "probe",
        str(run),
        "labelled",
        "--root",
        str(classes),
        "--out",
        str(tmp_path),
        "--finetune",
        "--epochs",
        "1",
    ]
    assert main([*words, "--batch", "5"]) == 0
    out = capsys.readouterr().out
    assert "finetune          accuracy" in out
    assert "linear" not in out
    assert (tmp_path / "confusion-finetune.png").is_file()


def test_clips_are_at_equal_distances_in_the_middle(tmp_path: Path) -> None:
    video = Video("film", film(tmp_path / "film.mp4", 40, size=(100, 100)))
    clips = evenly_spaced_clips(video, ClipSpec(length=4, stride=2, size=(80, 80)), 4)
    assert clips.shape == (4, 3, 4, 80, 80)
    whole = evenly_spaced_clips(video, ClipSpec(length=1, size=(80, 80)), 40)
    numbers = [
        number_of(np.pad(one[:, 0].permute(1, 2, 0).numpy(), ((10, 10), (10, 10), (0, 0)), "edge"))
        for one in whole
    ]
    assert numbers[:20] == list(range(20)), "the bars of small numbers are all within the middle"
    starts = [0, 11, 22, 33]
    for clip, start in zip(clips, starts, strict=True):
        assert torch.equal(clip, torch.cat([whole[start + 2 * k] for k in range(4)], dim=1))
    short = evenly_spaced_clips(video, ClipSpec(length=60, size=(80, 80)), 2)
    assert torch.equal(short[0, :, 40], whole[38][:, 0]), "what lacks is mirrored"


def test_recall_is_what_a_loop_finds() -> None:
    random = np.random.default_rng(0)
    gallery, queries = random.standard_normal((60, 8)), random.standard_normal((30, 8))
    labels = [str(k) for k in random.integers(0, 6, 60)]
    asked = [str(k) for k in random.integers(0, 6, 30)]
    found, nearest, cosine = find_neighbours(gallery, labels, queries, asked)
    for k in (1, 5, 10, 20, 50):
        right = 0
        for query, label in zip(queries, asked, strict=True):
            alike = [
                float(query @ one / np.linalg.norm(query) / np.linalg.norm(one)) for one in gallery
            ]
            best = sorted(range(60), key=lambda n: -alike[n])[:k]
            right += label in {labels[n] for n in best}
        assert found[f"R@{k}"] == pytest.approx(right / 30)
    assert nearest.shape == cosine.shape == (30, 50)
    assert (np.diff(cosine, axis=1) <= 0).all()
    assert chance_at_1(["a", "a", "a", "b"], ["a", "b"]) == pytest.approx((0.75 + 0.25) / 2)


def test_a_classifier_learns_what_is_there_and_nothing_else() -> None:
    random = np.random.default_rng(1)
    labels = ["a", "b", "c"] * 30
    centres = {name: random.standard_normal(20) for name in "abc"}
    rows = np.stack([centres[name] + 0.3 * random.standard_normal((4, 20)) for name in labels])
    good = linear(rows[:60], labels[:60], rows[60:], labels[60:])
    assert good.accuracy > 0.95
    assert good.confusion.sum() == 30
    noise = random.standard_normal((600, 2, 20))
    blind = linear(noise[:300], labels[:60] * 5, noise[300:], labels[:60] * 5)
    assert blind.accuracy < 0.45


def test_what_cannot_be_probed_is_one_line(
    run: Path,
    classes: Path,
    fitted: Path,
    street: Path,
    tmp_path: Path,
    refused: Callable[..., str],
) -> None:
    assert "flowgrid, which has no embeddings" in refused(
        2, "probe", fitted, "labelled", "--root", classes
    )
    assert "have no class" in refused(2, "probe", run, "simulated", "--root", street)
    one = tmp_path / "one"
    for side in ("train", "test"):
        shutil.copytree(classes / side / "dark", one / side / "dark")
    assert "one class, dark" in refused(2, "probe", run, "labelled", "--root", one)
    shutil.copytree(classes / "train" / "bright", one / "train" / "bright")
    shutil.copy(classes / "train" / "dark" / "dark0.mp4", one / "test" / "dark" / "again.mp4")
    assert "both learned from and tested on, such as again" in refused(
        6, "probe", run, "labelled", "--root", one
    )
    for words in (["--batch", "1"], ["--lr", "0"], ["--epochs", "0"]):
        line = refused(2, "probe", run, "labelled", "--root", classes, *words)
        assert line.startswith(f"{words[0]} is from ")
    swapped = tmp_path / "swapped"
    shutil.copytree(classes / "test", swapped / "train")
    shutil.copytree(classes / "train", swapped / "test")
    assert "test videos were also learned from" in refused(
        6, "retrieve", run, "labelled", "--root", swapped
    )


def test_a_video_that_cannot_be_read_is_left_out_and_named(
    run: Path, classes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = Path(shutil.copytree(classes, tmp_path / "classes"))
    (root / "test" / "dark" / "broken.mp4").write_bytes(b"no film")
    assert (
        main(
            [
                "retrieve",
                str(run),
                "labelled",
                "--root",
                str(root),
                "--out",
                str(tmp_path / "out"),
                "--json",
            ]
        )
        == 3
    )
    out, err = capsys.readouterr()
    assert "left out: " in err
    assert "oddframe: 1 videos could not be used; the first: " in err
    assert len(json.loads(out)["left_out"]) == 1
