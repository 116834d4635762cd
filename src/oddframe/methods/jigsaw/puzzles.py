"""Spatial and temporal jigsaw puzzles: shuffled, solved one softmax a piece, and scored by where the pieces are put.

Wang et al., "Video Anomaly Detection by Solving Decoupled Spatio-Temporal Jigsaw Puzzles", ECCV 2022. One convention
for all: row p of a label says where piece p went. B cubes, C channels, T frames, S pixels a side, R pieces of a puzzle.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TILES = 3  # a side: nine tiles
FAINT = 1e-6  # nats: less strangeness than that is none


class Puzzles(NamedTuple):
    """Shuffled cubes, where each piece went, and which of the two tasks each cube is for."""

    pixels: Tensor  # (B, C, T, S, S)
    temporal: Tensor  # (B, R) place of each frame or sub-clip
    spatial: Tensor  # (B, 9) cell of each tile
    is_temporal: Tensor  # (B,) bool; the others are spatial


def border_of(side: int) -> int:
    """Pixels of the black frame around nine equal tiles: 2 at 64 pixels, as published.

    >>> [border_of(side) for side in (32, 48, 64, 128)]
    [1, 3, 2, 4]
    """
    border = max(1, side // 32)
    while (side - 2 * border) % TILES:
        border += 1
    return border


def with_border(cubes: Tensor) -> Tensor:
    """The cubes with a black border: how every input looks, shuffled or not, in training and in scoring."""
    b = border_of(cubes.shape[-1])
    return F.pad(cubes[..., b:-b, b:-b], (b, b, b, b))


def tile_of(side: int) -> int:
    """Pixels of a tile's side: 20 at 64 pixels, as published.

    >>> [tile_of(side) for side in (32, 64)]
    [10, 20]
    """
    return (side - 2 * border_of(side)) // TILES


def tiles_of(cubes: Tensor) -> Tensor:
    """(B, 9, C · T, h, w): the tiles of cubes (B, C, T, S, S), row by row, without the border."""
    B, C, T, S, _ = cubes.shape
    b, tile = border_of(S), tile_of(S)
    cut = cubes[..., b : S - b, b : S - b].reshape(B, C, T, TILES, tile, TILES, tile)
    return cut.permute(0, 3, 5, 1, 2, 4, 6).reshape(B, TILES**2, C * T, tile, tile)


def pieces_in_time(cubes: Tensor, pieces: int) -> Tensor:
    """(B, R, C · T / R, S, S): the frames, or sub-clips of equal length, of cubes (B, C, T, S, S)."""
    B, C, T, S, _ = cubes.shape
    return (
        cubes.reshape(B, C, pieces, T // pieces, S, S).transpose(1, 2).reshape(B, pieces, -1, S, S)
    )


def temporal_change(cubes: Tensor) -> Tensor:
    """(B,) the greatest change of a pixel inside the border from the first frame to the last."""
    return (with_border(cubes)[:, :, -1] - with_border(cubes)[:, :, 0]).abs().flatten(1).amax(1)


def shuffle_tiles(cubes: Tensor, to: Tensor) -> Tensor:
    """Tile p (row by row) of every frame goes to cell `to[:, p]`, (B, 9); the border is black."""
    B, C, T, S, _ = cubes.shape
    b, tile = border_of(S), tile_of(S)
    pieces = tiles_of(cubes).flatten(2)
    placed = torch.empty_like(pieces).scatter_(1, to[:, :, None].expand_as(pieces), pieces)
    back = placed.reshape(B, TILES, TILES, C, T, tile, tile).permute(0, 3, 4, 1, 5, 2, 6)
    return F.pad(back.reshape(B, C, T, S - 2 * b, S - 2 * b), (b, b, b, b))


def shuffle_time(cubes: Tensor, to: Tensor) -> Tensor:
    """Frame p, or the p-th of R sub-clips of equal length, goes to place `to[:, p]`, (B, R)."""
    B, C, T, S, _ = cubes.shape
    R = to.shape[1]
    pieces = cubes.reshape(B, C, R, T // R, S, S)
    where = to[:, None, :, None, None, None].expand_as(pieces)
    return torch.empty_like(pieces).scatter_(2, where, pieces).reshape(B, C, T, S, S)


def shuffles(count: int, pieces: int, some: bool, device: torch.device) -> Tensor:
    """(count, pieces) where each piece goes: any order, or, with `some`, only a random number of two or more move."""
    if not some:
        return torch.rand(count, pieces, device=device).argsort(1)
    place = torch.arange(pieces, device=device)
    number = torch.randint(2, pieces + 1, (count, 1), device=device)
    moves = torch.rand(count, pieces, device=device).argsort(1).argsort(1) < number
    # those that move first, in random order, beside their places in rising order; the others beside their own
    piece = torch.where(moves, torch.rand(count, pieces, device=device), 1.0 + place).argsort(1)
    to = torch.where(moves, place, pieces + place).sort(1).values % pieces
    return torch.empty_like(piece).scatter_(1, piece, to)


def set_puzzles(
    cubes: Tensor, pieces: int, still: float, share: float = 0.5, some: bool = False
) -> Puzzles:
    """A puzzle of each cube (B, C, T, S, S) in [0, 1]: temporal, with so many pieces, or spatial, as chance has it.

    `share` of them are temporal; with `some`, only a random number of their pieces move.

    A cube in which nothing changes from the first frame to the last by `still` keeps its order, and its label says so:
    nobody could tell. Draws from torch's random state.
    """
    B, device = len(cubes), cubes.device
    is_temporal = torch.rand(B, device=device) < share
    temporal = shuffles(B, pieces, some, device)
    spatial = shuffles(B, TILES**2, False, device)
    cells = torch.arange(TILES**2, device=device)
    spatial = torch.where(is_temporal[:, None], cells, spatial)
    moves = is_temporal & (temporal_change(cubes) >= still)
    temporal = torch.where(moves[:, None], temporal, torch.arange(pieces, device=device))
    pixels = shuffle_time(shuffle_tiles(cubes, spatial), temporal)
    return Puzzles(pixels, temporal, spatial, is_temporal)


def in_time(head: str) -> bool:
    """Whether a head puts pieces of time in order; the others put tiles.

    >>> [in_time(head) for head in ("temporal", "pace", "clip-temporal", "spatial")]
    [True, True, True, False]
    """
    return head.endswith(("temporal", "pace"))


def puzzle_loss(logits: Tensor, places: Tensor, counts: Tensor) -> Tensor:
    """Mean cross-entropy over all rows of the puzzles that count: R softmaxes each, with no tie between them.

    logits (B, K, R) of K pieces and R places, places (B, K), counts (B,) bool. Zero, with a gradient, when a batch has
    no such puzzle.
    """
    rows = F.cross_entropy(
        logits.flatten(0, 1).float(), places.flatten(), reduction="none"
    ).view_as(places)
    return (rows * counts[:, None]).sum() / (counts.sum() * places.shape[1]).clamp(min=1)


def identity_target(logits: Tensor) -> Tensor:
    """(B, K) where the pieces of an unshuffled puzzle lie, of logits (B, K, R); of R − 1 pieces none in the middle."""
    B, K, R = logits.shape
    places = torch.arange(R, device=logits.device)
    return (places if K == R else places[places != R // 2]).expand(B, K)


def nll(logits: Tensor, worst: bool = True) -> Tensor:
    """(B,) −log of the probability that a piece of an unshuffled puzzle lies where it belongs: of the worst, or mean.

    The published score is the least probability itself, which is high for what is normal; this is its falling function.
    """
    z, home = logits.double(), identity_target(logits)[..., None]
    right, wrong = z.gather(2, home)[..., 0], z.scatter(2, home, -torch.inf).logsumexp(2)  # (B, K)
    # −log p = log(1 + exp(wrong − right)), which still tells near-certain pieces apart where 1 − p is rounded to 0
    each = F.softplus(wrong - right)
    return each.amax(1) if worst else each.mean(1)


def excess_nll(logits: Tensor, worst: bool = True, ends: bool = False) -> Tensor:
    """(B,) nats by which an unshuffled puzzle is stranger than the network expects: of its worst piece, or in the mean.

    Strangeness of a piece, less the entropy of what the network says of it. That somebody walks so slowly that one
    frame cannot be told from the next is no surprise; that he surely got two frames far in one is.
    Nothing gets too far to lie at the ends: the first and the last piece do not count, unless `ends` do or there are no
    others.

    logits (B, K, R) of K pieces and R places; K may be R − 1, without the middle piece.
    """
    z, home = logits.double().log_softmax(2), identity_target(logits)[..., None]
    each = (z.exp() * z).sum(2) - z.gather(2, home)[..., 0]  # (B, K)
    if not ends and each.shape[1] > 2:
        each = each[:, 1:-1]
    return each.amax(1) if worst else each.mean(1)


def scaled(cubes: Tensor) -> Tensor:
    """uint8 pixels as numbers in [0, 1]."""
    return cubes.float() / 255


@dataclass(frozen=True)
class Task:
    """The loss: the weighted sum of the puzzles of all heads. With four heads, of two levels on one backbone."""

    weights: dict[str, float]  # of each head's loss, by name
    frames: int  # of the short clip
    still: float
    worst: bool = True  # a puzzle is as strange as its worst piece; else as the mean of its pieces
    some: bool = False  # only a random number of the pieces of a temporal puzzle move

    @property
    def levels(self) -> list[str]:
        """The beginnings of the heads' names: one nameless level, or frame and clip."""
        return list(dict.fromkeys(name.rpartition("-")[0] for name in self.weights))

    def __call__(self, net: nn.Module, batch: Tensor) -> dict[str, Tensor]:
        """The losses of uint8 cubes (B, C, T, S, S), `loss` their sum."""
        cubes, told = scaled(batch), dict[str, Tensor]()
        for level in self.levels:
            mine = [name for name in self.weights if name.rpartition("-")[0] == level]
            temporal = [name for name in mine if in_time(name)]
            part = self._drawn(cubes, level)
            share = len(temporal) / len(mine)
            puzzles = set_puzzles(part, self._pieces(net, temporal), self.still, share, self.some)
            logits = net(puzzles.pixels, level)
            for name in mine:
                places, counts = (
                    (puzzles.temporal, puzzles.is_temporal)
                    if name in temporal
                    else (puzzles.spatial, ~puzzles.is_temporal)
                )
                told[name] = puzzle_loss(logits[name], places, counts)
        return self._with_sum(told)

    def look(self, net: nn.Module, cubes: Tensor) -> dict[str, Tensor]:
        """(B,) by head how strange uint8 cubes are that are not shuffled; frame heads look at a long clip's middle.

        Of `pace` the surprise. Of the others the logarithm of the strangeness, which spans many orders: what is a
        little odd for long is more than what is very odd for a moment.
        """
        seen, told = with_border(scaled(cubes)), dict[str, Tensor]()
        for level in self.levels:
            part = seen if level != "frame" else self._short(seen, self._starts(seen) // 2)
            told |= self._found(net(part, level), part)
        return {
            name: told[name] if name == "pace" else (told[name] + FAINT).log()
            for name in self.weights
        }

    def _found(self, logits: dict[str, Tensor], _cubes: Tensor) -> dict[str, Tensor]:
        """(B,) nats by head, of logits (B, K, R) for these cubes."""
        return {name: nll(rows, self.worst) for name, rows in logits.items()}

    def _with_sum(self, losses: dict[str, Tensor]) -> dict[str, Tensor]:
        return {
            "loss": torch.stack(
                [losses[name] * weight for name, weight in self.weights.items()]
            ).sum(),
            **losses,
        }

    def _drawn(self, cubes: Tensor, level: str) -> Tensor:
        """What a level learns from: a short clip anywhere in a long one at frame level, else the cubes."""
        return (
            cubes
            if level != "frame"
            else self._short(cubes, int(torch.randint(self._starts(cubes), ())))
        )

    def _starts(self, cubes: Tensor) -> int:
        return int(cubes.shape[2] - self.frames + 1)

    def _short(self, cubes: Tensor, start: int) -> Tensor:
        return cubes[:, :, start : start + self.frames]

    def _pieces(self, net: Any, temporal: list[str]) -> int:
        pieces = getattr(net, "pieces", None) or net.module.pieces
        return int(pieces[temporal[0]]) if temporal else 1


class Unshuffled(Task):
    """For a network that looks at pieces alone: every cube is a puzzle of all heads, as it lies.

    Pieces in another order would be the same puzzle, for answers come in the order of the pieces. `pace` is a puzzle
    in time of which the middle frame lies there already, and each of the others is put beside it alone. What stands
    still keeps its order in the published puzzles, and the network learns to say so; here it is no puzzle in time, in
    training and in scoring.
    """

    def __call__(self, net: nn.Module, batch: Tensor) -> dict[str, Tensor]:
        cubes, told = with_border(scaled(batch)), dict[str, Tensor]()
        for level in self.levels:
            part = self._drawn(cubes, level)
            moves = temporal_change(part) >= self.still
            for name, rows in net(part, level).items():
                told[name] = puzzle_loss(
                    rows, identity_target(rows), moves if in_time(name) else torch.ones_like(moves)
                )
        return self._with_sum(told)

    def _found(self, logits: dict[str, Tensor], cubes: Tensor) -> dict[str, Tensor]:
        moves = temporal_change(cubes) >= self.still
        found = super()._found(logits, cubes)
        if "pace" in logits:
            found["pace"] = excess_nll(logits["pace"], self.worst)
        return {name: said * moves if in_time(name) else said for name, said in found.items()}


@dataclass(frozen=True)
class Check:
    """The loss on cubes that are not learned from: the same puzzles whenever it is asked.

    They are cut when it is first asked: of a training that had ended, as after `--at-once`, nothing is asked.
    """

    task: Task
    cut: Callable[[], Tensor]  # (n, C, T, S, S) uint8

    @cached_property
    def cubes(self) -> Tensor:
        """(n, C, T, S, S) uint8."""
        return self.cut()

    def __call__(self, net: nn.Module) -> float:
        device, parts = next(net.parameters()).device, torch.split(self.cubes, 32)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            told = [float(self.task(net, some.to(device))["loss"]) * len(some) for some in parts]
        return sum(told) / len(self.cubes)


def weights_of(heads: str, known: Sequence[str]) -> dict[str, float]:
    """`temporal,spatial:0.5` as weights by head. Raises ValueError.

    >>> weights_of("spatial:0.5", ("temporal", "spatial"))
    {'spatial': 0.5}
    """
    if heads == "all":
        return dict.fromkeys(known, 1.0)
    weights: dict[str, float] = {}
    for word in heads.split(","):
        name, _, weight = word.strip().partition(":")
        try:
            weights[name] = float(weight or 1)
        except ValueError:
            weights[name] = -1
        if name not in known or not 0 < weights[name] < math.inf:
            raise ValueError(
                f"heads are of {', '.join(known)}, each perhaps with a weight as in {known[0]}:0.5, got {word!r}"
            )
    return {name: weights[name] for name in known if name in weights}
