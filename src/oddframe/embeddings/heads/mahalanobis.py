"""The distance to the nearest class centroid, in units of how embeddings spread around it.

Kimin Lee et al., *A Simple Unified Framework for Detecting Out-of-Distribution Samples*, NeurIPS
2018; the covariance is shrunk as Ledoit & Wolf (2004) find best.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from oddframe.array_spec import ArraySpec
from oddframe.embeddings.head import SAMPLED_EMBEDDINGS, HeadOptions, HeadWithoutEpochs, distances
from oddframe.embeddings.heads.centroid import centroids
from oddframe.embeddings.store import VideoEmbeddings, class_labels, gather, sample_rows, with_clips
from oddframe.embeddings.whitening import whitening
from oddframe.run import Run


class Mahalanobis(HeadWithoutEpochs):
    """Distance to the nearest class centroid in units of the spread within classes."""

    name = "mahalanobis"
    learned: ClassVar[Mapping[str, ArraySpec]] = {
        "centre": ArraySpec(("classes", "D")),
        "whiten": ArraySpec(("D", "D")),
    }
    centre: Tensor  # (classes, D)
    whiten: Tensor  # (D, D): differences times this have unit covariance

    def __init__(self, options: HeadOptions) -> None:
        super().__init__(options)
        self.classes: list[str] = []
        self.register_empty("centre", "whiten")

    @property
    def width(self) -> int:
        return self.centre.shape[-1]

    def learn(self, embedded: Sequence[VideoEmbeddings], run: Run) -> None:
        videos = with_clips(embedded)
        classes, centre = centroids(videos)
        rows = sample_rows(videos, SAMPLED_EMBEDDINGS, run.random(12))
        number_of_video = [classes.index(label) for label in class_labels(videos)]
        clips = [len(one) for one in videos]
        number = np.repeat(number_of_video, clips)[rows]
        rounded = centre.astype(np.float32).astype(np.float64)  # as it is kept
        points = gather(videos, rows).astype(np.float64)
        differences = points - rounded[number]
        device = self.centre.device
        self.centre = torch.from_numpy(centre).float().to(device)
        self.whiten = torch.from_numpy(whitening(differences)).float().to(device)

    def distance(self, vectors: Tensor) -> Tensor:
        whiten = self.whiten.double()
        points = vectors.to(whiten) @ whiten
        centres = self.centre.double() @ whiten
        return distances(points, centres).amin(1)
