"""Methods that have a network: a detector that is a torch module, with its state in numpy for the
run folder.
"""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, is_tensor, nn

from oddframe.detector import Detector
from oddframe.run import Run
from oddframe.training.inference import Core, forward_trial
from oddframe.training.precision import (
    Dtype,
    Precision,
    PrecisionChoice,
    bf16_support,
    choose_precision,
)


class NetworkDetector(Detector, nn.Module):
    """A detector whose learned state is that of a torch module: parameters, buffers and extra
    state.

    Buffers whose shape is only known after fitting are registered empty. `get_extra_state` gives
    plain values only. `fit` and `load_state` leave the module in eval mode.

    What the network computes in when it scores is chosen once, in fit (`use_precision`), and is
    part of the state: the same run gives the same scores everywhere. Only where bfloat16 would have
    to be emulated it computes in float32, unless bf16 was asked for.
    """

    bf16: Tensor  # () bool

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("bf16", torch.tensor(self.asked_precision == "bf16"))

    @property
    def asked_precision(self) -> Precision:
        """The precision among the options of the training."""
        training = self.options.get("training") or {}
        asked: Precision = training.get("precision", "auto")
        return asked

    @property
    def precision(self) -> Dtype:
        """What the network computes in when it scores, on the device where it is."""
        if not bool(self.bf16):
            return "float32"
        emulated = not bf16_support(str(self.bf16.device)).native
        if emulated and self.asked_precision == "auto":
            return "float32"
        return "bf16"

    def use_precision(self, choice: PrecisionChoice) -> None:
        """Compute in what was chosen, from now on."""
        self.bf16.fill_(choice.precision == "bf16")

    def choose_precision(self, core: Core, row: Tensor, run: Run) -> None:
        """Choose for a network that is not trained here; `row` (1, …) is what it is tried on."""
        choice = choose_precision(self.asked_precision, run.device, forward_trial(core, row))
        choice.note(run.notes, self.name)
        self.use_precision(choice)

    def core(self) -> nn.Module | None:
        """The network, for export and drawing; None where there is none yet."""
        return self

    def to_device(self, device: str) -> Self:
        """The same detector, its network on a torch device."""
        return self.to(device)

    def state(self) -> dict[str, NDArray[Any]]:
        arrays: dict[str, NDArray[Any]] = {}
        for name, value in self.state_dict().items():
            if isinstance(value, Tensor):
                arrays[name] = value.detach().cpu().numpy()
        return arrays

    def metadata(self) -> dict[str, Any]:
        plain: dict[str, Any] = {}
        for name, value in self.state_dict().items():
            if not isinstance(value, Tensor):
                plain[name] = value
        return plain

    def load_state(
        self, arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, Any] | None = None
    ) -> None:
        state: dict[str, Any] = dict(metadata or {})
        for name, array in arrays.items():
            owned = np.array(array)
            state[name] = torch.from_numpy(owned)
        load_module_state(self, state)
        self.check_learned()
        self.eval()

    def check_learned(self) -> None:
        """Raise ValueError, one line, where what was loaded is nothing that `fit` leaves.

        Names, and the shapes of what is the same before and after fitting, are as they must be.
        """

    @classmethod
    def refuse_size(cls, options: Mapping[str, Any], most: int) -> None:
        with torch.device("meta"):  # shapes without memory
            planned = cls.of(options)
        needed = sum(value.numel() for value in planned.state_dict().values() if is_tensor(value))
        if needed > most:
            raise ValueError(f"its network has {needed:,} numbers, the file holds {most:,}")


def load_module_state(module: nn.Module, state: dict[str, Any]) -> None:
    """Load a state dict, giving buffers registered empty the shape that was saved.

    Raises ValueError, one line, where names, shapes or types do not fit.
    """
    for name, buffer in list(module.named_buffers()):
        saved = state.get(name)
        if buffer.numel() == 0 and isinstance(saved, Tensor):
            parent, _, leaf = name.rpartition(".")
            owner = module.get_submodule(parent)
            setattr(owner, leaf, torch.empty_like(saved))
    try:
        module.load_state_dict(state)
    except (RuntimeError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(" ".join(str(error).split())[:300]) from error
    for name, own in module.state_dict().items():
        if isinstance(own, Tensor) and own.dtype != state[name].dtype:  # else it would be rounded
            raise ValueError(f"{name} is of the type {state[name].dtype}, not {own.dtype}")
