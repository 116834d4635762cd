"""What a run says of clips in classes: one row a clip, from which a person decides where normal ends.

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

NORMAL = ("train", "val", "test")
ODD = "anomaly"


@dataclass(frozen=True)
class ClassTable:
    """Clips of all parts with what a run says of them, each averaged over the windows that it was cut into."""

    video: list[Video]  # M
    part: list[str]  # M of train, val, test, anomaly
    error: Floats  # (M,) the head's distance
    embedding: Floats  # (M, D)
    latent: Floats | None  # (M, L) where the head has one
    classes: list[str]  # K, in the order of the centroids
    far: Floats  # (M, K) distance of the embedding to the centroid of each class in train
    far_latent: Floats | None  # (M, K)

    def rows(self, *parts: str) -> list[int]:
        return [k for k, part in enumerate(self.part) if part in parts]

    def own(self, far: Floats | None) -> list[float | None]:
        """M distances to the centroid of a clip's own class; None for anomalies and classes that train has not."""
        if far is None:
            return [None] * len(self.video)
        return [
            float(far[k, self.classes.index(str(video.label))])
            if part != ODD and video.label in self.classes
            else None
            for k, (video, part) in enumerate(zip(self.video, self.part, strict=True))
        ]


def class_table(detector: Embedder, parts: Mapping[str, Sequence[Video]], run: Run) -> ClassTable:
    """Embed and judge the clips of every part. Raises BadInput when train gives no embedding."""
    videos = [(part, video) for part, held in parts.items() for video in held]
    embedded = detector.embed_videos([video for _, video in videos], run)
    kept = [(part, one) for (part, _), one in zip(videos, embedded, strict=True) if len(one)]
    if not any(part == "train" for part, _ in kept):
        raise BadInput(
            "no clip of train is as long as the clips that the run looks at; there is nothing to compare with"
        )
    error, embedding, latent = [], [], []
    for _, one in kept:
        vectors = torch.from_numpy(np.array(one.vector))
        with torch.inference_mode():
            error.append(float(detector.head.distance(vectors).mean()))
            embedding.append(vectors.double().mean(0).numpy())
            if isinstance(detector.head, Autoencoder):
                latent.append(detector.head.code(vectors).mean(0).numpy())
    part_of = [part for part, _ in kept]
    table = [one.video for _, one in kept]
    classes = sorted(
        {str(video.label) for video, part in zip(table, part_of, strict=True) if part == "train"}
    )
    e, z = np.array(embedding), np.array(latent) if latent else None
    return ClassTable(
        table,
        part_of,
        np.array(error),
        e,
        z,
        classes,
        _far(e, table, part_of, classes),
        None if z is None else _far(z, table, part_of, classes),
    )


def class_summary(table: ClassTable) -> dict[str, Any]:
    """Statistics of the errors and distances by part and class, and the clip AUC of both rules."""
    own = np.array([np.nan if value is None else value for value in table.own(table.far)])
    nearest = table.far.min(1)
    told: dict[str, Any] = {"parts": {}, "classes": {}, "clip_auc": {}}
    for part in (*NORMAL, ODD):
        rows = table.rows(part)
        told["parts"][part] = {
            "error": described(table.error[rows]),
            "distance to own class": described(own[rows][~np.isnan(own[rows])]),
            "distance to nearest class": described(nearest[rows]),
        }
        told["classes"][part] = {
            label: described(table.error[[k for k in rows if table.video[k].label == label]])
            for label in dict.fromkeys(str(table.video[k].label) for k in rows)
        }
    odd = table.rows(ODD)
    for part in NORMAL:
        rows = table.rows(part)
        truth = np.array([False] * len(rows) + [True] * len(odd))
        told["clip_auc"][f"{ODD} against {part}"] = {
            "error": auc(truth, np.concatenate([table.error[rows], table.error[odd]])),
            "distance": auc(truth, np.concatenate([nearest[rows], nearest[odd]])),
        }
    return told


def described(values: Floats) -> dict[str, float | int] | None:
    """Count, mean, deviation, smallest, quartiles, largest; None of nothing."""
    if not len(values):
        return None
    low, quarter, middle, upper, high = np.quantile(values, [0, 0.25, 0.5, 0.75, 1])
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    told = {
        "mean": values.mean(),
        "std": deviation,
        "min": low,
        "25%": quarter,
        "50%": middle,
        "75%": upper,
    }
    return {
        "count": len(values),
        **{name: float(value) for name, value in told.items()},
        "max": float(high),
    }


@dataclass(frozen=True)
class ThresholdRule:
    """A threshold: at it or above is anomalous."""

    threshold: float
    why: str


def propose(values: Floats, rate: float, what: str) -> ThresholdRule:
    """The smallest threshold that flags normal clips at no more than this rate, from those held out of learning.

    The k-th smallest of n, k = ⌈(n + 1)(1 − rate)⌉, flags a new normal clip at most at that rate (conformal); with
    fewer than 1 / rate − 1 clips that cannot be shown, the largest is taken, and said.
    """
    n = len(values)
    if not n:
        raise BadInput(
            "val has no normal clip to choose a threshold by; give --error and --distance, or make a val part"
        )
    k = int(np.ceil((n + 1) * (1 - rate) - 1e-9))
    chosen = np.nextafter(np.sort(values)[min(k, n) - 1], np.inf)
    if k > n:
        return ThresholdRule(
            float(chosen),
            f"the largest {what} of {n} val clips, too few to show a rate of {rate:.1%}",
        )
    return ThresholdRule(
        float(chosen), f"flags at most {rate:.1%} of normal clips, by the {what} of {n} val clips"
    )


def accuracies(
    rows: Sequence[tuple[str, float]], threshold: float
) -> dict[str, dict[str, float | int | None]]:
    """For each part: clips, how many are flagged, and the accuracy (of anomaly the share flagged, else not flagged)."""
    told: dict[str, dict[str, float | int | None]] = {}
    for part in (*NORMAL, ODD):
        values = np.array([value for where, value in rows if where == part])
        flagged = int((values >= threshold).sum())
        right = flagged if part == ODD else len(values) - flagged
        told[part] = {
            "total_clip": len(values),
            "flagged": flagged,
            "accuracy": right / len(values) if len(values) else None,
        }
    return told


def _far(
    points: Floats, videos: Sequence[Video], parts: Sequence[str], classes: Sequence[str]
) -> Floats:
    """(M, K) distances to the mean of each class in train."""
    centre = np.stack(
        [
            points[
                [k for k, part in enumerate(parts) if part == "train" and videos[k].label == label]
            ].mean(0)
            for label in classes
        ]
    )
    return np.asarray(np.linalg.norm(points[:, None] - centre, axis=2))
