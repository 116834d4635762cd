"""Slow and SlowFast ResNet-50 (Feichtenhofer et al., ICCV 2019), with the parameter names of
PyTorchVideo's weights.

The slow pathway sees few frames and has most of the channels, the fast one sees all and has an
eighth; what the fast one finds flows into the slow one after each stage. Both are packed here from
one clip: the slow pathway takes every fourth frame, or nearly (linspace from the first to the last,
as published).

N clips, C channels, T frames, H × W pixels; embeddings of D numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

DEPTHS = (3, 4, 6, 3)  # blocks in each stage of a ResNet-50
# of each stage of the slow pathway: channels before, channels after, stride in space
STAGES = ((64, 256, 1), (256, 512, 2), (512, 1024, 2), (1024, 2048, 2))
# frames that the first convolution of each stage spans
SLOW_TIME = (1, 1, 3, 3)
FAST_TIME = (3, 3, 3, 3)
FASTER = 4  # fast frames for a slow one
THINNER = 8  # slow channels for a fast one
POOLED = 7  # side of the average pooling with stride 1 before the last average


class Stem(nn.Module):
    """Convolution, batch norm, ReLU, max pooling: a quarter of the height and width."""

    def __init__(self, channels: int, time: int) -> None:
        super().__init__()
        self.conv = convolution(3, channels, (time, 7, 7), (1, 2, 2))
        self.norm = nn.BatchNorm3d(channels)
        self.pool = nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.pool(self.norm(self.conv(x)).relu())
        return out


class Bottleneck(nn.Module):
    """Three convolutions, the first through time, the second through space."""

    def __init__(self, before: int, inner: int, after: int, time: int, stride: int) -> None:
        super().__init__()
        self.conv_a = convolution(before, inner, (time, 1, 1))
        self.norm_a = nn.BatchNorm3d(inner)
        self.conv_b = convolution(inner, inner, (1, 3, 3), (1, stride, stride))
        self.norm_b = nn.BatchNorm3d(inner)
        self.conv_c = convolution(inner, after, (1, 1, 1))
        self.norm_c = nn.BatchNorm3d(after)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm_a(self.conv_a(x)).relu()
        x = self.norm_b(self.conv_b(x)).relu()
        out: Tensor = self.norm_c(self.conv_c(x))
        return out


class Block(nn.Module):
    """A bottleneck beside a shortcut, which is a convolution where the shape changes."""

    def __init__(self, before: int, inner: int, after: int, time: int, stride: int) -> None:
        super().__init__()
        self.branch1_conv: nn.Module | None = None
        self.branch1_norm: nn.Module | None = None
        if before != after or stride > 1:
            self.branch1_conv = convolution(before, after, (1, 1, 1), (1, stride, stride))
            self.branch1_norm = nn.BatchNorm3d(after)
        self.branch2 = Bottleneck(before, inner, after, time, stride)

    def forward(self, x: Tensor) -> Tensor:
        short = x
        if self.branch1_conv is not None and self.branch1_norm is not None:
            short = self.branch1_norm(self.branch1_conv(x))
        out: Tensor = (short + self.branch2(x)).relu()
        return out


class Stage(nn.Module):
    """Blocks, the first of which may halve height and width."""

    def __init__(self, before: int, after: int, depth: int, time: int, stride: int) -> None:
        super().__init__()
        inner = after // 4
        blocks = [Block(before, inner, after, time, stride)]
        for _ in range(depth - 1):
            blocks.append(Block(after, inner, after, time, 1))
        self.res_blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.res_blocks:
            x = block(x)
        return x


class Projection(nn.Module):
    """The classifier's layer, which only counts parameters and carries their names: embeddings are
    taken before it.
    """

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.proj = nn.Linear(width, classes)


class SlowR50(nn.Module):
    """(N, 2048) from clips (N, 3, T, H, W); published for 8 frames over two seconds at 256²."""

    def __init__(self, classes: int = 0) -> None:
        super().__init__()
        blocks: list[nn.Module] = [Stem(64, 1)]
        for number, (before, after, stride) in enumerate(STAGES):
            blocks.append(Stage(before, after, DEPTHS[number], SLOW_TIME[number], stride))
        if classes:
            blocks.append(Projection(2048, classes))
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor) -> Tensor:
        for block in list(self.blocks)[:5]:
            x = block(x)
        return pooled(x)


class Pathways(nn.Module):
    """A slow and a fast part of the network, and the convolution that leads from the fast to the
    slow.
    """

    def __init__(self, slow: nn.Module, fast: nn.Module, channels: int | None) -> None:
        super().__init__()
        self.multipathway_blocks = nn.ModuleList([slow, fast])
        self.multipathway_fusion: nn.Module = FastToSlow(channels) if channels else nn.Identity()

    def forward(self, x: Sequence[Tensor]) -> Sequence[Tensor]:
        out = [block(part) for block, part in zip(self.multipathway_blocks, x, strict=True)]
        fused: Sequence[Tensor] = self.multipathway_fusion(out)
        return fused


class FastToSlow(nn.Module):
    """Fast features, thinned in time by a convolution, beside the slow ones."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_fast_to_slow = convolution(channels, 2 * channels, (7, 1, 1), (FASTER, 1, 1))
        self.norm = nn.BatchNorm3d(2 * channels)

    def forward(self, x: Sequence[Tensor]) -> Sequence[Tensor]:
        slow, fast = x
        thinned = self.norm(self.conv_fast_to_slow(fast))
        fused = torch.cat([slow, thinned.relu()], 1)
        return [fused, fast]


class SlowFastR50(nn.Module):
    """(N, 2304) from clips (N, 3, T, H, W), T a multiple of 4; published for 32 frames over two
    seconds at 256².
    """

    def __init__(self, classes: int = 0) -> None:
        super().__init__()
        blocks: list[nn.Module] = [Pathways(Stem(64, 1), Stem(8, 5), 8)]
        for number, (before, after, stride) in enumerate(STAGES):
            depth = DEPTHS[number]
            fused = before + 2 * before // THINNER  # what comes from the fast pathway beside it
            slow = Stage(fused, after, depth, SLOW_TIME[number], stride)
            fast = Stage(before // THINNER, after // THINNER, depth, FAST_TIME[number], stride)
            last = number == len(STAGES) - 1
            blocks.append(Pathways(slow, fast, None if last else after // THINNER))
        blocks.append(nn.Identity())  # where the published network pools, without parameters
        if classes:
            blocks.append(Projection(2304, classes))
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor) -> Tensor:
        frames = slow_frames(x.shape[2])
        pathways: Any = [x[:, :, frames], x]
        for block in list(self.blocks)[:5]:
            pathways = block(pathways)
        slow, fast = pathways
        return torch.cat([pooled(slow), pooled(fast)], 1)


def slow_frames(count: int) -> Tensor:
    """Which of the frames the slow pathway sees: a fourth of them, from the first to the last.

    >>> slow_frames(32).tolist()
    [0, 4, 8, 13, 17, 22, 26, 31]
    """
    return torch.linspace(0, count - 1, count // FASTER).long()


def pooled(x: Tensor) -> Tensor:
    """(N, C): averages over all frames and windows of 7 × 7 cells, and then over the windows, as
    published.
    """
    T, H, W = x.shape[2:]
    window = (T, min(POOLED, H), min(POOLED, W))
    averages = nn.functional.avg_pool3d(x, window, 1)
    return averages.mean((2, 3, 4))


def convolution(
    before: int, after: int, kernel: tuple[int, int, int], stride: tuple[int, int, int] = (1, 1, 1)
) -> nn.Conv3d:
    """A 3-D convolution without bias whose output is as large as its input, but for the stride."""
    t, h, w = kernel
    padding = (t // 2, h // 2, w // 2)
    return nn.Conv3d(before, after, kernel, stride, padding, bias=False)
