"""Reconstruction autoencoders: learn to copy normal clips; what is copied badly is odd.

Three networks: convolutional LSTM (after Chong & Tay, ISNN 2017; Medel & Savakis, 2016) and two of 3-D convolutions
(after Tran et al., ICCV 2015, and Zhao et al., ACM MM 2017), with the layers of the published notebooks, in which each
convolution is followed by ReLU and batch normalisation.

N clips, C channels, T frames in a clip, H × W pixels.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from oddframe.run import Run
from oddframe.training.config import Training
from oddframe.training.network_detector import NetworkDetector
from oddframe.training.precision import autocast, channels_last
from oddframe.training.random_clips import RandomClips
from oddframe.training.trainer import by_loss, train
from oddframe.types import Clips, ClipSpec, Floats, Scores, Video
from oddframe.video.sampling import clip_windows

WINDOW = 16  # pixels of the side of the window in which errors are summed
CELL = 4  # pixels of a cell of the map, which holds the worst window of its place
SETTLED_ON = 200  # clips from which the statistics of batch normalisation are taken
LOOKED_AT = 64  # clips of normal video from which usual errors are learned
AT_ONCE = (
    8  # clips that are put through the network together; more need more memory and are no faster
)
CHANGE = 0.02  # change of a pixel, as a share of white, that counts as much as standing still does

Colour = Literal["grey", "rgb"]


class Reconstruction(NetworkDetector):
    """What the networks have in common: learn to copy, score by the error."""

    halvings: ClassVar[
        tuple[int, int]
    ]  # clips and pictures are divisible by these: (frames, pixels)
    net: nn.Module

    def __init__(
        self,
        *,
        length: int,
        size: tuple[int, int],
        stride: int,
        colour: Colour,
        speaks_for: Literal["first", "centre", "last"],
        output: Literal["tanh", "sigmoid"],
        target: Literal["clip", "next"],
        motion: float,
        error_of: Literal["clip", "frame"],
        judge: Literal["mean", "worst"],
        training: Training,
    ) -> None:
        super().__init__()
        frames, pixels = self.halvings
        if length < 2 or length % frames:
            raise ValueError(
                f"a clip of {self.name} has 2 frames or more, a multiple of {frames}, got {length}"
            )
        if min(size) < max(pixels, WINDOW) or any(side % pixels for side in size):
            raise ValueError(
                f"pictures of {self.name} have sides of {pixels} × n pixels, {WINDOW} or more, got {size}"
            )
        if stride < 1:
            raise ValueError(f"a stride is 1 or more, got {stride}")
        if not 0 <= motion <= 100:
            raise ValueError(f"motion is from 0 to 100, got {motion}")
        if target == "next" and (error_of == "clip" or speaks_for != "last"):
            raise ValueError(
                "what is predicted is the last frame: --target next wants --error-of frame, speaking last"
            )
        self.length, self.size, self.stride, self.colour = length, tuple(size), stride, colour
        self.speaks_for, self.output, self.target, self.motion = speaks_for, output, target, motion
        self.error_of, self.judge, self.training_recipe = error_of, judge, training
        self.usual: Tensor  # (h, w) error of windows on normal video, at each place
        self.register_buffer("usual", torch.empty(0))
        self.scale = (
            1.0,
            0.0,
        )  # from windows' errors beyond that to the scale of the score: factor and offset

    def build(self) -> nn.Module:
        """The network, (N, C, T, H, W) to the same, from −1 or 0 to 1. Weights are drawn from torch's random state."""
        raise NotImplementedError

    @property
    def spec(self) -> ClipSpec:
        return ClipSpec(
            length=self.length + (self.target == "next"),
            stride=self.stride,
            size=(self.size[0], self.size[1]),
            colour=self.colour,
            target=self.speaks_for,
        )

    @property
    def channels(self) -> int:
        return 3 if self.colour == "rgb" else 1

    def core(self) -> nn.Module:
        return self.net

    def fit(self, videos: Sequence[Video], run: Run) -> None:
        self.to(run.device)
        torch.manual_seed(run.seed)
        self.net.load_state_dict(self.build().state_dict())  # what was learned before is forgotten
        # as many clips an epoch as there are without overlap, as published; but drawn anywhere
        count = sum(len(clip_windows(video, self.spec)) for video in videos) // self.spec.span
        data = RandomClips(videos, self.spec, count=max(1, count), seed=run.seed)
        history = train(self.net, data, by_loss(self.loss), run, self.training_recipe)
        self.use_precision(history.precision)
        seconds = sum(history.column("seconds"))  # also those before an interruption
        run.notes["training"] = {
            "epochs": len(history.rows),
            "loss": history.column("loss")[-1],
            "seconds": seconds,
        }
        self._settle(data)
        self._learn_usual(RandomClips(videos, self.spec, count=LOOKED_AT, seed=run.seed + 1))

    def loss(self, net: nn.Module, batch: Any) -> Tensor:
        """Mean squared error of a batch of clips (N, C, T, H, W) uint8."""
        given, wanted, weight = self._task(batch[0])
        return (weight * (self._of_target(net(given)) - wanted) ** 2).mean()

    def score(self, clips: Clips) -> Scores:
        """(N,) root mean squared errors in grey levels of 255, and (N, h, w) maps of windows' errors on their scale."""
        parts = [self._errors(part) for part in _parts(torch.from_numpy(clips.pixels))]
        error = np.concatenate(parts)  # (N, T, H, W)
        beyond = self._beyond(error)
        value = beyond.max((1, 2)) if self.judge == "worst" else np.sqrt(error.mean((1, 2, 3)))
        heat = (
            beyond
            if self.judge == "worst"
            else np.maximum(beyond * self.scale[0] + self.scale[1], 0)
        )
        return Scores(clips.video, clips.frame_index, clips.seconds, value, map=heat)

    def reconstruct(self, clips: Clips) -> tuple[Floats, Floats]:
        """Pixels (N, T, H, W, C) that were to be copied and what the network made of them, both from 0 to 1."""
        pairs = [self._through(part)[:2] for part in _parts(torch.from_numpy(clips.pixels))]
        wanted, made = (
            torch.cat(part).permute(0, 2, 3, 4, 1).cpu().numpy()
            for part in zip(*pairs, strict=True)
        )
        return wanted, np.clip(made, 0, 1)

    def _errors(self, pixels: Tensor) -> Floats:
        """(N, T, H, W) squared errors in grey levels of 255, mean over colours; of one frame where that is judged."""
        wanted, made, weight = self._through(pixels)
        error = (weight * (made - wanted) ** 2).mean(1) * 255**2
        if self.error_of == "frame":
            at = self.spec.target_index // self.stride if self.target == "clip" else 0
            error = error[:, at : at + 1]
        return np.asarray(error.cpu().numpy())

    def _through(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What was wanted, what was made, and how much each pixel counts, each (N, C, T, H, W) float32."""
        device = next(self.net.parameters()).device
        given, wanted, weight = self._task(pixels.to(device))
        with torch.inference_mode(), autocast(device, self.precision):
            made = self._of_target(self.net(given))
        return wanted, made.float(), weight

    def _task(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What the network is given, what it is to make of it, and how much each pixel counts."""
        clip = pixels.float() / 255  # the published 256 never reaches white
        given = clip[:, :, : self.length].contiguous(memory_format=torch.channels_last_3d)
        wanted = clip[:, :, -1:] if self.target == "next" else clip
        if not self.motion:
            return given, wanted, torch.ones((), device=clip.device)
        change = (clip[:, :, 1:] - clip[:, :, :-1]).abs().mean(1, keepdim=True)
        change = torch.cat([change[:, :, :1], change], 2)[:, :, -wanted.shape[2] :]
        moving = F.avg_pool3d(change, (1, 5, 5), 1, (0, 2, 2)) / CHANGE
        return given, wanted, 1 + self.motion * moving.clamp(max=1)

    def _of_target(self, made: Tensor) -> Tensor:
        return made[:, :, -1:] if self.target == "next" else made

    def _settle(self, clips: RandomClips) -> None:
        """Take the statistics of batch normalisation anew, over training clips, by the weights as they are now.

        The running ones are of weights of long ago and of activations thinned by dropout: after a short training a
        network that copies well while it is trained copies nothing with them (Wu & Johnson, "Rethinking Batch in
        BatchNorm", 2021, section 3; Li et al., CVPR 2019, on dropout).
        """
        batch, device = self.training_recipe.batch, next(self.net.parameters()).device
        norms = [
            module
            for module in self.net.modules()
            if isinstance(module, nn.modules.batchnorm._BatchNorm)
        ]
        usual = [norm.momentum for norm in norms]
        self.net.eval()
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # the mean over all batches
            norm.train()
        with torch.no_grad(), autocast(device, self.precision):
            for start in range(0, min(len(clips), SETTLED_ON) // batch * batch, batch):
                pixels = torch.stack([clips[k].pixels for k in range(start, start + batch)])
                self.net(self._task(pixels.to(device))[0])
        for norm, momentum in zip(norms, usual, strict=True):
            norm.momentum = momentum
        self.net.eval()

    def _beyond(self, error: Floats) -> Floats:
        """(N, h, w) errors of windows of the frame spoken for, beyond what is usual there, from (N, T, H, W)."""
        at = self.spec.target_index // self.stride if self.error_of == "clip" else 0
        heat = np.stack([window_errors(one[at]) for one in error])
        return np.maximum(heat - self.usual.cpu().numpy(), 0) if self.usual.numel() else heat

    def _learn_usual(self, clips: RandomClips) -> None:
        """What errors are usual where, and how the map compares with the score.

        Edges are copied badly by every network, always. And the worst window of a normal frame is worse than the frame:
        the map is scaled so that its peaks on normal video have the median and the spread of the scores.
        """
        self.eval()
        self.usual = torch.empty(0)
        batches = [
            torch.stack([clips[k].pixels for k in range(start, start + AT_ONCE)])
            for start in range(0, LOOKED_AT, AT_ONCE)
        ]
        errors = np.concatenate([self._errors(batch) for batch in batches])
        self.usual = torch.from_numpy(np.median(self._beyond(errors), axis=0))
        peaks = np.quantile(self._beyond(errors).max((1, 2)), (0.5, 0.9))
        values = np.quantile(np.sqrt(errors.mean((1, 2, 3))), (0.5, 0.9))
        factor = float((values[1] - values[0]) / max(peaks[1] - peaks[0], 1e-6))
        self.scale = (factor, float(values[0] - factor * peaks[0]))

    def get_extra_state(self) -> dict[str, Any]:
        return {"scale": list(self.scale)}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self.scale = (float(state["scale"][0]), float(state["scale"][1]))


def _parts(pixels: Tensor) -> list[Tensor]:
    return [pixels[k : k + AT_ONCE] for k in range(0, len(pixels), AT_ONCE)]


def window_errors(error: Floats) -> Floats:
    """(h, w) root mean squared error of windows of 16 × 16 from the squared errors (H, W) of a frame.

    Every position is looked at (a running sum makes that cheap); a cell of 4 × 4 pixels holds the worst around which
    a window lies. Windows that reach over the border are filled up by mirroring.
    """
    mean = cv2.boxFilter(
        error.astype(np.float32), -1, (WINDOW, WINDOW), borderType=cv2.BORDER_REFLECT
    )
    worst = cv2.dilate(mean, np.ones((CELL, CELL), np.uint8))
    return np.asarray(np.sqrt(np.maximum(worst[CELL // 2 :: CELL, CELL // 2 :: CELL], 0)))


class ConvLSTM(Reconstruction):
    """Copies clips with a convolutional LSTM between per-frame convolutions; what it copies badly is odd.

    Args:
        length: Frames in a clip.
        size: Height and width of pictures.
        stride: Frames from one frame of a clip to the next.
        colour: Grey as published, or colour.
        speaks_for: The frame that a clip's error belongs to; last needs no future, first is as published.
        output: Last activation; tanh as published.
        target: Copy the clip as published, or predict the frame after it.
        motion: Extra weight of pixels that change; 0 as published.
        error_of: Error of the whole clip as published, or of the frame that it speaks for.
        judge: Mean error as published, or that of the worst window beyond what is usual at its place.
        training: How the network is trained.
    """

    name = "conv-lstm"
    halvings = (1, 8)

    def __init__(
        self,
        *,
        length: int = 8,
        size: tuple[int, int] = (224, 224),
        stride: int = 1,
        colour: Colour = "grey",
        speaks_for: Literal["first", "centre", "last"] = "last",
        output: Literal["tanh", "sigmoid"] = "tanh",
        target: Literal["clip", "next"] = "clip",
        motion: float = 0.0,
        error_of: Literal["clip", "frame"] = "clip",
        judge: Literal["mean", "worst"] = "mean",
        training: Training = Training(epochs=50, batch=4, optimizer="sgd", lr=0.01),  # noqa: B008  frozen
    ) -> None:
        super().__init__(
            length=length, size=size, stride=stride, colour=colour, speaks_for=speaks_for, output=output,
            target=target, motion=motion, error_of=error_of, judge=judge, training=training,
        )  # fmt: skip
        self.net = self.build()

    def build(self) -> nn.Module:
        return _prepared(ConvLSTMNet(self.channels, self.output))


class C3D(Reconstruction):
    """Copies clips with 3-D convolutions; what it copies badly is odd.

    Args:
        variant: The light network, or the deep one that was trained for the published figures.
        length: Frames in a clip, a multiple of 16.
        size: Height and width of pictures.
        stride: Frames from one frame of a clip to the next.
        colour: Grey as published, or colour.
        speaks_for: The frame that a clip's error belongs to; last needs no future, first is as published.
        output: Last activation; tanh as published.
        target: Copy the clip as published, or predict the frame after it.
        motion: Extra weight of pixels that change; 0 as published.
        error_of: Error of the whole clip as published, or of the frame that it speaks for.
        judge: Mean error as published, or that of the worst window beyond what is usual at its place.
        training: How the network is trained.
    """

    name = "c3d"
    halvings = (16, 16)

    def __init__(
        self,
        *,
        variant: Literal["light", "deep"] = "light",
        length: int = 16,
        size: tuple[int, int] = (224, 224),
        stride: int = 1,
        colour: Colour = "grey",
        speaks_for: Literal["first", "centre", "last"] = "last",
        output: Literal["tanh", "sigmoid"] = "tanh",
        target: Literal["clip", "next"] = "clip",
        motion: float = 0.0,
        error_of: Literal["clip", "frame"] = "clip",
        judge: Literal["mean", "worst"] = "mean",
        training: Training = Training(epochs=50, batch=4, optimizer="sgd", lr=0.01),  # noqa: B008  frozen
    ) -> None:
        super().__init__(
            length=length, size=size, stride=stride, colour=colour, speaks_for=speaks_for, output=output,
            target=target, motion=motion, error_of=error_of, judge=judge, training=training,
        )  # fmt: skip
        self.variant = variant
        self.net = self.build()

    def build(self) -> nn.Module:
        return _prepared(
            (c3d_light if self.variant == "light" else c3d_deep)(self.channels, self.output)
        )


# The networks, in the order of their layers.


class ConvLSTMNet(nn.Module):
    """Convolutions of each frame, three convolutional LSTMs over the frames, transposed convolutions of each frame."""

    def __init__(self, channels: int, output: str) -> None:
        super().__init__()
        self.encode = nn.Sequential(
            down(channels, 256, 11, 4), *_norm2d(256),
            down(256, 128, 5, 2), *_norm2d(128),
            down(128, 64, 3, 1), *_norm2d(64),
        )  # fmt: skip
        self.remember = nn.ModuleList(
            [ConvLSTMLayer(64, 64), ConvLSTMLayer(64, 32), ConvLSTMLayer(32, 64)]
        )
        self.norms = nn.ModuleList([nn.Sequential(*_norm2d(width)) for width in (64, 32, 64)])
        self.decode = nn.Sequential(
            up(nn.ConvTranspose2d, 64, 64, 3, 1), *_norm2d(64),
            up(nn.ConvTranspose2d, 64, 128, 5, 2), *_norm2d(128),
            up(nn.ConvTranspose2d, 128, 256, 11, 4), *_norm2d(256),
            down(256, channels, 3, 1), _last(output),
        )  # fmt: skip

    def forward(self, clip: Tensor) -> Tensor:
        N, _, T = clip.shape[:3]
        frames = (
            clip.transpose(1, 2).flatten(0, 1).contiguous(memory_format=torch.channels_last)
        )  # (N·T, C, H, W)
        hidden = self.encode(frames)
        for layer, norm in zip(self.remember, self.norms, strict=True):
            hidden = norm(layer(hidden.unflatten(0, (N, T))).flatten(0, 1))
        made: Tensor = self.decode(hidden)
        return made.reshape(N, T, *made.shape[1:]).transpose(1, 2)


class ConvLSTMLayer(nn.Module):
    """A convolutional LSTM over a clip (N, T, C, h, w), giving its state at each frame (N, T, width, h, w).

    Gates input, forget, cell, output in this order with one bias; that of the forget gate begins at one
    (Shi et al., NeurIPS 2015, equation 3, without peepholes; Jozefowicz et al., ICML 2015).
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.of_input = nn.Conv2d(channels, 4 * width, 3, padding=1)
        self.of_state = nn.Conv2d(width, 4 * width, 3, padding=1, bias=False)

    def start(self) -> None:
        """Draw the weights of the state and set the bias; those of the input are drawn like all others."""
        nn.init.orthogonal_(self.of_state.weight)
        assert self.of_input.bias is not None
        with torch.no_grad():
            self.of_input.bias[self.width : 2 * self.width] = 1

    def forward(self, clip: Tensor) -> Tensor:
        N, T = clip.shape[:2]
        driven = self.of_input(clip.flatten(0, 1)).unflatten(0, (N, T))  # all frames at once
        cell: Tensor | None = None
        states: list[Tensor] = []
        for t in range(T):
            gates = driven[:, t] + self.of_state(states[-1]) if states else driven[:, t]
            let_in, keep, new, let_out = gates.chunk(4, 1)
            fresh = let_in.sigmoid() * new.tanh()
            cell = fresh if cell is None else keep.sigmoid() * cell + fresh
            states.append(let_out.sigmoid() * cell.tanh())
        return torch.stack(states, 1)


def c3d_light(channels: int, output: str) -> nn.Sequential:
    """Four convolutions with pooling down to one frame of H / 16, four transposed ones back."""
    layers: list[nn.Module] = []
    before = channels
    for width, kernel in ((32, 5), (64, 5), (128, 3), (256, 3)):
        layers += [nn.Conv3d(before, width, kernel, padding=kernel // 2), *_norm3d(width)]
        layers += [nn.MaxPool3d(2), nn.Dropout(0.25)]
        before = width
    for width, kernel in ((256, 3), (128, 3), (64, 5), (32, 5)):
        layers += [
            up(nn.ConvTranspose3d, before, width, kernel, 2),
            *_norm3d(width),
            nn.Dropout(0.25),
        ]
        before = width
    return nn.Sequential(*layers, up(nn.ConvTranspose3d, before, channels, 3, 1), _last(output))


def c3d_deep(channels: int, output: str) -> nn.Sequential:
    """The same with a fifth convolution of 512 channels at the bottom."""
    layers: list[nn.Module] = []
    before = channels
    for width in (32, 64, 128, 256, 512):
        layers += [nn.Conv3d(before, width, 3, padding=1), *_norm3d(width)]
        layers += [nn.MaxPool3d(2)] if width < 512 else []
        layers += [nn.Dropout(0.2)]
        before = width
    for width, kernel, stride in ((512, 3, 2), (256, 3, 2), (128, 3, 2), (64, 5, 1), (32, 3, 2)):
        layers += [
            up(nn.ConvTranspose3d, before, width, kernel, stride),
            *_norm3d(width),
            nn.Dropout(0.2),
        ]
        before = width
    return nn.Sequential(*layers, up(nn.ConvTranspose3d, before, channels, 3, 1), _last(output))


def down(channels: int, width: int, kernel: int, stride: int) -> nn.Conv2d:
    """A convolution that divides sides by its stride.

    Where padding is odd, the pixel more goes above and to the left (TensorFlow: below and to the right), here and in
    `up` alike: so neither needs a copy of its picture for it.
    """
    return nn.Conv2d(channels, width, kernel, stride, padding=(kernel - stride + 1) // 2)


def up(
    kind: type[nn.ConvTranspose2d] | type[nn.ConvTranspose3d],
    channels: int,
    width: int,
    kernel: int,
    stride: int,
) -> nn.Module:
    """A transposed convolution that multiplies sides, and frames if it has them, by its stride."""
    padding = (kernel - stride + 1) // 2
    return kind(
        channels, width, kernel, stride, padding, output_padding=2 * padding - (kernel - stride)
    )


def _norm2d(width: int) -> tuple[nn.Module, nn.Module]:
    return nn.BatchNorm2d(width, eps=1e-3, momentum=0.01), nn.ReLU()


def _norm3d(width: int) -> tuple[nn.Module, nn.Module]:
    return nn.ReLU(), nn.BatchNorm3d(width, eps=1e-3, momentum=0.01)


def _last(output: str) -> nn.Module:
    return nn.Tanh() if output == "tanh" else nn.Sigmoid()


def _prepared(net: nn.Module) -> nn.Module:
    """Weights drawn as the published networks' were (Glorot & Bengio, AISTATS 2010), biases zero; laid out fast."""
    for module in net.modules():
        if isinstance(module, nn.modules.conv._ConvNd):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for module in net.modules():
        if isinstance(module, ConvLSTMLayer):
            module.start()
    channels_last(net)
    return net
