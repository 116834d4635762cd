"""The distance to the nearest class centroid, as E. Randellini's action video autoencoder judges
beside its error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from oddframe.array_spec import ArraySpec
from oddframe.embeddings.head import HeadOptions, HeadWithoutEpochs, distances
from oddframe.embeddings.store import VideoEmbeddings, class_labels, width_of, with_clips
from oddframe.run import Run
from oddframe.types import Floats


class Centroid(HeadWithoutEpochs):
    """Distance to the nearest class centroid; to the one centroid where the videos have no classes."""

    name = "centroid"
    learned: ClassVar[Mapping[str, ArraySpec]] = {"centre": ArraySpec(("classes", "D"))}
    centre: Tensor  # (classes, D)

    def __init__(self, options: HeadOptions) -> None:
        super().__init__(options)
        self.classes: list[str] = []
        self.register_empty("centre")

    @property
    def width(self) -> int:
        return self.centre.shape[-1]

    def learn(self, embedded: Sequence[VideoEmbeddings], run: Run) -> None:
        del run  # nothing is drawn
        self.classes, centre = centroids(embedded)
        self.centre = torch.from_numpy(centre).float().to(self.centre.device)

    def distance(self, vectors: Tensor) -> Tensor:
        return distances(vectors, self.centre).amin(1)

    def check_learned(self) -> None:
        super().check_learned()
        if len(self.classes) != len(self.centre):
            raise ValueError(
                f"there are {len(self.centre)} centroids of {len(self.classes)} classes"
            )

    def get_extra_state(self) -> dict[str, Any]:
        """The classes, in the order of their centroids."""
        return {"classes": self.classes}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Take back what `get_extra_state` gave."""
        self.classes = [str(name) for name in state["classes"]]


def centroids(embedded: Sequence[VideoEmbeddings]) -> tuple[list[str], Floats]:
    """The classes, in order, and the mean embedding of each, (classes, D)."""
    width = width_of(embedded)
    videos = with_clips(embedded)
    labels = class_labels(videos)
    classes = sorted(set(labels))
    sums = np.zeros((len(classes), width))
    counts = np.zeros(len(classes))
    for one, label in zip(videos, labels, strict=True):
        number = classes.index(label)
        sums[number] += one.vector.sum(0, dtype=np.float64)
        counts[number] += len(one)
    return classes, sums / counts[:, None]
