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
PushBack = Callable[[Tensor], None]


def backward_through(
    module: nn.Module,
    passes: Sequence[Pass],
    losses: Callable[[list[tuple[Tensor, ...]]], Losses],
    backward: PushBack,
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
        return detached(found)
    held: list[tuple[Tensor, ...]] = []
    states: list[list[Tensor]] = []  # torch's random state before each pass
    with torch.no_grad(), statistics_still(module):
        for one in passes:
            states.append(random_state())
            held.append(one())
    leaves: list[Tensor] = []
    for embeddings in held:
        for embedding in embeddings:
            leaves.append(embedding.requires_grad_())
    with torch.enable_grad():
        found = losses(held)
    shares = iter(torch.autograd.grad(found["loss"], leaves, allow_unused=True))
    for one, state in zip(passes, states, strict=True):
        restore_random_state(state)  # dropout must drop the same again
        products: list[Tensor] = []
        for embedding in one():
            share = next(shares)
            if share is not None:
                products.append((embedding * share).sum())
        if products:
            # the scalar whose gradient is `share` at each embedding: any backward will do, scaled
            # or not
            backward(torch.stack(products).sum())
    return detached(found)


@contextmanager
def statistics_still(module: nn.Module) -> Iterator[None]:
    """Batch norm goes on as in training, by the batch's own statistics, but its running ones stay
    as they are.
    """
    norms: list[_BatchNorm] = []
    for one in module.modules():
        if isinstance(one, _BatchNorm) and one.track_running_stats:
            norms.append(one)
    try:
        for one in norms:
            # in eval mode that would change what is computed
            one.track_running_stats = not one.training
        yield
    finally:
        for one in norms:
            one.track_running_stats = True


def detached(losses: Losses) -> Losses:
    """Losses without their graph."""
    return {name: loss.detach() for name, loss in losses.items()}


def random_state() -> list[Tensor]:
    """torch's random state: of the CPU, then of each GPU."""
    states = [torch.get_rng_state()]
    if torch.cuda.is_available():
        states += torch.cuda.get_rng_state_all()
    return states


def restore_random_state(states: list[Tensor]) -> None:
    """Set what `random_state` gave."""
    torch.set_rng_state(states[0])
    if len(states) > 1:
        torch.cuda.set_rng_state_all(states[1:])
