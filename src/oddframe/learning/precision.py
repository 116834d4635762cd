"""Half the bits and the layout that convolutions like: what makes networks fast, on a CPU too."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

import torch
from torch import nn

Precision = Literal["bf16", "float32"]


def autocast(device: torch.device | str, precision: Precision) -> AbstractContextManager[Any]:
    """A block in which matrix products and convolutions run in bfloat16, or as they are."""
    kind = torch.device(device).type
    return torch.autocast(kind, torch.bfloat16) if precision == "bf16" else nullcontext()


def channels_last(module: nn.Module) -> None:
    """Lay weights of convolutions out channels-last, in place. Values do not change.

    One weight at a time: `module.to(memory_format=…)` raises for networks that mix 2-D and 3-D convolutions.
    """
    layouts = {4: torch.channels_last, 5: torch.channels_last_3d}
    for parameter in module.parameters():
        if parameter.ndim in layouts:
            parameter.data = parameter.data.contiguous(memory_format=layouts[parameter.ndim])
