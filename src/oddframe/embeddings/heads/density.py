"""How dense normal embeddings are, at several scales: one network f(x, σ) whose gradient undoes Gaussian noise.

MULDE (Micorek et al., CVPR 2024). If ∇ₓ f(x + σ ε, σ) is ε / σ on average, f is, up to a constant for each σ, the
negative log-density of the embeddings smoothed with noise of scale σ. Where we differ: Adam with the usual moments, a
cosine from 1e-3 over fifteen hundred steps (minutes on a processor), and, unless a mixture is asked for, the largest of
the standardised scales decides, which needs no further fit.

N embeddings in a batch, D numbers each, L scales.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from oddframe.embeddings.heads.base import SAMPLED, Head, HeadOptions, Mixture
from oddframe.embeddings.rows import ShuffledRows, named
from oddframe.embeddings.store import VideoEmbeddings, gather, sample_rows, total, width_of
from oddframe.errors import BadInput
from oddframe.run import Run
from oddframe.training.config import Training

FINEST, COARSEST = 1e-3, 1.0  # σ in units of an embedding's spread
SCALES = 16  # at which f is looked at
PULL = 0.1  # β: weight of keeping f near nought on the embeddings themselves


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
        moved = (x + sigma[:, None] * noise).requires_grad_(True)
        (slope,) = torch.autograd.grad(self(moved, sigma).sum(), moved, create_graph=True)
        matched = 0.5 * sigma.square() * (slope - noise / sigma[:, None]).square().sum(1)
        pulled = 0.5 * PULL * self(x, sigma).square()
        return {
            "loss": (matched + pulled).mean(),
            "matched": matched.mean(),
            "pulled": pulled.mean(),
        }


class Density(Head):
    """The largest, over scales, of f in units of its spread on normal embeddings; or −log p of them in a mixture."""

    centre: Tensor  # (D,)
    spread: Tensor  # (D,)
    usual: Tensor  # (2, L) mean and deviation of each scale on normal embeddings

    def __init__(self, options: HeadOptions) -> None:
        super().__init__(options)
        for name in ("centre", "spread", "usual"):
            self.register_buffer(name, torch.empty(0))
        self.energy: Energy | None = None
        self.mixture = Mixture(options)

    def fit(self, embedded: Sequence[VideoEmbeddings], run: Run) -> None:
        from oddframe.training.trainer import by_loss, train

        embedded = [one for one in embedded if len(one)]
        width, count = width_of(embedded), total(embedded)
        if count < 2:
            raise BadInput(
                "a density needs two clips of normal video at least, got 1; the head neighbours takes one"
            )
        sample = gather(embedded, sample_rows(embedded, SAMPLED, run.random(16))).astype(np.float64)
        self.centre = torch.from_numpy(sample.mean(0)).float()
        self.spread = torch.from_numpy(
            np.maximum(sample.std(0), 1e-6 + 1e-3 * sample.std())
        ).float()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(run.random(17).integers(2**31)))
            energy = Energy(width, hidden_for(width))
        batch = min(1024, count)
        steps = self.options.density_steps
        training = Training(
            epochs=max(1, round(steps / (count // batch))),
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
            told: dict[str, Tensor] = module.loss(x, sigma, torch.randn_like(x))
            return told

        name = f"head-density-{named(embedded, self.options)}"
        run.notes["head"] = {
            "epochs": train(
                energy, ShuffledRows(embedded, run.seed), by_loss(loss), run, training, name=name
            ).rows
        }
        self.energy = energy.cpu().double().eval().requires_grad_(False)
        scales = self.scales(torch.from_numpy(sample)).numpy()
        self.usual = torch.from_numpy(
            np.stack([scales.mean(0), np.maximum(scales.std(0), 1e-12)])
        ).double()
        if self.options.density_by == "mixture":
            self.mixture.fit(
                [
                    replace(
                        embedded[0],
                        frame=np.arange(len(scales)),
                        seconds=scales[:, 0],
                        vector=scales,
                    )
                ],
                run,
            )

    def distance(self, vectors: Tensor) -> Tensor:
        scales = self.scales(vectors)
        if self.options.density_by == "mixture":
            return self.mixture.distance(scales)
        mean, deviation = self.usual
        largest: Tensor = ((scales - mean) / deviation).amax(1)
        return largest

    def scales(self, vectors: Tensor) -> Tensor:
        """(N, L): f at scales evenly spaced from the finest to the coarsest."""
        if self.energy is None:
            raise BadInput("the density has not learned yet; fit it first")
        if vectors.shape[1] != len(self.centre):
            raise BadInput(
                f"the head learned embeddings of {len(self.centre)} numbers, got {vectors.shape[1]}; fit again"
            )
        x = (vectors.cpu().double() - self.centre.cpu().double()) / self.spread.cpu().double()
        sigmas = torch.linspace(FINEST, COARSEST, SCALES, dtype=torch.float64)
        return torch.stack([self.energy(x, sigma.expand(len(x))) for sigma in sigmas], 1)

    def _load_from_state_dict(self, state: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        """The embedding's width is known only from what was saved."""
        centre = state.get(f"{prefix}centre")
        width = len(centre) if centre is not None else 0
        self.energy = (
            Energy(width, hidden_for(width)).double().eval().requires_grad_(False)
            if width
            else None
        )
        super()._load_from_state_dict(state, prefix, *rest)


def hidden_for(width: int) -> int:
    """Hidden units, as the recipe has them: 256 for few numbers, 1024 for hundreds, more for thousands."""
    return 256 if width < 32 else 1024 if width <= 1024 else 2048
