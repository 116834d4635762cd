"""How dense normal embeddings are, at several scales: one network f(x, σ) whose gradient undoes
Gaussian noise.

MULDE (Micorek et al., CVPR 2024). If ∇ₓ f(x + σ ε, σ) is ε / σ on average, f is, up to a constant
for each σ, the negative log-density of the embeddings smoothed with noise of scale σ. Where we
differ: Adam with the usual moments, a cosine from 1e-3 over fifteen hundred steps (minutes on a
processor), and, unless a mixture is asked for, the largest of the standardised scales decides,
which needs no further fit.

N embeddings in a batch, D numbers each, L scales.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from oddframe.embeddings.head import SAMPLED, Head, HeadOptions, refuse_other_width
from oddframe.embeddings.heads.mixture import Mixture
from oddframe.embeddings.store import (
    ShuffledRows,
    VideoEmbeddings,
    gather,
    key_of,
    sample_rows,
    total,
    width_of,
)
from oddframe.errors import BadInput
from oddframe.run import Run
from oddframe.training.config import Training
from oddframe.types import Floats

FINEST, COARSEST = 1e-3, 1.0  # σ in units of an embedding's spread
SCALES = 16  # at which f is evaluated
REGULARISATION = 0.1  # β: weight of keeping f near nought on the embeddings themselves
BATCH = 1024


class Energy(nn.Module):
    """f(x, σ): two hidden layers of GELU units on the D numbers and log σ."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(width + 1, hidden),
            nn.GELU(),
            nn.Linear(hidden, hidden),
            nn.GELU(),
            nn.Linear(hidden, 1),
        )

    def forward(self, x: Tensor, sigma: Tensor) -> Tensor:
        """(N,) from (N, D) and (N,)."""
        out: Tensor = self.layers(torch.cat([x, sigma.log()[:, None]], 1))[:, 0]
        return out

    def loss(self, x: Tensor, sigma: Tensor, noise: Tensor) -> dict[str, Tensor]:
        """½ σ² ‖∇f(x + σ ε, σ) − ε / σ‖² + ½ β f(x, σ)², both averaged over the batch."""
        noisy = (x + sigma[:, None] * noise).requires_grad_(True)
        (slope,) = torch.autograd.grad(self(noisy, sigma).sum(), noisy, create_graph=True)
        squared = (slope - noise / sigma[:, None]).square().sum(1)
        matching = (0.5 * sigma.square() * squared).mean()
        size = (0.5 * REGULARISATION * self(x, sigma).square()).mean()
        return {"loss": matching + size, "score_matching": matching, "regularisation": size}


class Density(Head):
    """The largest, over scales, of f in units of its spread on normal embeddings; or −log p of them
    in a mixture.
    """

    name = "density"
    reads = ("steps", "reduce", "components")
    slow = True
    centre: Tensor  # (D,)
    spread: Tensor  # (D,)
    usual: Tensor  # (2, L) mean and deviation of each scale on normal embeddings

    def __init__(self, options: HeadOptions) -> None:
        super().__init__(options)
        if options.reduce == "max" and options.components != HeadOptions().components:
            raise ValueError("components counts for the head density only with --reduce mixture")
        for name in ("centre", "spread", "usual"):
            self.register_buffer(name, torch.empty(0))
        self.energy: Energy | None = None
        self.mixture = Mixture(options)

    def fit(
        self,
        embedded: Sequence[VideoEmbeddings],
        run: Run,
        validation: Sequence[VideoEmbeddings] = (),
    ) -> None:
        del validation  # the published one trains to the end
        videos = [one for one in embedded if len(one)]
        width_of(videos)
        if total(videos) < 2:
            raise BadInput(
                "a density needs two clips of normal video at least, got 1; the head knn takes one"
            )
        rows = sample_rows(videos, SAMPLED, run.random(16))
        sample = gather(videos, rows).astype(np.float64)
        least = 1e-6 + 1e-3 * sample.std()
        self.centre = torch.from_numpy(sample.mean(0)).float()
        self.spread = torch.from_numpy(np.maximum(sample.std(0), least)).float()
        self.energy = self.train_energy(videos, run)
        self.describe_scales(self.scales(torch.from_numpy(sample)).numpy(), run)

    def train_energy(self, videos: Sequence[VideoEmbeddings], run: Run) -> Energy:
        """The network, trained on embeddings in units of their spread; in double precision."""
        from oddframe.training.trainer import by_loss, train

        width = width_of(videos)
        count = total(videos)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(run.random(17).integers(2**31)))
            energy = Energy(width, hidden_for(width))
        batch = min(BATCH, count)
        training = Training(
            epochs=max(1, round(self.options.steps / (count // batch))),
            batch=batch,
            optimizer="adam",
            lr=1e-3,
            schedule="cosine",
            precision="float32",
        )

        def loss(module: Any, rows: Tensor) -> dict[str, Tensor]:
            x = (rows - self.centre.to(rows.device)) / self.spread.to(rows.device)
            low, high = np.log(FINEST), np.log(COARSEST)
            sigma = (low + (high - low) * torch.rand(len(x), device=x.device)).exp()
            losses: dict[str, Tensor] = module.loss(x, sigma, torch.randn_like(x))
            return losses

        data = ShuffledRows(videos, run.seed)
        name = f"head-density-{key_of(videos, self.options)[:12]}"
        history = train(energy, data, by_loss(loss), run, training, name=name)
        run.notes["head"] = {"epochs": history.rows}
        return energy.cpu().double().eval().requires_grad_(False)

    def describe_scales(self, scales: Floats, run: Run) -> None:
        """Learn what f (M, L) is like on normal embeddings."""
        mean = scales.mean(0)
        deviation = np.maximum(scales.std(0), 1e-12)
        self.usual = torch.from_numpy(np.stack([mean, deviation])).double()
        if self.options.reduce == "mixture":
            self.mixture.fit_points(scales, int(run.random(13).integers(2**31)))

    def distance(self, vectors: Tensor) -> Tensor:
        scales = self.scales(vectors)
        if self.options.reduce == "mixture":
            return self.mixture.distance(scales)
        mean, deviation = self.usual
        largest: Tensor = ((scales - mean) / deviation).amax(1)
        return largest

    def scales(self, vectors: Tensor) -> Tensor:
        """(N, L): f at scales evenly spaced from the finest to the coarsest."""
        if self.energy is None:
            raise BadInput("the density has not learned yet; fit it first")
        refuse_other_width(len(self.centre), vectors)
        x = (vectors.cpu().double() - self.centre.cpu().double()) / self.spread.cpu().double()
        sigmas = torch.linspace(FINEST, COARSEST, SCALES, dtype=torch.float64)
        return torch.stack([self.energy(x, sigma.expand(len(x))) for sigma in sigmas], 1)

    def _load_from_state_dict(self, state: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        """The embedding's width is known only from what was saved."""
        self.energy = None
        centre = state.get(f"{prefix}centre")
        if centre is not None and len(centre):
            width = len(centre)
            energy = Energy(width, hidden_for(width))
            self.energy = energy.double().eval().requires_grad_(False)
        super()._load_from_state_dict(state, prefix, *rest)


def hidden_for(width: int) -> int:
    """Hidden units, as the recipe has them: 256 for few numbers, 1024 for hundreds, more for
    thousands.
    """
    if width < 32:
        return 256
    return 1024 if width <= 1024 else 2048
