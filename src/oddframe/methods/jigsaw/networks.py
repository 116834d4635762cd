"""The networks that solve jigsaw puzzles: the two published ones, and one of ours that looks at each piece alone.

B cubes, C channels, T frames, S pixels a side, R pieces of a puzzle.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from oddframe.methods.jigsaw.puzzles import TILES, in_time, pieces_in_time, tile_of, tiles_of

HIDDEN = 512
DROPPED = 0.3
TOKEN = 128  # numbers that are kept of a piece


class WideBranchNet(nn.Module):
    """Wang et al. (ECCV 2022): cubes (B, C, T, S, S) to logits, `temporal` (B, T, T) and `spatial` (B, 9, 9).

    With `width` 32, 3 channels and 64 pixels it has the published 1,570,530 parameters at 7 frames, 1,586,946 at 9.
    """

    def __init__(
        self, *, frames: int = 7, channels: int = 3, side: int = 64, width: int = 32
    ) -> None:
        super().__init__()
        self.pieces, w = {"temporal": frames, "spatial": 9}, width
        self.trunk = nn.Sequential(
            *_block(channels, w),
            *_block(w, w),
            nn.MaxPool3d((1, 2, 2)),
            *_block(w, 2 * w),
            *_block(2 * w, 2 * w),
            nn.MaxPool3d((1, 2, 2)),
            *_block(2 * w, 2 * w),
            *_block(2 * w, 2 * w),
            nn.MaxPool3d((frames, 2, 2), stride=(1, 2, 2)),
        )
        self.flat = nn.Sequential(
            nn.Conv2d(2 * w, 2 * w, 3, padding=1),
            nn.InstanceNorm2d(2 * w),
            nn.ReLU(inplace=True),
            nn.Dropout2d(DROPPED),
            # smaller cubes are not pooled a fourth time: nine tiles cannot be told apart on a grid of 2 × 2
            nn.MaxPool2d(2) if side >= 64 else nn.Identity(),
            nn.Flatten(),
        )
        size = 2 * w * (side // (16 if side >= 64 else 8)) ** 2
        self.temporal = nn.Sequential(
            nn.Linear(size, HIDDEN), nn.ReLU(inplace=True), nn.Linear(HIDDEN, frames**2)
        )
        self.spatial = nn.Sequential(
            nn.Linear(size, HIDDEN), nn.ReLU(inplace=True), nn.Linear(HIDDEN, 81)
        )

    def forward(self, cubes: Tensor, level: str = "") -> dict[str, Tensor]:
        """Logits of both heads; there is one level."""
        seen = self.flat(self.trunk(cubes).squeeze(2))
        found = {"temporal": self.temporal(seen), "spatial": self.spatial(seen)}
        return {
            level + name: rows.view(-1, R, R)
            for name, rows in found.items()
            for R in [self.pieces[name]]
        }


class FourHeadNet(nn.Module):
    """Whole frames, short clips of 7 and long ones of 5 × 7 frames, on one backbone: any of four puzzles.

    With one channel, width 32 and all heads it has 48.85 million parameters, 36.7 of them in the first layer of
    clip-temporal; `lean` pools each sub-clip there instead of each frame (1.3 million).
    """

    def __init__(
        self,
        *,
        heads: Sequence[str],
        frames: int = 7,
        clips: int = 5,
        channels: int = 1,
        width: int = 32,
        lean: bool = False,
    ) -> None:
        super().__init__()
        w = width
        self.backbone = nn.Sequential(
            *_block(channels, w),
            *_block(w, w),
            nn.MaxPool3d((1, 2, 2)),
            *_block(w, 2 * w, 5),
            *_block(2 * w, 2 * w, 5),
            nn.MaxPool3d((1, 2, 2)),
            *_block(2 * w, 4 * w),
            *_block(4 * w, 4 * w),
        )
        self.pieces = {name: _pieces(name, frames, clips) for name in heads}
        long = (clips, 2, 2) if lean else (frames * clips, 4, 4)
        shapes = {"frame-temporal": (frames, 4, 4), "clip-temporal": long}
        self.processors, self.heads = nn.ModuleDict(), nn.ModuleDict()
        for name, pieces in self.pieces.items():
            time, high, wide = shapes.get(name, (1, 4, 4))
            if (key := self._processor(name)) not in self.processors:
                kernel = 1 if key == "spatial" else 5
                self.processors[key] = nn.Sequential(
                    *_block(4 * w, 4 * w, kernel),
                    nn.AdaptiveMaxPool3d((time, high, wide)),
                    nn.Flatten(),
                )
            size = 4 * w * time * high * wide
            self.heads[name] = nn.Sequential(
                nn.Linear(size, HIDDEN),
                nn.ReLU(inplace=True),
                nn.Dropout(0.5),
                nn.Linear(HIDDEN, pieces**2),
            )

    def forward(self, cubes: Tensor, level: str) -> dict[str, Tensor]:
        """Logits (B, R, R) of each head of a level, frame or clip, for cubes (B, C, T, S, S) of its length."""
        seen = self.backbone(cubes)
        found: dict[str, Tensor] = {}
        flat: dict[str, Tensor] = {}
        for name, pieces in self.pieces.items():
            if name.startswith(level):
                key = self._processor(name)
                if key not in flat:
                    flat[key] = self.processors[key](seen)
                found[name] = self.heads[name](flat[key]).view(-1, pieces, pieces)
        return found

    @staticmethod
    def _processor(name: str) -> str:
        """Both levels share what looks at space."""
        return "spatial" if name.endswith("spatial") else name


class PieceNet(nn.Module):
    """Ours: each piece is looked at alone, then all are compared by attention that does not know where they lie.

    Pieces in another order give the same answers in that order, so that nothing need be shuffled, and none of the
    answers is right by habit: the published networks find out where a frame lies from the edges of their convolutions,
    and for more than a thousand steps they do not. One encoder and one comparison for each head. A frame or sub-clip is
    given with its difference from the mean of all, which no order changes; a tile with all of its frames.

    Whoever compares all frames finds their order however fast a thing goes. `pace` sees each frame beside the middle
    one alone, and has to know how far such things get in a frame.
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
        self.pieces = {name: _pieces(name, frames, clips) for name in heads}
        self.looks, self.compares = nn.ModuleDict(), nn.ModuleDict()
        for name, R in self.pieces.items():
            length = frames * (clips if name.startswith("clip") else 1)
            if in_time(name):
                given, seen = 2 * channels * length // R, side
            else:
                given, seen = channels * length, tile_of(side)
            self.looks[name] = _look(given, seen, width)
            self.compares[name] = (_alone if name == "pace" else _together)(R)

    def forward(self, cubes: Tensor, level: str = "") -> dict[str, Tensor]:
        """Logits (B, R, R) of each head of a level for cubes (B, C, T, S, S): row p says where piece p belongs.

        `pace` has no row for the middle piece, (B, R − 1, R).
        """
        found: dict[str, Tensor] = {}
        for name, R in self.pieces.items():
            if name.startswith(level):
                pieces = self._given(name, cubes, R)  # (B, K, C · frames of a piece, h, w)
                seen = self.looks[name](pieces.flatten(0, 1)).view(*pieces.shape[:2], TOKEN)
                found[name] = self.compares[name](seen)
        return found

    @staticmethod
    def _given(name: str, cubes: Tensor, R: int) -> Tensor:
        """The pieces as a head is shown them."""
        if not in_time(name):
            return tiles_of(cubes) - 0.5
        pieces = pieces_in_time(cubes, R)
        if name == "pace":
            middle = pieces[:, R // 2 : R // 2 + 1]
            others = torch.cat([pieces[:, : R // 2], pieces[:, R // 2 + 1 :]], 1)
            return torch.cat([others - 0.5, 3 * (others - middle)], 2)
        return torch.cat([pieces - 0.5, 3 * (pieces - pieces.mean(1, keepdim=True))], 2)


def _pieces(head: str, frames: int, clips: int) -> int:
    """Of how many pieces a head's puzzle is made."""
    if head.endswith("spatial"):
        return TILES**2
    return clips if head.startswith("clip") else frames


def _look(given: int, side: int, width: int) -> nn.Sequential:
    """Pieces (n, given, side, side) to tokens (n, 128), halved until 8 pixels are left; small tiles once less."""
    small = side < 16
    out = 2 * width if small else width
    layers = (
        _flat_block(given, out, 3, 1)
        if small
        else [*_flat_block(given, out, 5, 2), *_flat_block(out, out)]
    )
    side = side if small else (side + 1) // 2
    while side > 8:
        layers += [*_flat_block(out, 2 * width, 3, 2), *_flat_block(2 * width, 2 * width)]
        out, side = 2 * width, (side + 1) // 2
    layers += _flat_block(out, 2 * width)
    return nn.Sequential(
        *layers, nn.Dropout2d(0.1), nn.Flatten(), nn.Linear(2 * width * side * side, TOKEN)
    )


def _flat_block(given: int, out: int, size: int = 3, stride: int = 1) -> list[nn.Module]:
    """A convolution over one piece, normalised within it."""
    conv = nn.Conv2d(given, out, size, stride, size // 2, bias=False)
    return [conv, nn.GroupNorm(math.gcd(8, out), out), nn.ReLU(inplace=True)]


def _together(places: int) -> nn.Sequential:
    """Tokens (B, K, 128) to logits (B, K, R), each beside the others; nothing tells it their order."""
    layer = nn.TransformerEncoderLayer(
        TOKEN, 4, 2 * TOKEN, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    )
    attention = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    return nn.Sequential(attention, nn.LayerNorm(TOKEN), nn.Linear(TOKEN, places))


def _alone(places: int) -> nn.Sequential:
    """Tokens (B, K, 128) to logits (B, K, R), each by itself."""
    return nn.Sequential(
        nn.LayerNorm(TOKEN), nn.Linear(TOKEN, 2 * TOKEN), nn.GELU(), nn.Linear(2 * TOKEN, places)
    )


def _block(given: int, out: int, long: int = 3) -> list[nn.Module]:
    """A convolution over `long` × 3 × 3, normalised within each cube: neighbours in a batch do not matter."""
    conv = nn.Conv3d(given, out, (long, 3, 3), padding=(long // 2, 1, 1), bias=False)
    return [conv, nn.InstanceNorm3d(out), nn.ReLU(inplace=True)]
