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
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from oddframe.array_spec import ArraySpec
from oddframe.embeddings.head import (
    SAMPLED_EMBEDDINGS,
    HeadOptions,
    HeadWithoutEpochs,
    refuse_other_width,
)
from oddframe.embeddings.heads.mixture import Mixture
from oddframe.embeddings.store import (
    ShuffledRows,
    VideoEmbeddings,
    gather,
    key_of,
    sample_rows,
    total,
    width_of,
    with_clips,
)
from oddframe.errors import BadInput
from oddframe.run import Run
from oddframe.training.config import Training
from oddframe.types import Floats

FINEST, COARSEST = 1e-3, 1.0  # σ in units of an embedding's spread
SCALES = 16  # at which f is evaluated
REGULARISATION = 0.1  # β: weight of keeping f near nought on the embeddings themselves
LARGEST_BATCH = 1024


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
        log_sigma = sigma.log()[:, None]
        given = torch.cat([x, log_sigma], 1)
        out: Tensor = self.layers(given)[:, 0]
        return out

    def loss(self, x: Tensor, sigma: Tensor, noise: Tensor) -> dict[str, Tensor]:
        """½ σ² ‖∇f(x + σ ε, σ) − ε / σ‖² + ½ β f(x, σ)², both averaged over the batch."""
        scale = sigma[:, None]
        noisy = (x + scale * noise).requires_grad_(True)
        total = self(noisy, sigma).sum()
        (slope,) = torch.autograd.grad(total, noisy, create_graph=True)
        error = slope - noise / scale
        squared = error.square().sum(1)
        matching = (0.5 * sigma.square() * squared).mean()
        value = self(x, sigma)
        size = (0.5 * REGULARISATION * value.square()).mean()
        return {
            "loss": matching + size,
            "score_matching": matching,
            "regularisation": size,
        }


class Density(HeadWithoutEpochs):
    """The largest, over scales, of f in units of its spread on normal embeddings; or −log p of them
    in a mixture. As the published one it is trained to the last epoch.
    """

    name = "density"
    reads = ("steps", "reduce", "components")
    slow = True
    learned: ClassVar[Mapping[str, ArraySpec]] = {
        "centre": ArraySpec(("D",)),
        "spread": ArraySpec(("D",), low=1e-7),
        "usual": ArraySpec((2, SCALES)),
    }
    centre: Tensor  # (D,)
    spread: Tensor  # (D,)
    usual: Tensor  # (2, L) mean and deviation of each scale on normal embeddings

    def __init__(self, options: HeadOptions) -> None:
        super().__init__(options)
        if options.reduce == "max" and options.components != HeadOptions().components:
            raise ValueError("components counts for the head density only with --reduce mixture")
        self.register_empty("centre", "spread", "usual")
        self.energy: Energy | None = None
        self.mixture = Mixture(options)

    @property
    def width(self) -> int:
        return len(self.centre)

    def learn(self, embedded: Sequence[VideoEmbeddings], run: Run) -> None:
        videos = with_clips(embedded)
        width_of(videos)
        if total(videos) < 2:
            raise BadInput(
                "a density needs two clips of normal video at least, got 1; the head knn takes one"
            )
        rows = sample_rows(videos, SAMPLED_EMBEDDINGS, run.random(16))
        sample = gather(videos, rows).astype(np.float64)
        least = 1e-6 + 1e-3 * sample.std()
        self.centre = torch.from_numpy(sample.mean(0)).float()
        self.spread = torch.from_numpy(np.maximum(sample.std(0), least)).float()
        self.energy = self.train_energy(videos, run)
        scales = self.scales(torch.from_numpy(sample))
        self.describe_scales(scales.numpy(), run)

    def train_energy(self, videos: Sequence[VideoEmbeddings], run: Run) -> Energy:
        """The network, trained on embeddings in units of their spread; in double precision."""
        from oddframe.training.trainer import by_loss, train

        width = width_of(videos)
        count = total(videos)
        seed = int(run.random(17).integers(2**31))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            energy = Energy(width, hidden_for(width))
        batch = min(LARGEST_BATCH, count)
        steps_an_epoch = count // batch
        training = Training(
            epochs=max(1, round(self.options.steps / steps_an_epoch)),
            batch=batch,
            optimizer="adam",
            lr=1e-3,
            schedule="cosine",
            precision="float32",
        )

        def loss(module: Any, rows: Tensor) -> dict[str, Tensor]:
            centre = self.centre.to(rows.device)
            spread = self.spread.to(rows.device)
            x = (rows - centre) / spread
            low, high = np.log(FINEST), np.log(COARSEST)
            place = torch.rand(len(x), device=x.device)
            sigma = (low + (high - low) * place).exp()
            noise = torch.randn_like(x)
            losses: dict[str, Tensor] = module.loss(x, sigma, noise)
            return losses

        data = ShuffledRows(videos, run.seed)
        name = f"head-density-{key_of(videos, self.options)[:12]}"
        history = train(energy, data, by_loss(loss), run, training, name=name)
        run.notes["head"] = {"epochs": history.rows}
        return energy.cpu().double().eval().requires_grad_(False)

    def check_learned(self) -> None:
        super().check_learned()
        if not (self.usual[1] > 0).all():
            raise ValueError("usual holds deviations that are not above 0")
        if self.options.reduce == "mixture" and self.mixture.width != SCALES:
            raise ValueError(f"its mixture is of {self.mixture.width} numbers, not {SCALES}")

    def describe_scales(self, scales: Floats, run: Run) -> None:
        """Learn what f (M, L) is like on normal embeddings."""
        mean = scales.mean(0)
        deviation = np.maximum(scales.std(0), 1e-12)
        usual = np.stack([mean, deviation])
        self.usual = torch.from_numpy(usual).double()
        if self.options.reduce == "mixture":
            seed = int(run.random(13).integers(2**31))
            self.mixture.fit_points(scales, seed)

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
        centre = self.centre.cpu().double()
        spread = self.spread.cpu().double()
        x = (vectors.cpu().double() - centre) / spread
        scales = []
        for sigma in torch.linspace(FINEST, COARSEST, SCALES, dtype=torch.float64):
            of_each = sigma.expand(len(x))
            scales.append(self.energy(x, of_each))
        return torch.stack(scales, 1)

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
    if width <= 1024:
        return 1024
    return 2048
