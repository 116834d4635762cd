"""The one gradient loop, on Lightning Fabric: every method that descends a loss calls `train`.

What step s does depends on the weights before it, the seed and s alone: items are drawn by their number, and torch's
random state is set anew for every step. So a training that was killed and goes on from its last checkpoint ends with
the very weights of one that never was (on a CPU, with as many threads).
"""

import logging
import math
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol
from zlib import crc32

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from oddframe.errors import BadInput, missing_package
from oddframe.files import aside
from oddframe.progress import Tick, logger, progress
from oddframe.run import Run, launched_by_torchrun
from oddframe.training.batches import batches_from
from oddframe.training.checkpoints import read_checkpoint
from oddframe.training.config import Training, rate_at
from oddframe.training.logs import Log
from oddframe.training.precision import SmallInSingle
from oddframe.video.prefetch import prefetch

Scalars = Mapping[str, Any]  # by name; "loss" is what is descended
Rows = list[dict[str, float]]
UNTOUCHED = {
    "workers",
    "checkpoint_every",
    "epochs",
}  # options that may change when a training goes on
OUT_OF_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "failed to allocate",
)


class Backward(Protocol):
    """Pushes a gradient back from a tensor. A step may call it several times; the gradients are summed."""

    def __call__(self, tensor: Tensor, gradient: Tensor | None = None) -> None: ...


class Step(Protocol):
    """Computes the losses of a batch, pushes their gradients back, and says what they were."""

    def __call__(self, module: nn.Module, batch: Any, backward: Backward, /) -> Scalars: ...


@dataclass(frozen=True)
class History:
    """What a training was like: one row an epoch with the mean of each scalar, the rate, the criterion, the seconds."""

    rows: Rows

    def column(self, name: str) -> list[float]:
        return [row[name] for row in self.rows]


def by_loss(loss: Callable[[nn.Module, Any], Tensor | Scalars]) -> Step:
    """The step of an ordinary loss: a tensor, or several by name of which "loss" is descended."""
    return partial(_ordinary, loss)


def train(
    module: nn.Module,
    data: Dataset[Any],
    step: Step,
    run: Run,
    training: Training,
    *,
    name: str = "train",
    collate: Callable[[list[Any]], Any] | None = None,
    validate: Callable[[nn.Module], float] | None = None,
    begins_from: str = "",
) -> History:
    """Train a network in place; it is left in eval mode on the run's device.

    Batches are items of `data` in order, whole batches only; `data.set_epoch` is called where there is one, and item i
    must depend on the seed, the epoch and i alone (`video.sampling.RandomClips` does). `validate` is asked after each
    epoch; lower is better. On more devices than one, all of it must be picklable. `begins_from` is the key of the
    first weights, where these are not drawn with the run's seed: only a checkpoint that began from the same is gone
    on from.

    Checkpoints lie in `run.folder/checkpoints`, logs (CSV and TensorBoard) in `run.folder/logs`. A checkpoint of the
    same training that lies there already is gone on from. Raises BadInput for a loss that is no number, for too
    little memory and too little data, and when a checkpoint belongs to another training.
    """
    job = _Job(module, data, step, run, training, name, collate, validate, begins_from)
    if job.epoch_steps < 1:
        raise BadInput(
            f"an epoch has {job.items} clips, fewer than the {training.batch * training.accumulate} of a step; "
            "lower --batch" + (" or --accumulate" if training.accumulate > 1 else "")
        )
    fabric = _fabric(run, training)
    many, launched = fabric.world_size > 1, launched_by_torchrun()
    if (
        many and not launched
    ):  # processes of its own, which end with the training and leave its checkpoint
        rows = fabric.launch(partial(_descend_apart, job=job))
        module.load_state_dict(read_checkpoint(job.checkpoint)["module"])
    else:
        fabric.launch()
        rows = _descend(fabric, job)
    if training.keep == "best":
        best: Any = read_checkpoint(job.best)["module"] if fabric.is_global_zero else None
        module.load_state_dict(fabric.broadcast(best) if many and launched else best)
    module.to(run.device).eval()
    return History(rows)


@dataclass(frozen=True)
class _Job:
    """All that a process of a training has to know."""

    module: nn.Module
    data: Dataset[Any]
    step: Step
    run: Run
    training: Training
    name: str
    collate: Callable[[list[Any]], Any] | None
    validate: Callable[[nn.Module], float] | None
    begins_from: str = ""

    @property
    def items(self) -> int:
        return len(self.data)  # type: ignore[arg-type]

    @property
    def epoch_steps(self) -> int:
        return self.items // (self.training.batch * self.training.accumulate)

    @property
    def steps(self) -> int:
        return self.epoch_steps * self.training.epochs

    @property
    def checkpoint(self) -> Path:
        return self.run.folder / "checkpoints" / f"{self.name}.pt"

    @property
    def best(self) -> Path:
        return self.run.folder / "checkpoints" / f"{self.name}-best.pt"

    def identity(self) -> dict[str, str]:
        """What must be the same for a checkpoint to be gone on from, in words that can be shown."""
        options = {
            key: value for key, value in asdict(self.training).items() if key not in UNTOUCHED
        }
        if self.training.schedule == "cosine":
            options["epochs"] = (
                self.training.epochs
            )  # the only schedule that depends on where it ends
        told = options | {"seed": self.run.seed, "clips in an epoch": self.items}
        told["data"] = getattr(self.data, "fingerprint", lambda: "")()
        told["first weights"] = self.begins_from
        shapes = {
            key: tuple(value.shape)
            for key, value in self.module.state_dict().items()
            if _is_tensor(value)
        }
        told["architecture"] = (
            f"{len(shapes)} tensors, {crc32(repr(sorted(shapes.items())).encode()):08x}"
        )
        return {key: str(value) for key, value in told.items()}


@dataclass
class _State:
    """Where a training is; with weights and optimizer, all of it."""

    step: int = 0
    rows: Rows = field(default_factory=list)
    sums: dict[str, float] = field(default_factory=dict)  # of this epoch's steps so far
    seconds: float = 0.0
    best: float = math.inf


def _descend_apart(fabric: Any, job: _Job) -> Rows:
    """The same in a process that ends with it: gloo's threads must have ended before, or they abort it."""
    rows = _descend(fabric, job, shared=True)
    fabric.barrier()
    torch.distributed.destroy_process_group()
    return rows


def _descend(fabric: Any, job: _Job, shared: bool = False) -> Rows:
    """Train in one process of perhaps several. `shared`: the weights came in memory that all processes see."""
    t, state = job.training, _State()
    if shared:
        job = replace(job, module=deepcopy(job.module))
    module, optimizer = fabric.setup(job.module.to(fabric.device), _optimizer(job.module, t))
    _resume(fabric, job, state, optimizer)
    if state.step >= job.steps:
        return state.rows
    module.train()
    logs = Log(
        job.run.folder / "logs",
        job.name,
        steps=job.steps,
        step=state.step,
        writes=fabric.is_global_zero,
    )
    with logs as log, progress(job.name, job.steps, "steps") as tick:
        tick(state.step)
        batches = _batches(fabric, job, state.step)
        try:
            while state.step < job.steps:
                _one_step(fabric, job, state, module, optimizer, batches, log, tick)
                epoch_ends = state.step % job.epoch_steps == 0
                if epoch_ends:
                    _end_of_epoch(fabric, job, state, module, log)
                if epoch_ends or state.step % t.checkpoint_every == 0:
                    _save(fabric, job, state, optimizer)
        finally:
            batches.close()
    return state.rows


def _one_step(
    fabric: Any,
    job: _Job,
    state: _State,
    module: Any,
    optimizer: Any,
    batches: Iterator[Any],
    log: Log,
    tick: Tick,
) -> None:
    t, began = job.training, perf_counter()
    rate = rate_at(t, state.step, job.epoch_steps, [row["criterion"] for row in state.rows])
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.zero_grad()
    told: dict[str, float] = {}
    for part in range(t.accumulate):
        batch = next(batches)
        words = [job.run.seed, crc32(job.name.encode()), state.step, part, fabric.global_rank]
        torch.manual_seed(int(np.random.SeedSequence(words).generate_state(1)[0]))
        try:
            with fabric.autocast(), SmallInSingle():
                scalars = job.step(module, batch, partial(_push, fabric, t.accumulate))
        except RuntimeError as error:
            if any(sign in str(error).lower() for sign in OUT_OF_MEMORY):
                raise BadInput(_too_little_memory(t)) from error
            raise
        for key, value in scalars.items():
            told[key] = told.get(key, 0.0) + float(value) / t.accumulate
        if not math.isfinite(told["loss"]):
            raise BadInput(_diverged(job, state, told["loss"], batch))
    if t.grad_clip:
        fabric.clip_gradients(module, optimizer, max_norm=t.grad_clip, error_if_nonfinite=False)
    optimizer.step()
    state.step += 1
    for key, value in told.items():
        state.sums[key] = state.sums.get(key, 0.0) + value
    state.seconds += perf_counter() - began
    log.step(state.step, told, rate)
    tick(1, note=f"loss {told['loss']:.4g}, rate {rate:.2g}")


def _end_of_epoch(fabric: Any, job: _Job, state: _State, module: Any, log: Log) -> None:
    means = {key: value / job.epoch_steps for key, value in state.sums.items()}
    if fabric.world_size > 1:
        means = {key: float(fabric.all_reduce(torch.tensor(value))) for key, value in means.items()}
    if job.validate is not None:
        module.eval()
        with torch.no_grad():
            means["held_out"] = float(job.validate(job.module))
        module.train()
    criterion = means.get("held_out", means["loss"])
    rate = rate_at(
        job.training, state.step - 1, job.epoch_steps, [row["criterion"] for row in state.rows]
    )
    told = {"criterion": criterion, "lr": rate, "seconds": state.seconds}
    state.rows.append(
        {"epoch": float(len(state.rows) + 1), "step": float(state.step)} | means | told
    )
    state.sums, state.seconds = {}, 0.0
    log.epoch(state.rows)
    if fabric.is_global_zero:
        logger.info(_epoch_line(job, state.rows[-1]))
    if criterion < state.best or not job.best.is_file():
        state.best = criterion
        if job.training.keep == "best" and fabric.is_global_zero:
            _refuse_broken(job, state)
            with aside(job.best) as part:
                torch.save({"module": job.module.state_dict()}, part)


def _epoch_line(job: _Job, row: Mapping[str, float]) -> str:
    """What an epoch came to, for somebody who reads a log."""
    line = f"{job.name}: epoch {row['epoch']:.0f} of {job.training.epochs}, loss {row['loss']:.4g}"
    if "held_out" in row:
        line += f", held out {row['held_out']:.4g}"
    return f"{line}, {row['seconds']:.1f} s"


def _batches(fabric: Any, job: _Job, step: int) -> Any:
    """Batches on the device from a step on, decoded ahead, for the rest of the training."""
    mine = {"rank": fabric.global_rank, "world": fabric.world_size}
    whole = batches_from(step, job.data, job.training, job.epoch_steps, collate=job.collate, **mine)
    return prefetch((fabric.to_device(batch) for batch in whole), depth=2)


# Checkpoints.


def _save(fabric: Any, job: _Job, state: _State, optimizer: Any) -> None:
    if fabric.is_global_zero:
        _refuse_broken(job, state)
        held = {
            "identity": job.identity(),
            "module": job.module.state_dict(),
            "optimizer": optimizer.state_dict(),
            "state": asdict(state),
        }
        with aside(job.checkpoint) as part:
            torch.save(held, part)
    fabric.barrier()


def _resume(fabric: Any, job: _Job, state: _State, optimizer: Any) -> None:
    """Go on from the checkpoint, where there is one of this very training."""
    held = None
    if fabric.is_global_zero and job.checkpoint.is_file():
        held = read_checkpoint(job.checkpoint, "--no-resume begins anew")
    held = fabric.broadcast(held)
    if held is None:
        return
    was, now = held.get("identity"), job.identity()
    if not isinstance(was, dict) or not {"module", "optimizer", "state"} <= held.keys():
        raise BadInput(f"{job.checkpoint} is no checkpoint of a training; --no-resume begins anew")
    differ = [
        f"{key} {was.get(key)}, now {value}" for key, value in now.items() if was.get(key) != value
    ]
    if differ:
        raise BadInput(
            f"{job.checkpoint} is of another training ({'; '.join(differ[:3])}); --no-resume begins anew"
        )
    job.module.load_state_dict(held["module"])
    optimizer.load_state_dict(held["optimizer"])
    vars(state).update(held["state"])
    if 0 < state.step < job.steps and fabric.is_global_zero:
        logger.info(
            f"{job.name}: going on after step {state.step} of {job.steps}; --no-resume begins anew"
        )


def _refuse_broken(job: _Job, state: _State) -> None:
    """A checkpoint must be good: the last good one stays."""
    broken = [
        key
        for key, value in job.module.state_dict().items()
        if _is_tensor(value) and not _finite(value)
    ]
    if broken:
        raise BadInput(_diverged(job, state, math.nan, None))


# The rest.


def _ordinary(
    loss: Callable[[nn.Module, Any], Tensor | Scalars],
    module: nn.Module,
    batch: Any,
    backward: Backward,
) -> Scalars:
    told = loss(module, batch)
    told = {"loss": told} if isinstance(told, Tensor) else told
    backward(told["loss"])
    return {
        key: value.detach() if isinstance(value, Tensor) else value for key, value in told.items()
    }


def _push(fabric: Any, accumulate: int, tensor: Tensor, gradient: Tensor | None = None) -> None:
    if gradient is None:
        fabric.backward(tensor / accumulate)
    else:
        fabric.backward(tensor, gradient / accumulate)


def _optimizer(module: nn.Module, t: Training) -> torch.optim.Optimizer:
    parameters = [p for p in module.parameters() if p.requires_grad]
    if t.optimizer == "sgd":
        nesterov = t.nesterov and t.momentum > 0
        return torch.optim.SGD(
            parameters, t.lr, t.momentum, weight_decay=t.weight_decay, nesterov=nesterov
        )
    kind = torch.optim.Adam if t.optimizer == "adam" else torch.optim.AdamW
    return kind(parameters, t.lr, weight_decay=t.weight_decay)


def _fabric(run: Run, t: Training) -> Any:
    try:
        import tensorboard  # type: ignore[import-untyped]  # noqa: F401
        from lightning.fabric import Fabric
    except ModuleNotFoundError as error:
        raise missing_package("training a network", error) from error

    accelerator, _, index = run.device.partition(":")
    launched = launched_by_torchrun()
    if t.nodes > 1 and not launched:
        raise BadInput(
            f"{t.nodes} nodes are started by torchrun: `torchrun --nnodes {t.nodes} --nproc-per-node {t.devices} "
            "-m oddframe.cli.main fit …` on each"
        )
    many = t.devices * t.nodes > 1
    if accelerator == "cuda" and many and t.devices > torch.cuda.device_count():
        raise BadInput(
            f"{t.devices} devices were asked for, this host has {torch.cuda.device_count()}"
        )
    for name in ("fabric", "pytorch"):  # they repeat what they were told
        logging.getLogger(f"lightning.{name}.utilities.rank_zero").setLevel(logging.WARNING)
    return Fabric(
        accelerator=accelerator,
        devices=[int(index)] if index and not many else t.devices,
        num_nodes=t.nodes,
        strategy=("ddp" if launched else "ddp_spawn") if many else "auto",
        precision="bf16-mixed" if t.precision == "bf16" else "32-true",
    )


def _diverged(job: _Job, state: _State, loss: float, batch: Any) -> str:
    kept = (
        f"the checkpoint of before is kept ({job.checkpoint})"
        if job.checkpoint.is_file()
        else "no checkpoint yet"
    )
    if not all(_finite(part) for part in _tensors(batch)):
        return f"step {state.step + 1} of {job.steps}: a batch holds pixels that are no numbers; {kept}"
    where = f"step {state.step + 1} of {job.steps}"
    return f"the loss is no number any more at {where} ({loss}); {kept}; a lower --lr or --grad-clip 1 would help"


def _too_little_memory(t: Training) -> str:
    more = "" if t.precision == "bf16" else " or --precision bf16"
    return (
        f"out of memory with batches of {t.batch} clips; lower --batch (and raise --accumulate as much), smaller "
        f"pictures{more} need less"
    )


def _tensors(batch: Any) -> Iterator[Tensor]:
    if isinstance(batch, Tensor):
        yield batch
    elif isinstance(batch, Mapping):
        for part in batch.values():
            yield from _tensors(part)
    elif isinstance(batch, list | tuple):
        for part in batch:
            yield from _tensors(part)


def _finite(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() or bool(torch.isfinite(tensor).all())


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Tensor)
