"""The networks of reconstruction, with the layers of the published notebooks, in the order of their
layers.

N clips, C channels, T frames in a clip, H × W pixels; h × w after encoding.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from oddframe.training.precision import channels_last

Output = Literal["tanh", "sigmoid"]


class ConvLSTMNet(nn.Module):
    """Convolutions of each frame, three convolutional LSTMs over the frames, transposed
    convolutions of each frame.
    """

    def __init__(self, channels: int, output: Output) -> None:
        super().__init__()
        self.encode = nn.Sequential(
            down(channels, 256, 11, 4), *norm2d(256),
            down(256, 128, 5, 2), *norm2d(128),
            down(128, 64, 3, 1), *norm2d(64),
        )  # fmt: skip
        self.remember = nn.ModuleList(
            [ConvLSTMLayer(64, 64), ConvLSTMLayer(64, 32), ConvLSTMLayer(32, 64)]
        )
        self.norms = nn.ModuleList([nn.Sequential(*norm2d(width)) for width in (64, 32, 64)])
        self.decode = nn.Sequential(
            up(nn.ConvTranspose2d, 64, 64, 3, 1), *norm2d(64),
            up(nn.ConvTranspose2d, 64, 128, 5, 2), *norm2d(128),
            up(nn.ConvTranspose2d, 128, 256, 11, 4), *norm2d(256),
            down(256, channels, 3, 1), activation(output),
        )  # fmt: skip

    def forward(self, clip: Tensor) -> Tensor:
        N, _, T = clip.shape[:3]
        frames = clip.transpose(1, 2).flatten(0, 1)  # (N·T, C, H, W)
        frames = frames.contiguous(memory_format=torch.channels_last)
        hidden = self.encode(frames)
        for layer, norm in zip(self.remember, self.norms, strict=True):
            by_clip = hidden.unflatten(0, (N, T))
            states = layer(by_clip)
            hidden = norm(states.flatten(0, 1))
        made: Tensor = self.decode(hidden)
        by_clip = made.reshape(N, T, *made.shape[1:])
        return by_clip.transpose(1, 2)


class ConvLSTMLayer(nn.Module):
    """A convolutional LSTM over a clip (N, T, C, h, w), giving its state at each frame (N, T,
    width, h, w).

    Gates input, forget, cell, output in this order with one bias; that of the forget gate begins at
    one (Shi et al., NeurIPS 2015, equation 3, without peepholes; Jozefowicz et al., ICML 2015).
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.of_input = nn.Conv2d(channels, 4 * width, 3, padding=1)
        self.of_state = nn.Conv2d(width, 4 * width, 3, padding=1, bias=False)

    def start(self) -> None:
        """Draw the weights of the state and set the bias; those of the input are drawn like all
        others.
        """
        nn.init.orthogonal_(self.of_state.weight)
        bias = self.of_input.bias
        assert bias is not None
        end = 2 * self.width
        with torch.no_grad():
            bias[self.width : end] = 1

    def forward(self, clip: Tensor) -> Tensor:
        N, T = clip.shape[:2]
        driven = self.of_input(clip.flatten(0, 1)).unflatten(0, (N, T))  # all frames at once
        cell: Tensor | None = None
        states: list[Tensor] = []
        for t in range(T):
            gates = driven[:, t]
            if states:
                gates = gates + self.of_state(states[-1])
            let_in, keep, new, let_out = gates.chunk(4, 1)
            fresh = let_in.sigmoid() * new.tanh()
            cell = fresh if cell is None else keep.sigmoid() * cell + fresh
            states.append(let_out.sigmoid() * cell.tanh())
        return torch.stack(states, 1)


def c3d_light(channels: int, output: Output) -> nn.Sequential:
    """Four convolutions with pooling down to one frame of H / 16, four transposed ones back."""
    layers: list[nn.Module] = []
    before = channels
    for width, kernel in ((32, 5), (64, 5), (128, 3), (256, 3)):
        layers += [
            nn.Conv3d(before, width, kernel, padding=kernel // 2),
            *norm3d(width),
            nn.MaxPool3d(2),
            nn.Dropout(0.25),
        ]
        before = width
    for width, kernel in ((256, 3), (128, 3), (64, 5), (32, 5)):
        layers += [
            up(nn.ConvTranspose3d, before, width, kernel, 2),
            *norm3d(width),
            nn.Dropout(0.25),
        ]
        before = width
    return nn.Sequential(
        *layers, up(nn.ConvTranspose3d, before, channels, 3, 1), activation(output)
    )


def c3d_deep(channels: int, output: Output) -> nn.Sequential:
    """The same with a fifth convolution of 512 channels at the bottom."""
    layers: list[nn.Module] = []
    before = channels
    for width in (32, 64, 128, 256, 512):
        layers += [nn.Conv3d(before, width, 3, padding=1), *norm3d(width)]
        if width < 512:
            layers.append(nn.MaxPool3d(2))
        layers.append(nn.Dropout(0.2))
        before = width
    for width, kernel, stride in ((512, 3, 2), (256, 3, 2), (128, 3, 2), (64, 5, 1), (32, 3, 2)):
        layers += [
            up(nn.ConvTranspose3d, before, width, kernel, stride),
            *norm3d(width),
            nn.Dropout(0.2),
        ]
        before = width
    return nn.Sequential(
        *layers, up(nn.ConvTranspose3d, before, channels, 3, 1), activation(output)
    )


def down(channels: int, width: int, kernel: int, stride: int) -> nn.Conv2d:
    """A convolution that divides sides by its stride.

    Where padding is odd, the pixel more goes above and to the left (TensorFlow: below and to the
    right), here and in `up` alike: so neither needs a copy of its picture for it.
    """
    padding = (kernel - stride + 1) // 2
    return nn.Conv2d(
        channels,
        width,
        kernel,
        stride,
        padding,
    )


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


def norm2d(width: int) -> tuple[nn.Module, nn.Module]:
    """What follows a convolution of frames, with the constants of the published networks."""
    return nn.BatchNorm2d(width, eps=1e-3, momentum=0.01), nn.ReLU()


def norm3d(width: int) -> tuple[nn.Module, nn.Module]:
    """What follows a convolution of clips; there ReLU comes first."""
    return nn.ReLU(), nn.BatchNorm3d(width, eps=1e-3, momentum=0.01)


def activation(output: Output) -> nn.Module:
    """The last activation."""
    if output == "tanh":
        return nn.Tanh()
    return nn.Sigmoid()


def initialise(net: nn.Module) -> nn.Module:
    """Weights drawn as the published networks' were (Glorot & Bengio, AISTATS 2010), biases zero;
    laid out fast.
    """
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
