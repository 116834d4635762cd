"""What a network is worth as a start: a classifier on it, trained with it or with all of it but its
last layer frozen.

As TCLR's authors do it: a random clip of each video, its colours changed a little, cross-entropy. N
clips, D numbers in an embedding, C channels, T frames, h × w pixels.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import Dataset

from oddframe.cache import key
from oddframe.datasets.splits import labels_of_videos
from oddframe.embeddings.embedder import Embedder
from oddframe.errors import BadInput, BadVideo
from oddframe.evaluation.linear_probe import Classification, crop_size, evenly_spaced_clips
from oddframe.files import aside
from oddframe.progress import progress
from oddframe.run import Run
from oddframe.training.config import Training
from oddframe.training.trainer import by_loss, train
from oddframe.types import ClipSpec, Video
from oddframe.video.augment import WEAK, crop_spec, mirrored, varied
from oddframe.video.reader import content_of, frames_at
from oddframe.video.sampling import DRAWS, frames_at_rate

BatchNorm = Literal["frozen", "updating"]


class Classifier(nn.Module):
    """An embedder with a layer that names classes. `frozen` batch norm keeps what it learned,
    `updating` moves on.
    """

    def __init__(
        self, embedder: Embedder, classes: int, width: int, *, whole: bool, batch_norm: BatchNorm
    ) -> None:
        super().__init__()
        self.embedder = embedder
        self.fc = nn.Linear(width, classes)
        self.frozen = batch_norm == "frozen"
        for parameter in embedder.parameters():
            parameter.requires_grad_(whole)
        self.train()

    def train(self, mode: bool = True) -> Self:
        """The layer, and the embedder unless its batch norm is frozen."""
        super().train(mode)
        if self.frozen:
            self.embedder.eval()
        return self

    def forward(self, pixels: Tensor) -> Tensor:
        """(N, classes) from (N, C, T, h, w) uint8."""
        vectors = self.embedder.core()(self.embedder.prepare(pixels))
        logits: Tensor = self.fc(vectors.float())
        return logits


class LabelledClips(Dataset[tuple[Tensor, int]]):
    """A random clip of each video an epoch, its colours changed a little, and the number of its
    class.
    """

    def __init__(
        self, videos: Sequence[Video], classes: Sequence[str], spec: ClipSpec, seed: int = 0
    ) -> None:
        size = crop_size(spec)
        if size is None:
            raise BadInput(
                "a method that takes frames as large as they come cannot be fine-tuned; "
                "probe with --linear"
            )
        self.spec = spec
        self.size = size
        self.seed = seed
        self.epoch = 0
        self.videos = [replace(video, truth=None) for video in videos]
        self.number = class_numbers(videos, classes)

    def __len__(self) -> int:
        return len(self.videos)

    def set_epoch(self, epoch: int) -> None:
        """Turn to other clips; call it between epochs."""
        self.epoch = epoch

    def fingerprint(self) -> str:
        """A short text that differs when the pixels, the labels or the clips drawn from them do."""
        content = [content_of(video) for video in self.videos]
        return key(content, self.number, self.spec, self.seed)

    def __getitem__(self, item: int) -> tuple[Tensor, int]:
        order = np.random.default_rng([self.seed, self.epoch]).permutation(len(self.videos))
        random = np.random.default_rng([self.seed, self.epoch, item])
        for attempt in range(DRAWS):
            number = int(order[(item + attempt) % len(order)])
            try:
                return self.draw_clip(self.videos[number], random), self.number[number]
            except BadVideo:
                continue
        raise BadInput(
            f"{DRAWS} clips in a row cannot be read, the last from {self.videos[number].source}"
        )

    def draw_clip(self, video: Video, random: np.random.Generator) -> Tensor:
        """(C, T, h, w) uint8 from anywhere in the video; what a short one lacks is mirrored. Raises
        BadVideo.
        """
        spec = self.spec
        frames = frames_at_rate(video, spec)
        if not len(frames):
            raise BadVideo(f"{video.source} has no frame")
        start = int(random.integers(max(1, len(frames) - spec.span + 1)))
        wanted = start + spec.stride * np.arange(spec.length)
        window = mirrored(wanted.tolist(), len(frames))
        needed, rows = np.unique(window, return_inverse=True)
        shape = ClipSpec(size=crop_spec(video, max(self.size)).size, colour=spec.colour)
        pixels = torch.from_numpy(frames_at(video, shape, frames[needed].tolist()))
        clip = pixels.permute(0, 3, 1, 2)[torch.from_numpy(rows)]
        return varied(clip, self.size, random, WEAK).transpose(0, 1)


def fit_classifier(
    embedder: Embedder,
    sides: tuple[Sequence[Video], Sequence[Video]],
    run: Run,
    training: Training,
    *,
    whole: bool,
    batch_norm: BatchNorm,
    positions: int,
) -> Classification:
    """Train a classifier on the first side, and ask it of clips of the second; the embedder itself
    does not change.

    The classifier is written into the run's folder, and its checkpoint removed. Raises BadInput for
    an embedder through which no gradient goes.
    """
    classes = sorted(labels_of_videos(sides[0]))
    data = LabelledClips(sides[0], classes, embedder.spec, run.seed)
    depends_on = embedder.depends_on()
    model = make_classifier(embedder, data, len(classes), run, whole=whole, batch_norm=batch_norm)
    mode = "linear"
    if whole:
        mode = "finetune"
    # a checkpoint of another run, other labels or other options must not be found: its name holds
    # them all
    work = key(depends_on, data.fingerprint(), classes, training, run.seed, batch_norm)
    name = f"{mode}-{work[:12]}"
    train(model, data, by_loss(cross_entropy), run, training, name=name)
    model.eval()
    predicted = []
    with torch.inference_mode(), progress("asking", len(sides[1]), "videos") as tick:
        for video in sides[1]:
            clips = evenly_spaced_clips(video, embedder.spec, positions).to(run.device)
            predicted.append(int(model(clips).softmax(1).mean(0).argmax()))
            tick()
    save_classifier(run.folder / f"classifier-{mode}.npz", classes, model.state_dict())
    (run.folder / "checkpoints" / f"{name}.pt").unlink(missing_ok=True)
    truth = class_numbers(sides[1], classes)
    return Classification(classes, np.array(truth), np.array(predicted))


def class_numbers(videos: Sequence[Video], classes: Sequence[str]) -> list[int]:
    """The position of each video's class among the classes."""
    return [classes.index(str(video.label)) for video in videos]


def make_classifier(
    embedder: Embedder,
    data: LabelledClips,
    classes: int,
    run: Run,
    *,
    whole: bool,
    batch_norm: BatchNorm,
) -> Classifier:
    """An untrained classifier on a copy of the embedder. Raises BadInput where `whole` cannot be
    trained.
    """
    copied = deepcopy(embedder).to(run.device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(run.random(18).integers(2**31)))
        width = embedding_width(copied, data, whole)
        model = Classifier(copied, classes, width, whole=whole, batch_norm=batch_norm)
    return model.to(run.device)


def save_classifier(path: Path, classes: Sequence[str], weights: Mapping[str, Any]) -> None:
    """Write a trained classifier: its `classes` in order, and its weights by their names, as plain
    arrays.
    """
    arrays: dict[str, Any] = {"classes": np.array(classes)}
    for name, value in weights.items():
        if isinstance(value, Tensor):
            arrays[name] = value.detach().cpu().numpy()
    with aside(path) as part:
        np.savez(part, **arrays)


def cross_entropy(module: nn.Module, batch: tuple[Tensor, Tensor]) -> Any:
    """The loss of a batch of clips and the numbers of their classes."""
    logits = module(batch[0])
    right = (logits.argmax(1) == batch[1]).float().mean()
    return {"loss": functional.cross_entropy(logits, batch[1]), "accuracy": right}


def embedding_width(embedder: Embedder, data: LabelledClips, whole: bool) -> int:
    """D, found by embedding one clip. Raises BadInput where the network is to be trained and has no
    gradient.
    """
    embedder.eval()
    for parameter in embedder.parameters():
        parameter.requires_grad_(whole)
    pixels = data[0][0][None].to(next(embedder.parameters()).device)
    with torch.enable_grad():
        vector = embedder.core()(embedder.prepare(pixels))
    if whole and not vector.requires_grad:
        raise BadInput(
            f"no gradient goes through the embeddings of {embedder.name}: it cannot be fine-tuned"
        )
    return int(vector.shape[1])
