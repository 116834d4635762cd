"""A small network that learns to rebuild normal embeddings; what it cannot rebuild is strange.

E. Randellini, *Video anomaly detection with pretrained space-time models*: batch norm, two or three layers, a ReLU
latent, and the squared error summed over the D numbers of an embedding. Where we differ: the loss is a mean over the
batch and not a sum, so it does not grow with the batch; the weights kept are those best on held-out normal video; the
variational form, which the original has and never uses, follows Kingma & Welling (2014).

N embeddings in a batch, D numbers each, L in the latent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from oddframe.embeddings.heads.base import Head, HeadOptions
from oddframe.embeddings.rows import ShuffledRows, named
from oddframe.embeddings.store import VideoEmbeddings, gather, total, width_of
from oddframe.errors import BadInput
from oddframe.run import Run

HELD_OUT = 0.2  # share of the videos that choose the epoch


class Rebuilder(nn.Module):
    """Batch norm, layers D → layers[0] → … → L with ReLU, and mirrored back; dropout between layers.

    The latent is non-negative (ReLU), or a Gaussian when variational.
    """

    def __init__(
        self, width: int, layers: Sequence[int], dropout: float, variational: bool
    ) -> None:
        super().__init__()
        self.variational = variational
        sizes = (width, *layers)
        body: list[nn.Module] = [nn.BatchNorm1d(width)]
        for before, after in pairwise(sizes[:-1]):
            body += [nn.Linear(before, after), nn.ReLU(), nn.Dropout(dropout)]
        self.encoder = nn.Sequential(*body)
        self.latent = nn.Linear(
            sizes[-2], sizes[-1] * (1 + variational)
        )  # the mean, and the log variance beside it
        back: list[nn.Module] = []
        for before, after in pairwise(sizes[:0:-1]):
            back += [nn.Linear(before, after), nn.ReLU(), nn.Dropout(dropout)]
        self.decoder = nn.Sequential(*back, nn.Linear(sizes[1], width))

    def code(self, e: Tensor) -> Tensor:
        """(N, L) from (N, D): the latent, its mean when variational."""
        out: Tensor = self.latent(self.encoder(e))
        return out.chunk(2, 1)[0] if self.variational else out.relu()

    def forward(self, e: Tensor) -> Tensor:
        """(N, D): the embeddings as rebuilt, from the mean of the latent."""
        out: Tensor = self.decoder(self.code(e))
        return out

    def loss(self, e: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Squared error to the target, summed over D; the negative evidence bound (unit variance) when variational."""
        if not self.variational:
            return {"loss": (self(e) - target).square().sum(1).mean()}
        mean, log_variance = self.latent(self.encoder(e)).chunk(2, 1)
        drawn = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
        rebuilt = 0.5 * (self.decoder(drawn) - target).square().sum(1).mean()
        # KL(N(m, s²) ‖ N(0, 1)) = ½ Σ (m² + s² − 1 − log s²), appendix B
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean()
        return {"loss": rebuilt + divergence, "rebuilt": rebuilt, "divergence": divergence}


class Autoencoder(Head):
    """The squared error of rebuilding an embedding, summed over its numbers."""

    def __init__(self, options: HeadOptions) -> None:
        super().__init__(options)
        self.net: Rebuilder | None = None

    def fit(self, embedded: Sequence[VideoEmbeddings], run: Run) -> None:
        from oddframe.training.trainer import by_loss, train

        embedded = [one for one in embedded if len(one)]
        width = width_of(embedded)
        if total(embedded) < 4:
            raise BadInput(
                f"an autoencoder needs four clips of normal video, got {total(embedded)}; neighbours take one"
            )
        held = [one for one in self.validation if len(one)]
        fitting = embedded
        if not held:
            fitting, held = _parted(embedded)
        training = self.options.training
        batch = max(2, min(training.batch, total(fitting)))
        # so small a network gains nothing from half the bits
        training = replace(training, batch=batch, accumulate=1, workers=0, precision="float32")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(run.random(14).integers(2**31)))
            net = self._made(width)
        name = f"head-{named([*embedded, *self.validation], self.options)}"
        judged = torch.from_numpy(gather(held, np.arange(total(held))))

        def judge(module: nn.Module) -> float:
            assert isinstance(module, Rebuilder)
            whole = judged.to(next(module.parameters()).device)
            return float((module(whole) - whole).square().sum(1).mean())

        def loss(module: Any, batch: Tensor) -> dict[str, Tensor]:
            told: dict[str, Tensor] = module.loss(batch, batch)
            return told

        history = train(
            net,
            ShuffledRows(fitting, run.seed),
            by_loss(loss),
            run,
            training,
            name=name,
            validate=judge,
        )
        run.notes["head"] = {"epochs": history.rows, "held_out_clips": total(held)}
        self.net = net.cpu().double().eval().requires_grad_(False)

    def distance(self, vectors: Tensor) -> Tensor:
        vectors = vectors.cpu().double()
        error: Tensor = (self._fitted(vectors)(vectors) - vectors).square().sum(1)
        return error

    def code(self, vectors: Tensor) -> Tensor:
        """(N, L): the latents of embeddings."""
        vectors = vectors.cpu().double()
        code: Tensor = self._fitted(vectors).code(vectors)
        return code

    def _fitted(self, vectors: Tensor) -> Rebuilder:
        if self.net is None:
            raise BadInput("the autoencoder has not learned yet; fit it first")
        width = self.net.decoder[-1].out_features
        if vectors.shape[1] != width:
            raise BadInput(
                f"the head learned embeddings of {width} numbers, got {vectors.shape[1]}; fit again"
            )
        return self.net

    def _made(self, width: int) -> Rebuilder:
        options = self.options
        return Rebuilder(width, options.layers, options.dropout, options.variational)

    def _load_from_state_dict(self, state: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        """The embedding's width is known only from what was saved."""
        last = [
            value
            for key, value in state.items()
            if key.startswith(f"{prefix}net.decoder.") and value.ndim == 1
        ]
        self.net = self._made(len(last[-1])).double().eval().requires_grad_(False) if last else None
        super()._load_from_state_dict(state, prefix, *rest)


def _parted(
    embedded: Sequence[VideoEmbeddings],
) -> tuple[list[VideoEmbeddings], list[VideoEmbeddings]]:
    """What to learn from, and every fifth video to choose the epoch by; or the last fifth of the only long one."""
    if len(embedded) > 1:
        every = round(1 / HELD_OUT) if len(embedded) >= 1 / HELD_OUT else len(embedded)
        held = [one for k, one in enumerate(embedded) if k % every == every - 1]
        if total(held) <= total(embedded) // 2:
            return [one for k, one in enumerate(embedded) if k % every != every - 1], held
    one = max(embedded, key=len)
    others = [other for other in embedded if other is not one]
    cut = min(len(one) - 1, round(len(one) * (1 - HELD_OUT)))
    first, second = (
        replace(one, frame=one.frame[part], seconds=one.seconds[part], vector=one.vector[part])
        for part in (slice(0, cut), slice(cut, None))
    )
    return [*others, first], [second]
