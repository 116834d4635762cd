"""TCLR's four contrastive losses (Dave et al., CVIU 2022), as the published code takes them.

B videos in a batch, V = 2 views of each, P local clips, D numbers in a vector of length one.
"""

from dataclasses import dataclass
from itertools import combinations
from typing import Annotated, Literal

import torch
from torch import Tensor
from torch.nn import functional

from oddframe.options import Range, check_ranges
from oddframe.training.gradient_cache import Losses

Weight = Annotated[float, Range(0, 1e6)]
Reduction = Literal["sum", "mean"]


@dataclass(frozen=True)
class LossWeights:
    """What each loss counts, and how it is taken.

    Args:
        global_instance: Weight of the contrast between global clips of different videos.
        local_instance: Weight of the contrast between local clips of different videos.
        local_local: Weight of the contrast between the local clips of one video.
        global_local: Weight of the contrast between the moments of a video's global clip and its
            local clips.
        local_local_reduce: Sum the local-local loss over the videos of a batch, as published, or
            take its mean.
        temperature: What similarities are divided by before they are compared.
    """

    global_instance: Weight = 1.0
    local_instance: Weight = 1.0
    local_local: Weight = 1.0
    global_local: Weight = 1.0
    local_local_reduce: Reduction = "sum"
    temperature: Annotated[float, Range(1e-6, 1e6)] = 0.1

    def __post_init__(self) -> None:
        check_ranges(type(self), vars(self))


def contrast(
    global_clips: Tensor, moments: Tensor, local_clips: Tensor, weights: LossWeights
) -> Losses:
    """The four losses and their weighted sum, of global clips (V, B, D), their moments (V, P, B, D)
    and the local clips (V, P, B, D).
    """
    tau = weights.temperature
    ic2 = nt_xent(global_clips[0], global_clips[1], tau)
    ic1 = local_instances(local_clips, tau)
    ll = local_local(local_clips, tau, weights.local_local_reduce)
    gl = global_local(moments, local_clips, tau)
    terms = [
        weights.global_instance * ic2,
        weights.local_instance * ic1,
        weights.local_local * ll,
        weights.global_local * gl,
    ]
    return {"loss": torch.stack(terms).sum(), "ic2": ic2, "ic1": ic1, "ll": ll, "gl": gl}


def nt_xent(one: Tensor, other: Tensor, temperature: float) -> Tensor:
    """(…): SimCLR's loss of pairs (…, n, D): each of 2n vectors is to find its counterpart among
    the 2n - 1 others.
    """
    n = one.shape[-2]
    both = torch.cat([one, other], dim=-2)  # (…, 2n, D)
    similarity = both @ both.transpose(-1, -2) / temperature  # (…, 2n, 2n)
    itself = torch.eye(2 * n, dtype=torch.bool, device=both.device)
    similarity = similarity.masked_fill(itself, -torch.inf)
    rows = similarity.shape[:-1]  # (…, 2n)
    counterpart = torch.arange(2 * n, device=both.device).roll(n).expand(rows)
    losses = functional.cross_entropy(
        similarity.reshape(-1, 2 * n),
        counterpart.reshape(-1),
        reduction="none",
    )
    return losses.reshape(rows).mean(-1)


def local_instances(local_clips: Tensor, temperature: float) -> Tensor:
    """IC1: any two local clips of a video, of whatever view and time, are each other's counterparts
    among videos.

    Published: every ordered pair counts a quarter, so each of the 28 pairs a half.
    """
    clips = local_clips.flatten(0, 1)  # (V P, B, D)
    numbers = list(combinations(range(len(clips)), 2))
    pairs = torch.tensor(numbers, device=local_clips.device)
    one = clips[pairs[:, 0]]
    other = clips[pairs[:, 1]]
    losses = nt_xent(one, other, temperature)
    return losses.sum() / 2


def local_local(local_clips: Tensor, temperature: float, reduce: Reduction = "sum") -> Tensor:
    """LL: within a video, a local clip is to find its other view among all its local clips."""
    one, other = local_clips.transpose(1, 2)  # (B, P, D) each
    losses = nt_xent(one, other, temperature)  # (B,)
    if reduce == "sum":
        return losses.sum()
    return losses.mean()


def global_local(moments: Tensor, local_clips: Tensor, temperature: float) -> Tensor:
    """GL: within a video, a moment of the global clip is to find the local clip of its time, and
    that the moment.
    """
    total = []
    for one in moments.transpose(1, 2):  # (B, P, D)
        for other in local_clips.transpose(1, 2):
            similarity = one @ other.transpose(1, 2) / temperature  # (B, P, P)
            time = torch.arange(similarity.shape[1], device=similarity.device)
            target = time.expand(similarity.shape[:2])
            loss = functional.cross_entropy(similarity, target, reduction="sum")
            swapped = similarity.transpose(1, 2)
            loss = loss + functional.cross_entropy(swapped, target, reduction="sum")
            total.append(loss / (2 * len(similarity)))
    return torch.stack(total).sum()
