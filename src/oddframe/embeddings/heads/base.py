"""Heads: what is normal among vectors, and how far from it a new one is. Any `Embedder` takes any of them.

M normal embeddings to learn from, N to judge, D numbers each. Distances are computed in float64, so that they do not
depend on what else is in the batch.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor, nn

from oddframe.embeddings.store import VideoEmbeddings, gather, labels_of, sample_rows, width_of
from oddframe.errors import BadInput
from oddframe.run import Run
from oddframe.training.config import Training
from oddframe.types import Floats, Ints

HeadName = Literal["neighbours", "centroid", "mahalanobis", "mixture", "autoencoder", "density"]
SAMPLED = 50_000  # embeddings, drawn from all, on which heads that need them in memory are fitted
PROJECTED = (
    64  # dimensions in which the coreset is chosen: distances survive (Johnson & Lindenstrauss)
)
# the original's optimizer and step schedule; best on held-out normal video as there
AS_PUBLISHED = Training(
    epochs=30,
    batch=8,
    optimizer="adam",
    lr=1e-3,
    schedule="step",
    precision="float32",
    keep="best",
)


@dataclass(frozen=True)
class HeadOptions:
    """What heads are made with; each reads what concerns it."""

    neighbours: int = (
        5  # how many of the nearest embeddings give, by their mean distance, the score
    )
    bank: int = 4096  # embeddings that are remembered
    components: int = (
        5  # Gaussians of the mixture, fewer where there are under 20 embeddings for each
    )
    layers: tuple[int, ...] = (
        512,
        256,
        128,
    )  # of the autoencoder, two or three; the last is the latent's size
    dropout: float = (
        0.3  # share of the numbers between the autoencoder's layers that is dropped while training
    )
    variational: bool = False  # a latent that is a Gaussian
    training: Training = AS_PUBLISHED  # of the autoencoder
    density_steps: int = 1500  # of training of the density
    density_by: Literal["max", "mixture"] = (
        "max"  # what makes one number of the density at several scales
    )

    def __post_init__(self) -> None:
        for name in ("neighbours", "bank", "components", "density_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} are 1 or more, got {getattr(self, name)}")
        if len(self.layers) not in (2, 3) or min(self.layers) < 1:
            raise ValueError(
                f"layers are two or three sizes of 1 or more, such as [512,256,128]; got {self.layers}"
            )
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is at least 0 and below 1, got {self.dropout}")


class Head(nn.Module, ABC):
    """`fit` learns from the embeddings of normal videos, `distance` judges. What is learned is buffers.

    Buffers whose shape is only known after fitting are registered empty.
    """

    def __init__(self, options: HeadOptions) -> None:
        super().__init__()
        self.options = options
        # of normal videos that are not learned from; a head that chooses an epoch chooses by them
        self.validation: Sequence[VideoEmbeddings] = ()

    @abstractmethod
    def fit(self, embedded: Sequence[VideoEmbeddings], run: Run) -> None:
        """Learn, forgetting what was learned before. Raises BadInput when there is nothing to learn from."""

    @abstractmethod
    def distance(self, vectors: Tensor) -> Tensor:
        """(N,) from (N, D): higher is stranger."""

    def fresh(self) -> Self:
        """An unfitted head with the same options."""
        head = type(self)(self.options)
        head.validation = self.validation
        return head


def make_head(name: str, options: HeadOptions) -> Head:
    """An unfitted head. Raises ValueError, one line, for a name that there is not."""
    from oddframe.embeddings.heads.autoencoder import Autoencoder
    from oddframe.embeddings.heads.density import Density

    heads: dict[str, type[Head]] = {
        "neighbours": Neighbours,
        "centroid": Centroid,
        "mahalanobis": Mahalanobis,
        "mixture": Mixture,
        "autoencoder": Autoencoder,
        "density": Density,
    }
    if name not in heads:
        raise ValueError(f"head is one of {', '.join(heads)}, got {name!r}")
    return heads[name](options)


class Neighbours(Head):
    """Mean distance to the nearest remembered embeddings; those remembered are a coreset (k-centre, greedy)."""

    bank: Tensor  # (B, D)

    def __init__(self, options: HeadOptions) -> None:
        super().__init__(options)
        self.register_buffer("bank", torch.empty(0))

    def fit(self, embedded: Sequence[VideoEmbeddings], run: Run) -> None:
        width_of(embedded)
        random = run.random(11)
        points = gather(embedded, sample_rows(embedded, SAMPLED, random))
        self.bank = torch.from_numpy(points[coreset(points, self.options.bank, random)]).to(
            self.bank.device
        )

    def distance(self, vectors: Tensor) -> Tensor:
        far = _distances(vectors, self.bank)  # (N, B)
        return far.topk(min(self.options.neighbours, far.shape[1]), largest=False).values.mean(1)


class Centroid(Head):
    """Euclidean distance to the nearest class centroid; one centroid where the videos have no classes."""

    centre: Tensor  # (classes, D)

    def __init__(self, options: HeadOptions) -> None:
        super().__init__(options)
        self.classes: list[str] = []
        self.register_buffer("centre", torch.empty(0))

    def fit(self, embedded: Sequence[VideoEmbeddings], run: Run) -> None:
        del run  # nothing is drawn
        self.classes, centre = centroids(embedded)
        self.centre = torch.from_numpy(centre).float().to(self.centre.device)

    def distance(self, vectors: Tensor) -> Tensor:
        return _distances(vectors, self.centre).amin(1)

    def get_extra_state(self) -> dict[str, Any]:
        return {"classes": self.classes}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self.classes = list(state["classes"])


class Mahalanobis(Centroid):
    """The same in units of the spread within classes, whose covariance is shrunk as Ledoit & Wolf (2004) say."""

    whiten: Tensor  # (D, D): differences times this have unit covariance

    def __init__(self, options: HeadOptions) -> None:
        super().__init__(options)
        self.register_buffer("whiten", torch.empty(0))

    def fit(self, embedded: Sequence[VideoEmbeddings], run: Run) -> None:
        embedded = [one for one in embedded if len(one)]
        super().fit(embedded, run)
        rows = sample_rows(embedded, SAMPLED, run.random(12))
        number = np.repeat(
            [self.classes.index(label) for label in labels_of(embedded)], list(map(len, embedded))
        )[rows]
        around = (
            gather(embedded, rows).astype(np.float64) - self.centre.double().cpu().numpy()[number]
        )
        self.whiten = torch.from_numpy(whitening(around)).float().to(self.whiten.device)

    def distance(self, vectors: Tensor) -> Tensor:
        whiten = self.whiten.double()
        return _distances(vectors.to(whiten) @ whiten, self.centre.double() @ whiten).amin(1)


class Mixture(Head):
    """−log p under a mixture of Gaussians with axes of their own, of embeddings whitened as for `mahalanobis`."""

    centre: Tensor  # (D,)
    whiten: Tensor  # (D, D)
    weight: Tensor  # (K,)
    mean: Tensor  # (K, D)
    spread: Tensor  # (K, D) standard deviations

    def __init__(self, options: HeadOptions) -> None:
        super().__init__(options)
        for name in ("centre", "whiten", "weight", "mean", "spread"):
            self.register_buffer(name, torch.empty(0))

    def fit(self, embedded: Sequence[VideoEmbeddings], run: Run) -> None:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture

        width_of(embedded)
        random = run.random(13)
        points = gather(embedded, sample_rows(embedded, SAMPLED, random)).astype(np.float64)
        if len(points) < 2:
            raise BadInput(
                "a mixture needs two clips of normal video at least, got 1; the head neighbours takes one"
            )
        centre = points.mean(0)
        whiten = whitening(points - centre)
        count = max(1, min(self.options.components, len(points) // 20))
        mixture = GaussianMixture(
            count, covariance_type="diag", reg_covar=1e-2, random_state=int(random.integers(2**31))
        )
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", ConvergenceWarning
            )  # the hundredth step serves as well as the last
            mixture.fit((points - centre) @ whiten)
        found = {
            "centre": centre,
            "whiten": whiten,
            "weight": mixture.weights_,
            "mean": mixture.means_,
        }
        for name, value in {**found, "spread": np.sqrt(mixture.covariances_)}.items():
            setattr(self, name, torch.from_numpy(np.asarray(value)).float().to(self.centre.device))

    def distance(self, vectors: Tensor) -> Tensor:
        mean, spread, D = self.mean.double(), self.spread.double(), self.mean.shape[1]
        points = (vectors.to(mean) - self.centre.double()) @ self.whiten.double()  # (N, D)
        off = ((points[:, None] - mean) / spread).square().sum(2)  # (N, K)
        log_p = (
            self.weight.double().log()
            - 0.5 * off
            - spread.log().sum(1)
            - 0.5 * D * np.log(2 * np.pi)
        )
        out: Tensor = -log_p.logsumexp(1)
        return out


def centroids(embedded: Sequence[VideoEmbeddings]) -> tuple[list[str], Floats]:
    """The classes, in order, and the mean embedding of each, (classes, D)."""
    D, embedded = width_of(embedded), [one for one in embedded if len(one)]
    labels = labels_of(embedded)
    classes = sorted(set(labels))
    sums, counts = np.zeros((len(classes), D)), np.zeros(len(classes))
    for one, label in zip(embedded, labels, strict=True):
        sums[classes.index(label)] += one.vector.sum(0, dtype=np.float64)
        counts[classes.index(label)] += len(one)
    return classes, sums / counts[:, None]


def whitening(around: Floats) -> Floats:
    """(D, D) from (M, D) differences of mean zero: multiplied by it they have unit covariance, as far as can be told.

    The covariance is shrunk towards a multiple of the identity by as much as Ledoit & Wolf (2004) find best, and by at
    least a hundredth, so that directions never seen are strange but not infinitely so.
    """
    from sklearn.covariance import ledoit_wolf_shrinkage

    M, D = around.shape
    mean_variance = float(np.square(around).mean())
    if mean_variance == 0:  # one clip a class, or all of them alike: nothing is known of spread
        return np.eye(D)
    share = max(0.01, float(ledoit_wolf_shrinkage(around, assume_centered=True)))
    least = share * mean_variance  # the variance of directions that no clip has
    if M < D:  # as many directions as clips are enough
        _, sizes, axes = np.linalg.svd(around, full_matrices=False)
        values, axes = (1 - share) * sizes**2 / M, axes.T
    else:
        values, axes = np.linalg.eigh((1 - share) * around.T @ around / M)
    inside = 1 / np.sqrt(np.maximum(values, 0) + least) - 1 / np.sqrt(least)
    return np.asarray(np.eye(D) / np.sqrt(least) + (axes * inside) @ axes.T)


def coreset(points: Floats, size: int, random: np.random.Generator) -> Ints:
    """Ascending positions of points so chosen that none is far from all of them (k-centre, greedy; Sener & Savarese
    2018), on a random projection as PatchCore does (Roth et al. 2022)."""
    if len(points) <= size:
        return np.arange(len(points))
    small = points
    if points.shape[1] > PROJECTED:
        small = points @ (
            random.standard_normal((points.shape[1], PROJECTED)) / np.sqrt(PROJECTED)
        ).astype(np.float32)
    lengths = np.einsum("md,md->m", small, small)
    kept = [int(random.integers(len(points)))]
    nearest = np.full(len(points), np.inf, np.float32)
    while len(kept) < size:
        last = kept[-1]
        np.minimum(nearest, lengths + lengths[last] - 2 * (small @ small[last]), out=nearest)
        nearest[last] = -1
        kept.append(int(nearest.argmax()))
    return np.sort(np.asarray(kept))


def _distances(one: Tensor, other: Tensor) -> Tensor:
    """(N, B) Euclidean distances in float64."""
    if one.shape[-1] != other.shape[-1]:
        raise BadInput(
            f"the head learned embeddings of {other.shape[-1]} numbers, got {one.shape[-1]}; fit again"
        )
    # not by a matrix product: that would lose half of the digits of small distances
    return torch.cdist(
        one.to(other.device).double(), other.double(), compute_mode="donot_use_mm_for_euclid_dist"
    )
