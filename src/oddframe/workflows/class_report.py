"""Clips in classes: how they are distributed, what a run says of them, and thresholds that a person decides on."""

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from json import dumps
from pathlib import Path
from typing import Any

import numpy as np

from oddframe.datasets.base import data_set
from oddframe.datasets.classes import PARTS, ClassData, Divided, read_table
from oddframe.embeddings.embedder import Embedder
from oddframe.errors import BadInput, BadRun, BadVideo, Leak
from oddframe.evaluation.class_report import (
    NORMAL,
    ODD,
    ClassTable,
    ThresholdRule,
    accuracies,
    class_summary,
    class_table,
    propose,
)
from oddframe.files import aside, room, write_json
from oddframe.progress import logger
from oddframe.registry import members
from oddframe.run import Run
from oddframe.scoring.run_folder import load_run
from oddframe.types import Floats, Video
from oddframe.video.reader import content_hash, times_of
from oddframe.visualization.class_plots import (
    tsne,
    write_boxes_png,
    write_counts_png,
    write_learning_png,
    write_scatter_html,
    write_scatter_png,
)
from oddframe.workflows.fit import own_cache

CLIPS = "clips.csv"  # what `threshold` goes by
CLIP_COLUMNS = ("CLIP", "CLASS", "TYPE_DATASET", "ERROR", "NEAREST_CENTROID", "PATH")


def describe(
    data: str, root: Path | None = None, *, out: Path | None = None, json: bool = False
) -> dict[str, Any]:
    """Draw how many clips each class and part of a data set has, and how long they are: data_distribution.png.

    Args:
        data: a data set of clips in classes, or the folder of one.
        root: where a named data set lies.
        out: where the picture goes; the folder that holds the data unless given.
        json: print one JSON object instead of lines for a person.
    """
    parts, folder = _parts(data, root)
    counts = {part: dict(Counter(str(video.label) for video in parts[part])) for part in PARTS}
    seconds = {part: np.array([_seconds(video) for video in parts[part]]) for part in PARTS}
    path = room(out or folder) / "data_distribution.png"
    write_counts_png(path, counts, seconds)
    told = {
        "clips": counts,
        "seconds": {
            part: {
                "shortest": float(held.min()),
                "mean": float(held.mean()),
                "longest": float(held.max()),
            }
            for part, held in seconds.items()
            if len(held)
        },
        "picture": str(path),
    }
    if json:
        print(dumps(told, indent=2))
        return told
    for part in PARTS:
        held = ", ".join(f"{label} {count}" for label, count in counts[part].items()) or "none"
        lasting = (
            f"; {seconds[part].min():.1f} to {seconds[part].max():.1f} s"
            if len(seconds[part])
            else ""
        )
        print(f"{part:9}{sum(counts[part].values()):5} clips{lasting}: {held}")
    print(f"picture: {path}")
    return told


def classes(
    run: Path,
    data: str,
    *,
    root: Path | None = None,
    out: Path | None = None,
    seed: int = 0,
    json: bool = False,
) -> dict[str, Any]:
    """Judge every clip of a data set in classes: errors, distances to class centroids, box plots, t-SNE, tables.

    Refuses when a clip of val, test or anomaly was learned from.

    Args:
        run: the folder that `oddframe fit` wrote, of a method with embeddings.
        data: the data set of clips in classes that the run learned, or the folder of one.
        root: where a named data set lies.
        out: where tables and pictures go; RUN/classes unless given.
        seed: of t-SNE.
        json: print one JSON object instead of a table.
    """
    fitted = load_run(run)
    if not isinstance(fitted.detector, Embedder):
        raise BadInput(
            f"{run} is of {fitted.detector.name}, which has no embeddings; fit one with `oddframe fit embedding`"
        )
    parts, _ = _parts(data, root)
    _refuse_leak(fitted.facts["trained_on"], parts)
    if not parts[ODD]:
        logger.warning("there is no clip in anomaly: only normal ones are judged")
    folder = room(out or Path(run) / "classes")
    table = class_table(fitted.detector, parts, Run(folder, cache=own_cache()))
    _write_tables(folder, table)
    _draw(folder, table, seed, fitted.facts.get("learned", {}))
    told = {**class_summary(table), "parameters": _parameters(folder, fitted.detector)}
    write_json(folder / "summary.json", told)
    if json:
        print(dumps(told, indent=2))
    else:
        _print(told, folder)
    return told


def threshold(
    run: Path,
    *,
    error: float | None = None,
    distance: float | None = None,
    false_alarm_rate: float = 0.05,
    name: str = "threshold",
    out: Path | None = None,
    json: bool = False,
) -> dict[str, Any]:
    """Apply thresholds to every part: an error at or above one, or a distance to every class centroid, is anomalous.

    A threshold that is not given is proposed from val, never from test or anomaly.

    Args:
        run: a run of which `oddframe classes` has judged a data set.
        error: threshold of the error.
        distance: threshold of the distance to the nearest class centroid.
        false_alarm_rate: share of normal clips that a proposed threshold may flag.
        name: of the file that is written, without its ending.
        out: where `oddframe classes` wrote; RUN/classes unless given.
        json: print one JSON object instead of a table.
    """
    if not 0 < false_alarm_rate < 1:
        raise BadInput(f"a false-alarm rate is above 0 and below 1, got {false_alarm_rate}")
    folder = out or Path(run) / "classes"
    path = folder / CLIPS
    if not path.is_file():
        raise BadRun(f"{path} is missing: `oddframe classes {run} DATA` writes it")
    rows = read_table(path, CLIP_COLUMNS)
    told: dict[str, Any] = {}
    for what, column, given in (
        ("error", "ERROR", error),
        ("distance", "NEAREST_CENTROID", distance),
    ):
        values = [(row["TYPE_DATASET"], _number(row[column], path)) for row in rows]
        held = np.array([value for part, value in values if part == "val"])
        rule = (
            ThresholdRule(given, "as given")
            if given is not None
            else propose(held, false_alarm_rate, what)
        )
        told[what] = {
            "threshold": rule.threshold,
            "why": rule.why,
            "parts": accuracies(values, rule.threshold),
        }
    text = _threshold_lines(told)
    with aside(folder / f"{name}.txt") as part:
        part.write_text("\n".join(text) + "\n")
    write_json(folder / f"{name}.json", told)
    print(dumps(told, indent=2) if json else "\n".join(text))
    return told


def _parts(data: str, root: Path | None) -> tuple[Divided, Path]:
    """Videos by part, and the folder that holds them."""
    known, path = members("datasets"), Path(data).expanduser()
    if root is not None or data in known:
        found = data_set(data)
        if not isinstance(found, ClassData):
            names = ", ".join(name for name, one in known.items() if issubclass(one, ClassData))
            raise BadInput(f"{data} is no data set of clips in classes; there are {names}")
        if root is None:
            raise BadInput(f"where is {data}? Give the folder that holds it with --root")
        path = Path(root).expanduser()
        return found.parts(path), path
    found = data_set("class-folders")
    assert isinstance(found, ClassData)
    return found.parts(path), path


def _refuse_leak(trained: Iterable[dict[str, str]], parts: Divided) -> None:
    learned = {video["hash"]: video["name"] for video in trained}
    for part in PARTS[1:]:
        for video in parts[part]:
            if (same := learned.get(content_hash(video.source))) is not None:
                raise Leak(
                    f"{video.source} of {part} was learned from, as {same}; fit on train alone"
                )


def _seconds(video: Video) -> float:
    try:
        times = times_of(video)
    except BadVideo as error:
        logger.warning(f"left out: {error}")
        return 0.0
    return float(times[-1] - times[0]) * len(times) / max(1, len(times) - 1) if len(times) else 0.0


def _write_tables(folder: Path, table: ClassTable) -> None:
    label = {name: k for k, name in enumerate(table.classes)}
    latent, embedding = table.own(table.far_latent), table.own(table.far)
    clips, errors, far = [], [], []
    for k, (video, part) in enumerate(zip(table.video, table.part, strict=True)):
        number: object = 42 if part == ODD else label.get(str(video.label), "")
        errors.append(
            [video.label, number, table.error[k], _blank(latent[k]), _blank(embedding[k]), part]
        )
        clips.append(
            [video.name, video.label, part, table.error[k], table.far[k].min(), video.source]
        )
        if part == ODD:
            far += [[video.label, name, table.far[k, n]] for n, name in enumerate(table.classes)]
    columns = ["CLASS", "LABEL", "ERROR", "LATENT_DISTANCE", "EMBEDDING_DISTANCE", "TYPE_DATASET"]
    _write_csv(folder / "errors_dist_distribution.csv", columns, errors)
    _write_csv(
        folder / "anomaly_dist_distribution.csv",
        ["ANOMALY_CLASS", "CLASS_CENTROID", "DIST_CENTROID"],
        far,
    )
    _write_csv(folder / CLIPS, CLIP_COLUMNS, clips)


def _draw(folder: Path, table: ClassTable, seed: int, learned: dict[str, Any]) -> None:
    def by_class(
        values: Sequence[float | None] | Floats, *parts: str
    ) -> dict[str, dict[str, Floats]]:
        return {
            part: {
                label: np.array(held)
                for label in dict.fromkeys(str(table.video[k].label) for k in table.rows(part))
                if (
                    held := [
                        v
                        for k in table.rows(part)
                        if table.video[k].label == label and (v := values[k]) is not None
                    ]
                )
            }
            for part in parts
        }

    all_parts = {"": {part: table.error[table.rows(part)] for part in (*NORMAL, ODD)}}
    write_boxes_png(folder / "error_distribution.png", all_parts, "error")
    write_boxes_png(
        folder / "error_distribution_grouped_by_class.png",
        by_class(table.error, *NORMAL, ODD),
        "error",
    )
    odd = table.rows(ODD)
    to_each = {
        f"{ODD}: distance to each class": {
            name: table.far[odd, n] for n, name in enumerate(table.classes)
        }
    }
    own = {**by_class(table.own(table.far), *NORMAL), **to_each}
    write_boxes_png(
        folder / "embedding_distances_distribution_grouped_by_class.png",
        own,
        "distance to the class centroid",
    )
    if table.far_latent is not None:
        own = by_class(table.own(table.far_latent), *NORMAL)
        write_boxes_png(
            folder / "latent_distances_distribution_grouped_by_class.png",
            own,
            "distance to the class centroid",
        )
    train = table.rows("train")
    names, labels = [table.video[k].name for k in train], [str(table.video[k].label) for k in train]
    for what, points in (("embedding", table.embedding), ("latent", table.latent)):
        if points is None:
            continue
        flat = tsne(points[train], seed)
        if flat is None:
            logger.warning(
                f"too few clips for t-SNE of {what}s: train has {len(train)}, at least 5 are needed"
            )
            continue
        title = f"t-SNE of {what}s of train"
        write_scatter_png(folder / f"TSNE_{what}_array_train.png", flat, labels, title)
        write_scatter_html(folder / f"TSNE_{what}_array_train.html", flat, labels, names, title)
    epochs = learned.get("head", {}).get("epochs")
    if epochs:
        write_learning_png(folder / "learning_curves.png", epochs)


def _parameters(folder: Path, detector: Embedder) -> dict[str, Any]:
    """Numbers of each tensor of encoder and head, as a table, and their sums."""
    rows = [
        (name, "x".join(map(str, value.shape)), value.numel())
        for name, value in (*detector.named_parameters(), *detector.named_buffers())
    ]
    _write_csv(folder / "parameters.csv", ["TENSOR", "SHAPE", "NUMBERS"], rows)
    head = sum(count for name, _, count in rows if name.startswith("head."))
    return {"encoder": sum(count for _, _, count in rows) - head, "head": head}


def _print(told: dict[str, Any], folder: Path) -> None:
    print(f"{'':9}{'clips':>7}{'error: mean':>14}{'median':>10}{'max':>10}{'own class: mean':>18}")
    for part, held in told["parts"].items():
        if (e := held["error"]) is None:
            continue
        d = held["distance to own class"]
        own = f"{d['mean']:18.4g}" if d else f"{'–':>18}"
        print(f"{part:9}{e['count']:7}{e['mean']:14.4g}{e['50%']:10.4g}{e['max']:10.4g}{own}")
    for what, held in told["clip_auc"].items():
        shown = ", ".join(
            f"{rule} {value:.4f}" for rule, value in held.items() if value is not None
        )
        if shown:
            print(f"clip AUC, {what}: {shown}")
    count = told["parameters"]
    print(f"parameters: encoder {count['encoder']:,}, head {count['head']:,}")
    print(f"tables and pictures: {folder}")


def _threshold_lines(told: dict[str, Any]) -> list[str]:
    lines = [
        f"threshold of {what}: {held['threshold']:.6g} ({held['why']})"
        for what, held in told.items()
    ]
    lines += [
        "",
        f"{'part':9}{'clips':>7}{'flagged':>10}{'accuracy':>10}{'flagged':>12}{'accuracy':>10}",
    ]
    lines[-1:] = [f"{'':16}{'by error':>20}{'by distance':>22}", lines[-1]]
    for part in (*NORMAL, ODD):
        one, other = told["error"]["parts"][part], told["distance"]["parts"][part]
        cells = [
            f"{one['flagged']:10}{_share(one['accuracy'])}",
            f"{other['flagged']:12}{_share(other['accuracy'])}",
        ]
        lines.append(f"{part:9}{one['total_clip']:7}{''.join(cells)}")
    return lines


def _share(value: float | None) -> str:
    return f"{'–':>10}" if value is None else f"{value:10.3f}"


def _write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with aside(path) as part, part.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows([f"{v:.8g}" if isinstance(v, float) else v for v in row] for row in rows)


def _blank(value: float | None) -> object:
    return "" if value is None else value


def _number(text: str, path: Path) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise BadRun(
            f"{path} is damaged: {text!r} is no number; run `oddframe classes` again"
        ) from error
