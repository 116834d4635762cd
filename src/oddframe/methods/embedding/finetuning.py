"""Training an encoder along with an autoencoder of its embeddings, without a collapse of both.

The original asks both to make the error between an embedding and its reconstruction small. An
encoder can do that by making embeddings small: at a point, nothing is left to reconstruct. Here the
target is detached: the encoder may make embeddings easier to reconstruct only by what reaches the
autoencoder, whose batch norm takes their scale away. That leaves the scale to chance, and with it
the error, so a term keeps it where it began: the error is counted in units of the embeddings'
variance, and the log of that variance, against what it was first, adds its square.

N clips, D numbers an embedding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from oddframe.embeddings.heads.autoencoder import AutoencoderNetwork
from oddframe.run import Run
from oddframe.training.config import Training
from oddframe.training.random_clips import RandomClips
from oddframe.training.trainer import by_loss, train
from oddframe.types import ClipSpec, Video

TINY = 1e-12  # so that embeddings that are all the same are no division by zero


def finetune(
    net: nn.Module,
    autoencoder: AutoencoderNetwork,
    prepare: Callable[[Tensor], Tensor],
    videos: Sequence[Video],
    spec: ClipSpec,
    run: Run,
    training: Training,
    *,
    clips: int,
    first: str = "0",
    detach: bool = True,
) -> list[dict[str, float]]:
    """Train both in place on `clips` random clips an epoch; returns the rows of the training's
    history.

    `prepare` makes what `net` takes of uint8 clips. Parameters of `net` before `first` stay as they
    are, and so does its batch norm. `detach=False` is the original's way, kept to show what it
    leads to. Raises ValueError for a `first` that there is not.
    """
    unfreeze(net, first)
    both = EncoderWithAutoencoder(net, autoencoder, prepare, detach)
    step = by_loss(lambda module, batch: module(batch[0]))
    data = RandomClips(videos, spec, count=max(clips, training.batch), seed=run.seed)
    try:
        history = train(both, data, step, run, training, name="finetune")
        return history.rows
    finally:
        net.eval().requires_grad_(False)


class EncoderWithAutoencoder(nn.Module):
    """The losses of a batch of uint8 clips."""

    first: Tensor  # variance of the first batch's embeddings, before any step

    def __init__(
        self,
        net: nn.Module,
        autoencoder: AutoencoderNetwork,
        prepare: Callable[[Tensor], Tensor],
        detach: bool,
    ) -> None:
        super().__init__()
        self.net = net
        self.autoencoder = autoencoder
        self.prepare = prepare
        self.detach = detach
        self.register_buffer("first", torch.zeros(()))

    def train(self, mode: bool = True) -> EncoderWithAutoencoder:
        """The autoencoder alone: batch norm of the encoder stays as it is."""
        super().train(mode)
        self.net.eval()
        return self

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        """The losses of clips (N, C, T, H, W); "loss" is what is descended."""
        e = self.net(self.prepare(pixels)).float()  # (N, D)
        # how far embeddings are from each other: 0 when they have collapsed
        distances = (e - e.mean(0)).square().sum(1)
        variance = distances.mean()
        spread = variance.detach()
        if not self.detach:
            losses = self.autoencoder.loss(e, e)
            losses["spread"] = spread
            return losses
        unit = spread.clamp_min(TINY)
        if not self.first:
            self.first.copy_(unit)
        losses = self.autoencoder.loss(e, e.detach())
        ratio = variance.clamp_min(TINY) / self.first
        scale = ratio.log().square()
        losses["loss"] = losses["loss"] / unit + scale
        losses["scale"] = scale.detach()
        losses["spread"] = spread
        return losses


def unfreeze(net: nn.Module, first: str) -> list[str]:
    """Let the parameters from `first` on learn, and no others; returns their names.

    `first` is the number of a parameter, in the network's own order, or what its name begins with.
    """
    names = [name for name, _ in net.named_parameters()]
    start = len(names)
    if first.isdecimal():
        start = int(first)
    else:
        for number, name in enumerate(names):
            if name.startswith(first):
                start = number
                break
    if start >= len(names):
        parts = list(dict.fromkeys(name.partition(".")[0] for name in names))
        raise ValueError(
            f"unfreeze_from is a number below {len(names)} or the beginning of a parameter's name "
            f"({', '.join(parts)}), got {first!r}"
        )
    for number, parameter in enumerate(net.parameters()):
        parameter.requires_grad_(number >= start)
    return names[start:]
