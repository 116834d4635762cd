"""The distance to the nearest class centroid, in units of how embeddings spread around it.

Kimin Lee et al., *A Simple Unified Framework for Detecting Out-of-Distribution Samples*, NeurIPS
2018; the covariance is shrunk as Ledoit & Wolf (2004) find best.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from oddframe.embeddings.head import SAMPLED, Head, HeadOptions, distances
from oddframe.embeddings.heads.centroid import centroids
from oddframe.embeddings.store import VideoEmbeddings, gather, labels_of, sample_rows
from oddframe.embeddings.whitening import whitening
from oddframe.run import Run


class Mahalanobis(Head):
    """Distance to the nearest class centroid in units of the spread within classes."""

    name = "mahalanobis"
    centre: Tensor  # (classes, D)
    whiten: Tensor  # (D, D): differences times this have unit covariance

    def __init__(self, options: HeadOptions) -> None:
        super().__init__(options)
        self.classes: list[str] = []
        self.register_buffer("centre", torch.empty(0))
        self.register_buffer("whiten", torch.empty(0))

    def fit(
        self,
        embedded: Sequence[VideoEmbeddings],
        run: Run,
        validation: Sequence[VideoEmbeddings] = (),
    ) -> None:
        del validation  # there are no epochs
        videos = [one for one in embedded if len(one)]
        classes, centre = centroids(videos)
        rows = sample_rows(videos, SAMPLED, run.random(12))
        numbers = [classes.index(label) for label in labels_of(videos)]
        number = np.repeat(numbers, [len(one) for one in videos])[rows]
        rounded = centre.astype(np.float32).astype(np.float64)  # as it is kept
        differences = gather(videos, rows).astype(np.float64) - rounded[number]
        device = self.centre.device
        self.centre = torch.from_numpy(centre).float().to(device)
        self.whiten = torch.from_numpy(whitening(differences)).float().to(device)

    def distance(self, vectors: Tensor) -> Tensor:
        whiten = self.whiten.double()
        return distances(vectors.to(whiten) @ whiten, self.centre.double() @ whiten).amin(1)
