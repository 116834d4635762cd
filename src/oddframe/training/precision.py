"""bfloat16 or float32, chosen once for a network on a device, and the layout that convolutions
prefer.

bfloat16 halves memory and is fast where the hardware has it. Where a processor lacks it, it is
emulated: on an AMD Zen 3 one 3-D convolution took 475 times as long as in float32. So `auto` looks
at the device, and on a CPU tries.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from functools import cache
from time import perf_counter
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

Dtype = Literal["bf16", "float32"]
Precision = Literal["auto", "bf16", "float32"]
Trial = Callable[[Dtype], None]  # runs one piece of the work in a precision

LEAST_SPEED_RATIO = 1.2  # how many times as fast bfloat16 must be in a trial on a CPU
ROUNDS = 2  # timed runs in each precision; the quickest counts
CPU_FLAGS = ("avx512_bf16", "amx_bf16", "avx10_2", "bf16", "sve_bf16")  # native bfloat16


@dataclass(frozen=True)
class Support:
    """Whether a device computes in bfloat16 natively, and how that is known."""

    native: bool
    reason: str


@dataclass(frozen=True)
class PrecisionChoice:
    """What a network computes in, and why."""

    precision: Dtype
    reason: str

    def as_dict(self) -> dict[str, str]:
        """Both as plain values, for run.json."""
        return asdict(self)

    def note(self, notes: dict[str, object], name: str) -> None:
        """Write the choice of one network into the notes of a run."""
        noted = notes.setdefault("precision", {})
        if isinstance(noted, dict):
            noted[name] = self.as_dict()


def choose_precision(
    asked: Precision,
    device: torch.device | str,
    trial: Trial | None = None,
    *,
    support: Support | None = None,
) -> PrecisionChoice:
    """What a network computes in on a device.

    Args:
        asked: `bf16` and `float32` are obeyed; `auto` is decided here.
        device: Where the network runs.
        trial: Runs a piece of the work in a precision, to be timed on a CPU; without one, `auto` is
            float32 there.
        support: What the device can do; looked up unless given.
    """
    if asked != "auto":
        return PrecisionChoice(asked, "as asked for")
    support = support or bf16_support(device)
    if not support.native:
        return PrecisionChoice("float32", support.reason)
    if torch.device(device).type != "cpu":
        return PrecisionChoice("bf16", support.reason)
    if trial is None:
        return PrecisionChoice("float32", "bfloat16 was not tried against float32")
    ratio = speed_ratio(trial)
    reason = f"bfloat16 was {ratio:.2f} times as fast as float32 in a trial of this network"
    if ratio >= LEAST_SPEED_RATIO:
        return PrecisionChoice("bf16", reason)
    return PrecisionChoice("float32", f"{reason}; less than {LEAST_SPEED_RATIO}")


@cache
def bf16_support(device: torch.device | str) -> Support:
    """Whether a device has bfloat16 in hardware."""
    kind = torch.device(device).type
    if kind == "cuda":
        name = torch.cuda.get_device_name(device)
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return Support(True, f"{name} has bfloat16")
        return Support(False, f"{name} has no bfloat16")
    if kind == "xpu":
        return Support(torch.xpu.is_bf16_supported(), "as the driver of the device says")
    if kind != "cpu":
        return Support(False, f"bfloat16 has not been tried on {kind}")
    return cpu_support(torch.cpu.get_capabilities(), onednn_bf16())


def cpu_support(capabilities: Any, onednn: bool) -> Support:
    """Whether a processor has bfloat16, from its flags by name and from whether oneDNN uses it."""
    for flag in CPU_FLAGS:
        if not capabilities.get(flag):
            continue
        found = f"this processor has {flag}"
        if onednn:
            return Support(True, found)
        return Support(False, f"{found}, but oneDNN does not use it")
    return Support(False, "this processor has no bfloat16 instructions")


def onednn_bf16() -> bool:
    """Whether torch's oneDNN computes in bfloat16 on this processor."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def speed_ratio(trial: Trial) -> float:
    """How many times as fast a trial is in bfloat16 as in float32. torch's random state is left as
    it was.
    """
    with torch.random.fork_rng(devices=[]):
        plain = quickest(trial, "float32")
        half = quickest(trial, "bf16")
    return plain / max(half, 1e-9)


def quickest(trial: Trial, precision: Dtype) -> float:
    """Seconds of the quickest of some runs."""
    trial(precision)  # the first run also sets up what later ones use again
    rounds = [timed(trial, precision) for _ in range(ROUNDS)]
    return min(rounds)


def timed(trial: Trial, precision: Dtype) -> float:
    """Seconds of one run."""
    began = perf_counter()
    trial(precision)
    return perf_counter() - began


def autocast(device: torch.device | str, precision: Dtype) -> AbstractContextManager[Any]:
    """A block in which matrix products and convolutions run in bfloat16, or as they are."""
    if precision == "float32":
        return nullcontext()
    if precision != "bf16":
        raise ValueError(f"networks compute in bf16 or float32, got {precision!r}")
    return torch.autocast(torch.device(device).type, torch.bfloat16)


def channels_last(module: nn.Module) -> None:
    """Lay weights of convolutions out channels-last, in place. Values do not change.

    One weight at a time: `module.to(memory_format=…)` raises for networks that mix 2-D and 3-D
    convolutions.
    """
    layouts = {4: torch.channels_last, 5: torch.channels_last_3d}
    for parameter in module.parameters():
        if parameter.ndim in layouts:
            parameter.data = parameter.data.contiguous(memory_format=layouts[parameter.ndim])


class SmallConvolutionsInFloat32(TorchFunctionMode):
    """A block in which convolutions whose kernel is larger than their input run in float32 on a
    CPU.

    In torch 2.14.1 oneDNN's gradient of their weights reads beyond its memory in bfloat16: it
    differed from call to call, up to NaN, and has crashed. Such inputs are small, so nothing is
    lost by it.
    """

    CONVOLUTIONS: ClassVar[dict[Any, int]] = {  # by the number of sides that a kernel has
        torch.conv2d: 2,
        torch.conv3d: 3,
        torch.conv_transpose2d: 2,
        torch.conv_transpose3d: 3,
    }

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        sides = self.CONVOLUTIONS.get(func)
        if sides is None or not self.concerns(args[0], args[1], sides):
            return func(*args, **kwargs)
        exact = []
        for part in args:
            exact.append(part.float() if isinstance(part, Tensor) else part)
        with torch.autocast("cpu", enabled=False):
            return func(*exact, **kwargs)

    @staticmethod
    def concerns(given: Tensor, kernel: Tensor, sides: int) -> bool:
        """Whether a convolution would run in bfloat16 on a CPU with a kernel larger than its input."""
        if given.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
            return False
        pairs = zip(given.shape[-sides:], kernel.shape[-sides:], strict=True)
        return any(side < width for side, width in pairs)
