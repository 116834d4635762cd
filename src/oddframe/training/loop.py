"""The loop of a training in one process: its steps, its epochs, and the checkpoints it goes on from.

What step s does depends on the weights before it, the seed and s alone: items are drawn by their
number, and torch's random state is set anew for every step.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any
from zlib import crc32

import numpy as np
import torch
from torch import Tensor, nn

from oddframe.errors import BadInput
from oddframe.files import aside
from oddframe.progress import Tick, logger, progress
from oddframe.training.checkpoints import read_checkpoint
from oddframe.training.config import Training, rate_at
from oddframe.training.job import REMEDY, Job, Scalars
from oddframe.training.logs import Log
from oddframe.training.precision import SmallConvolutionsInFloat32
from oddframe.video.prefetch import prefetch

EpochRow = dict[str, float]  # what an epoch came to
OUT_OF_MEMORY_WORDS = (  # what libraries say
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "failed to allocate",
)


@dataclass
class TrainingState:
    """Where a training is; with weights and optimizer, all of it."""

    step: int = 0
    rows: list[EpochRow] = field(default_factory=list)
    sums: dict[str, float] = field(default_factory=dict)  # of this epoch's steps so far
    seconds: float = 0.0
    best: float = math.inf


def run_loop(fabric: Any, job: Job) -> list[EpochRow]:
    """Train in one process of perhaps several; gives the rows of the epochs."""
    module, optimizer = fabric.setup(
        job.module.to(fabric.device), optimizer_of(job.module, job.training)
    )
    loop = Loop(fabric, job, module, optimizer)
    loop.resume()
    state = loop.state
    if state.step >= job.steps:
        return state.rows
    module.train()
    log = Log(
        job.run.folder / "logs",
        job.name,
        steps=job.steps,
        step=state.step,
        writes=fabric.is_global_zero,
        logger=job.training.logger,
    )
    with log, progress(job.name, job.steps, "steps") as tick:
        tick(state.step)
        own = job.batches(state.step, rank=fabric.global_rank, world=fabric.world_size)
        on_device = (fabric.to_device(batch) for batch in own)
        batches: Any = prefetch(on_device, depth=2)
        try:
            while state.step < job.steps:
                loop.one_step(batches, log, tick)
                epoch_ends = state.step % job.epoch_steps == 0
                if epoch_ends:
                    loop.end_epoch(log)
                if epoch_ends or state.step % job.training.resume_every == 0:
                    loop.save()
        finally:
            batches.close()
    return state.rows


class Loop:
    """The steps of a training in one process."""

    def __init__(self, fabric: Any, job: Job, module: Any, optimizer: Any) -> None:
        self.fabric = fabric
        self.job = job
        self.module = module  # as the accelerator wraps it
        self.optimizer = optimizer
        self.state = TrainingState()

    def learning_rate(self, step: int) -> float:
        """The learning rate of a step."""
        job = self.job
        criteria = [row["criterion"] for row in self.state.rows]
        return rate_at(job.training, step, job.epoch_steps, criteria)

    def one_step(self, batches: Iterator[Any], log: Log, tick: Tick) -> None:
        """Descend once, over as many batches as are accumulated."""
        began = perf_counter()
        state = self.state
        training = self.job.training
        lr = self.learning_rate(state.step)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.zero_grad()
        means: dict[str, float] = {}
        for part in range(training.accumulate):
            batch = next(batches)
            losses = self.losses_of(batch, part)
            for name, value in losses.items():
                share = float(value) / training.accumulate
                means[name] = means.get(name, 0.0) + share
            if not math.isfinite(means["loss"]):
                raise BadInput(self.diverged(means["loss"], batch))
        if training.grad_clip:
            self.fabric.clip_gradients(
                self.module,
                self.optimizer,
                max_norm=training.grad_clip,
                error_if_nonfinite=False,
            )
        self.optimizer.step()
        state.step += 1
        for name, mean in means.items():
            state.sums[name] = state.sums.get(name, 0.0) + mean
        state.seconds += perf_counter() - began
        log.step(state.step, means, lr)
        tick(1, note=f"loss {means['loss']:.4g}, lr {lr:.2g}")

    def losses_of(self, batch: Any, part: int) -> Scalars:
        """The losses of one batch, their gradient pushed back. Raises BadInput for too little
        memory.
        """
        job = self.job
        set_random_state(
            job.run.seed, crc32(job.name.encode()), self.state.step, part, self.fabric.global_rank
        )
        try:
            with self.fabric.autocast(), SmallConvolutionsInFloat32():
                return job.step(self.module, batch, self.push)
        except RuntimeError as error:
            text = str(error).lower()
            if any(sign in text for sign in OUT_OF_MEMORY_WORDS):
                raise BadInput(too_little_memory(job.training)) from error
            raise

    def push(self, tensor: Tensor, gradient: Tensor | None = None) -> None:
        """A batch's share of the gradient."""
        accumulate = self.job.training.accumulate
        if gradient is None:
            self.fabric.backward(tensor / accumulate)
        else:
            self.fabric.backward(tensor, gradient / accumulate)

    def end_epoch(self, log: Log) -> None:
        """Write the row of an epoch, and the weights where it is the best or its turn."""
        job = self.job
        state = self.state
        means = {name: total / job.epoch_steps for name, total in state.sums.items()}
        if self.fabric.world_size > 1:
            for name, mean in means.items():
                means[name] = float(self.fabric.all_reduce(torch.tensor(mean)))
        if job.validate is not None:
            means["held_out"] = self.validated(job.validate)
        criterion = means.get("held_out", means["loss"])
        row = {
            "epoch": float(len(state.rows) + 1),
            "step": float(state.step),
        }
        row |= means
        row["criterion"] = criterion
        row["lr"] = self.learning_rate(state.step - 1)
        row["seconds"] = state.seconds
        state.rows.append(row)
        state.sums = {}
        state.seconds = 0.0
        log.epoch(state.rows)
        if self.fabric.is_global_zero:
            logger.info(epoch_line(job, row))
            self.keep_weights(criterion)

    def validated(self, validate: Callable[[nn.Module], float]) -> float:
        """The criterion of the network as it is."""
        self.module.eval()
        with torch.no_grad():
            criterion = float(validate(self.job.module))
        self.module.train()
        return criterion

    def keep_weights(self, criterion: float) -> None:
        """Write the weights of an epoch that is the best so far, or that stays by
        --checkpoint-every.
        """
        training = self.job.training
        epoch = len(self.state.rows)
        if criterion < self.state.best or not self.job.best.is_file():
            self.state.best = criterion
            if training.keep == "best":
                self.write({}, self.job.best)
        if training.checkpoint_every and epoch % training.checkpoint_every == 0:
            self.write({}, self.job.kept(epoch))

    def save(self) -> None:
        """Write all that a resumed training needs."""
        job = self.job
        if self.fabric.is_global_zero:
            rest = {
                "identity": job.identity,
                "precision": job.choice.as_dict() if job.choice else {},
                "optimizer": self.optimizer.state_dict(),
                "state": asdict(self.state),
            }
            self.write(rest, job.checkpoint)
        self.fabric.barrier()

    def write(self, rest: dict[str, Any], path: Path) -> None:
        """Write the weights and the rest. A checkpoint must be good: of broken weights none is
        written.
        """
        weights = self.job.module.state_dict()
        for value in weights.values():
            if isinstance(value, Tensor) and not is_finite(value):
                raise BadInput(self.diverged(math.nan, None))
        with aside(path) as part:
            torch.save({"module": weights, **rest}, part)

    def resume(self) -> None:
        """Go on from the checkpoint, where there is one of this very training. Raises BadInput."""
        job = self.job
        saved: Any = None
        if self.fabric.is_global_zero and job.checkpoint.is_file():
            saved = read_checkpoint(job.checkpoint, REMEDY)
        saved = self.fabric.broadcast(saved)
        if saved is None:
            return
        refuse_other(saved, job)
        job.module.load_state_dict(saved["module"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.state = TrainingState(**saved["state"])
        step = self.state.step
        if 0 < step < job.steps and self.fabric.is_global_zero:
            logger.info(f"{job.name}: going on after step {step} of {job.steps}; {REMEDY}")

    def diverged(self, loss: float, batch: Any) -> str:
        """What to say of a loss that is no number."""
        job = self.job
        kept = "no checkpoint yet"
        if job.checkpoint.is_file():
            kept = f"the checkpoint of before is kept ({job.checkpoint})"
        where = f"step {self.state.step + 1} of {job.steps}"
        if not all(is_finite(part) for part in tensors_in(batch)):
            return f"{where}: a batch holds pixels that are no numbers; {kept}"
        return (
            f"the loss is no number any more at {where} ({loss}); {kept}; "
            "a lower --lr or --grad-clip 1 would help"
        )


def refuse_other(saved: Mapping[str, Any], job: Job) -> None:
    """Raise BadInput for a checkpoint that is not of this very training."""
    before = saved.get("identity")
    whole = {"module", "optimizer", "state"} <= saved.keys()
    if not isinstance(before, dict) or not whole:
        raise BadInput(f"{job.checkpoint} is no checkpoint of a training; {REMEDY}")
    differ = []
    for name, now in job.identity.items():
        if before.get(name) != now:
            differ.append(f"{name} {before.get(name)}, now {now}")
    if differ:
        raise BadInput(
            f"{job.checkpoint} is of another training ({'; '.join(differ[:3])}); {REMEDY}"
        )


def epoch_line(job: Job, row: Mapping[str, float]) -> str:
    """What an epoch came to, for somebody who reads a log."""
    epoch = f"epoch {row['epoch']:.0f} of {job.training.epochs}"
    parts = [epoch, f"loss {row['loss']:.4g}"]
    if "held_out" in row:
        parts.append(f"held out {row['held_out']:.4g}")
    parts.append(f"{row['seconds']:.1f} s")
    return f"{job.name}: {', '.join(parts)}"


def optimizer_of(module: nn.Module, training: Training) -> torch.optim.Optimizer:
    """The optimizer that the options name, over all parameters that learn."""
    parameters = [part for part in module.parameters() if part.requires_grad]
    if training.optimizer == "sgd":
        return torch.optim.SGD(
            parameters,
            training.lr,
            training.momentum,
            weight_decay=training.weight_decay,
            nesterov=training.nesterov and training.momentum > 0,
        )
    kind = torch.optim.Adam if training.optimizer == "adam" else torch.optim.AdamW
    return kind(parameters, training.lr, weight_decay=training.weight_decay)


def set_random_state(*words: int) -> None:
    """Set torch's random state to one that depends on the words alone."""
    sequence = np.random.SeedSequence(list(words))
    (seed,) = sequence.generate_state(1).tolist()
    torch.manual_seed(seed)


def too_little_memory(training: Training) -> str:
    """What to say of a batch that does not fit."""
    more = "" if training.precision == "bf16" else " or --precision bf16"
    return (
        f"out of memory with batches of {training.batch} clips; "
        f"lower --batch (and raise --accumulate as much), smaller pictures{more} need less"
    )


def tensors_in(batch: Any) -> Iterator[Tensor]:
    """All tensors of a batch, however nested."""
    if isinstance(batch, Tensor):
        yield batch
    elif isinstance(batch, Mapping):
        for part in batch.values():
            yield from tensors_in(part)
    elif isinstance(batch, list | tuple):
        for part in batch:
            yield from tensors_in(part)


def is_finite(tensor: Tensor) -> bool:
    """Whether a tensor holds numbers only."""
    return not tensor.is_floating_point() or bool(torch.isfinite(tensor).all())
