"""What a head is: it learns which embeddings are normal, and says how far from them a new one is.

The heads themselves are in `embeddings/heads`, one file each. M normal embeddings to learn from, N
to judge, D numbers each. Distances are computed in float64, so that they do not depend on what else
is in the batch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Annotated, ClassVar, Literal, Self

import torch
from torch import Tensor, nn

from oddframe.array_spec import ArraySpec, check_arrays
from oddframe.embeddings.store import VideoEmbeddings
from oddframe.errors import BadInput
from oddframe.options import Range, check_ranges
from oddframe.registry import member, members
from oddframe.run import Run
from oddframe.training.config import Training

FAMILY = "embeddings.heads"
SAMPLED_EMBEDDINGS = (
    50_000  # embeddings, drawn from all, on which heads that need them in memory are fitted
)
LAYERS = (2, 3)  # how many the autoencoder may have
# the optimizer and step schedule of the published autoencoder; the best epoch is kept, as there
AUTOENCODER_TRAINING = Training(
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
    """Which head judges embeddings, and its options.

    Args:
        name: The head: knn, centroid, mahalanobis, mixture, autoencoder or density.
        neighbours: How many of the nearest embeddings give, by their mean distance, the score
            (knn).
        bank: Embeddings that are remembered (knn).
        components: Gaussians, fewer where there are under 20 embeddings for each (mixture, and
            density by a mixture).
        layers: Sizes of two or three layers, the last one the latent's (autoencoder).
        dropout: Share of the numbers between layers that is dropped while training (autoencoder).
        variational: Make the latent a Gaussian (autoencoder).
        training: How the network is trained (autoencoder).
        steps: Steps of training (density).
        reduce: What makes one number of the density at several scales: the largest, or a mixture's
            −log p (density).
    """

    name: str = "knn"
    neighbours: Annotated[int, Range(1, 1_000_000)] = 5
    bank: Annotated[int, Range(1, 10_000_000)] = 4096
    components: Annotated[int, Range(1, 10_000)] = 5
    layers: tuple[Annotated[int, Range(1, 100_000)], ...] = (512, 256, 128)
    dropout: Annotated[float, Range(0, 1, open_high=True)] = 0.3
    variational: bool = False
    training: Training = AUTOENCODER_TRAINING
    steps: Annotated[int, Range(1, 10_000_000)] = 1500
    reduce: Literal["max", "mixture"] = "max"

    def __post_init__(self) -> None:
        check_ranges(type(self), vars(self))
        if len(self.layers) not in LAYERS:
            raise ValueError(
                f"layers are two or three sizes, such as [512,256,128]; got {list(self.layers)}"
            )


class Head(nn.Module, ABC):
    """`fit` learns from the embeddings of normal videos, `distance` judges. What is learned is
    buffers.

    Buffers whose shape is only known after fitting are registered empty (`register_empty`).
    """

    name: ClassVar[str]
    reads: ClassVar[tuple[str, ...]] = ()  # the options that count for this head
    # the buffers that are learned, and what each must be; D is the embeddings' width
    learned: ClassVar[Mapping[str, ArraySpec]] = {}
    slow: ClassVar[bool] = False  # takes too long to be fitted again for each fold of a calibration

    def __init__(self, options: HeadOptions) -> None:
        super().__init__()
        self.options = options

    @abstractmethod
    def fit(
        self,
        embedded: Sequence[VideoEmbeddings],
        run: Run,
        validation: Sequence[VideoEmbeddings] = (),
    ) -> None:
        """Learn, forgetting what was learned before. Raises BadInput when there is nothing to learn
        from.

        `validation` are embeddings of normal videos to choose the best epoch by, for heads that are
        trained.
        """

    @abstractmethod
    def distance(self, vectors: Tensor) -> Tensor:
        """(N,) from (N, D): higher is stranger."""

    def register_empty(self, *names: str) -> None:
        """Register buffers whose shape is only known after fitting."""
        for name in names:
            self.register_buffer(name, torch.empty(0))

    def check_learned(self) -> None:
        """Raise ValueError, one line, where what was loaded is nothing that `fit` leaves."""
        check_arrays({name: getattr(self, name).numpy() for name in self.learned}, self.learned)

    @property
    @abstractmethod
    def width(self) -> int:
        """D, of the embeddings that it learned; 0 before it has learned."""

    def fresh(self) -> Self:
        """An unfitted head with the same options."""
        return type(self)(self.options)


class HeadWithoutEpochs(Head):
    """A head that has no epoch to choose: it learns from normal embeddings alone."""

    def fit(
        self,
        embedded: Sequence[VideoEmbeddings],
        run: Run,
        validation: Sequence[VideoEmbeddings] = (),
    ) -> None:
        del validation  # there is no epoch to choose by it
        self.learn(embedded, run)

    @abstractmethod
    def learn(self, embedded: Sequence[VideoEmbeddings], run: Run) -> None:
        """Learn, forgetting what was learned before. Raises BadInput when there is nothing to learn
        from.
        """


def make_head(options: HeadOptions, also_read: Sequence[str] = ()) -> Head:
    """An unfitted head.

    Raises BadInput for a name that there is not, and ValueError for options that neither the head
    nor, by `also_read`, somebody else reads.
    """
    kind: type[Head] = member(FAMILY, options.name, "head")
    plain = HeadOptions()
    for field in fields(options):
        if field.name in ("name", *kind.reads, *also_read):
            continue
        if getattr(options, field.name) != getattr(plain, field.name):
            readers = " or ".join(readers_of(field.name))
            raise ValueError(
                f"{field.name} does nothing with the head {options.name}; --head {readers} reads it"
            )
    return kind(options)


def readers_of(option: str) -> list[str]:
    """The names of the heads for which an option counts."""
    found = []
    for name, head in members(FAMILY).items():
        if option in head.reads:
            found.append(name)
    return found


def distances(one: Tensor, other: Tensor) -> Tensor:
    """(N, B) Euclidean distances of (N, D) and (B, D), in float64. Raises BadInput where D differs."""
    refuse_other_width(other.shape[-1], one)
    # not by a matrix product: that would lose half of the digits of small distances
    return torch.cdist(
        one.to(other.device).double(), other.double(), compute_mode="donot_use_mm_for_euclid_dist"
    )


def refuse_other_width(width: int, vectors: Tensor) -> None:
    """Raise BadInput unless embeddings (N, D) are as wide as those that the head learned."""
    if vectors.shape[-1] != width:
        raise BadInput(
            f"the head learned embeddings of {width} numbers, got {vectors.shape[-1]}; fit again"
        )
