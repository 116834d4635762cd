"""The distance to the nearest normal embeddings, of which a well-spread sample is remembered.

Karsten Roth et al., *Towards Total Recall in Industrial Anomaly Detection* (PatchCore), CVPR 2022,
on whole clips and without its weighting. M embeddings, B of them remembered, D numbers each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from oddframe.array_spec import ArraySpec
from oddframe.embeddings.head import SAMPLED_EMBEDDINGS, HeadOptions, HeadWithoutEpochs, distances
from oddframe.embeddings.store import VideoEmbeddings, gather, sample_rows, width_of
from oddframe.run import Run
from oddframe.types import Floats, Ints

# dimensions in which the sample is chosen: distances survive (Johnson & Lindenstrauss 1984)
PROJECTED = 64


class Neighbours(HeadWithoutEpochs):
    """Mean distance to the nearest remembered embeddings; those remembered are a coreset."""

    name = "knn"
    reads = ("neighbours", "bank")
    learned: ClassVar[Mapping[str, ArraySpec]] = {"bank": ArraySpec(("B", "D"))}
    bank: Tensor  # (B, D)

    def __init__(self, options: HeadOptions) -> None:
        super().__init__(options)
        self.register_empty("bank")

    @property
    def width(self) -> int:
        return self.bank.shape[-1]

    def learn(self, embedded: Sequence[VideoEmbeddings], run: Run) -> None:
        width_of(embedded)
        random = run.random(11)
        rows = sample_rows(embedded, SAMPLED_EMBEDDINGS, random)
        points = gather(embedded, rows)
        kept = coreset(points, self.options.bank, random)
        self.bank = torch.from_numpy(points[kept]).to(self.bank.device)

    def distance(self, vectors: Tensor) -> Tensor:
        found = distances(vectors, self.bank)  # (N, B)
        count = min(self.options.neighbours, found.shape[1])
        nearest = found.topk(count, largest=False).values
        return nearest.mean(1)


def coreset(points: Floats, size: int, random: np.random.Generator) -> Ints:
    """Ascending positions of `size` of the points (M, D), so chosen that no point is far from all
    of them.

    Greedy k-centre (Sener & Savarese, ICLR 2018) on a random projection, as PatchCore does it.
    """
    if len(points) <= size:
        return np.arange(len(points))
    projected = points
    width = points.shape[1]
    if width > PROJECTED:
        axes = random.standard_normal((width, PROJECTED)) / np.sqrt(PROJECTED)
        projected = points @ axes.astype(np.float32)
    lengths = np.einsum("md,md->m", projected, projected)  # squared
    first = int(random.integers(len(points)))
    chosen = [first]
    nearest = np.full(len(points), np.inf, np.float32)  # squared distance to the nearest chosen
    while len(chosen) < size:
        last = chosen[-1]
        products = projected @ projected[last]
        to_last = lengths + lengths[last] - 2 * products
        np.minimum(nearest, to_last, out=nearest)
        nearest[last] = -1
        farthest = int(nearest.argmax())
        chosen.append(farthest)
    return np.sort(np.asarray(chosen))
