"""Reconstruction autoencoders: learn to copy normal clips; what is copied badly is anomalous.

Three networks: convolutional LSTM (after Chong & Tay, ISNN 2017; Medel & Savakis, 2016) and two of
3-D convolutions (after Tran et al., ICCV 2015, and Zhao et al., ACM MM 2017), with the layers of
the published notebooks, in which each convolution is followed by ReLU and batch normalisation.

N clips, C channels, T frames in a clip, H × W pixels, h × w cells of a map.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from oddframe.array_spec import ArraySpec, check_arrays
from oddframe.methods.reconstruction.networks import (
    ConvLSTMNet,
    Output,
    c3d_deep,
    c3d_light,
    initialise,
)
from oddframe.methods.reconstruction.window_errors import ERROR_WINDOW, window_errors
from oddframe.options import Range, check_ranges
from oddframe.run import Run
from oddframe.training.config import Training
from oddframe.training.inference import infer
from oddframe.training.network_detector import NetworkDetector
from oddframe.training.precision import autocast
from oddframe.training.random_clips import RandomClips
from oddframe.training.trainer import by_loss, train
from oddframe.types import Clips, ClipSpec, Floats, Scores, Video
from oddframe.video.sampling import clip_windows

STATISTICS_CLIPS = 200  # from which the statistics of batch normalisation are taken
REFERENCE_CLIPS = 64  # of normal video, from which the usual errors are learned
CLIPS_IN_PASS = 8  # clips in a pass on a GPU
CHANGE = 0.02  # change of a pixel, as a share of white, that doubles its weight at weight 1
WHITE = 255  # the published 256 never reaches white

PictureSide = Annotated[int, Range(16, 4096)]


@dataclass(frozen=True)
class ReconstructionOptions:
    """What is copied, and how its error becomes a score.

    Args:
        clip_length: Frames in a clip; 8 (conv-lstm) and 16 (c3d, a multiple of 16) unless given.
        size: Height and width of pictures.
        frame_step: Frames from one frame of a clip to the next.
        colour: Grey as published, or colour.
        target: The frame that a clip's score is of; last needs no future, first is as published.
        output: Last activation; tanh as published.
        task: Copy the clip as published, or predict the frame after it.
        motion_weight: Extra weight of pixels that change; 0 as published.
        error_of: Error of the whole clip as published, or of the target frame.
        reduce: Mean error as published, or the largest window error above the usual one there.
    """

    clip_length: Annotated[int | None, Range(2, 1024)] = None
    size: tuple[PictureSide, PictureSide] = (224, 224)
    frame_step: Annotated[int, Range(1, 1000)] = 1
    colour: Literal["grey", "rgb"] = "grey"
    target: Literal["first", "centre", "last"] = "last"
    output: Output = "tanh"
    task: Literal["copy", "predict"] = "copy"
    motion_weight: Annotated[float, Range(0, 100)] = 0.0
    error_of: Literal["clip", "frame"] = "clip"
    reduce: Literal["mean", "max"] = "mean"

    def __post_init__(self) -> None:
        check_ranges(type(self), vars(self))
        object.__setattr__(self, "size", tuple(self.size))  # JSON and YAML know lists only
        if self.task == "predict" and (self.error_of == "clip" or self.target != "last"):
            raise ValueError(
                "what is predicted is the last frame: --task predict wants --error-of frame "
                "and --target last"
            )

    @property
    def channels(self) -> int:
        """Channels of a picture."""
        if self.colour == "rgb":
            return 3
        return 1


PUBLISHED = Training(epochs=50, batch=4, optimizer="sgd", lr=0.01)


class Exercise(NamedTuple):
    """What a network is given of a clip, and what is expected of it."""

    given: Tensor  # (N, C, T, H, W) from 0 to 1
    wanted: Tensor  # the same, or (N, C, 1, H, W) where one frame is predicted
    weight: Tensor  # of each pixel, (N, 1, T, H, W) or ()


class Reconstruction(NetworkDetector):
    """What the networks have in common: learn to copy, score by the error."""

    usual_length: ClassVar[int]  # frames in a clip
    frames_multiple: ClassVar[int]  # frames in a clip are a multiple of it
    pixels_multiple: ClassVar[int]  # sides of pictures are multiples of it
    net: nn.Module
    reference: Tensor  # (h, w) usual window errors on normal video; empty before fitting

    def __init__(self, options: ReconstructionOptions, training: Training) -> None:
        super().__init__()
        self.copying = options
        self.training_options = training
        self.clip_length = options.clip_length or self.usual_length
        self.refuse_sizes()
        self.register_buffer("reference", torch.empty(0))
        # from window errors above the reference to the scale of the score: factor and offset
        self.scale = (1.0, 0.0)
        self.net = self.build()

    def build(self) -> nn.Module:
        """The network, (N, C, T, H, W) to the same, from −1 or 0 to 1.

        Weights are drawn from torch's random state.
        """
        raise NotImplementedError

    def refuse_sizes(self) -> None:
        """Raise ValueError for clips or pictures that the network cannot halve as often as it does."""
        if self.clip_length % self.frames_multiple:
            raise ValueError(
                f"a clip of {self.name} has a multiple of {self.frames_multiple} frames, "
                f"got {self.clip_length}"
            )
        size = self.copying.size
        if any(side % self.pixels_multiple for side in size):
            raise ValueError(
                f"pictures of {self.name} have sides of {self.pixels_multiple} × n pixels, "
                f"{ERROR_WINDOW} or more, got {size}"
            )

    @property
    def spec(self) -> ClipSpec:
        options = self.copying
        return ClipSpec(
            length=self.clip_length + (options.task == "predict"),
            stride=options.frame_step,
            size=options.size,
            colour=options.colour,
            target=options.target,
        )

    def core(self) -> nn.Module:
        return self.net

    # 1. Learning to copy.

    def fit(self, videos: Sequence[Video], run: Run) -> None:
        self.to(run.device)
        torch.manual_seed(run.seed)
        self.net.load_state_dict(self.build().state_dict())  # what was learned before is forgotten
        # as many clips an epoch as there are without overlap, as published; but drawn anywhere
        spec = self.spec
        overlapping = sum(len(clip_windows(video, spec)) for video in videos)
        count = max(1, overlapping // spec.span)
        data = RandomClips(videos, spec, count=count, seed=run.seed)
        history = train(self.net, data, by_loss(self.loss), run, self.training_options)
        self.use_precision(history.precision)
        run.notes["training"] = {
            "epochs": len(history.rows),
            "loss": history.column("loss")[-1],
            "seconds": sum(history.column("seconds")),  # also those before an interruption
        }
        self.renew_statistics(data)
        normal = RandomClips(videos, spec, count=REFERENCE_CLIPS, seed=run.seed + 1)
        self.learn_reference(normal)

    def loss(self, net: nn.Module, batch: Any) -> Tensor:
        """Mean squared error of a batch of clips (N, C, T, H, W) uint8."""
        given, wanted, weight = self.exercise(batch[0])
        error = self.expected_part(net(given)) - wanted
        return (weight * error**2).mean()

    def exercise(self, pixels: Tensor) -> Exercise:
        """What the network is given of clips (N, C, T, H, W) uint8, and what is expected of it."""
        clip = pixels.float() / WHITE
        given = clip[:, :, : self.clip_length]
        given = given.contiguous(memory_format=torch.channels_last_3d)
        wanted = clip
        if self.copying.task == "predict":
            wanted = clip[:, :, -1:]
        if not self.copying.motion_weight:
            return Exercise(given, wanted, torch.ones((), device=clip.device))
        differences = clip[:, :, 1:] - clip[:, :, :-1]
        change = differences.abs().mean(1, keepdim=True)
        change = torch.cat([change[:, :, :1], change], 2)  # the first frame changes as the second
        change = change[:, :, -wanted.shape[2] :]
        moving = F.avg_pool3d(change, (1, 5, 5), 1, (0, 2, 2)) / CHANGE
        weight = 1 + self.copying.motion_weight * moving.clamp(max=1)
        return Exercise(given, wanted, weight)

    def expected_part(self, made: Tensor) -> Tensor:
        """What is compared of the network's output: all of it, or the frame that is predicted."""
        if self.copying.task == "predict":
            return made[:, :, -1:]
        return made

    def renew_statistics(self, clips: RandomClips) -> None:
        """Take the statistics of batch normalisation anew, by the weights as they are now.

        The running ones are of weights of long ago and of activations thinned by dropout: after a
        short training a network that copies well while it is trained copies nothing with them
        (Wu & Johnson, "Rethinking Batch in BatchNorm", 2021, section 3; Li et al., CVPR 2019, on
        dropout).
        """
        device = next(self.net.parameters()).device
        momentum_of: dict[_BatchNorm, float | None] = {}
        self.net.eval()
        for norm in self.net.modules():
            if isinstance(norm, _BatchNorm):
                momentum_of[norm] = norm.momentum
                norm.reset_running_stats()
                norm.momentum = None  # the mean over all batches
                norm.train()
        batch = self.training_options.batch
        whole_batches = min(len(clips), STATISTICS_CLIPS) // batch
        with torch.no_grad(), autocast(device, self.precision):
            for k in range(whole_batches):
                pixels = pixels_of(clips, k * batch, (k + 1) * batch)
                self.net(self.exercise(pixels.to(device)).given)
        for norm, momentum in momentum_of.items():
            norm.momentum = momentum
        self.net.eval()

    def learn_reference(self, clips: RandomClips) -> None:
        """Learn which window errors are usual where, and how the map compares with the score.

        Edges are copied badly by every network, always. And the worst window of a normal frame is
        worse than the frame: the map is scaled so that its peaks on normal video have the median
        and the spread of the scores.
        """
        self.eval()
        self.reference = torch.empty(0)
        errors = []
        for first in range(0, len(clips), CLIPS_IN_PASS):
            end = min(first + CLIPS_IN_PASS, len(clips))
            pixels = pixels_of(clips, first, end)
            errors.append(self.squared_errors(pixels))
        error = np.concatenate(errors)
        self.reference = torch.from_numpy(np.median(self.excess(error), axis=0))
        quantiles = (0.5, 0.9)
        peaks = np.quantile(self.excess(error).max((1, 2)), quantiles)
        values = np.quantile(root_mean(error), quantiles)
        spread_of_peaks = max(peaks[1] - peaks[0], 1e-6)
        factor = float((values[1] - values[0]) / spread_of_peaks)
        offset = float(values[0] - factor * peaks[0])
        self.scale = (factor, offset)

    # 2. Scoring by the error.

    def score(self, clips: Clips) -> Scores:
        """(N,) scores in grey levels of 255, and (N, h, w) maps on their scale.

        The score is the root mean squared error, or with --reduce max the largest window error
        above the reference.
        """
        error = self.squared_errors(torch.from_numpy(clips.pixels))
        excess = self.excess(error)
        if self.copying.reduce == "max":
            value = excess.max((1, 2))
            heat = excess
        else:
            value = root_mean(error)
            factor, offset = self.scale
            heat = np.maximum(excess * factor + offset, 0)
        return Scores(clips.video, clips.frame_index, clips.seconds, value, map=heat)

    def reconstruct(self, clips: Clips) -> tuple[Floats, Floats]:
        """Pixels (N, T, H, W, C) that were wanted and what the network made, both from 0 to 1."""
        pixels = torch.from_numpy(clips.pixels)
        wanted, made, _ = self.copied(pixels)
        channels_last = (0, 2, 3, 4, 1)
        pictures = wanted.permute(channels_last).cpu().numpy()
        copies = made.permute(channels_last).cpu().numpy()
        return pictures, np.clip(copies, 0, 1)

    def copied(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of clips (N, C, T, H, W) uint8 what was wanted, what was made, and each pixel's weight."""
        device = next(self.net.parameters()).device
        made = infer(
            self.net,
            pixels,
            batch=CLIPS_IN_PASS,
            precision=self.precision,
            prepare=lambda rows: self.exercise(rows).given,
        )
        _, wanted, weight = self.exercise(pixels.to(device))
        return wanted, self.expected_part(made), weight

    def squared_errors(self, pixels: Tensor) -> Floats:
        """(N, T, H, W) squared errors in grey levels of 255, mean over channels.

        T is 1 where the error is of one frame.
        """
        wanted, made, weight = self.copied(pixels)
        squared = (made - wanted) ** 2
        error = (weight * squared).mean(1) * 255**2
        if self.copying.error_of == "frame":
            at = 0
            if self.copying.task == "copy":
                at = self.target_place
            error = error[:, at : at + 1]
        return np.ascontiguousarray(error.cpu().numpy())  # sums depend on the layout

    @property
    def target_place(self) -> int:
        """The position of the target frame among the frames of a clip."""
        return self.spec.target_index // self.copying.frame_step

    def excess(self, error: Floats) -> Floats:
        """(N, h, w) window errors of the target frame above the reference, of (N, T, H, W)."""
        at = 0
        if self.copying.error_of == "clip":
            at = self.target_place
        maps = [window_errors(one[at]) for one in error]
        heat = np.stack(maps)
        if not self.reference.numel():
            return heat
        above: Floats = np.maximum(heat - self.reference.cpu().numpy(), 0)
        return above

    def check_learned(self) -> None:
        cells = window_errors(np.zeros(self.copying.size, np.float32)).shape
        specs = {"reference": ArraySpec(cells, low=0)}
        check_arrays({"reference": self.reference.numpy()}, specs)
        if not np.isfinite(self.scale).all():
            raise ValueError("its scale holds numbers that are not finite")

    def get_extra_state(self) -> dict[str, Any]:
        return {"scale": list(self.scale)}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        factor, offset = state["scale"]
        self.scale = (float(factor), float(offset))


def root_mean(squared: Floats) -> Floats:
    """(N,) from squared errors (N, T, H, W): the root of their mean."""
    mean = squared.mean((1, 2, 3))
    return np.asarray(np.sqrt(mean))


def pixels_of(clips: RandomClips, first: int, end: int) -> Tensor:
    """(n, C, T, H, W) uint8: the items of an epoch from one number to another, not included."""
    return torch.stack([clips[item].pixels for item in range(first, end)])


class ConvLSTM(Reconstruction):
    """Copies clips with a convolutional LSTM between per-frame convolutions; bad copies score high.

    Args:
        reconstruction: What is copied, and how its error becomes a score.
        training: How the network is trained.
    """

    name = "conv-lstm"
    usual_length = 8
    frames_multiple = 1
    pixels_multiple = 8

    def __init__(
        self,
        *,
        reconstruction: ReconstructionOptions = ReconstructionOptions(),
        training: Training = PUBLISHED,
    ) -> None:
        super().__init__(reconstruction, training)

    def build(self) -> nn.Module:
        net = ConvLSTMNet(self.copying.channels, self.copying.output)
        return initialise(net)


class C3D(Reconstruction):
    """Copies clips with 3-D convolutions; bad copies score high.

    Args:
        network: The light network, or the deep one that was trained for the published figures.
        reconstruction: What is copied, and how its error becomes a score.
        training: How the network is trained.
    """

    name = "c3d"
    usual_length = 16
    frames_multiple = 16
    pixels_multiple = 16

    def __init__(
        self,
        *,
        network: Literal["light", "deep"] = "light",
        reconstruction: ReconstructionOptions = ReconstructionOptions(),
        training: Training = PUBLISHED,
    ) -> None:
        self.network = network
        super().__init__(reconstruction, training)

    def build(self) -> nn.Module:
        makers = {"light": c3d_light, "deep": c3d_deep}
        net = makers[self.network](self.copying.channels, self.copying.output)
        return initialise(net)
