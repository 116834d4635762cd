"""Have embeddings collapsed? A contrast that is too easy, or too hard, ends with all vectors alike.

N embeddings of D numbers.
"""

from dataclasses import asdict, dataclass

import numpy as np

from oddframe.types import Floats

COLLAPSED_COSINE = 0.98  # mean cosine above which embeddings are called collapsed
FLAT = 2.0  # effective rank below which they are


@dataclass(frozen=True)
class EmbeddingSpread:
    """How far apart embeddings are, by their directions alone."""

    mean_cosine: float  # of all pairs: 1 when all are alike
    least_cosine: float  # of any pair
    effective_rank: float  # of D dimensions, how many are used: 1 when all are alike

    @property
    def collapsed(self) -> bool:
        """Whether next to nothing tells them apart."""
        return self.mean_cosine > COLLAPSED_COSINE or self.effective_rank < FLAT

    def told(self) -> dict[str, float | bool]:
        """For run.json."""
        told: dict[str, float | bool] = {}
        for name, value in asdict(self).items():
            told[name] = round(value, 5)
        told["collapsed"] = self.collapsed
        return told

    def __str__(self) -> str:
        return f"mean cosine {self.mean_cosine:.3f}, effective rank {self.effective_rank:.1f}"


def measure_spread(vectors: Floats) -> EmbeddingSpread:
    """Measure (N, D) embeddings.

    The effective rank is exp of the entropy of the singular values' shares (Roy & Vetterli, EUSIPCO
    2007), of the vectors as they are, not less their mean: then a collapse to one vector has rank
    1.
    """
    if len(vectors) < 2:
        raise ValueError(f"a spread is of two vectors or more, got {len(vectors)}")
    exact = np.asarray(vectors, np.float64)
    length = np.linalg.norm(exact, axis=1, keepdims=True)
    unit = exact / np.maximum(length, 1e-12)
    cosine = unit @ unit.T
    above_diagonal = np.triu_indices(len(unit), 1)
    pairs = cosine[above_diagonal]
    sizes = np.linalg.svd(unit, compute_uv=False)
    share = sizes[sizes > 1e-12] / sizes.sum()
    entropy = -(share * np.log(share)).sum()
    rank = float(np.exp(entropy))
    return EmbeddingSpread(float(pairs.mean()), float(pairs.min()), rank)
