"""The one training loop, on Lightning Fabric: every method that descends a loss calls `train`.

What step s does depends on the weights before it, the seed and s alone: items are drawn by their
number, and torch's random state is set anew for every step. So a training that was killed and
resumed from its last checkpoint ends with the very weights of one that never was (on a CPU, with as
many threads).
"""

import logging
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from oddframe.errors import BadInput, missing_package
from oddframe.run import Run, launched_by_torchrun
from oddframe.training.checkpoints import read_checkpoint
from oddframe.training.config import Training
from oddframe.training.job import (
    Backward,
    Job,
    Scalars,
    Step,
    decide_precision,
    identity_of,
    refuse_empty,
)
from oddframe.training.loop import EpochRow, run_loop
from oddframe.training.precision import PrecisionChoice

__all__ = ["Backward", "History", "Scalars", "Step", "by_loss", "train"]


@dataclass(frozen=True)
class History:
    """What a training was like.

    `rows` has one row an epoch with the mean of each scalar, the learning rate, the criterion and
    the seconds.
    """

    rows: list[EpochRow]
    precision: PrecisionChoice

    def column(self, name: str) -> list[float]:
        """One value an epoch."""
        return [row[name] for row in self.rows]


def by_loss(loss: Callable[[nn.Module, Any], Tensor | Scalars]) -> Step:
    """The step of an ordinary loss: a tensor, or several by name of which "loss" is descended."""
    return partial(step_by_loss, loss)


def step_by_loss(
    loss: Callable[[nn.Module, Any], Tensor | Scalars],
    module: nn.Module,
    batch: Any,
    backward: Backward,
) -> Scalars:
    """Compute a loss, push its gradient back, and return what it was."""
    found = loss(module, batch)
    losses: Scalars = {"loss": found} if isinstance(found, Tensor) else found
    backward(losses["loss"])
    scalars = {}
    for name, value in losses.items():
        scalars[name] = value.detach() if isinstance(value, Tensor) else value
    return scalars


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
) -> History:
    """Train a network in place; it is left in eval mode on the run's device.

    Args:
        module: The network. A checkpoint is resumed only if it began with the same weights.
        data: Items, taken in order in whole batches. `set_epoch` is called where there is one; item
            i must depend on the seed, the epoch and i alone (`video.sampling.RandomClips` does).
            `fingerprint` names the content.
        step: What is done with a batch; see `by_loss`.
        run: Where to write, the seed, the device.
        training: The options.
        name: Of the checkpoint and the logs.
        collate: Makes a batch of items; torch's own way unless given.
        validate: Gives the criterion after each epoch, lower is better; the mean loss unless given.

    On more devices than one, all of it must be picklable. Checkpoints lie in
    `run.folder/checkpoints` (those that stay in `run.folder/epochs`), logs in `run.folder/logs`.
    What the network computes in is in `run.notes`. Raises BadInput for a loss that is no number,
    for too little memory and too little data, and when a checkpoint belongs to another training.
    """
    job = Job(module, data, step, run, training, name, collate, validate)
    refuse_empty(job)
    choice = decide_precision(job)
    job = replace(job, training=replace(training, precision=choice.precision), choice=choice)
    job = replace(job, identity=identity_of(job))
    choice.note(run.notes, name)

    fabric = open_fabric(run, job.training)
    spawned = fabric.world_size > 1 and not launched_by_torchrun()
    if spawned:  # processes of its own, which end with the training and leave its checkpoint
        rows = fabric.launch(partial(run_spawned, job=job))
        module.load_state_dict(read_checkpoint(job.checkpoint)["module"])
    else:
        fabric.launch()
        rows = run_loop(fabric, job)
    if training.keep == "best":
        load_best(fabric, job)
    module.to(run.device).eval()
    return History(rows, choice)


def load_best(fabric: Any, job: Job) -> None:
    """Give the network the weights of its best epoch, in every process."""
    best: Any = None
    if fabric.is_global_zero:
        best = read_checkpoint(job.best)["module"]
    if launched_by_torchrun() and fabric.world_size > 1:
        best = fabric.broadcast(best)
    job.module.load_state_dict(best)


def run_spawned(fabric: Any, job: Job) -> list[EpochRow]:
    """The loop in a process that ends with it.

    The weights came in memory that all processes share, so each takes a copy. gloo's threads must
    have ended before the process does, or they abort it.
    """
    rows = run_loop(fabric, replace(job, module=deepcopy(job.module)))
    fabric.barrier()
    torch.distributed.destroy_process_group()
    return rows


def open_fabric(run: Run, training: Training) -> Any:
    """Lightning's Fabric for the devices asked for. Raises BadInput where they are not here."""
    try:
        from lightning.fabric import Fabric
    except ModuleNotFoundError as error:
        raise missing_package("training a network", error) from error

    accelerator, _, index = run.device.partition(":")
    launched = launched_by_torchrun()
    if training.nodes > 1 and not launched:
        raise BadInput(
            f"{training.nodes} nodes are started by torchrun: `torchrun --nnodes {training.nodes} "
            f"--nproc-per-node {training.devices} -m oddframe.cli.main fit …` on each"
        )
    several = training.processes > 1
    if accelerator == "cuda" and several and training.devices > torch.cuda.device_count():
        here = torch.cuda.device_count()
        raise BadInput(f"{training.devices} devices were asked for, this machine has {here}")
    for name in ("fabric", "pytorch"):  # they repeat what they were told
        logging.getLogger(f"lightning.{name}.utilities.rank_zero").setLevel(logging.WARNING)
    strategy = "auto"
    if several:
        strategy = "ddp" if launched else "ddp_spawn"
    devices: Any = training.devices
    if index and not several:
        devices = [int(index)]
    return Fabric(
        accelerator=accelerator,
        devices=devices,
        num_nodes=training.nodes,
        strategy=strategy,
        precision="bf16-mixed" if training.precision == "bf16" else "32-true",
    )
