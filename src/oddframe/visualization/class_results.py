"""What a run says of clips in classes, as tables and pictures."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from oddframe.embeddings.embedder import Embedder
from oddframe.evaluation.class_report import NORMAL_PARTS, ODD, ClassTable
from oddframe.files import aside
from oddframe.progress import logger
from oddframe.types import Floats
from oddframe.visualization.class_plots import (
    tsne,
    write_boxes_png,
    write_learning_png,
    write_scatter_html,
    write_scatter_png,
)
from oddframe.visualization.outputs import spreadsheet_text

CLIPS = "clips.csv"  # what `oddframe threshold` goes by
CLIP_COLUMNS = ("CLIP", "CLASS", "TYPE_DATASET", "ERROR", "NEAREST_CENTROID", "PATH")
ERROR_COLUMNS = ("CLASS", "LABEL", "ERROR", "LATENT_DISTANCE", "EMBEDDING_DISTANCE", "TYPE_DATASET")
ANOMALY_COLUMNS = ("ANOMALY_CLASS", "CLASS_CENTROID", "DIST_CENTROID")
PARAMETER_COLUMNS = ("TENSOR", "SHAPE", "NUMBERS")
ANOMALOUS_LABEL = 42  # as published
CENTROID_AXIS = "distance to the class centroid"


def write_class_tables(folder: Path, table: ClassTable) -> None:
    """One row a clip: its error, its distances, and for anomalies the distance to each class."""
    label = {name: k for k, name in enumerate(table.classes)}
    latent = table.own(table.far_latent)
    embedding = table.own(table.far)
    clips: list[list[object]] = []
    errors: list[list[object]] = []
    distances: list[list[object]] = []
    for k, (video, part) in enumerate(zip(table.video, table.part, strict=True)):
        number: object = label.get(str(video.label), "")
        if part == ODD:
            number = ANOMALOUS_LABEL
        error = table.error[k]
        errors.append([video.label, number, error, latent[k], embedding[k], part])
        nearest = table.far[k].min()
        clips.append([video.name, video.label, part, error, nearest, video.source])
        if part == ODD:
            for n, name in enumerate(table.classes):
                distances.append([video.label, name, table.far[k, n]])
    write_rows(folder / "errors_dist_distribution.csv", ERROR_COLUMNS, errors)
    write_rows(folder / "anomaly_dist_distribution.csv", ANOMALY_COLUMNS, distances)
    write_rows(folder / CLIPS, CLIP_COLUMNS, clips)


def draw_class_table(
    folder: Path, table: ClassTable, seed: int, learned: Mapping[str, Any]
) -> None:
    """Box plots of errors and distances, t-SNE of train, and the head's learning curves."""
    by_part = {part: table.error[table.rows(part)] for part in (*NORMAL_PARTS, ODD)}
    write_boxes_png(folder / "error_distribution.png", {"": by_part}, "error")
    errors = values_by_class(table, list(table.error), *NORMAL_PARTS, ODD)
    write_boxes_png(folder / "error_distribution_grouped_by_class.png", errors, "error")
    anomalies = table.rows(ODD)
    to_each = {}
    for n, name in enumerate(table.classes):
        to_each[name] = table.far[anomalies, n]
    distances = values_by_class(table, table.own(table.far), *NORMAL_PARTS)
    distances[f"{ODD}: distance to each class"] = to_each
    path = folder / "embedding_distances_distribution_grouped_by_class.png"
    write_boxes_png(path, distances, CENTROID_AXIS)
    if table.far_latent is not None:
        distances = values_by_class(table, table.own(table.far_latent), *NORMAL_PARTS)
        path = folder / "latent_distances_distribution_grouped_by_class.png"
        write_boxes_png(path, distances, CENTROID_AXIS)
    for what, points in (("embedding", table.embedding), ("latent", table.latent)):
        if points is not None:
            draw_tsne(folder, table, what, points, seed)
    epochs = learned.get("head", {}).get("epochs")
    if epochs:
        write_learning_png(folder / "learning_curves.png", epochs)


def values_by_class(
    table: ClassTable, values: Sequence[float | None], *parts: str
) -> dict[str, dict[str, Floats]]:
    """Values by part and class; a class of which none is known has no row."""
    found: dict[str, dict[str, Floats]] = {}
    for part in parts:
        by_class: dict[str, list[float]] = {}
        for k in table.rows(part):
            value = values[k]
            if value is not None:
                by_class.setdefault(str(table.video[k].label), []).append(value)
        found[part] = {label: np.array(each) for label, each in by_class.items()}
    return found


def draw_tsne(folder: Path, table: ClassTable, what: str, points: Floats, seed: int) -> None:
    """The clips of train in the plane, coloured by class, as a picture and as a page."""
    train = table.rows("train")
    flat = tsne(points[train], seed)
    if flat is None:
        logger.warning(
            f"too few clips for t-SNE of {what}s: train has {len(train)}, at least 5 are needed"
        )
        return
    names = []
    labels = []
    for k in train:
        names.append(table.video[k].name)
        labels.append(str(table.video[k].label))
    title = f"t-SNE of {what}s of train"
    write_scatter_png(folder / f"TSNE_{what}_array_train.png", flat, labels, title)
    write_scatter_html(folder / f"TSNE_{what}_array_train.html", flat, labels, names, title)


def write_parameters(path: Path, detector: Embedder) -> dict[str, int]:
    """Numbers of each tensor of encoder and head, as a table; returns their sums."""
    rows = []
    sums = {"encoder": 0, "head": 0}
    for name, value in (*detector.named_parameters(), *detector.named_buffers()):
        rows.append((name, "x".join(map(str, value.shape)), value.numel()))
        if name.startswith("head."):
            sums["head"] += value.numel()
        else:
            sums["encoder"] += value.numel()
    write_rows(path, PARAMETER_COLUMNS, rows)
    return sums


def write_rows(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A CSV file; None is an empty cell, and no text is taken for a formula."""
    with aside(path) as part, part.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for row in rows:
            writer.writerow([cell(value) for value in row])


def cell(value: object) -> object:
    """A value as it stands in a CSV file."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.8g}"
    if isinstance(value, str):
        return spreadsheet_text(value)
    return value
