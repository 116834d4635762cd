"""The one place where a network runs at scoring: passes of a fixed size, so that rows do not depend
on each other.

What a convolution gives for a row may differ in the last bits with the number of rows in the pass,
for libraries choose another algorithm. So every pass of a method has the same number of rows, the
last one filled up with zeros; then the same clip has the same score whatever else is in the batch,
on a CPU as on a GPU.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from oddframe.training.precision import Dtype, Trial, autocast

Core = Callable[[Tensor], Tensor]  # a network, or a function of one: (rows, …) to (rows, …)


def infer(
    core: Core,
    x: Tensor | NDArray[Any],
    *,
    batch: int,
    cpu_batch: int = 1,
    device: torch.device | str | None = None,
    precision: Dtype = "float32",
    prepare: Core | None = None,
) -> Tensor:
    """What `core` makes of the rows of `x`, as float32 (or float64) on the device; without
    gradients.

    Args:
        core: The network. Its mode (train or eval) is left as it is; scoring wants eval.
        x: (N, …) rows, such as clips; N may be 0.
        batch: Rows in every pass on a GPU or another accelerator.
        cpu_batch: Rows in every pass on a CPU, where one large row already fills the cores.
        device: Where to run; where the parameters of `core` are unless given.
        precision: What matrix products and convolutions are computed in.
        prepare: Makes what `core` takes of rows on the device, in full precision; rows go there as
            they are, and pixels of one byte are four times as quick to move as floats.
    """
    if batch < 1 or cpu_batch < 1:
        raise ValueError(f"a pass has 1 row or more, got {batch = }, {cpu_batch = }")
    place = device_of(core)
    if device is not None:
        place = torch.device(device)
    size = batch
    if place.type == "cpu":
        size = cpu_batch
    found: list[Tensor] = []
    with torch.inference_mode():
        for rows, count in passes(torch.as_tensor(x), size):
            given = rows.to(place)
            if prepare is not None:
                given = prepare(given)
            with autocast(place, precision):
                made = core(given)
            rows_found = made[:count]
            # what a core computes in double has its reasons
            if rows_found.dtype != torch.float64:
                rows_found = rows_found.float()
            found.append(rows_found)
        return torch.cat(found)


def forward_trial(core: Core, row: Tensor) -> Trial:
    """One pass of a network over a row (1, …), in a precision: for `choose_precision` where nothing
    is trained.
    """

    def trial(precision: Dtype) -> None:
        infer(core, row, batch=1, precision=precision)

    return trial


def passes(x: Tensor, size: int) -> Iterator[tuple[Tensor, int]]:
    """The rows of `x`, `size` at a time and filled up with zeros, and how many of them are real.

    One pass of zeros where there are no rows: what comes out has a shape that only the network
    knows.
    """
    for start in range(0, max(1, len(x)), size):
        end = start + size
        rows = x[start:end]
        count = len(rows)
        if count < size:
            shape = (size - count, *rows.shape[1:])
            missing = rows.new_zeros(shape)
            rows = torch.cat([rows, missing])
        yield rows, count


def device_of(core: Core) -> torch.device:
    """Where the parameters of a network are; the CPU for what has none."""
    if isinstance(core, nn.Module):
        for parameter in core.parameters():
            return parameter.device
    return torch.device("cpu")


def to_numpy(found: Tensor) -> NDArray[np.float32]:
    """What a network gave as an array that owns its memory."""
    return np.asarray(found.detach().float().cpu().numpy())
