"""Methods that have a network: a detector that is a torch module, with its state in numpy for the run folder."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from oddframe.detector import Detector


class NetworkDetector(Detector, nn.Module):
    """A detector whose learned state is that of a torch module: parameters, buffers and extra state.

    Buffers whose shape is only known after fitting are registered empty. `get_extra_state` gives plain values only.
    `fit` and `load_state` leave the module in eval mode.
    """

    def core(self) -> nn.Module | None:
        """The network, for export and drawing; None where there is none yet."""
        return self

    def to_device(self, device: str) -> Self:
        """The same detector, its network on a torch device."""
        return self.to(device)

    def state(self) -> dict[str, NDArray[Any]]:
        return {
            name: value.detach().cpu().numpy()
            for name, value in self.state_dict().items()
            if isinstance(value, Tensor)
        }

    def metadata(self) -> dict[str, Any]:
        return {
            name: value
            for name, value in self.state_dict().items()
            if not isinstance(value, Tensor)
        }

    def load_state(
        self, arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, Any] | None = None
    ) -> None:
        tensors = {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
        load_module_state(self, {**tensors, **(metadata or {})})
        self.eval()


def load_module_state(module: nn.Module, state: dict[str, Any]) -> None:
    """Load a state dict, giving buffers registered empty the shape that was saved.

    Raises ValueError, one line, where it does not fit.
    """
    for name, buffer in list(module.named_buffers()):
        if buffer.numel() == 0 and isinstance(state.get(name), Tensor):
            parent, _, leaf = name.rpartition(".")
            setattr(module.get_submodule(parent), leaf, torch.empty_like(state[name]))
    try:
        module.load_state_dict(state)
    except (RuntimeError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(" ".join(str(error).split())[:300]) from error
