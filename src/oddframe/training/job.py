"""All that one training is given, what makes it this training and no other, and what its network
computes in.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol
from zlib import crc32

from torch import Tensor, nn
from torch.utils.data import Dataset

from oddframe.cache import key
from oddframe.errors import BadInput
from oddframe.run import Run, launched_by_torchrun
from oddframe.training.batches import batches_from
from oddframe.training.checkpoints import read_checkpoint
from oddframe.training.config import Training
from oddframe.training.precision import (
    Dtype,
    PrecisionChoice,
    SmallConvolutionsInFloat32,
    autocast,
    choose_precision,
)

Scalars = Mapping[str, Any]  # by name; "loss" is what is descended
REMEDY = "--no-resume begins anew"
MAY_CHANGE = {"workers", "resume_every", "checkpoint_every", "logger", "epochs"}  # when resumed


class Backward(Protocol):
    """Pushes a gradient back from a tensor. A step may call it several times; the gradients are
    summed.
    """

    def __call__(self, tensor: Tensor, gradient: Tensor | None = None) -> None: ...


class Step(Protocol):
    """Computes the losses of a batch, pushes their gradients back, and returns the losses."""

    def __call__(self, module: nn.Module, batch: Any, backward: Backward, /) -> Scalars: ...


@dataclass(frozen=True)
class Job:
    """All that a process of a training has to know."""

    module: nn.Module
    data: Dataset[Any]
    step: Step
    run: Run
    training: Training
    name: str
    collate: Callable[[list[Any]], Any] | None = None
    validate: Callable[[nn.Module], float] | None = None
    identity: dict[str, str] = field(default_factory=dict)  # of `identity_of`
    choice: PrecisionChoice | None = None

    @property
    def items(self) -> int:
        """Items of the data in an epoch."""
        return len(self.data)  # type: ignore[arg-type]

    @property
    def epoch_steps(self) -> int:
        """Steps in an epoch."""
        return self.items // (self.training.batch * self.training.accumulate)

    @property
    def steps(self) -> int:
        """Steps of the whole training."""
        return self.epoch_steps * self.training.epochs

    @property
    def checkpoint(self) -> Path:
        """The file that an interrupted training is resumed from."""
        return self.run.folder / "checkpoints" / f"{self.name}.pt"

    @property
    def best(self) -> Path:
        """The weights of the best epoch so far."""
        return self.run.folder / "checkpoints" / f"{self.name}-best.pt"

    def kept(self, epoch: int) -> Path:
        """The weights after an epoch, which stay when the training has ended."""
        return self.run.folder / "epochs" / f"{self.name}-{epoch:04d}.pt"

    def batches(self, step: int, *, rank: int = 0, world: int = 1) -> Iterator[Any]:
        """The batches of one of `world` processes from a step on."""
        return batches_from(
            step,
            self.data,
            self.training,
            self.epoch_steps,
            rank=rank,
            world=world,
            collate=self.collate,
        )


def identity_of(job: Job) -> dict[str, str]:
    """What must be the same for a checkpoint to be resumed, in words that can be shown.

    Options, seed, the data by content, the architecture, and the weights that training begins with.
    Raises TypeError for data without a `fingerprint`: a checkpoint could then be resumed on other
    data.
    """
    training = asdict(job.training)
    facts: dict[str, Any] = {}
    for name, value in training.items():
        if name not in MAY_CHANGE:
            facts[name] = value
    if job.training.schedule == "cosine":  # the only schedule that depends on where it ends
        facts["epochs"] = job.training.epochs
    facts["seed"] = job.run.seed
    facts["clips in an epoch"] = job.items
    fingerprint = getattr(job.data, "fingerprint", None)
    if fingerprint is None:
        kind = type(job.data).__name__
        raise TypeError(f"training data has a `fingerprint()` of its content; a {kind} has none")
    facts["data"] = fingerprint()
    state = job.module.state_dict()
    tensors: dict[str, Tensor] = {}
    for name, value in state.items():
        if isinstance(value, Tensor):
            tensors[name] = value
    facts["architecture"] = architecture(tensors)
    facts["first weights"] = key(tensors)
    return {name: str(value) for name, value in facts.items()}


def architecture(tensors: Mapping[str, Tensor]) -> str:
    """A short name for the shapes of a network's tensors."""
    shapes = []
    for name in sorted(tensors):
        shapes.append((name, tuple(tensors[name].shape)))
    return f"{len(shapes)} tensors, {crc32(repr(shapes).encode()):08x}"


def refuse_empty(job: Job) -> None:
    """Raise BadInput when the data do not fill one step."""
    if job.epoch_steps:
        return
    training = job.training
    options = "--batch"
    if training.accumulate > 1:
        options += " or --accumulate"
    needed = training.batch * training.accumulate
    raise BadInput(
        f"an epoch has {job.items} clips, fewer than the {needed} of a step; lower {options}"
    )


def decide_precision(job: Job) -> PrecisionChoice:
    """What a training computes in: that of the checkpoint that it is resumed from, or chosen now.

    The processes of torchrun are not tried, for each might come to another choice.
    """
    asked = job.training.precision
    if launched_by_torchrun():
        return choose_precision(asked, job.run.device)
    if asked == "auto" and job.checkpoint.is_file():
        before = read_checkpoint(job.checkpoint, REMEDY).get("precision")
        if isinstance(before, dict) and before.get("precision") in ("bf16", "float32"):
            return PrecisionChoice(before["precision"], str(before.get("reason")))
    return choose_precision(asked, job.run.device, StepTrial(job))


class StepTrial:
    """One step of a training on a copy of its network, in a precision; nothing that it does is
    kept.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.module: nn.Module | None = None
        self.batch: Any = None

    def __call__(self, precision: Dtype) -> None:
        """Forward and backward of the first batch."""
        from copy import deepcopy

        if self.module is None:
            self.module = deepcopy(self.job.module).train()
            self.batch = next(self.job.batches(0))
        self.module.zero_grad()
        with autocast("cpu", precision), SmallConvolutionsInFloat32():
            self.job.step(self.module, self.batch, push_back)


def push_back(tensor: Tensor, gradient: Tensor | None = None) -> None:
    """The backward pass without an accelerator's help."""
    tensor.backward(gradient)  # type: ignore[no-untyped-call]
