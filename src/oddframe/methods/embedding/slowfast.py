"""Slow and SlowFast ResNet-50 (Feichtenhofer et al., ICCV 2019), with the parameter names of PyTorchVideo's weights.

The slow pathway sees few frames and has most of the channels, the fast one sees all and has an eighth; what the fast
one finds flows into the slow one after each stage. Both are packed here from one clip: the slow pathway takes every
fourth frame, or nearly (linspace from the first to the last, as published).

N clips, C channels, T frames, H × W pixels; embeddings of D numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

DEPTHS = (3, 4, 6, 3)  # blocks in each stage of a ResNet-50
SLOW_TIME, FAST_TIME = (
    (1, 1, 3, 3),
    (3, 3, 3, 3),
)  # temporal reach of each stage's first convolution
FASTER = 4  # fast frames for a slow one
THINNER = 8  # slow channels for a fast one
POOLED = 7  # side of the average pooling with stride 1 before the last average


class Stem(nn.Module):
    """Convolution, batch norm, ReLU, max pooling: a quarter of the height and width."""

    def __init__(self, channels: int, time: int) -> None:
        super().__init__()
        self.conv = _conv(3, channels, (time, 7, 7), (1, 2, 2))
        self.norm = nn.BatchNorm3d(channels)
        self.pool = nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.pool(self.norm(self.conv(x)).relu())
        return out


class Bottleneck(nn.Module):
    """Three convolutions, the first through time, the second through space."""

    def __init__(self, before: int, inner: int, after: int, time: int, stride: int) -> None:
        super().__init__()
        self.conv_a, self.norm_a = _conv(before, inner, (time, 1, 1)), nn.BatchNorm3d(inner)
        self.conv_b, self.norm_b = (
            _conv(inner, inner, (1, 3, 3), (1, stride, stride)),
            nn.BatchNorm3d(inner),
        )
        self.conv_c, self.norm_c = _conv(inner, after, (1, 1, 1)), nn.BatchNorm3d(after)

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
            self.branch1_conv = _conv(before, after, (1, 1, 1), (1, stride, stride))
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
        self.res_blocks = nn.ModuleList(
            Block(after if k else before, after // 4, after, time, 1 if k else stride)
            for k in range(depth)
        )

    def forward(self, x: Tensor) -> Tensor:
        for block in self.res_blocks:
            x = block(x)
        return x


class Head(nn.Module):
    """The classifier's layer, which only counts parameters and carries their names: embeddings are taken before it."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.proj = nn.Linear(width, classes)


class SlowR50(nn.Module):
    """(N, 2048) from clips (N, 3, T, H, W); published for 8 frames over two seconds at 256²."""

    def __init__(self, classes: int = 0) -> None:
        super().__init__()
        stages: list[nn.Module] = [Stem(64, 1)]
        for k in range(4):
            stages.append(
                Stage(
                    64 if k == 0 else 128 * 2**k,
                    256 * 2**k,
                    DEPTHS[k],
                    SLOW_TIME[k],
                    1 if k == 0 else 2,
                )
            )
        self.blocks = nn.ModuleList([*stages, *([Head(2048, classes)] if classes else [])])

    def forward(self, x: Tensor) -> Tensor:
        for block in list(self.blocks)[:5]:
            x = block(x)
        return pooled(x)


class Pathways(nn.Module):
    """A slow and a fast part of the network, and the convolution that leads from the fast to the slow."""

    def __init__(self, slow: nn.Module, fast: nn.Module, channels: int | None) -> None:
        super().__init__()
        self.multipathway_blocks = nn.ModuleList([slow, fast])
        self.multipathway_fusion: nn.Module = Fusion(channels) if channels else nn.Identity()

    def forward(self, x: Sequence[Tensor]) -> Sequence[Tensor]:
        out = [block(part) for block, part in zip(self.multipathway_blocks, x, strict=True)]
        fused: Sequence[Tensor] = self.multipathway_fusion(out)
        return fused


class Fusion(nn.Module):
    """Fast features, thinned in time by a convolution, beside the slow ones."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_fast_to_slow = _conv(channels, 2 * channels, (7, 1, 1), (FASTER, 1, 1))
        self.norm = nn.BatchNorm3d(2 * channels)

    def forward(self, x: Sequence[Tensor]) -> Sequence[Tensor]:
        slow, fast = x
        return [torch.cat([slow, self.norm(self.conv_fast_to_slow(fast)).relu()], 1), fast]


class SlowFastR50(nn.Module):
    """(N, 2304) from clips (N, 3, T, H, W), T a multiple of 4; published for 32 frames over two seconds at 256²."""

    def __init__(self, classes: int = 0) -> None:
        super().__init__()
        parts: list[nn.Module] = [Pathways(Stem(64, 1), Stem(8, 5), 8)]
        for k in range(4):
            before, after, stride = 64 if k == 0 else 128 * 2**k, 256 * 2**k, 1 if k == 0 else 2
            slow = Stage(before + 2 * before // THINNER, after, DEPTHS[k], SLOW_TIME[k], stride)
            fast = Stage(before // THINNER, after // THINNER, DEPTHS[k], FAST_TIME[k], stride)
            parts.append(Pathways(slow, fast, after // THINNER if k < 3 else None))
        # block 5 pools and has no parameters there
        self.blocks = nn.ModuleList(
            [*parts, nn.Identity(), *([Head(2304, classes)] if classes else [])]
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Any = [x[:, :, slow_frames(x.shape[2])], x]
        for block in list(self.blocks)[:5]:
            out = block(out)
        return torch.cat([pooled(part) for part in out], 1)


def slow_frames(count: int) -> Tensor:
    """Which of the frames the slow pathway sees: a fourth of them, from the first to the last.

    >>> slow_frames(32).tolist()
    [0, 4, 8, 13, 17, 22, 26, 31]
    """
    return torch.linspace(0, count - 1, count // FASTER).long()


def pooled(x: Tensor) -> Tensor:
    """(N, C): averages over all frames and windows of 7 × 7 cells, and then over the windows, as published."""
    T, H, W = x.shape[2:]
    window = (T, min(POOLED, H), min(POOLED, W))
    return nn.functional.avg_pool3d(x, window, 1).mean((2, 3, 4))


def _conv(
    before: int, after: int, kernel: tuple[int, int, int], stride: tuple[int, int, int] = (1, 1, 1)
) -> nn.Conv3d:
    t, h, w = kernel
    return nn.Conv3d(before, after, kernel, stride, (t // 2, h // 2, w // 2), bias=False)
