"""TCLR: clips of one video are alike under any look (instance contrast), and yet its moments are told apart (temporal
contrast, between local clips, and between them and the moments of a global clip). No label is needed.

Ishan Dave, Rohit Gupta, Mamshad Nayeem Rizve, Mubarak Shah, *TCLR: Temporal Contrastive Learning for Video
Representation*, CVIU 2022. Defaults are those of the published code, where the local-local loss is a sum over the
batch (the more videos, the more it weighs) and the local instance loss counts fourteen times its mean; `Weights`
changes both. Ours differs in that crops are drawn from the whole width, hue turns in YIQ, colours are RGB unless
asked, the warm-up is linear, the gradient is taken in a tenth of the memory, and embeddings are judged: the original
finds no anomaly.

B videos in a batch, V = 2 looks of each, P local clips, D numbers in a vector of length one; C channels, T frames in a
clip, S pixels a side.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from oddframe.embeddings.embedder import Embedder
from oddframe.embeddings.heads.base import HeadName, HeadOptions
from oddframe.methods.tclr.networks import SHRINKS, Contrasted, Network, load_tclr
from oddframe.methods.tclr.sampling import Timing, TwoViews
from oddframe.progress import logger
from oddframe.run import Run
from oddframe.training.config import Training
from oddframe.training.gradient_cache import Losses, Memory, backward_through
from oddframe.training.precision import autocast, channels_last
from oddframe.training.trainer import train
from oddframe.types import ClipSpec, Video

Channels = Literal["rgb", "bgr"]
PUBLISHED = Training(
    epochs=100,
    batch=40,
    optimizer="adam",
    lr=1e-3,
    weight_decay=1e-9,
    warm_up=5,
    schedule="plateau",
    patience=8,
    step_factor=0.1,
)
ASPECT = (
    4 / 3
)  # width of what is judged over its height, as UCF101's: networks were published for squares out of it


@dataclass(frozen=True)
class LossWeights:
    """What each loss counts, and how it is taken.

    Args:
        global_instance: Weight of the contrast between global clips of different videos.
        local_instance: Weight of the contrast between local clips of different videos.
        local_local: Weight of the contrast between the local clips of one video.
        global_local: Weight of the contrast between the moments of a video's global clip and its local clips.
        local_local_over: Sum the local-local loss over the videos of a batch, as published, or take its mean.
        temperature: What similarities are divided by before they are compared.
    """

    global_instance: float = 1.0
    local_instance: float = 1.0
    local_local: float = 1.0
    global_local: float = 1.0
    local_local_over: Literal["sum", "mean"] = "sum"
    temperature: float = 0.1

    def __post_init__(self) -> None:
        for name in ("global_instance", "local_instance", "local_local", "global_local"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"the weight {name} is 0 or more, got {getattr(self, name)}")
        if not 0 < self.temperature < float("inf"):
            raise ValueError(f"a temperature is above 0, got {self.temperature}")


AS_PUBLISHED = LossWeights()


# 1. The losses (sampling is in video/two_looks.py).


def contrast(sparse: Tensor, moments: Tensor, dense: Tensor, weights: LossWeights) -> Losses:
    """The four losses and their weighted sum, of global clips (V, B, D), their moments (V, P, B, D)
    and the local clips (V, P, B, D).
    """
    losses = {
        "ic2": nt_xent(sparse[0], sparse[1], weights.temperature),
        "ic1": local_instances(dense, weights.temperature),
        "ll": local_local(dense, weights.temperature, weights.local_local_over),
        "gl": global_local(moments, dense, weights.temperature),
    }
    share = (
        weights.global_instance,
        weights.local_instance,
        weights.local_local,
        weights.global_local,
    )
    total = torch.stack(
        [each * loss for each, loss in zip(share, losses.values(), strict=True)]
    ).sum()
    return {"loss": total, **losses}


def nt_xent(one: Tensor, other: Tensor, temperature: float) -> Tensor:
    """(…): SimCLR's loss of pairs (…, n, D): each of 2n vectors is to find its counterpart among the 2n - 1 others."""
    n = one.shape[-2]
    both = torch.cat([one, other], dim=-2)  # (…, 2n, D)
    alike = both @ both.transpose(-1, -2) / temperature  # (…, 2n, 2n)
    alike = alike.masked_fill(torch.eye(2 * n, dtype=torch.bool, device=both.device), -torch.inf)
    counterpart = torch.arange(2 * n, device=both.device).roll(n).expand(alike.shape[:-1])
    found = functional.cross_entropy(
        alike.reshape(-1, 2 * n), counterpart.reshape(-1), reduction="none"
    )
    return found.reshape(alike.shape[:-1]).mean(-1)


def local_instances(dense: Tensor, temperature: float) -> Tensor:
    """IC1: any two local clips of a video, of whatever look and time, are each other's counterparts among videos.

    Published: every ordered pair counts a quarter, so each of the 28 pairs a half.
    """
    clips = dense.flatten(0, 1)  # (V P, B, D)
    pairs = torch.tensor(list(combinations(range(len(clips)), 2)), device=dense.device)
    return nt_xent(clips[pairs[:, 0]], clips[pairs[:, 1]], temperature).sum() / 2


def local_local(
    dense: Tensor, temperature: float, reduction: Literal["sum", "mean"] = "sum"
) -> Tensor:
    """LL: within a video, a local clip is to find its other look among all its local clips."""
    one, other = dense.transpose(1, 2)  # (B, P, D) each
    found = nt_xent(one, other, temperature)  # (B,)
    return found.sum() if reduction == "sum" else found.mean()


def global_local(moments: Tensor, dense: Tensor, temperature: float) -> Tensor:
    """GL: within a video, a moment of the global clip is to find the local clip of its time, and that the moment."""
    total = []
    for far in moments.transpose(1, 2):  # (B, P, D)
        for near in dense.transpose(1, 2):
            alike = far @ near.transpose(1, 2) / temperature  # (B, P, P)
            when = torch.arange(alike.shape[1], device=alike.device).expand(alike.shape[:2])
            found = functional.cross_entropy(alike, when, reduction="sum")
            found = found + functional.cross_entropy(alike.transpose(1, 2), when, reduction="sum")
            total.append(found / (2 * len(alike)))
    return torch.stack(total).sum()


# 2. One step: ten passes, because batch norm is to see one look of one clip at a time.


def step_through(
    module: nn.Module,
    batch: Tensor,
    backward: Callable[[Tensor], None],
    *,
    weights: LossWeights,
    memory: Memory,
    channels: Channels = "rgb",
) -> Losses:
    """The losses of a batch (B, 2, 1 + P, C, T, S, S), their gradient pushed back."""
    P = batch.shape[2] - 1
    each = [(v, k) for v in range(2) for k in range(1 + P)]

    def one_pass(v: int, k: int) -> tuple[Tensor, ...]:
        out: tuple[Tensor, ...] = module(floats(batch[:, v, k], channels), apart=k == 0)
        return out

    def losses(found: list[tuple[Tensor, ...]]) -> Losses:
        clips = [found[v * (1 + P) : (v + 1) * (1 + P)] for v in range(2)]
        sparse = torch.stack([torch.stack(look[0]) for look in clips])  # (2, 1 + P, B, D)
        dense = torch.stack(
            [torch.stack([one for (one,) in look[1:]]) for look in clips]
        )  # (2, P, B, D)
        return contrast(sparse[:, 0], sparse[:, 1:], dense, weights)

    return backward_through(
        module, [partial(one_pass, v, k) for v, k in each], losses, backward, memory
    )


def floats(pixels: Tensor, channels: Channels) -> Tensor:
    """Clips (…, C, T, H, W) uint8 of RGB as the network is given them: from 0 to 1, published networks in BGR."""
    return (pixels.flip(-4) if channels == "bgr" else pixels).float() / 255


# 3. The method.


class TCLR(Embedder):
    """Learns video without labels, by contrast between videos and between moments of a video; embeddings are judged.

    Args:
        network: R3D-18 or R(2+1)D-18 as published (33 and 31 million numbers), or a small one (0.9 million) for a CPU.
        weights: File of published weights; the network is then taken as it is and not trained.
        channels: Order of the colours; the published networks were given BGR.
        length: Frames in a clip, a multiple of 4; a quarter of it is the number of local clips.
        step: Frames from one to the next of a local clip; a sample spans length x length / 4 x step frames.
        stride: Frames from one to the next of a clip that is judged.
        hop: Frames from one clip that is judged to the next.
        size: Pixels a side of the squares learned from; what is judged is as high, and as wide as the video's shape.
        projection: Numbers in the vectors that are contrasted.
        longest: Frames of the longest film that counts as one video; what is longer is cut into pieces of that size.
        timed: Keep what is found at each moment of a clip (published for retrieval) instead of its mean.
        memory: Take the gradient pass by pass, in a tenth of the memory and 4/3 of the time, or of all at once.
        losses: What each loss counts, and how it is taken.
        training: How the network is trained; published are up to 1000 epochs in batches of 40 videos.
        head: What says how far from normal an embedding is.
        neighbours: How many of the nearest embeddings give, by their mean distance, the score.
        bank: Embeddings that the head neighbours remembers.
        components: Gaussians of the head mixture, fewer where there is little video.
    """

    name = "tclr"

    def __init__(
        self,
        *,
        network: Network = "r3d18",
        weights: str = "",
        channels: Channels = "rgb",
        length: int = 16,
        step: int = 1,
        stride: int = 2,
        hop: int = 4,
        size: int = 112,
        projection: int = 128,
        longest: int = 1024,
        timed: bool = False,
        memory: Memory = "exact",
        losses: LossWeights = AS_PUBLISHED,
        training: Training = PUBLISHED,
        head: HeadName = "neighbours",
        neighbours: int = 5,
        bank: int = 4096,
        components: int = 5,
    ) -> None:
        super().__init__(head=head, head_options=HeadOptions(neighbours, bank, components))
        if length < 2 * SHRINKS or length % SHRINKS:
            raise ValueError(
                f"length is a multiple of {SHRINKS} from {2 * SHRINKS} on, for each {SHRINKS} frames become one moment "
                f"and two moments are the least that can be told apart; got {length}"
            )
        for name, value, least in (
            ("step", step, 1),
            ("longest", longest, 1),
            ("projection", projection, 2),
        ):
            if value < least:
                raise ValueError(f"{name} is {least} or more, got {value}")
        if size < 16:
            raise ValueError(f"size is 16 pixels or more, got {size}")
        if training.batch // (training.devices * training.nodes) < 2:
            raise ValueError(
                f"a batch holds two videos or more on each device, to contrast; got {training.batch}"
            )
        self.weights, self.channels, self.timed, self.memory = weights, channels, timed, memory
        self.timing, self.stride, self.hop, self.size = (
            Timing(length, step, length // SHRINKS),
            stride,
            hop,
            size,
        )
        self.longest, self.losses, self.training_options = longest, losses, training
        self.kind, self.projection = network, projection
        self.model = Contrasted(network, projection)
        self.spec  # noqa: B018  # raises ValueError for a stride or hop that cannot be

    @property
    def spec(self) -> ClipSpec:
        return ClipSpec(self.timing.length, self.stride, self.hop, round(self.size * ASPECT))

    def core(self) -> nn.Module:
        return self.model

    def pretrain(self, videos: Sequence[Video], run: Run) -> None:
        """Train the network on the videos, or read the published weights."""
        torch.manual_seed(run.seed)
        self.model = Contrasted(self.kind, self.projection).to(
            run.device
        )  # what was learned before is forgotten
        if self.weights:
            load_tclr(self.model, Path(self.weights))
            T = self.timing.length
            clip = torch.zeros((1, 3, T, self.size, self.size), device=run.device)
            self.choose_precision(self.model[0], clip, run)
            return
        data = TwoViews(videos, self.timing, self.size, longest=self.longest, seed=run.seed)
        for one in data.skipped:
            logger.warning(f"not trained on: {one.video} {one.reason}")
        channels_last(self.model)
        step = partial(
            step_through, weights=self.losses, memory=self.memory, channels=self.channels
        )
        history = train(self.model, data, step, run, self.training_options, name=self.name)
        self.use_precision(history.precision)
        run.notes["loss"] = {
            name: history.column(name)[-1] for name in ("loss", "ic2", "ic1", "ll", "gl")
        }
        run.notes["skipped"] = [f"{one.video} {one.reason}" for one in data.skipped]

    def embed(self, pixels: Tensor) -> Tensor:
        """(N, 512), or (N, 512 moments) when timed: what the network finds, before the head that it learned with."""
        body: Any = self.model[0]
        device = next(body.parameters()).device
        vectors = []
        # one by one on a CPU, where what a convolution gives may hang on how many clips it is given
        alone = device.type == "cpu" and not self.training
        for part in torch.split(pixels, 1 if alone else len(pixels)):
            with autocast(device, self.precision):
                found = body(floats(part.to(device), self.channels))[
                    ..., 0, 0
                ].float()  # (n, 512, moments)
            vectors.append(found.flatten(1) if self.timed else found.mean(2))
        return torch.cat(vectors)
