"""How a network is trained: the one set of options that every method with a gradient takes, and its schedules."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from oddframe.training.precision import Precision


@dataclass(frozen=True)
class Training:
    """How a network is trained.

    Args:
        epochs: Times that training turns to the data.
        batch: Clips in a batch, over all devices.
        accumulate: Batches whose gradients are summed to one step: a larger batch in the memory of a small one.
        optimizer: Stochastic gradient descent with momentum, Adam, or Adam with decoupled weight decay.
        lr: Learning rate, the highest of its schedule.
        momentum: Of sgd.
        nesterov: Nesterov's momentum, of sgd.
        weight_decay: Weight decay.
        grad_clip: Largest norm of the gradient, 0 for none.
        warm_up: Epochs in which the rate grows from nothing.
        schedule: How the rate goes on after warming up.
        step_every: Epochs from one step of the rate to the next, schedule step.
        step_factor: What the rate is multiplied with, schedules step and plateau.
        patience: Epochs without improvement before the rate falls, schedule plateau.
        cycle_epochs: Epochs of one cosine, schedule restarts.
        precision: Mixed precision in bfloat16, or single precision throughout.
        workers: Processes that decode; 0 decodes in a thread beside training.
        devices: Devices on each machine.
        nodes: Machines, each started by torchrun.
        keep: Weights after the last epoch, or of the epoch best on normal video, held out where the method holds out.
        checkpoint_every: Steps from one checkpoint to the next; each epoch ends with one too.
    """

    epochs: int = 20
    batch: int = 8
    accumulate: int = 1
    optimizer: Literal["sgd", "adam", "adamw"] = "adamw"
    lr: float = 1e-3
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 0.0
    grad_clip: float = 0.0
    warm_up: float = 0.0
    schedule: Literal["constant", "step", "plateau", "cosine", "restarts"] = "constant"
    step_every: int = 10
    step_factor: float = 0.1
    patience: int = 5
    cycle_epochs: int = 10
    precision: Precision = "bf16"
    workers: int = 0
    devices: int = 1
    nodes: int = 1
    keep: Literal["last", "best"] = "last"
    checkpoint_every: int = 200

    def __post_init__(self) -> None:
        ones = (
            "epochs",
            "batch",
            "accumulate",
            "step_every",
            "cycle_epochs",
            "devices",
            "nodes",
            "checkpoint_every",
        )
        for name in ones:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is 1 or more, got {getattr(self, name)}")
        for name in ("momentum", "weight_decay", "grad_clip", "warm_up", "patience", "workers"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} is 0 or more, got {getattr(self, name)}")
        if not 0 < self.lr < math.inf:
            raise ValueError(f"a learning rate is above 0, got {self.lr}")
        if not 0 < self.step_factor <= 1:
            raise ValueError(f"step_factor is above 0 and at most 1, got {self.step_factor}")
        if self.batch % (self.devices * self.nodes):
            raise ValueError(
                f"a batch of {self.batch} cannot be shared by {self.devices * self.nodes} devices equally"
            )


def rate_at(training: Training, step: int, epoch_steps: int, criteria: Sequence[float]) -> float:
    """The learning rate of a step, given the criterion (lower is better) of each epoch before.

    A function of what is in the checkpoint, so that going on after an interruption needs no state of a scheduler.
    Cosine with restarts is Loshchilov & Hutter (ICLR 2017), equation 5, with cycles of one length.
    """
    t = training
    warm = t.warm_up * epoch_steps
    if step < warm:
        return t.lr * (step + 1) / warm
    epoch = (step - warm) / epoch_steps  # since warming up
    if t.schedule == "step":
        return float(t.lr * t.step_factor ** (epoch // t.step_every))
    if t.schedule == "plateau":
        return float(t.lr * t.step_factor ** _plateaus(criteria, t.patience))
    if t.schedule == "cosine":
        return t.lr * (1 + math.cos(math.pi * epoch / max(t.epochs - t.warm_up, 1e-9))) / 2
    if t.schedule == "restarts":
        return t.lr * (1 + math.cos(math.pi * (epoch % t.cycle_epochs) / t.cycle_epochs)) / 2
    return t.lr


def _plateaus(criteria: Sequence[float], patience: int) -> int:
    """How often a criterion has stayed for more than `patience` epochs without a better value by 0.01 %."""
    best, waited, count = math.inf, 0, 0
    for value in criteria:
        if value < best * (1 - 1e-4):
            best, waited = value, 0
        else:
            waited += 1
        if waited > patience:
            count, waited = count + 1, 0
    return count
