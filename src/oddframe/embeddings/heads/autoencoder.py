"""A small network that learns to reconstruct normal embeddings; what it cannot reconstruct is
anomalous.

E. Randellini, *Video anomaly detection with pretrained space-time models*: batch norm, two or three
layers, a ReLU latent, and the squared error summed over the D numbers of an embedding. Where we
differ: the loss is a mean over the batch and not a sum, so that it does not grow with the batch;
the variational form, which the original has and never uses, follows Kingma & Welling (2014). As
there, the weights kept are those best on validation videos: those that the data set keeps apart, or
every fifth video where it keeps none.

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

from oddframe.embeddings.head import Head, HeadOptions, refuse_other_width
from oddframe.embeddings.store import (
    ShuffledRows,
    VideoEmbeddings,
    clips_between,
    gather,
    key_of,
    total,
    width_of,
    with_clips,
)
from oddframe.errors import BadInput
from oddframe.run import Run
from oddframe.training.checkpoints import put_published

VALIDATION_SHARE = 0.2  # of the videos, where the data set keeps none apart
# clips of normal video: two to learn from in one batch, for batch norm, and one to validate
FEWEST_CLIPS = 4


class AutoencoderNetwork(nn.Module):
    """Batch norm, layers D → layers[0] → … → L with ReLU, and mirrored back; dropout between
    layers.

    The latent is non-negative (ReLU), or a Gaussian when variational.
    """

    def __init__(
        self, width: int, layers: Sequence[int], dropout: float, variational: bool
    ) -> None:
        super().__init__()
        self.width = width
        self.variational = variational
        sizes = (width, *layers)
        encoder = hidden_layers(sizes[:-1], dropout)
        self.encoder = nn.Sequential(nn.BatchNorm1d(width), *encoder)
        latent_size = sizes[-1]
        if variational:  # the mean, and the log variance beside it
            latent_size = 2 * sizes[-1]
        self.latent = nn.Linear(sizes[-2], latent_size)
        decoder = hidden_layers(sizes[:0:-1], dropout)
        self.decoder = nn.Sequential(*decoder, nn.Linear(sizes[1], width))

    def code(self, e: Tensor) -> Tensor:
        """(N, L) from (N, D): the latent, its mean when variational."""
        out: Tensor = self.latent(self.encoder(e))
        if self.variational:
            return out.chunk(2, 1)[0]
        return out.relu()

    def forward(self, e: Tensor) -> Tensor:
        """(N, D): the embeddings as reconstructed, from the mean of the latent."""
        out: Tensor = self.decoder(self.code(e))
        return out

    def loss(self, e: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Squared error to the target, summed over D; the negative evidence bound (unit variance)
        when variational.
        """
        if not self.variational:
            error = squared_error(self(e), target).mean()
            return {"loss": error}
        mean, log_variance = self.latent(self.encoder(e)).chunk(2, 1)
        deviation = (0.5 * log_variance).exp()
        sample = mean + deviation * torch.randn_like(mean)
        made = self.decoder(sample)
        error = 0.5 * squared_error(made, target).mean()
        # KL(N(m, s²) ‖ N(0, 1)) = ½ Σ (m² + s² − 1 − log s²), appendix B
        terms = mean.square() + log_variance.exp() - 1 - log_variance
        divergence = 0.5 * terms.sum(1).mean()
        return {
            "loss": error + divergence,
            "reconstruction": error,
            "divergence": divergence,
        }


def squared_error(made: Tensor, target: Tensor) -> Tensor:
    """(N,) squared errors of embeddings (N, D), summed over their numbers."""
    return (made - target).square().sum(1)


def hidden_layers(sizes: Sequence[int], dropout: float) -> list[nn.Module]:
    """Linear layers from each size to the next, with ReLU and dropout behind each."""
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers.append(nn.Linear(before, after))
        layers.append(nn.ReLU())
        layers.append(nn.Dropout(dropout))
    return layers


class Autoencoder(Head):
    """The squared error of reconstructing an embedding, summed over its numbers."""

    name = "autoencoder"
    reads = ("layers", "dropout", "variational", "training")
    slow = True

    def __init__(self, options: HeadOptions) -> None:
        super().__init__(options)
        self.net: AutoencoderNetwork | None = None

    @property
    def width(self) -> int:
        return 0 if self.net is None else self.net.width

    def fit(
        self,
        embedded: Sequence[VideoEmbeddings],
        run: Run,
        validation: Sequence[VideoEmbeddings] = (),
    ) -> None:
        from oddframe.training.trainer import by_loss, train

        learned_from, judged_on = self.split(embedded, validation)
        width = width_of(learned_from)
        training = self.options.training
        batch = max(2, min(training.batch, total(learned_from)))
        training = replace(training, batch=batch)
        seed = int(run.random(14).integers(2**31))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            net = self.make_network(width)
        every_row = np.arange(total(judged_on))
        judged = torch.from_numpy(gather(judged_on, every_row))

        def validate(module: nn.Module) -> float:
            device = next(module.parameters()).device
            rows = judged.to(device)
            errors = squared_error(module(rows), rows)
            return float(errors.mean())

        def loss(module: Any, rows: Tensor) -> dict[str, Tensor]:
            losses: dict[str, Tensor] = module.loss(rows, rows)
            return losses

        data = ShuffledRows(learned_from, run.seed)
        identity = key_of([*learned_from, *judged_on], self.options)
        name = f"head-{identity[:12]}"
        history = train(net, data, by_loss(loss), run, training, name=name, validate=validate)
        run.notes["head"] = {"epochs": history.rows, "held_out_clips": total(judged_on)}
        self.net = net.cpu().double().eval().requires_grad_(False)

    def split(
        self, embedded: Sequence[VideoEmbeddings], validation: Sequence[VideoEmbeddings]
    ) -> tuple[list[VideoEmbeddings], list[VideoEmbeddings]]:
        """What to learn from and what to choose the epoch by. Raises BadInput for fewer than four
        clips.
        """
        videos = with_clips(embedded)
        width_of(videos)
        if total(videos) < FEWEST_CLIPS:
            raise BadInput(
                f"an autoencoder needs four clips of normal video, got {total(videos)}; "
                "the head knn takes one"
            )
        apart = with_clips(validation)
        if apart:
            return videos, apart
        return split_off_validation(videos)

    def distance(self, vectors: Tensor) -> Tensor:
        vectors = vectors.cpu().double()
        net = self.fitted_for(vectors)
        return squared_error(net(vectors), vectors)

    def code(self, vectors: Tensor) -> Tensor:
        """(N, L): the latents of embeddings."""
        vectors = vectors.cpu().double()
        return self.fitted_for(vectors).code(vectors)

    def fitted_for(self, vectors: Tensor) -> AutoencoderNetwork:
        """The network, in double precision. Raises BadInput when it has not learned, or learned
        other embeddings.
        """
        if self.net is None:
            raise BadInput("the autoencoder has not learned yet; fit it first")
        refuse_other_width(self.net.width, vectors)
        return self.net

    def load_published(self, weights: Mapping[str, Tensor]) -> None:
        """Take the weights of a published autoencoder, by this network's names. Raises BadInput
        where they differ.
        """
        width = len(weights["encoder.0.weight"])
        net = self.make_network(width)
        put_published(net, weights, "the file's autoencoder (--layers must be as there)")
        self.net = net.double().eval().requires_grad_(False)

    def make_network(self, width: int) -> AutoencoderNetwork:
        """An untrained network for embeddings of this width."""
        options = self.options
        return AutoencoderNetwork(
            width,
            options.layers,
            options.dropout,
            options.variational,
        )

    def _load_from_state_dict(self, state: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        """The embedding's width is known only from what was saved."""
        self.net = None
        norm = state.get(f"{prefix}net.encoder.0.weight")
        if norm is not None:
            net = self.make_network(width=len(norm))
            self.net = net.double().eval().requires_grad_(False)
        super()._load_from_state_dict(state, prefix, *rest)


def split_off_validation(
    embedded: Sequence[VideoEmbeddings],
) -> tuple[list[VideoEmbeddings], list[VideoEmbeddings]]:
    """What to learn from, and every fifth video to choose the epoch by; or the last fifth of the
    only long one.
    """
    every = min(len(embedded), round(1 / VALIDATION_SHARE))
    if every > 1:
        first: list[VideoEmbeddings] = []
        second: list[VideoEmbeddings] = []
        for number, one in enumerate(embedded):
            if number % every == every - 1:
                second.append(one)
            else:
                first.append(one)
        if total(second) <= total(embedded) // 2:
            return first, second
    longest = max(embedded, key=len)
    others = [one for one in embedded if one is not longest]
    wanted = round(len(longest) * (1 - VALIDATION_SHARE))
    cut = min(len(longest) - 1, wanted)
    begin = clips_between(longest, 0, cut)
    end = clips_between(longest, cut, len(longest))
    return [*others, begin], [end]
