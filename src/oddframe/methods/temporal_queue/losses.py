"""Losses of the temporal queue: of unit vectors in the queue (Q, D) and outside (R, D)."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal

import torch
from torch import Tensor

from oddframe.options import Range, check_ranges

Loss = Literal["pairwise", "pairwise-no-diagonal", "infonce"]


@dataclass(frozen=True)
class QueueOptions:
    """The queue of frames that slides through a segment of a film, and how it is contrasted with
    the rest.

    Args:
        segment: Frames in the longest segment that a film is cut into; a queue is contrasted with
            the rest of its own.
        queue: Frames in the queue.
        offset: Frames from one place of the queue to the next.
        loss: As published (pairwise), the same without each frame's similarity to itself, or with a
            normalised probability (infonce).
        temperature: What similarities are divided by before they are compared.
        update: A step for each queue, as published, or one for all of a segment, in the memory of
            one.
    """

    segment: Annotated[int, Range(3, 1_000_000)] = 140
    queue: Annotated[int, Range(2, 1_000_000)] = 28
    offset: Annotated[int, Range(1, 1_000_000)] = 7
    loss: Loss = "infonce"
    temperature: Annotated[float, Range(1e-6, 1e6)] = 0.1
    update: Literal["queue", "segment"] = "queue"

    def __post_init__(self) -> None:
        check_ranges(type(self), vars(self))
        if self.segment <= self.queue:
            raise ValueError(
                f"a segment is longer than the queue of {self.queue} frames, got {self.segment}"
            )
        if self.loss not in LOSSES:
            raise ValueError(f"loss is one of {', '.join(LOSSES)}, got {self.loss!r}")


def pairwise(inside: Tensor, outside: Tensor, temperature: float, diagonal: bool = True) -> Tensor:
    """log of the mean similarity across less log of the mean similarity within; similarities are
    exp(cosine / τ).

    As published a frame's similarity to itself counts within. It is the largest there is, so that
    attraction is hardly felt; without `diagonal` it does not count.
    """
    within = inside @ inside.T / temperature  # (Q, Q)
    across = inside @ outside.T / temperature  # (Q, R)
    pairs = within.numel()
    if not diagonal:
        itself = torch.eye(len(within), dtype=torch.bool, device=within.device)
        within = within.masked_fill(itself, -torch.inf)
        pairs -= len(within)
    sum_across = across.logsumexp((0, 1))
    sum_within = within.logsumexp((0, 1))
    log_repulsion = sum_across - math.log(across.numel())
    log_attraction = sum_within - math.log(pairs)
    return log_repulsion - log_attraction


def infonce(inside: Tensor, outside: Tensor, temperature: float) -> Tensor:
    """Each frame of the queue is to find each other one of it among the frames outside: the mean
    over ordered pairs.

    After van den Oord et al., *Representation Learning with Contrastive Predictive Coding*, 2018,
    equation 4.
    """
    within = inside @ inside.T / temperature  # (Q, Q)
    similarity = inside @ outside.T / temperature  # (Q, R)
    across = similarity.logsumexp(1, keepdim=True)  # (Q, 1)
    nll = torch.logaddexp(within, across) - within  # −log probability of each pair
    of_pairs = nll.sum() - nll.diagonal().sum()  # without each frame and itself
    pairs = nll.numel() - len(nll)
    return of_pairs / pairs


LOSSES: dict[Loss, Callable[..., Tensor]] = {
    "pairwise": pairwise,
    "pairwise-no-diagonal": partial(pairwise, diagonal=False),
    "infonce": infonce,
}
