"""Embeddings as training data for heads."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from oddframe.embeddings.store import VideoEmbeddings, gather, total
from oddframe.types import Ints


class ShuffledRows(Dataset[Tensor]):
    """Every embedding once an epoch, (D,) each, in an order that depends on the seed and the epoch alone."""

    def __init__(self, embedded: Sequence[VideoEmbeddings], seed: int) -> None:
        self.embedded, self.seed = embedded, seed
        self.order: Ints = np.arange(total(embedded))

    def __len__(self) -> int:
        return len(self.order)

    def set_epoch(self, epoch: int) -> None:
        """Turn to another order; call it between epochs."""
        self.order = np.random.default_rng([self.seed, 15, epoch]).permutation(len(self.order))

    def __getitem__(self, item: int) -> Tensor:
        return self.__getitems__([item])[0]

    def __getitems__(self, items: list[int]) -> list[Tensor]:
        """Those of a whole batch at once: one look into the files."""
        return list(torch.from_numpy(gather(self.embedded, self.order[items])))

    def fingerprint(self) -> str:
        """A short text that differs when the embeddings do."""
        return named(self.embedded, None)


def named(embedded: Sequence[VideoEmbeddings], options: object) -> str:
    """A short name for embeddings and what is done with them."""
    digest = blake2b(repr(options).encode(), digest_size=6)
    for one in embedded:
        digest.update(np.ascontiguousarray(one.vector).tobytes())
    return digest.hexdigest()
