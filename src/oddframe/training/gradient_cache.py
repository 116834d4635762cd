"""The gradient of a loss over many forward passes, in the memory of one.

A contrastive loss needs the embeddings of all passes at once, but not their graphs: the passes are
run without a graph, the loss and its gradient are taken on the embeddings, then each pass is run
again with a graph and is given its share. Each pass is one batch to batch norm both times, so the
gradient is the same up to rounding. After Luyu Gao et al., *Scaling Deep Contrastive Learning Batch
Size under Memory Limited Setup*, RepL4NLP 2021, but by pass, not by sample.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

Memory = Literal["exact", "plain"]
Pass = Callable[[], tuple[Tensor, ...]]  # one forward pass: the embeddings that it gives
Losses = dict[str, Tensor]  # "loss", and whatever else is to be logged
Backward = Callable[[Tensor], None]


def backward_through(
    module: nn.Module,
    passes: Sequence[Pass],
    losses: Callable[[list[tuple[Tensor, ...]]], Losses],
    backward: Backward,
    memory: Memory = "exact",
) -> Losses:
    """Run the passes, take `losses` of all their embeddings, and go back through `module`; returns
    the losses.

    `exact` holds the graph of one pass at a time and runs each twice; `plain` holds all of them.
    Running statistics of batch norm move once per pass either way.
    """
    if memory == "plain":
        found = losses([one() for one in passes])
        backward(found["loss"])
        return _told(found)
    held: list[tuple[Tensor, ...]] = []
    chances: list[list[Tensor]] = []
    with torch.no_grad(), statistics_still(module):
        for one in passes:
            chances.append(_chance())
            held.append(tuple(part.detach() for part in one()))
    leaves = [part.requires_grad_() for parts in held for part in parts]
    with torch.enable_grad():
        found = losses(held)
    shares = iter(torch.autograd.grad(found["loss"], leaves, allow_unused=True))
    for one, chance in zip(passes, chances, strict=True):
        _rewind(chance)  # dropout must drop the same again
        parts = one()
        pairs = [(part, share) for part in parts if (share := next(shares)) is not None]
        if pairs:
            # the scalar whose gradient is `share` at each embedding: any backward will do, scaled
            # or not
            backward(torch.stack([(part * share).sum() for part, share in pairs]).sum())
    return _told(found)


@contextmanager
def statistics_still(module: nn.Module) -> Iterator[None]:
    """Batch norm goes on as in training, by the batch's own statistics, but its running ones stay
    as they are.
    """
    norms = [
        one for one in module.modules() if isinstance(one, _BatchNorm) and one.track_running_stats
    ]
    try:
        for one in norms:
            # in eval mode that would change what is computed
            one.track_running_stats = not one.training
        yield
    finally:
        for one in norms:
            one.track_running_stats = True


def _told(found: Losses) -> Losses:
    return {name: part.detach() for name, part in found.items()}


def _chance() -> list[Tensor]:
    return [
        torch.get_rng_state(),
        *(torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []),
    ]


def _rewind(chance: list[Tensor]) -> None:
    torch.set_rng_state(chance[0])
    if chance[1:]:
        torch.cuda.set_rng_state_all(chance[1:])
