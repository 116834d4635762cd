"""The temporal queue: a queue of frames slides through a film; frames inside it are to be alike,
and unlike the rest.

After github.com/caffeinekeyboard/TCLR_Anomaly_Detection, which trained an encoder of single frames
and drew what it found, but judged nothing.

Where we differ from the published code:
- any head judges the embeddings;
- ResNet-18 unless asked (published: ResNet-50), the loss infonce (published: pairwise), colours in
  RGB with ImageNet's mean and spread (published: BGR from 0 to 1);
  `recipes/temporal-queue-published.yaml` has all of these as published;
- frames are scaled to a square of 256 pixels, where the original took them as large as they come;
- films are cut into as few equal segments as `--segment` allows, and every frame belongs to one,
  where the original read a fixed number of frames and always made five segments of them;
- batch norm is given whole queues when embedding too, never single frames in training mode;
- the pictures from before training are kept, where the original wrote over them.

Its loss `pairwise` is no normalised probability: its attraction includes each frame with itself,
which hides the rest, and embeddings may collapse under it. `infonce` has one. With a fixed camera,
far frames that look alike are pushed apart all the same, whichever loss is taken.

n frames in a segment, Q in the queue, R outside, D numbers in an embedding; C channels, H × W
pixels.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from math import ceil
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from oddframe.cache import key
from oddframe.embeddings.embedder import Embedder
from oddframe.embeddings.head import HeadOptions
from oddframe.files import aside
from oddframe.methods.temporal_queue.losses import LOSSES, QueueOptions
from oddframe.methods.temporal_queue.sampling import Queues, Segment
from oddframe.options import Range, check_ranges
from oddframe.progress import logger
from oddframe.run import Arrays, Run
from oddframe.training.checkpoints import put_published, read_published, without
from oddframe.training.collapse import measure_spread
from oddframe.training.config import Training
from oddframe.training.gradient_cache import Losses, Memory, backward_through
from oddframe.training.precision import channels_last
from oddframe.training.random_clips import note_skipped
from oddframe.training.trainer import train
from oddframe.types import ChannelOrder, ClipSpec, Ints, Video
from oddframe.video.reader import frames_at

FrameNetwork = Literal["basic", "resnet18", "resnet50"]
QUEUE_TRAINING = Training(epochs=20, batch=1, optimizer="adam", lr=1e-4, precision="float32")


# frames, spread over all films, whose embeddings are kept from before and after training
KEPT_EMBEDDINGS = 1500
# of ImageNet, for which ResNets were published
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)


def make_frame_encoder(network: FrameNetwork, size: int, embedding_size: int) -> nn.Module:
    """(N, 3, size, size) to (N, embedding_size), not of length one."""
    if network == "basic":
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
            nn.Linear(128, embedding_size),
        )
    from torchvision.models import resnet18, resnet50

    makers = {"resnet18": resnet18, "resnet50": resnet50}
    net: nn.Module = makers[network](weights=None)
    classifier: Any = net.fc
    net.fc = nn.Linear(classifier.in_features, embedding_size)
    return net


class UnitVectors(nn.Module):
    """A network's vectors, each of length one: the contrast knows directions only."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return functional.normalize(self.network(x).float(), dim=1)


def contrast_queues(
    module: nn.Module,
    batch: tuple[Tensor, Tensor],
    backward: Callable[[Tensor], None],
    *,
    queue: int,
    loss: Callable[[Tensor, Tensor], Tensor],
    prepare: Callable[[Tensor], Tensor],
) -> Losses:
    """The loss of the queues that begin at these frames of a segment, its gradient pushed back.

    One queue is one pass and all else another, as published. Of several, the segment is encoded in
    passes of a queue's length, and the mean of their losses is pushed back pass by pass: never more
    than a queue's graph is held.
    """
    frames = batch[0]
    starts = batch[1].tolist()
    single = len(starts) == 1

    def split(rows: Tensor, start: int) -> tuple[Tensor, Tensor]:
        """The rows in the queue, and those outside."""
        end = start + queue
        outside = torch.cat([rows[:start], rows[end:]])
        return rows[start:end], outside

    def losses(found: list[tuple[Tensor, ...]]) -> Losses:
        vectors = [functional.normalize(rows.float(), dim=1) for (rows,) in found]
        if single:
            return {"loss": loss(vectors[0], vectors[1])}
        every = torch.cat(vectors)
        each = []
        for start in starts:
            inside, outside = split(every, start)
            each.append(loss(inside, outside))
        return {"loss": torch.stack(each).mean()}

    def run_pass(rows: Tensor) -> tuple[Tensor, ...]:
        return (module(prepare(rows)),)

    memory: Memory = "exact"
    pieces = torch.split(frames, queue)
    if single:
        memory = "plain"
        pieces = split(frames, starts[0])
    passes = [partial(run_pass, piece) for piece in pieces]
    return backward_through(module, passes, losses, backward, memory)


class TemporalQueue(Embedder):
    """Learns single frames by contrast of a queue of them with the rest of their film.

    Args:
        network: ResNet-18 or 50 (11 and 24 million numbers), or two convolutions and two layers (34
            million).
        weights: File of ImageNet weights as torchvision has them, to begin with; the classifier is
            left out.
        size: Pixels a side of the square that a frame is scaled to.
        channel_order: Order of the colours.
        normalise: Give colours the mean and spread of ImageNet's, as ResNets were published for.
        embedding_size: Numbers in an embedding.
        hop: Frames from one that is judged to the next.
        contrast: The queue, and how it is contrasted with the rest of its film.
        training: How the network is trained; a batch is one queue, or one segment.
        head: What says how far from normal an embedding is.
    """

    name = "temporal-queue"

    def __init__(
        self,
        *,
        network: FrameNetwork = "resnet18",
        weights: str = "",
        size: Annotated[int, Range(32, 4096)] = 256,
        channel_order: ChannelOrder = "rgb",
        normalise: bool = True,
        embedding_size: Annotated[int, Range(2, 100_000)] = 64,
        hop: Annotated[int, Range(1, 100_000)] = 1,
        contrast: QueueOptions = QueueOptions(),  # noqa: B008
        training: Training = QUEUE_TRAINING,
        head: HeadOptions = HeadOptions(),  # noqa: B008
    ) -> None:
        check_ranges(type(self), locals())
        super().__init__(head=head)
        if size % 4:
            raise ValueError(f"size is a multiple of 4, got {size}")
        if training.batch != 1:
            raise ValueError(
                "a batch is one queue or segment; "
                f"for larger steps raise --accumulate, not --batch {training.batch}"
            )
        self.network = network
        self.weights = weights
        self.size = size
        self.channel_order = channel_order
        self.normalise = normalise
        self.embedding_size = embedding_size
        self.hop = hop
        self.contrast = contrast
        self.training_options = training
        self.model = make_frame_encoder(network, size, embedding_size)

    @property
    def spec(self) -> ClipSpec:
        square = (self.size, self.size)
        return ClipSpec(length=1, hop=self.hop, size=square)

    def core(self) -> nn.Module:
        """(N, D), of length one, from frames (N, 3, size, size)."""
        return UnitVectors(self.model)

    @property
    def embedding_width(self) -> int | None:
        return self.embedding_size

    def prepare(self, pixels: Tensor) -> Tensor:
        """The frames (N, 3, size, size) of clips (N, 3, 1, size, size) of one frame, as the network
        is given them.
        """
        return self.prepare_frames(pixels[:, :, 0])

    def prepare_frames(self, frames: Tensor) -> Tensor:
        """Frames (N, 3, H, W) uint8 of RGB as the network is given them."""
        pixels = frames.float() / 255
        device = pixels.device
        if self.normalise:
            mean = torch.tensor(IMAGENET_MEAN, device=device)
            deviation = torch.tensor(IMAGENET_DEVIATION, device=device)
            pixels = (pixels - mean[:, None, None]) / deviation[:, None, None]
        if self.channel_order == "bgr":
            return pixels.flip(1)
        return pixels

    def pretrain(self, videos: Sequence[Video], run: Run) -> None:
        """Train the network.

        The embeddings of a sample of frames before and after training are kept in the run's folder.
        """
        torch.manual_seed(run.seed)
        # what was learned before is forgotten
        self.model = make_frame_encoder(self.network, self.size, self.embedding_size).to(run.device)
        if self.weights:
            self.load_imagenet(Path(self.weights))
        options = self.contrast
        data = Queues(
            videos,
            self.spec,
            segment=options.segment,
            queue=options.queue,
            offset=options.offset,
            one_by_one=options.update == "queue",
        )
        note_skipped(data.skipped, run)
        channels_last(self.model)
        # kept, for a fit that goes on after an interruption cannot see it any more
        name = f"{self.name}-before-{key(data.fingerprint(), self.model.state_dict())}"
        before = run.remember(name, lambda: self.embed_sample(data))
        loss = partial(LOSSES[options.loss], temperature=options.temperature)
        step = partial(contrast_queues, queue=options.queue, loss=loss, prepare=self.prepare_frames)
        history = train(
            self.model,
            data,
            step,
            run,
            self.training_options,
            name=self.name,
            collate=only_item,
        )
        self.use_precision(history.precision)
        after = self.embed_sample(data)
        self.describe(before, after, run)
        run.notes["loss"] = history.column("loss")[-1]

    def describe(self, before: Arrays, after: Arrays, run: Run) -> None:
        """Keep the embeddings from before and after training, and log whether they have collapsed."""
        notes = {}
        for when, arrays in (("before", before), ("after", after)):
            with aside(run.folder / "embeddings" / f"{when}.npz") as part:
                np.savez(part, **arrays)  # type: ignore[arg-type]
            spread = measure_spread(arrays["vector"])
            notes[when] = spread.told()
            if when == "after" and spread.collapsed:
                logger.warning(
                    f"the embeddings have collapsed ({spread}); "
                    "--loss infonce or a lower --lr would help"
                )
        run.notes["spread"] = notes

    def load_imagenet(self, path: Path) -> None:
        """Begin with published weights; the layer that gives embeddings stays as it is."""
        own = self.model.state_dict()
        given = without(read_published(path), r"module\.", leave=r"(module\.)?fc\.")
        if self.network != "basic":
            for name, value in own.items():
                if name.startswith("fc."):
                    given[name] = value
        put_published(self.model, given, path)

    def embed_sample(self, data: Queues) -> Arrays:
        """Embeddings of frames spread evenly over the films: `video`, `frame` and `vector`."""
        self.model.eval()
        total = sum(len(one.frames) for one in data.segments)
        every = max(1, ceil(total / KEPT_EMBEDDINGS))
        names: list[str] = []
        frames: list[Ints] = []
        vectors: list[Any] = []
        for one, part in spread_frames(data.segments, every):
            decoded = frames_at(one.video, data.spec, part.tolist())  # (n, H, W, C)
            frame = torch.from_numpy(decoded).permute(0, 3, 1, 2)
            clips = frame[:, :, None]  # (n, C, 1, H, W)
            vector = self.embed(clips)
            vectors.append(vector.cpu().numpy())
            names += [one.video.name] * len(part)
            frames.append(part)
        return {
            "video": np.array(names),
            "frame": np.concatenate(frames),
            "vector": np.concatenate(vectors),
        }


def spread_frames(segments: Sequence[Segment], every: int) -> Iterator[tuple[Segment, Ints]]:
    """Every so many frames, counted through all segments."""
    passed = 0
    for one in segments:
        first = -passed % every
        part = one.frames[first::every]
        passed += len(one.frames)
        if len(part):
            yield one, part


def only_item(items: list[Any]) -> Any:
    """The one item of a batch of one, without an axis for the batch."""
    (item,) = items
    return item
