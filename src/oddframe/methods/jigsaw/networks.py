"""The networks that solve jigsaw puzzles: the two published ones, and ours, which encodes each
piece alone.

B cubes, C channels, T frames, S pixels a side, R pieces of a puzzle.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from oddframe.methods.jigsaw.puzzles import is_temporal
from oddframe.methods.jigsaw.shuffling import TILES, temporal_pieces, tile_size, tiles_of

HIDDEN = 512  # numbers of the published heads' hidden layer
DROPOUT = 0.3
TOKEN = 128  # numbers that a piece is encoded as
CONTRAST = 3.0  # by which differences between frames are multiplied, as they are small


class WideBranchNet(nn.Module):
    """Wang et al. (ECCV 2022): cubes (B, C, T, S, S) to logits of two heads.

    `temporal` is (B, T, T), `spatial` (B, 9, 9). With `width` 32, 3 channels and 64 pixels it has
    the published 1,570,530 parameters at 7 frames, 1,586,946 at 9.
    """

    def __init__(
        self, *, frames: int = 7, channels: int = 3, side: int = 64, width: int = 32
    ) -> None:
        super().__init__()
        self.pieces, w = {"temporal": frames, "spatial": TILES**2}, width
        self.trunk = nn.Sequential(
            *conv3d_block(channels, w),
            *conv3d_block(w, w),
            nn.MaxPool3d((1, 2, 2)),
            *conv3d_block(w, 2 * w),
            *conv3d_block(2 * w, 2 * w),
            nn.MaxPool3d((1, 2, 2)),
            *conv3d_block(2 * w, 2 * w),
            *conv3d_block(2 * w, 2 * w),
            nn.MaxPool3d((frames, 2, 2), stride=(1, 2, 2)),
        )
        # smaller cubes are not pooled a fourth time: nine tiles cannot be told apart on a grid of
        # 2 × 2
        last_pool: nn.Module = nn.Identity()
        shrunk = side // 8
        if side >= 64:
            last_pool = nn.MaxPool2d(2)
            shrunk = side // 16
        self.flat = nn.Sequential(
            nn.Conv2d(2 * w, 2 * w, 3, padding=1),
            nn.InstanceNorm2d(2 * w),
            nn.ReLU(inplace=True),
            nn.Dropout2d(DROPOUT),
            last_pool,
            nn.Flatten(),
        )
        size = 2 * w * shrunk**2
        self.temporal = wide_head(size, frames**2)
        self.spatial = wide_head(size, TILES**4)

    def forward(self, cubes: Tensor, level: str = "") -> dict[str, Tensor]:
        """Logits of both heads; there is one level."""
        features = self.flat(self.trunk(cubes).squeeze(2))
        logits: dict[str, Tensor] = {}
        for name, head in (("temporal", self.temporal), ("spatial", self.spatial)):
            R = self.pieces[name]
            logits[level + name] = head(features).view(-1, R, R)
        return logits


class FourHeadNet(nn.Module):
    """Puzzles of whole frames: short clips of 7 and long ones of 5 × 7 frames on one backbone.

    With one channel, width 32 and all four heads it has 48.85 million parameters, 36.7 of them in
    the first layer of clip-temporal; `pool_clip_head` pools each sub-clip there instead of each
    frame (1.3 million).
    """

    def __init__(
        self,
        *,
        heads: Sequence[str],
        frames: int = 7,
        clips: int = 5,
        channels: int = 1,
        width: int = 32,
        pool_clip_head: bool = False,
    ) -> None:
        super().__init__()
        w = width
        self.backbone = nn.Sequential(
            *conv3d_block(channels, w),
            *conv3d_block(w, w),
            nn.MaxPool3d((1, 2, 2)),
            *conv3d_block(w, 2 * w, 5),
            *conv3d_block(2 * w, 2 * w, 5),
            nn.MaxPool3d((1, 2, 2)),
            *conv3d_block(2 * w, 4 * w),
            *conv3d_block(4 * w, 4 * w),
        )
        self.pieces = {name: number_of_pieces(name, frames, clips) for name in heads}
        long_clip = (clips, 2, 2) if pool_clip_head else (frames * clips, 4, 4)
        shapes = {"frame-temporal": (frames, 4, 4), "clip-temporal": long_clip}
        self.processors, self.heads = nn.ModuleDict(), nn.ModuleDict()
        for name, pieces in self.pieces.items():
            shape = shapes.get(name, (1, 4, 4))
            key = self.processor_of(name)
            if key not in self.processors:
                kernel = 1 if key == "spatial" else 5
                self.processors[key] = nn.Sequential(
                    *conv3d_block(4 * w, 4 * w, kernel),
                    nn.AdaptiveMaxPool3d(shape),
                    nn.Flatten(),
                )
            self.heads[name] = nn.Sequential(
                nn.Linear(4 * w * math.prod(shape), HIDDEN),
                nn.ReLU(inplace=True),
                nn.Dropout(0.5),
                nn.Linear(HIDDEN, pieces**2),
            )

    def forward(self, cubes: Tensor, level: str) -> dict[str, Tensor]:
        """Logits (B, R, R) of each head of a level, frame or clip, for cubes (B, C, T, S, S)."""
        features = self.backbone(cubes)
        logits: dict[str, Tensor] = {}
        processed: dict[str, Tensor] = {}
        for name, pieces in self.pieces.items():
            if not name.startswith(level):
                continue
            key = self.processor_of(name)
            if key not in processed:
                processed[key] = self.processors[key](features)
            logits[name] = self.heads[name](processed[key]).view(-1, pieces, pieces)
        return logits

    @staticmethod
    def processor_of(name: str) -> str:
        """The processor that a head stands on: the spatial heads of both levels share one."""
        return "spatial" if name.endswith("spatial") else name


class PieceNet(nn.Module):
    """Ours: each piece is encoded alone, then all are compared by attention without positions.

    Pieces in another order give the same answers in that order, so that nothing need be shuffled,
    and no answer can be right by position: the published networks find out where a frame lies from
    the padding of their convolutions, and for more than a thousand steps they do not. Each head has
    an encoder and a comparison of its own. A frame or sub-clip is given with its difference from
    the mean of all, which no order changes; a tile with all of its frames.

    Attention over all frames finds their order however fast a thing moves. `pace` is given each
    frame beside the middle one alone, and has to know how far such things move in a frame.
    """

    def __init__(
        self,
        *,
        heads: Sequence[str],
        frames: int = 7,
        clips: int = 5,
        channels: int = 1,
        side: int = 32,
        width: int = 32,
    ) -> None:
        super().__init__()
        self.pieces = {name: number_of_pieces(name, frames, clips) for name in heads}
        self.encoders, self.comparisons = nn.ModuleDict(), nn.ModuleDict()
        for name, R in self.pieces.items():
            length = frames
            if name.startswith("clip"):
                length = frames * clips
            if is_temporal(name):
                given, size = 2 * channels * length // R, side
            else:
                given, size = channels * length, tile_size(side)
            self.encoders[name] = piece_encoder(given, size, width)
            if name == "pace":
                self.comparisons[name] = single_comparison(R)
            else:
                self.comparisons[name] = attention_comparison(R)

    def forward(self, cubes: Tensor, level: str = "") -> dict[str, Tensor]:
        """Logits (B, R, R) of each head of a level for cubes (B, C, T, S, S).

        Row p says where piece p belongs. `pace` has no row for the middle piece, (B, R − 1, R).
        """
        logits: dict[str, Tensor] = {}
        for name, R in self.pieces.items():
            if name.startswith(level):
                pieces = self.pieces_for(name, cubes, R)  # (B, K, C · frames of a piece, h, w)
                tokens = self.encoders[name](pieces.flatten(0, 1))
                tokens = tokens.view(*pieces.shape[:2], TOKEN)
                logits[name] = self.comparisons[name](tokens)
        return logits

    @staticmethod
    def pieces_for(name: str, cubes: Tensor, R: int) -> Tensor:
        """(B, K, channels, h, w): the pieces as a head is given them."""
        if not is_temporal(name):
            return tiles_of(cubes) - 0.5
        pieces = temporal_pieces(cubes, R)
        if name == "pace":
            half = R // 2
            reference = pieces[:, half : half + 1]  # the middle one
            before, after = pieces[:, :half], pieces[:, half + 1 :]
            pieces = torch.cat([before, after], 1)
        else:
            reference = pieces.mean(1, keepdim=True)
        difference = CONTRAST * (pieces - reference)
        return torch.cat([pieces - 0.5, difference], 2)


def number_of_pieces(head: str, frames: int, clips: int) -> int:
    """Of how many pieces a head's puzzle consists."""
    if head.endswith("spatial"):
        return TILES**2
    if head.startswith("clip"):
        return clips
    return frames


def piece_encoder(given: int, side: int, width: int) -> nn.Sequential:
    """Pieces (n, given, side, side) to tokens (n, 128): halved until at most 8 pixels are left.

    Tiles under 16 pixels are not halved by the first layer.
    """
    if side < 16:
        out = 2 * width
        layers = conv2d_block(given, out, 3, 1)
    else:
        out = width
        layers = [*conv2d_block(given, out, 5, 2), *conv2d_block(out, out)]
        side = (side + 1) // 2
    while side > 8:
        layers += conv2d_block(out, 2 * width, 3, 2)
        layers += conv2d_block(2 * width, 2 * width)
        out = 2 * width
        side = (side + 1) // 2
    layers += conv2d_block(out, 2 * width)
    last = nn.Linear(2 * width * side * side, TOKEN)
    return nn.Sequential(*layers, nn.Dropout2d(0.1), nn.Flatten(), last)


def attention_comparison(places: int) -> nn.Sequential:
    """Tokens (B, K, 128) to logits (B, K, R), each beside the others; nothing tells their order."""
    layer = nn.TransformerEncoderLayer(
        TOKEN, 4, 2 * TOKEN, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    )
    attention = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    return nn.Sequential(attention, nn.LayerNorm(TOKEN), nn.Linear(TOKEN, places))


def single_comparison(places: int) -> nn.Sequential:
    """Tokens (B, K, 128) to logits (B, K, R), each by itself."""
    return nn.Sequential(
        nn.LayerNorm(TOKEN),
        nn.Linear(TOKEN, 2 * TOKEN),
        nn.GELU(),
        nn.Linear(2 * TOKEN, places),
    )


def wide_head(given: int, out: int) -> nn.Sequential:
    """A published head: two layers with 512 numbers between."""
    return nn.Sequential(
        nn.Linear(given, HIDDEN),
        nn.ReLU(inplace=True),
        nn.Linear(HIDDEN, out),
    )


def conv2d_block(given: int, out: int, size: int = 3, stride: int = 1) -> list[nn.Module]:
    """A convolution over one piece, normalised within it."""
    groups = math.gcd(8, out)
    padding = size // 2
    return [
        nn.Conv2d(given, out, size, stride, padding, bias=False),
        nn.GroupNorm(groups, out),
        nn.ReLU(inplace=True),
    ]


def conv3d_block(given: int, out: int, length: int = 3) -> list[nn.Module]:
    """A convolution over `length` × 3 × 3, normalised within each cube of a batch."""
    kernel = (length, 3, 3)
    padding = (length // 2, 1, 1)
    return [
        nn.Conv3d(given, out, kernel, padding=padding, bias=False),
        nn.InstanceNorm3d(out),
        nn.ReLU(inplace=True),
    ]
