"""TCLR: clips of one video are alike in any view (instance contrast), and yet its moments are told
apart (temporal contrast, between local clips, and between them and the moments of a global clip).
No label is needed.

Ishan Dave, Rohit Gupta, Mamshad Nayeem Rizve, Mubarak Shah, *TCLR: Temporal Contrastive Learning
for Video Representation*, CVIU 2022. Published on UCF101 with R3D-18: a linear classifier on frozen
features 69.9 %, the network fine-tuned 82 %, nearest-neighbour retrieval R@1 56.1 %; its authors
ask for a GPU of 48 GB.

The losses are those of the published code, where the local-local loss is a sum over the batch (the
more videos, the more it weighs) and the local instance loss counts fourteen times its mean;
`LossWeights` changes both.

Where we differ from the published code:
- embeddings are judged by a head: the original finds no anomaly;
- 100 epochs unless asked, published are up to 1000; a linear warm-up unless `--warm-up-factors`
  gives the published steps; colours in RGB unless `--channel-order bgr`;
  `recipes/tclr-published.yaml` has all of these as published;
- crops are drawn from the whole width, where the published ones never reach the right quarter of a
  4:3 frame;
- hue turns in YIQ, which takes a tenth of the time of HSV;
- the gradient is taken pass by pass, in a tenth of the memory (`--gradient-cache plain` takes it at
  once);
- films of more than `max_video_frames` frames count as several videos.

B videos in a batch, V = 2 views of each, P local clips, D numbers in a vector of length one; C
channels, T frames in a clip, S pixels a side.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
from torch import Tensor, nn

from oddframe.embeddings.embedder import Embedder
from oddframe.embeddings.head import HeadOptions
from oddframe.methods.tclr.losses import LossWeights, contrast
from oddframe.methods.tclr.networks import (
    TIME_REDUCTION,
    ContrastedNetwork,
    PooledFeatures,
    VideoNetwork,
    load_tclr,
)
from oddframe.methods.tclr.sampling import Timing, TwoViews
from oddframe.options import Range, check_ranges
from oddframe.run import Run
from oddframe.training.config import Training
from oddframe.training.gradient_cache import Losses, Memory, backward_through
from oddframe.training.precision import channels_last
from oddframe.training.random_clips import note_skipped
from oddframe.training.trainer import train
from oddframe.types import ChannelOrder, ClipSpec, Video

TCLR_TRAINING = Training(
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


# width over height of what is judged, as UCF101's: networks were published for squares out of it
ASPECT = 4 / 3


def contrast_views(
    module: nn.Module,
    batch: Tensor,
    backward: Callable[[Tensor], None],
    *,
    weights: LossWeights,
    memory: Memory,
    channel_order: ChannelOrder = "rgb",
) -> Losses:
    """The losses of a batch (B, 2, 1 + P, C, T, S, S), their gradient pushed back.

    Each of the 2 (1 + P) clips of a sample is a pass of its own, because batch norm is to see one
    view of one clip at a time, as published.
    """
    views, clips = batch.shape[1:3]

    def run_pass(view: int, clip: int) -> tuple[Tensor, ...]:
        pixels = to_floats(batch[:, view, clip], channel_order)
        out: tuple[Tensor, ...] = module(pixels, by_time=clip == 0)
        return out

    def losses(found: list[tuple[Tensor, ...]]) -> Losses:
        global_clips = []
        local_clips = []
        for view in range(views):
            first, *others = found[view * clips : (view + 1) * clips]
            global_clips.append(torch.stack(first))
            vectors = [vector for (vector,) in others]
            local_clips.append(torch.stack(vectors))
        both = torch.stack(global_clips)  # (2, 1 + P, B, D): the mean over time, then each moment
        return contrast(both[:, 0], both[:, 1:], torch.stack(local_clips), weights)

    passes = []
    for view in range(views):
        for clip in range(clips):
            passes.append(partial(run_pass, view, clip))
    return backward_through(module, passes, losses, backward, memory)


def to_floats(pixels: Tensor, channel_order: ChannelOrder) -> Tensor:
    """Clips (…, C, T, H, W) uint8 of RGB as the network is given them: from 0 to 1, published
    networks in BGR.
    """
    if channel_order == "bgr":
        pixels = pixels.flip(-4)
    return pixels.float() / 255


class TCLR(Embedder):
    """Learns video without labels, by contrast between and within videos; judges embeddings.

    Args:
        network: R3D-18 or R(2+1)D-18 as published (33 and 31 million numbers), or a small one (0.9
            million) for a CPU.
        weights: File of published weights; the network is then taken as it is and not trained.
        channel_order: Order of the colours; the published networks were given BGR.
        clip_length: Frames in a clip, a multiple of 4; a quarter of it is the number of local
            clips.
        train_frame_step: Frames from one to the next of a local clip; a sample spans clip_length x
            clip_length / 4 x train_frame_step frames.
        frame_step: Frames from one to the next of a clip that is judged.
        hop: Frames from one clip that is judged to the next.
        size: Pixels a side of the squares learned from; what is judged is as high, and as wide as
            the video's shape.
        projection: Numbers in the vectors that are contrasted.
        max_video_frames: Frames of the longest film that counts as one video; what is longer is cut
            into pieces.
        keep_time: Keep what is found at each moment of a clip (published for retrieval) instead of
            its mean.
        gradient_cache: Take the gradient pass by pass, in a tenth of the memory and 4/3 of the time
            (exact), or of all passes at once (plain).
        losses: What each loss counts, and how it is taken.
        training: How the network is trained; published are up to 1000 epochs in batches of 40
            videos.
        head: What says how far from normal an embedding is.
    """

    name = "tclr"

    def __init__(
        self,
        *,
        network: VideoNetwork = "r3d18",
        weights: str = "",
        channel_order: ChannelOrder = "rgb",
        clip_length: Annotated[int, Range(2 * TIME_REDUCTION, 1024)] = 16,
        train_frame_step: Annotated[int, Range(1, 10_000)] = 1,
        frame_step: Annotated[int, Range(1, 10_000)] = 2,
        hop: Annotated[int, Range(1, 100_000)] = 4,
        size: Annotated[int, Range(16, 4096)] = 112,
        projection: Annotated[int, Range(2, 100_000)] = 128,
        max_video_frames: Annotated[int, Range(1, 1_000_000_000)] = 1024,
        keep_time: bool = False,
        gradient_cache: Memory = "exact",
        losses: LossWeights = LossWeights(),  # noqa: B008
        training: Training = TCLR_TRAINING,
        head: HeadOptions = HeadOptions(),  # noqa: B008
    ) -> None:
        check_ranges(type(self), locals())
        super().__init__(head=head)
        if clip_length % TIME_REDUCTION:
            raise ValueError(
                f"clip_length is a multiple of {TIME_REDUCTION}, "
                f"for {TIME_REDUCTION} frames become one moment; got {clip_length}"
            )
        if training.batch // (training.devices * training.nodes) < 2:
            raise ValueError(
                "a batch holds two videos or more on each device, to contrast; "
                f"got {training.batch}"
            )
        self.network = network
        self.weights = weights
        self.channel_order = channel_order
        self.timing = Timing(clip_length, train_frame_step, clip_length // TIME_REDUCTION)
        self.frame_step = frame_step
        self.hop = hop
        self.size = size
        self.projection = projection
        self.max_video_frames = max_video_frames
        self.keep_time = keep_time
        self.gradient_cache = gradient_cache
        self.losses = losses
        self.training_options = training
        self.model = ContrastedNetwork(network, projection)

    @property
    def spec(self) -> ClipSpec:
        width = round(self.size * ASPECT)
        return ClipSpec(
            length=self.timing.length,
            stride=self.frame_step,
            hop=self.hop,
            size=width,
        )

    def core(self) -> nn.Module:
        """(N, 512), or (N, 512 moments) where time is kept: the features before the projection."""
        return PooledFeatures(self.model[0], self.keep_time)

    @property
    def embedding_width(self) -> int | None:
        moments = -(-self.timing.length // TIME_REDUCTION) if self.keep_time else 1
        return self.model.width * moments

    def prepare(self, pixels: Tensor) -> Tensor:
        """(N, 3, T, H, W) from 0 to 1."""
        return to_floats(pixels, self.channel_order)

    def pretrain(self, videos: Sequence[Video], run: Run) -> None:
        """Train the network on the videos, or read the published weights."""
        torch.manual_seed(run.seed)
        # what was learned before is forgotten
        self.model = ContrastedNetwork(self.network, self.projection).to(run.device)
        if self.weights:
            load_tclr(self.model, Path(self.weights))
            shape = (1, 3, self.timing.length, self.size, self.size)
            self.choose_precision(self.model[0], torch.zeros(shape, device=run.device), run)
            return
        data = TwoViews(
            videos,
            self.timing,
            self.size,
            max_video_frames=self.max_video_frames,
            seed=run.seed,
        )
        note_skipped(data.skipped, run)
        channels_last(self.model)
        step = partial(
            contrast_views,
            weights=self.losses,
            memory=self.gradient_cache,
            channel_order=self.channel_order,
        )
        history = train(self.model, data, step, run, self.training_options, name=self.name)
        self.use_precision(history.precision)
        last = {}
        for name in ("loss", "ic2", "ic1", "ll", "gl"):
            last[name] = history.column(name)[-1]
        run.notes["loss"] = last
