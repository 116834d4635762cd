"""Half the bits and the layout that convolutions like: what makes networks fast, on a CPU too."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

Dtype = Literal["bf16", "float32"]
Precision = Dtype


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


class SmallInSingle(TorchFunctionMode):
    """A block in which convolutions whose kernel is larger than their input run in single precision on a CPU.

    In torch 2.14.1 oneDNN's gradient of their weights reads beyond its memory in bfloat16: it differed from call to
    call, up to NaN, and has crashed. Such inputs are small, so nothing is lost by it.
    """

    CONVOLUTIONS: ClassVar[dict[Any, int]] = {  # by the number of sides that a kernel has
        torch.conv2d: 2,
        torch.conv3d: 3,
        torch.conv_transpose2d: 2,
        torch.conv_transpose3d: 3,
    }

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if (
            (sides := self.CONVOLUTIONS.get(func))
            and torch.is_autocast_enabled("cpu")
            and args[0].device.type == "cpu"
        ):
            given, kernel = args[:2]
            if any(
                side < width
                for side, width in zip(given.shape[-sides:], kernel.shape[-sides:], strict=True)
            ):
                with torch.autocast("cpu", enabled=False):
                    return func(
                        *(part.float() if isinstance(part, Tensor) else part for part in args),
                        **kwargs,
                    )
        return func(*args, **kwargs)
