"""The temporal queue: a queue of frames slides through a film; frames inside it are to be alike, and unlike the rest.

After github.com/caffeinekeyboard/TCLR_Anomaly_Detection, which trained an encoder of single frames and
drew what it found, but judged nothing. Ours differs in that any head judges the embeddings, batch norm is fed whole
queues and not single frames, every frame of a film belongs to a segment, and the before-pictures are kept. Its loss
`pairwise` is no normalised probability: its attraction includes each frame with itself, which hides the rest, and
embeddings may collapse under it. `infonce` has one. With a fixed camera, far frames that look alike are pushed apart
all the same, whichever loss is taken.

n frames in a segment, Q in the queue, R outside, D numbers in an embedding; C channels, H × W pixels.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from oddframe.cache import key
from oddframe.embeddings.embedder import Embedder
from oddframe.embeddings.heads.base import HeadName, HeadOptions
from oddframe.files import aside
from oddframe.methods.temporal_queue.sampling import Queues, Segment
from oddframe.progress import logger
from oddframe.run import Arrays, Run
from oddframe.training.checkpoints import put_published, read_published, without
from oddframe.training.collapse import spread_of
from oddframe.training.config import Training
from oddframe.training.gradient_cache import Losses, backward_through
from oddframe.training.precision import autocast, channels_last
from oddframe.training.trainer import train
from oddframe.types import ClipSpec, Ints, Video
from oddframe.video.reader import frames_at

Encoder = Literal["basic", "resnet18", "resnet50"]
Contrast = Literal["pairwise", "pairwise-no-diagonal", "infonce"]
Channels = Literal["rgb", "bgr"]
PUBLISHED = Training(epochs=20, batch=1, optimizer="adam", lr=1e-4, precision="float32")
DRAWN = (
    1500  # frames, spread over all films, whose embeddings are kept from before and after training
)
# of ImageNet, for which ResNets were published
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


# 1. Encoders of single frames (segments and queues are in video/queues.py).


def encoder_of(kind: Encoder, size: int, embedding: int) -> nn.Module:
    """(N, 3, size, size) to (N, embedding), not of length one."""
    if kind == "basic":
        return nn.Sequential(
            nn.Conv2d(3, 32, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(64 * (size // 4) ** 2, 128),
            nn.ReLU(inplace=True),
            nn.Linear(128, embedding),
        )
    from torchvision.models import resnet18, resnet50

    net: Any = (resnet18 if kind == "resnet18" else resnet50)(weights=None)
    net.fc = nn.Linear(net.fc.in_features, embedding)
    made: nn.Module = net
    return made


# 2. Losses, of unit vectors in the queue (Q, D) and outside (R, D).


def pairwise(inside: Tensor, outside: Tensor, temperature: float, diagonal: bool = True) -> Tensor:
    """log of the mean similarity across less log of the mean similarity within; similarities are exp(cosine / τ).

    As published a frame's similarity to itself counts within. It is the largest there is, so that attraction is hardly
    felt; without `diagonal` it does not count.
    """
    within, across = (
        inside @ inside.T / temperature,
        inside @ outside.T / temperature,
    )  # (Q, Q), (Q, R)
    pairs = within.numel()
    if not diagonal:
        within = within.masked_fill(
            torch.eye(len(within), dtype=torch.bool, device=within.device), -torch.inf
        )
        pairs -= len(within)
    return (across.logsumexp((0, 1)) - math.log(across.numel())) - (
        within.logsumexp((0, 1)) - math.log(pairs)
    )


def infonce(inside: Tensor, outside: Tensor, temperature: float) -> Tensor:
    """Each frame of the queue is to find each other one of it among the frames outside: the mean over ordered pairs.

    After van den Oord et al., *Representation Learning with Contrastive Predictive Coding*, 2018, equation 4.
    """
    within = inside @ inside.T / temperature  # (Q, Q)
    across = (inside @ outside.T / temperature).logsumexp(1, keepdim=True)  # (Q, 1)
    missed = torch.logaddexp(within, across) - within  # −log of what each pair wins
    return (missed.sum() - missed.diagonal().sum()) / (missed.numel() - len(missed))


LOSSES: dict[Contrast, Callable[..., Tensor]] = {
    "pairwise": pairwise,
    "pairwise-no-diagonal": partial(pairwise, diagonal=False),
    "infonce": infonce,
}


# 3. One step: one queue, as published; or all queues of a segment, in the memory of one.


def step_through(
    module: nn.Module,
    batch: tuple[Tensor, Tensor],
    backward: Callable[[Tensor], None],
    *,
    queue: int,
    loss: Callable[[Tensor, Tensor], Tensor],
    prepared: Callable[[Tensor], Tensor],
) -> Losses:
    """The loss of the queues that begin at these frames of a segment, its gradient pushed back.

    One queue is one pass and all else another, as published. Of several, the segment is encoded in passes of a queue's
    length, and the mean of their losses is pushed back pass by pass: never more than a queue's graph is held.
    """
    frames, starts = batch[0], batch[1].tolist()

    def sides(rows: Tensor, start: int) -> tuple[Tensor, Tensor]:
        return rows[start : start + queue], torch.cat([rows[:start], rows[start + queue :]])

    pieces = sides(frames, starts[0]) if len(starts) == 1 else torch.split(frames, queue)

    def losses(found: list[tuple[Tensor, ...]]) -> Losses:
        vectors = [functional.normalize(one.float(), dim=1) for (one,) in found]
        if len(starts) == 1:
            return {"loss": loss(vectors[0], vectors[1])}
        every = torch.cat(vectors)
        return {"loss": torch.stack([loss(*sides(every, start)) for start in starts]).mean()}

    passes = [lambda piece=piece: (module(prepared(piece)),) for piece in pieces]
    return backward_through(
        module, passes, losses, backward, "plain" if len(starts) == 1 else "exact"
    )


# 4. The method.


class TemporalQueue(Embedder):
    """Learns single frames by contrast of a queue of consecutive ones with the rest of their film; judges each frame.

    Args:
        encoder: ResNet-18 or 50 (11 and 24 million numbers), or two convolutions and two layers (34 million).
        weights: File of ImageNet weights as torchvision has them, to begin with; the classifier is left out.
        size: Pixels a side of the square that a frame is scaled to.
        channels: Order of the colours.
        normalise: Give colours the mean and spread of ImageNet's, as ResNets were published for.
        embedding: Numbers in an embedding.
        segment: Frames in the longest segment that a film is cut into; a queue is contrasted with the rest of its own.
        queue: Frames in the queue.
        offset: Frames from one place of the queue to the next.
        temperature: What similarities are divided by before they are compared.
        loss: As published, the same without each frame's similarity to itself, or with a normalised probability.
        update: A step for each queue, as published, or one for all of a segment, in the memory of one.
        hop: Frames from one that is judged to the next.
        training: How the encoder is trained; a batch is one queue, or one segment.
        head: What says how far from normal an embedding is.
        neighbours: How many of the nearest embeddings give, by their mean distance, the score.
        bank: Embeddings that the head neighbours remembers.
        components: Gaussians of the head mixture, fewer where there is little video.
    """

    name = "temporal-queue"

    def __init__(
        self,
        *,
        encoder: Encoder = "resnet18",
        weights: str = "",
        size: int = 256,
        channels: Channels = "rgb",
        normalise: bool = True,
        embedding: int = 64,
        segment: int = 140,
        queue: int = 28,
        offset: int = 7,
        temperature: float = 0.1,
        loss: Contrast = "infonce",
        update: Literal["queue", "segment"] = "queue",
        hop: int = 1,
        training: Training = PUBLISHED,
        head: HeadName = "neighbours",
        neighbours: int = 5,
        bank: int = 4096,
        components: int = 5,
    ) -> None:
        super().__init__(head=head, head_options=HeadOptions(neighbours, bank, components))
        for name, value, least in (
            ("queue", queue, 2),
            ("offset", offset, 1),
            ("embedding", embedding, 2),
        ):
            if value < least:
                raise ValueError(f"{name} is {least} or more, got {value}")
        if segment <= queue:
            raise ValueError(f"a segment is longer than the queue of {queue} frames, got {segment}")
        if size < 32 or size % 4:
            raise ValueError(f"size is a multiple of 4 from 32 on, got {size}")
        if not 0 < temperature < float("inf"):
            raise ValueError(f"a temperature is above 0, got {temperature}")
        if training.batch != 1:
            raise ValueError(
                f"a batch is one queue or segment; for larger steps raise --accumulate, not --batch {training.batch}"
            )
        if loss not in LOSSES:
            raise ValueError(f"loss is one of {', '.join(LOSSES)}, got {loss!r}")
        self.kind, self.weights, self.size, self.channels, self.normalise = (
            encoder,
            weights,
            size,
            channels,
            normalise,
        )
        self.embedding, self.segment, self.queue, self.offset, self.hop = (
            embedding,
            segment,
            queue,
            offset,
            hop,
        )
        self.loss, self.update, self.training_options = (
            partial(LOSSES[loss], temperature=temperature),
            update,
            training,
        )
        self.model = encoder_of(encoder, size, embedding)

    @property
    def spec(self) -> ClipSpec:
        return ClipSpec(length=1, hop=self.hop, size=(self.size, self.size))

    def core(self) -> nn.Module:
        return self.model

    def pretrain(self, videos: Sequence[Video], run: Run) -> None:
        """Train the encoder. What a sample of frames looked like to it before and after is kept in the run's folder."""
        torch.manual_seed(run.seed)
        self.model = encoder_of(self.kind, self.size, self.embedding).to(
            run.device
        )  # what was learned is forgotten
        if self.weights:
            self._begin_with(Path(self.weights))
        data = Queues(
            videos,
            self.spec,
            longest=self.segment,
            queue=self.queue,
            offset=self.offset,
            apart=self.update == "queue",
        )
        for one in data.skipped:
            logger.warning(f"not trained on: {one.video} {one.reason}")
        channels_last(self.model)
        first_weights = key(self.model.state_dict())
        # kept, for a fit that goes on after an interruption cannot see it any more
        before = run.remember(
            f"{self.name}-before-{key(data.fingerprint(), first_weights)}",
            lambda: self._sampled(data),
        )
        step = partial(step_through, queue=self.queue, loss=self.loss, prepared=self._prepared)
        history = train(
            self.model,
            data,
            step,
            run,
            self.training_options,
            name=self.name,
            collate=_only,
        )
        self.use_precision(history.precision)
        after = self._sampled(data)
        for when, arrays in (("before", before), ("after", after)):
            with aside(run.folder / "embeddings" / f"{when}.npz") as part:
                np.savez(part, **arrays)  # type: ignore[arg-type]
        spread = {"before": spread_of(before["vector"]), "after": spread_of(after["vector"])}
        if spread["after"].collapsed:
            logger.warning(
                f"the embeddings have collapsed ({spread['after']}); --loss infonce or a lower --lr would help"
            )
        run.notes["loss"] = history.column("loss")[-1]
        run.notes["spread"] = {when: one.told() for when, one in spread.items()}
        run.notes["skipped"] = [f"{one.video} {one.reason}" for one in data.skipped]

    def embed(self, pixels: Tensor) -> Tensor:
        """(N, D), of length one: the contrast knows directions only."""
        return self._vectors(pixels[:, :, 0])

    def _vectors(self, frames: Tensor) -> Tensor:
        device = next(self.model.parameters()).device
        # one by one on a CPU, where what a convolution gives may hang on how many frames it is given
        parts = torch.split(
            frames, 1 if device.type == "cpu" and not self.training else len(frames)
        )
        with autocast(device, self.precision):
            found = torch.cat(
                [self.model(self._prepared(part.to(device))).float() for part in parts]
            )
        return functional.normalize(found, dim=1)

    def _prepared(self, frames: Tensor) -> Tensor:
        """Frames (N, 3, H, W) uint8 of RGB as the encoder is given them."""
        pixels = frames.float() / 255
        if self.normalise:
            mean, deviation = (
                torch.tensor(three, device=pixels.device)[:, None, None]
                for three in (MEAN, DEVIATION)
            )
            pixels = (pixels - mean) / deviation
        return pixels.flip(1) if self.channels == "bgr" else pixels

    def _begin_with(self, path: Path) -> None:
        own = self.model.state_dict()
        given = without(read_published(path), r"module\.", leave=r"(module\.)?fc\.")
        if self.kind == "basic":
            put_published(self.model, given, path)
            return
        put_published(
            self.model, given | {name: own[name] for name in own if name.startswith("fc.")}, path
        )

    def _sampled(self, data: Queues) -> Arrays:
        """Embeddings of frames spread evenly over the films: `video`, `frame` and `vector`."""
        self.model.eval()
        total = sum(len(one.frames) for one in data.segments)
        names: list[str] = []
        frames: list[Ints] = []
        vectors: list[Any] = []
        for one, part in _spread(data.segments, max(1, -(-total // DRAWN))):
            pixels = torch.from_numpy(frames_at(one.video, data.spec, part.tolist())).permute(
                0, 3, 1, 2
            )
            with torch.inference_mode():
                vectors.append(self._vectors(pixels).cpu().numpy())
            names += [one.video.name] * len(part)
            frames.append(part)
        return {
            "video": np.array(names),
            "frame": np.concatenate(frames),
            "vector": np.concatenate(vectors),
        }


def _spread(segments: Sequence[Segment], every: int) -> Iterator[tuple[Segment, Ints]]:
    """Every so many frames, counted through all segments."""
    done = 0
    for one in segments:
        part = one.frames[-done % every :: every]
        done += len(one.frames)
        if len(part):
            yield one, part


def _only(items: list[Any]) -> Any:
    (item,) = items
    return item
