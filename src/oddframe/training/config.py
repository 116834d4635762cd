"""How a network is trained: the options that every method with a gradient takes, and its schedules."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from oddframe.options import Range, check_ranges
from oddframe.training.precision import Precision

FromOne = Annotated[int, Range(1, 1_000_000)]
FromZero = Annotated[int, Range(0, 1_000_000)]
ENOUGH = 1e-4  # share by which a criterion must fall to count as better, as in torch's scheduler


@dataclass(frozen=True)
class Training:
    """How a network is trained.

    Args:
        epochs: Passes over the training data.
        batch: Clips in a batch, over all devices.
        accumulate: Batches whose gradients are summed to one step.
        optimizer: Stochastic gradient descent with momentum, Adam, or Adam with decoupled decay.
        lr: Learning rate, the highest of its schedule.
        momentum: Momentum, of sgd.
        nesterov: Nesterov's momentum, of sgd.
        weight_decay: Weight decay.
        grad_clip: Largest norm of the gradient, 0 for none.
        warm_up: Epochs in which the learning rate grows linearly from zero.
        warm_up_factors: Instead, what the learning rate is multiplied with in the first epochs, one
            number an epoch.
        schedule: How the learning rate goes on after the warm-up.
        step_every: Epochs from one step of the learning rate to the next, schedule step.
        step_factor: What the learning rate is multiplied with, schedules step and plateau.
        patience: Epochs without improvement before the learning rate falls, schedule plateau.
        cycle_epochs: Epochs of one cosine, schedule restarts.
        precision: bf16 where that is native and, on a CPU, faster in a short trial (auto); mixed
            precision in bfloat16; or single precision throughout.
        workers: Processes that decode; 0 decodes in a thread beside training.
        devices: Devices on each machine.
        nodes: Machines, each started by torchrun.
        keep: Weights after the last epoch, or of the best epoch on normal video, held out where the
            method holds out.
        checkpoint_every: Epochs from one checkpoint that stays to the next; 0 keeps none.
        resume_every: Steps from one checkpoint to go on from to the next; each epoch ends with one
            too.
        logger: What is written besides a table (CSV) of epochs.
    """

    epochs: FromOne = 20
    batch: Annotated[int, Range(1, 100_000)] = 8
    accumulate: Annotated[int, Range(1, 100_000)] = 1
    optimizer: Literal["sgd", "adam", "adamw"] = "adamw"
    lr: Annotated[float, Range(0, 1000, open_low=True)] = 1e-3
    momentum: Annotated[float, Range(0, 1, open_high=True)] = 0.9
    nesterov: bool = True
    weight_decay: Annotated[float, Range(0, 1000)] = 0.0
    grad_clip: Annotated[float, Range(0, 1e9)] = 0.0
    warm_up: Annotated[float, Range(0, 1_000_000)] = 0.0
    warm_up_factors: tuple[Annotated[float, Range(0, 1, open_low=True)], ...] = ()
    schedule: Literal["constant", "step", "plateau", "cosine", "restarts"] = "constant"
    step_every: FromOne = 10
    step_factor: Annotated[float, Range(0, 1, open_low=True)] = 0.1
    patience: FromZero = 5
    cycle_epochs: FromOne = 10
    precision: Precision = "auto"
    workers: Annotated[int, Range(0, 1024)] = 0
    devices: Annotated[int, Range(1, 1024)] = 1
    nodes: Annotated[int, Range(1, 4096)] = 1
    keep: Literal["last", "best"] = "last"
    checkpoint_every: FromZero = 0
    resume_every: FromOne = 200
    logger: Literal["tensorboard", "csv", "wandb"] = "tensorboard"

    def __post_init__(self) -> None:
        check_ranges(type(self), vars(self))
        if self.warm_up and self.warm_up_factors:
            raise ValueError("a warm-up is linear (warm_up) or by warm_up_factors, not both")
        if self.batch % self.processes:
            raise ValueError(
                f"a batch of {self.batch} cannot be shared by {self.processes} devices equally"
            )

    @property
    def warm_up_epochs(self) -> float:
        """Epochs before the schedule begins."""
        return len(self.warm_up_factors) or self.warm_up

    @property
    def processes(self) -> int:
        """Devices on all machines, each with a process of its own."""
        return self.devices * self.nodes


def rate_at(training: Training, step: int, epoch_steps: int, criteria: Sequence[float]) -> float:
    """The learning rate of a step, given the criterion (lower is better) of each epoch before.

    A function of what is in the checkpoint, so that a resumed training needs no scheduler state.
    Cosine with restarts is Loshchilov & Hutter (ICLR 2017), equation 5, cycles of one length.
    """
    t = training
    warm_steps = t.warm_up_epochs * epoch_steps
    if step < warm_steps:
        rate = t.lr * (step + 1) / warm_steps
        if t.warm_up_factors:
            rate = t.lr * t.warm_up_factors[step // epoch_steps]
        return rate
    epoch = (step - warm_steps) / epoch_steps  # since the warm-up
    if t.schedule == "step":
        return float(t.lr * t.step_factor ** (epoch // t.step_every))
    if t.schedule == "plateau":
        return float(t.lr * t.step_factor ** plateaus(criteria, t.patience))
    if t.schedule == "cosine":
        whole = max(t.epochs - t.warm_up_epochs, 1e-9)
        return cosine_between(t.lr, math.pi * epoch / whole)
    if t.schedule == "restarts":
        in_cycle = epoch % t.cycle_epochs
        return cosine_between(t.lr, math.pi * in_cycle / t.cycle_epochs)
    return t.lr


def cosine_between(highest: float, angle: float) -> float:
    """A rate that falls from the highest at angle 0 to nought at π."""
    return highest * (1 + math.cos(angle)) / 2


def plateaus(criteria: Sequence[float], patience: int) -> int:
    """How often a criterion went without a better value, by 0.01 %, for more than `patience`
    epochs.

    >>> plateaus([3.0, 2.0, 2.5, 2.1, 1.0], patience=1)
    1
    """
    best = math.inf
    waited = 0
    count = 0
    for value in criteria:
        if value < best * (1 - ENOUGH):
            best = value
            waited = 0
        else:
            waited += 1
        if waited > patience:
            count += 1
            waited = 0
    return count
