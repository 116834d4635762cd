"""What a run says of clips in classes: one row a clip, from which a person decides where normal
ends.

M clips, K normal classes, D numbers an embedding, L a latent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from oddframe.embeddings.embedder import Embedder
from oddframe.embeddings.heads.autoencoder import Autoencoder
from oddframe.errors import BadInput
from oddframe.evaluation.metrics import auc
from oddframe.run import Run
from oddframe.types import Floats, Video

NORMAL_PARTS = ("train", "val", "test")
ODD = "anomaly"


@dataclass(frozen=True)
class ClassTable:
    """Clips of all parts with what a run says of them, each averaged over the windows that it was
    cut into.
    """

    video: list[Video]  # M
    part: list[str]  # M of train, val, test, anomaly
    error: Floats  # (M,) the head's distance
    embedding: Floats  # (M, D)
    latent: Floats | None  # (M, L) where the head has one
    classes: list[str]  # K, in the order of the centroids
    far: Floats  # (M, K) distance of the embedding to the centroid of each class in train
    far_latent: Floats | None  # (M, K)

    def rows(self, *parts: str) -> list[int]:
        """The positions of the clips of these parts."""
        found: list[int] = np.flatnonzero(np.isin(self.part, parts)).tolist()
        return found

    def own(self, far: Floats | None) -> list[float | None]:
        """M distances to the centroid of a clip's own class.

        None for anomalies and for classes that train has not.
        """
        found: list[float | None] = [None] * len(self.video)
        if far is None:
            return found
        for row, video in enumerate(self.video):
            if self.part[row] != ODD and video.label in self.classes:
                found[row] = float(far[row, self.classes.index(str(video.label))])
        return found


def class_table(detector: Embedder, parts: Mapping[str, Sequence[Video]], run: Run) -> ClassTable:
    """Embed and judge the clips of every part. Raises BadInput when train gives no embedding."""
    videos: list[Video] = []
    names: list[str] = []
    for part, inside in parts.items():
        videos += inside
        names += [part] * len(inside)
    kept_parts: list[str] = []
    kept: list[Video] = []
    error: list[float] = []
    embedding: list[Floats] = []
    latent: list[Floats] = []
    for part, one in zip(names, detector.embed_videos(videos, run), strict=True):
        if not len(one):
            continue
        vectors = torch.from_numpy(np.array(one.vector))
        with torch.inference_mode():
            error.append(float(detector.head.distance(vectors).mean()))
            embedding.append(vectors.double().mean(0).numpy())
            if isinstance(detector.head, Autoencoder):
                latent.append(detector.head.code(vectors).mean(0).numpy())
        kept_parts.append(part)
        kept.append(one.video)
    if "train" not in kept_parts:
        raise BadInput(
            "no clip of train is as long as the clips that the run takes; "
            "there is nothing to compare with"
        )
    classes = learned_classes(kept, kept_parts)
    points = np.array(embedding)
    far = distances_to_classes(points, kept, kept_parts, classes)
    codes = None
    far_latent = None
    if latent:
        codes = np.array(latent)
        far_latent = distances_to_classes(codes, kept, kept_parts, classes)
    return ClassTable(kept, kept_parts, np.array(error), points, codes, classes, far, far_latent)


def learned_classes(videos: Sequence[Video], parts: Sequence[str]) -> list[str]:
    """The classes of the videos in train, sorted."""
    found = set()
    for video, part in zip(videos, parts, strict=True):
        if part == "train":
            found.add(str(video.label))
    return sorted(found)


def class_summary(table: ClassTable) -> dict[str, Any]:
    """Statistics of the errors and distances by part and class, and the clip AUC of both rules."""
    own = np.array(table.own(table.far), dtype=float)  # NaN where there is none
    nearest = table.far.min(1)
    parts: dict[str, Any] = {}
    classes: dict[str, Any] = {}
    for part in (*NORMAL_PARTS, ODD):
        rows = table.rows(part)
        own_here = own[rows]
        parts[part] = {
            "error": statistics_of(table.error[rows]),
            "distance to own class": statistics_of(own_here[~np.isnan(own_here)]),
            "distance to nearest class": statistics_of(nearest[rows]),
        }
        classes[part] = errors_by_class(table, rows)
    clip_auc: dict[str, Any] = {}
    anomalous = table.rows(ODD)
    for part in NORMAL_PARTS:
        rows = table.rows(part)
        truth = np.repeat([False, True], [len(rows), len(anomalous)])
        both = [*rows, *anomalous]
        clip_auc[f"{ODD} against {part}"] = {
            "error": auc(truth, table.error[both]),
            "distance": auc(truth, nearest[both]),
        }
    return {"parts": parts, "classes": classes, "clip_auc": clip_auc}


def errors_by_class(
    table: ClassTable, rows: Sequence[int]
) -> dict[str, dict[str, float | int] | None]:
    """For each class among these clips the statistics of their errors."""
    by_class: dict[str, list[int]] = {}
    for row in rows:
        by_class.setdefault(str(table.video[row].label), []).append(row)
    found = {}
    for label, inside in by_class.items():
        found[label] = statistics_of(table.error[inside])
    return found


def statistics_of(values: Floats) -> dict[str, float | int] | None:
    """Count, mean, deviation, smallest, quartiles, largest; None of nothing."""
    if not len(values):
        return None
    low, quarter, middle, upper, high = np.quantile(values, [0, 0.25, 0.5, 0.75, 1])
    deviation = 0.0
    if len(values) > 1:
        deviation = float(np.std(values, ddof=1))
    return {
        "count": len(values),
        "mean": float(values.mean()),
        "std": deviation,
        "min": float(low),
        "25%": float(quarter),
        "50%": float(middle),
        "75%": float(upper),
        "max": float(high),
    }


@dataclass(frozen=True)
class ThresholdRule:
    """A threshold: at it or above is anomalous."""

    threshold: float
    why: str


def propose(values: Floats, rate: float, what: str) -> ThresholdRule:
    """The smallest threshold that flags normal clips at no more than this rate, from those held out
    of learning.

    The k-th smallest of n, k = ⌈(n + 1)(1 − rate)⌉, flags a new normal clip at most at that rate
    (conformal); with fewer than 1 / rate − 1 clips that cannot be shown, the largest is taken, and
    said.
    """
    n = len(values)
    if not n:
        raise BadInput(
            "val has no normal clip to choose a threshold by; "
            "give --error and --distance, or make a val part"
        )
    k = int(np.ceil((n + 1) * (1 - rate) - 1e-9))
    chosen = float(np.nextafter(np.sort(values)[min(k, n) - 1], np.inf))
    why = f"flags at most {rate:.1%} of normal clips, by the {what} of {n} val clips"
    if k > n:
        why = f"the largest {what} of {n} val clips, too few to show a rate of {rate:.1%}"
    return ThresholdRule(chosen, why)


def values_of_part(rows: Sequence[tuple[str, float]], part: str) -> Floats:
    """(n,) the values of the rows of one part."""
    return np.array([value for where, value in rows if where == part])


def accuracies(
    rows: Sequence[tuple[str, float]], threshold: float
) -> dict[str, dict[str, float | int | None]]:
    """For each part: clips, how many are flagged, and the accuracy.

    Of anomaly that is the share flagged, of the others the share not flagged.
    """
    found: dict[str, dict[str, float | int | None]] = {}
    for part in (*NORMAL_PARTS, ODD):
        values = values_of_part(rows, part)
        total = len(values)
        flagged = int((values >= threshold).sum())
        right = total - flagged
        if part == ODD:
            right = flagged
        accuracy = None
        if total:
            accuracy = right / total
        found[part] = {"total_clip": total, "flagged": flagged, "accuracy": accuracy}
    return found


def distances_to_classes(
    points: Floats, videos: Sequence[Video], parts: Sequence[str], classes: Sequence[str]
) -> Floats:
    """(M, K) distances of points (M, D) to the mean of each class in train."""
    centroids = []
    for label in classes:
        rows = []
        for row, part in enumerate(parts):
            if part == "train" and videos[row].label == label:
                rows.append(row)
        centroids.append(points[rows].mean(0))
    differences = points[:, None] - np.stack(centroids)
    return np.asarray(np.linalg.norm(differences, axis=2))
