"""An ensemble of networks that solve puzzles: each is trained without another part of the video.

C channels, T frames in a cube, S pixels a side.
"""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from oddframe.methods.jigsaw.cubes import (
    BoxedVideo,
    Cubes,
    FrameCache,
    Sampling,
    split_cubes,
    without_truth,
)
from oddframe.methods.jigsaw.proposals import expand_boxes
from oddframe.methods.jigsaw.puzzles import ShuffledTask, ValidationLoss
from oddframe.run import Run
from oddframe.training.config import Training
from oddframe.training.precision import PrecisionChoice
from oddframe.training.processes import run_in_processes
from oddframe.training.trainer import by_loss, train
from oddframe.types import ClipSpec

ENSEMBLE_FOLDS = 6  # of the normal video; each network is trained without one of them
VALIDATION_CUBES = 256  # of that fold, for which the loss is computed after each epoch


class TrainedNetwork(NamedTuple):
    """What the training of a network leaves besides its weights."""

    cache: FrameCache  # decoded frames
    precision: PrecisionChoice


@dataclass(frozen=True)
class EnsembleTraining:
    """How networks are trained. Can be sent to another process."""

    task: ShuffledTask
    spec: ClipSpec
    side: int
    margin: float
    sampling: Sampling
    training: Training
    parallel: int = 1  # networks trained at the same time
    curriculum_epochs: int = 0  # epochs before, in which only some pieces move

    def train(
        self, nets: Sequence[nn.Module], boxed: Sequence[BoxedVideo], run: Run
    ) -> Iterator[TrainedNetwork]:
        """Train the networks in place, one when the next is asked for."""
        splits = [split_cubes(boxed, ENSEMBLE_FOLDS, k) for k in range(len(nets))]
        if self.parallel > 1:
            self.train_in_processes(nets, splits, run)
        for k, (net, (learned, validation)) in enumerate(zip(nets, splits, strict=True)):
            yield self.train_one(net, learned, validation, run, network_name(k))

    def train_in_processes(
        self,
        nets: Sequence[nn.Module],
        splits: Sequence[tuple[list[BoxedVideo], list[BoxedVideo]]],
        run: Run,
    ) -> None:
        """Train in processes of their own; each leaves a checkpoint, where `train` finds it."""
        jobs: list[partial[TrainedNetwork]] = []
        for k, (net, (learned, validation)) in enumerate(zip(nets, splits, strict=True)):
            cubes = without_truth(learned), without_truth(validation)
            # a copy: tensors go to the process in shared memory, and a checkpoint knows the weights
            # that training began with
            job = partial(self.train_one, deepcopy(net), *cubes, run, network_name(k))
            jobs.append(job)
        run_in_processes(jobs, self.parallel, "training", "networks")

    def train_one(
        self,
        net: nn.Module,
        learned: Sequence[BoxedVideo],
        validation: Sequence[BoxedVideo],
        run: Run,
        name: str,
    ) -> TrainedNetwork:
        """Train one network in place."""
        sampling, step = self.sampling, by_loss(self.task)
        cut = partial(self.validation_cubes, without_truth(validation), run.seed)
        data = self.cubes(learned, run.seed, sampling.epoch_cubes, sampling.jitter)
        if self.curriculum_epochs:
            easier = by_loss(replace(self.task, partial=True))
            before = replace(self.training, epochs=self.curriculum_epochs)
            train(net, data, easier, run, before, name=f"{name}-curriculum")
        validate = ValidationLoss(self.task, cut)
        history = train(net, data, step, run, self.training, name=name, validate=validate)
        return TrainedNetwork(data.cache, history.precision)

    def validation_cubes(self, boxed: Sequence[BoxedVideo], seed: int) -> Tensor:
        """(n, C, T, S, S) uint8 cubes of video that is not learned from."""
        cubes = self.cubes(boxed, seed, VALIDATION_CUBES, 0.0)
        return torch.stack([cubes[i] for i in range(len(cubes))])

    def cubes(
        self, boxed: Sequence[BoxedVideo], seed: int, count: int = 0, jitter: float = 0.0
    ) -> Cubes:
        """Cubes of these boxes, grown by the margin, in this training's part of the memory."""
        workers = max(1, self.training.workers)
        memory = (self.sampling.cache_mb << 20) // self.parallel // workers
        grown = [replace(one, box=expand_boxes(one.box, self.margin)) for one in boxed]
        return Cubes(
            grown,
            self.spec,
            side=self.side,
            seed=seed,
            count=count,
            memory=memory,
            jitter=jitter,
        )


def network_name(number: int) -> str:
    """What a network's checkpoints and logs are called: counted from 1."""
    return f"jigsaw-{number + 1}"
