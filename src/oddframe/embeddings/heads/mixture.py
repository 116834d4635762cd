"""The negative log-density of an embedding under a mixture of Gaussians that was fitted to normal
ones.

N embeddings, K Gaussians, D numbers.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from oddframe.array_spec import ArraySpec
from oddframe.embeddings.head import SAMPLED_EMBEDDINGS, HeadOptions, HeadWithoutEpochs
from oddframe.embeddings.store import VideoEmbeddings, gather, sample_rows, width_of
from oddframe.embeddings.whitening import whitening
from oddframe.errors import BadInput
from oddframe.run import Run
from oddframe.types import Floats

CLIPS_A_GAUSSIAN = 20  # at least; fewer tell nothing of its spread
LEAST_VARIANCE = 1e-2  # of a Gaussian along an axis of the whitened embeddings


class Mixture(HeadWithoutEpochs):
    """−log p under a mixture of Gaussians with diagonal covariances, of whitened embeddings."""

    name = "mixture"
    reads = ("components",)
    learned: ClassVar[Mapping[str, ArraySpec]] = {
        "centre": ArraySpec(("D",)),
        "whiten": ArraySpec(("D", "D")),
        "weight": ArraySpec(("K",), low=0, high=1.001),
        "mean": ArraySpec(("K", "D")),
        "spread": ArraySpec(("K", "D"), low=1e-6),
    }
    centre: Tensor  # (D,)
    whiten: Tensor  # (D, D)
    weight: Tensor  # (K,)
    mean: Tensor  # (K, D)
    spread: Tensor  # (K, D) standard deviations

    def __init__(self, options: HeadOptions) -> None:
        super().__init__(options)
        self.register_empty("centre", "whiten", "weight", "mean", "spread")

    @property
    def width(self) -> int:
        return len(self.centre)

    def learn(self, embedded: Sequence[VideoEmbeddings], run: Run) -> None:
        width_of(embedded)
        random = run.random(13)
        rows = sample_rows(embedded, SAMPLED_EMBEDDINGS, random)
        points = gather(embedded, rows).astype(np.float64)
        self.fit_points(points, seed=int(random.integers(2**31)))

    def fit_points(self, points: Floats, seed: int) -> None:
        """Learn from (M, D) points in memory. Raises BadInput for fewer than two."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture

        if len(points) < 2:
            raise BadInput(
                "a mixture needs two clips of normal video at least, got 1; the head knn takes one"
            )
        centre = points.mean(0)
        whiten = whitening(points - centre)
        components = max(1, min(self.options.components, len(points) // CLIPS_A_GAUSSIAN))
        mixture = GaussianMixture(
            components, covariance_type="diag", reg_covar=LEAST_VARIANCE, random_state=seed
        )
        with warnings.catch_warnings():
            # the hundredth step serves as well as the last
            warnings.simplefilter("ignore", ConvergenceWarning)
            mixture.fit((points - centre) @ whiten)
        learned = {
            "centre": centre,
            "whiten": whiten,
            "weight": mixture.weights_,
            "mean": mixture.means_,
            "spread": np.sqrt(mixture.covariances_),
        }
        device = self.centre.device
        for name, value in learned.items():
            setattr(self, name, torch.from_numpy(np.asarray(value)).float().to(device))

    def distance(self, vectors: Tensor) -> Tensor:
        mean = self.mean.double()
        spread = self.spread.double()
        D = mean.shape[1]
        differences = vectors.to(mean) - self.centre.double()
        points = differences @ self.whiten.double()  # (N, D)
        standardised = (points[:, None] - mean) / spread
        squared = standardised.square().sum(2)  # (N, K)
        log_weight = self.weight.double().log()
        log_scale = spread.log().sum(1)
        log_p = log_weight - 0.5 * squared - log_scale - 0.5 * D * math.log(2 * math.pi)
        nll: Tensor = -log_p.logsumexp(1)
        return nll
