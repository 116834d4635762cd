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
    order = BatchOrder(epoch_steps * training.accumulate, training.batch, rank, world)
    # the loader draws from a generator in this thread, while the step draws from torch's in another
    options: dict[str, Any] = {"generator": torch.Generator()}
    if training.workers:
        options["persistent_workers"] = True
        options["multiprocessing_context"] = "forkserver"
        options["prefetch_factor"] = 2
    loader = DataLoader(
        EpochItems(data),
        batch_sampler=order,
        num_workers=training.workers,
        collate_fn=collate,
        **options,
    )
    try:
        for epoch in range(step // epoch_steps, training.epochs):
            done = max(0, step - epoch * epoch_steps)  # steps of this epoch
            order.start = done * training.accumulate
            order.epoch = epoch
            yield from loader
    except OddframeError as error:
        raise type(error)(last_line(error)) from None


def last_line(error: OddframeError) -> str:
    """The error's own line: from a worker process it comes behind the worker's whole traceback."""
    kind = type(error)
    name = f"{kind.__module__}.{kind.__qualname__}: "
    line = str(error).strip().splitlines()[-1]
    return line.removeprefix(name)


class EpochItems(Dataset[Any]):
    """Items by epoch and number: worker processes have copies of the data, whose epoch is set with
    each item.
    """

    def __init__(self, data: Dataset[Any]) -> None:
        self.data = data

    def __getitem__(self, place: tuple[int, int]) -> Any:
        epoch, item = place
        if hasattr(self.data, "set_epoch"):
            self.data.set_epoch(epoch)
        return self.data[item]


@dataclass
class BatchOrder:
    """Which items go into which batch of one process: those of a batch, in order, dealt out to the
    processes.
    """

    count: int  # batches in an epoch
    size: int  # items in a batch, over all processes
    rank: int
    world: int
    epoch: int = 0
    start: int = 0  # the first batch of this epoch

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for batch in range(self.start, self.count):
            first = batch * self.size
            end = first + self.size
            own = range(first + self.rank, end, self.world)
            yield [(self.epoch, item) for item in own]

    def __len__(self) -> int:
        return self.count - self.start
