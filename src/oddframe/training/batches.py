"""Batches of a training, in an order that depends on epoch and number alone, decoded ahead."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from oddframe.errors import OddframeError
from oddframe.training.config import Training


def batches_from(
    step: int,
    data: Dataset[Any],
    training: Training,
    epoch_steps: int,
    *,
    rank: int,
    world: int,
    collate: Callable[[list[Any]], Any] | None,
) -> Iterator[Any]:
    """The batches of one of `world` processes from a step on, for the rest of the training."""
    t = training
    order = _Order(epoch_steps * t.accumulate, t.batch, rank, world)
    # a generator of its own: the loader draws from it in this thread, while the step draws from torch's in another
    more: dict[str, Any] = {"generator": torch.Generator()}
    if t.workers:
        more |= {
            "persistent_workers": True,
            "multiprocessing_context": "forkserver",
            "prefetch_factor": 2,
        }
    loader = DataLoader(
        _Turned(data), batch_sampler=order, num_workers=t.workers, collate_fn=collate, **more
    )
    try:
        for epoch in range(step // epoch_steps, t.epochs):
            order.start = (
                (step - epoch * epoch_steps) * t.accumulate if step > epoch * epoch_steps else 0
            )
            order.epoch = epoch
            yield from loader
    except OddframeError as error:
        # from a worker it comes with the worker's whole traceback; the last line is ours
        line = str(error).strip().splitlines()[-1]
        raise type(error)(
            line.removeprefix(f"{type(error).__module__}.{type(error).__qualname__}: ")
        ) from None


class _Turned(Dataset[Any]):
    """Items by epoch and number, so that worker processes, which have a copy of the data, turn it with us."""

    def __init__(self, data: Dataset[Any]) -> None:
        self.data = data

    def __getitem__(self, place: tuple[int, int]) -> Any:
        epoch, item = place
        if hasattr(self.data, "set_epoch"):
            self.data.set_epoch(epoch)
        return self.data[item]


@dataclass
class _Order:
    """Which items go into which batch of this process: those of batch b, in order, dealt out to the processes."""

    count: int  # batches in an epoch
    size: int  # items in a batch, over all processes
    rank: int
    world: int
    epoch: int = 0
    start: int = 0  # the first batch of this epoch

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for b in range(self.start, self.count):
            yield [
                (self.epoch, item)
                for item in range(b * self.size + self.rank, (b + 1) * self.size, self.world)
            ]

    def __len__(self) -> int:
        return self.count - self.start
