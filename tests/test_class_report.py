"""What a person decides from: errors and distances of clips in classes, pictures, and thresholds from val alone."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from films import film
from oddframe import fit
from oddframe.cli.main import main
from oddframe.embeddings.head import HeadOptions
from oddframe.errors import BadInput
from oddframe.evaluation.class_report import (
    ClassTable,
    accuracies,
    class_summary,
    propose,
    statistics_of,
)
from oddframe.types import Video
from oddframe.visualization.class_plots import tsne, write_boxes_png

SMALL = {
    "network": "image-resnet18",
    "clip_length": 2,
    "clip_seconds": 0.2,
    "size": 32,
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _own_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two normal classes of films that scroll, and an anomalous one that flickers, divided into parts."""
    root = tmp_path_factory.mktemp("clips")
    random = np.random.default_rng(0)
    for part, classes in (("train", "ab"), ("val", "ab"), ("test", "ab"), ("anomaly", "x")):
        for label in classes:
            (root / part / label).mkdir(parents=True)
            for k in range(6 if part == "train" else 3):
                base = random.integers(0, 255, (48, 64, 3), np.uint8) // (4 if label == "a" else 1)
                noise = [random.integers(0, 255, (48, 64, 3), np.uint8) for _ in range(12)]
                frames = noise if label == "x" else [np.roll(base, n, axis=1) for n in range(12)]
                film(root / part / label / f"{part}{k}.mp4", frames, fps=10)
    return root


@pytest.fixture(scope="module")
def judged(clips: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with an autoencoder, of which the clips were judged. Do not write here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(cache))
        from oddframe.training.config import Training

        training = Training(epochs=4, batch=8, optimizer="adam", precision="float32", keep="best")
        run = tmp_path_factory.mktemp("run") / "run"
        fit(
            "embedding",
            "class-folders",
            root=clips,
            out=run,
            options={
                "head": HeadOptions(name="autoencoder", layers=(32, 8), training=training),
                **SMALL,
            },
        )
        assert main(["classes", str(run), str(clips)]) == 0
    return run


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_val_chooses_the_epoch(judged: Path) -> None:
    facts = json.loads((judged / "run.json").read_text())
    assert len(facts["validated_on"]) == 6
    assert len(facts["trained_on"]) == 12
    # films of 12 frames, clips of two frames, one frame apart
    assert facts["learned"]["head"]["held_out_clips"] == 6 * 11


def test_info_tells_of_a_run_with_a_trained_head(
    judged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["info", str(judged)]) == 0
    assert "autoencoder" in capsys.readouterr().out


def test_tables_have_the_published_columns(judged: Path) -> None:
    errors = rows(judged / "classes" / "errors_dist_distribution.csv")
    assert list(errors[0]) == [
        "CLASS",
        "LABEL",
        "ERROR",
        "LATENT_DISTANCE",
        "EMBEDDING_DISTANCE",
        "TYPE_DATASET",
    ]
    assert len(errors) == 12 + 6 + 6 + 3
    for row in errors:
        odd = row["TYPE_DATASET"] == "anomaly"
        assert float(row["ERROR"]) >= 0
        assert (row["LABEL"] == "42") == odd
        assert (row["EMBEDDING_DISTANCE"] == "") == (row["LATENT_DISTANCE"] == "") == odd
    far = rows(judged / "classes" / "anomaly_dist_distribution.csv")
    assert list(far[0]) == ["ANOMALY_CLASS", "CLASS_CENTROID", "DIST_CENTROID"]
    assert [(row["ANOMALY_CLASS"], row["CLASS_CENTROID"]) for row in far] == [
        ("x", "a"),
        ("x", "b"),
    ] * 3


def test_pictures_and_statistics_are_written(judged: Path) -> None:
    names = {path.name for path in (judged / "classes").iterdir()}
    assert names >= {
        "error_distribution.png",
        "error_distribution_grouped_by_class.png",
        "embedding_distances_distribution_grouped_by_class.png",
        "latent_distances_distribution_grouped_by_class.png",
        "TSNE_embedding_array_train.png",
        "TSNE_latent_array_train.png",
        "TSNE_embedding_array_train.html",
        "TSNE_latent_array_train.html",
        "learning_curves.png",
        "parameters.csv",
    }
    told = json.loads((judged / "classes" / "summary.json").read_text())
    errors = rows(judged / "classes" / "errors_dist_distribution.csv")
    test = [float(row["ERROR"]) for row in errors if row["TYPE_DATASET"] == "test"]
    np.testing.assert_allclose(told["parts"]["test"]["error"]["mean"], np.mean(test), rtol=1e-6)
    assert told["classes"]["train"]["a"]["count"] == 6
    assert told["parameters"]["head"] > 512 * 32


def test_thresholds_are_proposed_from_val_alone(
    judged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["threshold", str(judged), "--false-alarm-rate", "0.3", "--name", "chosen"]) == 0
    shown = capsys.readouterr().out
    assert (judged / "classes" / "chosen.txt").read_text() == shown
    told = json.loads((judged / "classes" / "chosen.json").read_text())
    clips = rows(judged / "classes" / "clips.csv")
    for rule, column in (("error", "ERROR"), ("distance", "NEAREST_CENTROID")):
        val = sorted(float(row[column]) for row in clips if row["TYPE_DATASET"] == "val")
        # ⌈7 × 0.7⌉ = 5 of 6 lie below
        assert val[4] < told[rule]["threshold"] <= np.nextafter(val[4], np.inf)
        assert told[rule]["parts"]["val"]["flagged"] == 1


def test_thresholds_that_are_given_are_applied(
    judged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main(
            [
                "threshold",
                str(judged),
                "--error",
                "0",
                "--distance",
                "1e9",
                "--name",
                "given",
                "--json",
            ]
        )
        == 0
    )
    told = json.loads(capsys.readouterr().out)
    assert told["error"]["parts"]["test"] == {"total_clip": 6, "flagged": 6, "accuracy": 0.0}
    assert told["error"]["parts"]["anomaly"] == {"total_clip": 3, "flagged": 3, "accuracy": 1.0}
    assert told["distance"]["parts"]["anomaly"]["accuracy"] == 0.0
    assert told["distance"]["parts"]["train"]["accuracy"] == 1.0


def test_the_distribution_is_drawn(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["describe", str(clips), "--out", str(tmp_path)]) == 0
    assert "train       12 clips; 1.2 to 1.2 s: a 6, b 6" in capsys.readouterr().out
    assert (tmp_path / "data_distribution.png").stat().st_size > 5000


def test_other_heads_have_no_latent_and_small_sets_no_tsne(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One class with one clip, and no anomaly: everything that can be said is said."""
    for part, k in (("train", 3), ("val", 2)):
        (tmp_path / "few" / part / "b").mkdir(parents=True)
        for path in sorted((clips / part / "b").iterdir())[:k]:
            (tmp_path / "few" / part / "b" / path.name).symlink_to(path)
    (tmp_path / "few" / "train" / "a").mkdir()
    one = next((clips / "train" / "a").iterdir())
    (tmp_path / "few" / "train" / "a" / one.name).symlink_to(one)
    fit(
        "embedding",
        "class-folders",
        root=tmp_path / "few",
        out=tmp_path / "run",
        options={"head": HeadOptions(name="mahalanobis"), **SMALL},
    )
    capsys.readouterr()
    assert (
        main(
            [
                "classes",
                str(tmp_path / "run"),
                str(tmp_path / "few"),
                "--out",
                str(tmp_path / "out"),
            ]
        )
        == 0
    )
    told = capsys.readouterr().err
    assert "no clip in anomaly" in told
    assert "too few clips for t-SNE of embeddings: train has 4, at least 5" in told
    assert not (tmp_path / "out" / "TSNE_embedding_array_train.png").exists()
    errors = rows(tmp_path / "out" / "errors_dist_distribution.csv")
    assert {row["LATENT_DISTANCE"] for row in errors} == {""}
    assert rows(tmp_path / "out" / "anomaly_dist_distribution.csv") == []


def test_what_cannot_be_judged_is_refused(
    judged: Path, fitted: Path, clips: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    assert "which has no embeddings" in refused(2, "classes", fitted, clips)
    assert "no data set of clips in classes; there are class-folders" in refused(
        2, "classes", judged, "ped2", "--root", "x"
    )
    assert "Give the folder that holds it with --root" in refused(2, "describe", "surv-fight")
    assert "`oddframe classes" in refused(5, "threshold", fitted)
    assert "above 0 and below 1, got 2.0" in refused(
        2, "threshold", judged, "--false-alarm-rate", "2"
    )
    (tmp_path / "leak" / "test").mkdir(parents=True)
    (tmp_path / "leak" / "train").symlink_to(clips / "train")
    (tmp_path / "leak" / "test" / "a").symlink_to(clips / "train" / "a")
    assert "of test was learned from" in refused(6, "classes", judged, tmp_path / "leak")


# Numbers.


def table(errors: dict[str, list[float]]) -> ClassTable:
    part = [name for name, values in errors.items() for _ in values]
    error = np.array([value for values in errors.values() for value in values])
    videos = [
        Video(f"v{k}", Path("v"), label="x" if name == "anomaly" else "a")
        for k, name in enumerate(part)
    ]
    far = np.stack([error + 1, error + 2], axis=1)
    return ClassTable(videos, part, error, error[:, None], None, ["a", "b"], far, None)


def test_auc_and_distances_are_of_the_parts_they_name() -> None:
    told = class_summary(table({"train": [1, 2], "val": [3, 4], "test": [2, 5], "anomaly": [4, 6]}))
    assert told["clip_auc"]["anomaly against train"] == {"error": 1.0, "distance": 1.0}
    assert told["clip_auc"]["anomaly against test"]["error"] == 0.75
    assert told["parts"]["test"]["distance to own class"]["mean"] == 4.5
    assert told["parts"]["anomaly"]["distance to own class"] is None
    assert (
        class_summary(table({"train": [1.0]}))["clip_auc"]["anomaly against train"]["error"] is None
    )


def test_described_is_what_statistics_say() -> None:
    told = statistics_of(np.array([1.0, 2, 3, 4]))
    assert told == {
        "count": 4,
        "mean": 2.5,
        "std": pytest.approx(1.2909944),
        "min": 1,
        "25%": 1.75,
        "50%": 2.5,
        "75%": 3.25,
        "max": 4,
    }
    assert statistics_of(np.zeros(0)) is None


def test_a_proposed_threshold_keeps_its_rate_on_new_normal_clips() -> None:
    random = np.random.default_rng(0)
    rates = [
        (
            random.standard_normal(500)
            >= propose(random.standard_normal(39), 0.1, "error").threshold
        ).mean()
        for _ in range(400)
    ]
    assert 0.08 < np.mean(rates) < 0.105
    few = propose(np.array([1.0, 2.0]), 0.05, "error")
    assert few.threshold > 2
    assert "too few to show a rate of 5.0%" in few.why
    with pytest.raises(BadInput, match="val has no normal clip"):
        propose(np.zeros(0), 0.05, "error")


def test_at_the_threshold_is_anomalous() -> None:
    told = accuracies([("test", 1.0), ("test", 2.0), ("anomaly", 2.0), ("anomaly", 1.9)], 2.0)
    assert told["test"] == {"total_clip": 2, "flagged": 1, "accuracy": 0.5}
    assert told["anomaly"] == {"total_clip": 2, "flagged": 1, "accuracy": 0.5}
    assert told["val"]["accuracy"] is None


def test_neighbours_stay_near_in_the_plane(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    points = np.concatenate([random.standard_normal((6, 20)), random.standard_normal((6, 20)) + 20])
    flat = tsne(points)
    assert flat is not None
    middle = [flat[:6].mean(0), flat[6:].mean(0)]
    assert np.linalg.norm(middle[0] - middle[1]) > 2 * max(flat[:6].std(), flat[6:].std())
    assert tsne(points[:4]) is None
    write_boxes_png(tmp_path / "empty.png", {"": {}}, "error")
    assert (tmp_path / "empty.png").is_file()
