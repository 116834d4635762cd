"""Spatial and temporal jigsaw puzzles: how a cube is cut into pieces, and the pieces put elsewhere.

Wang et al., "Video Anomaly Detection by Solving Decoupled Spatio-Temporal Jigsaw Puzzles", ECCV
2022: the frames of a cube in another order, or the nine tiles of all of its frames.
One convention for every puzzle: row p of a label says to which place piece p went.

B cubes, C channels, T frames, S pixels a side, R pieces of a puzzle.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

TILES = 3  # a side: nine tiles


class Puzzles(NamedTuple):
    """Shuffled cubes, where each piece went, and which of the two tasks each cube is for."""

    pixels: Tensor  # (B, C, T, S, S)
    temporal: Tensor  # (B, R) place of each frame or sub-clip
    spatial: Tensor  # (B, 9) cell of each tile
    is_temporal: Tensor  # (B,) bool; the others are spatial


def border_width(side: int) -> int:
    """Pixels of the black border around nine equal tiles: 2 at 64 pixels, as published.

    >>> [border_width(side) for side in (32, 48, 64, 128)]
    [1, 3, 2, 4]
    """
    border = max(1, side // 32)
    while (side - 2 * border) % TILES:
        border += 1
    return border


def tile_size(side: int) -> int:
    """Pixels of a tile's side: 20 at 64 pixels, as published.

    >>> [tile_size(side) for side in (32, 64)]
    [10, 20]
    """
    return (side - 2 * border_width(side)) // TILES


def with_border(cubes: Tensor) -> Tensor:
    """The cubes with a black border: so is every input, shuffled or not, in training and scoring."""
    b = border_width(cubes.shape[-1])
    inside = cubes[..., b:-b, b:-b]
    return F.pad(inside, (b, b, b, b))


def tiles_of(cubes: Tensor) -> Tensor:
    """(B, 9, C · T, h, w): the tiles of cubes (B, C, T, S, S), row by row, without the border."""
    B, C, T, S, _ = cubes.shape
    b = border_width(S)
    tile = tile_size(S)
    inside = cubes[..., b : S - b, b : S - b]
    grid = inside.reshape(B, C, T, TILES, tile, TILES, tile)
    tiles = grid.permute(0, 3, 5, 1, 2, 4, 6)  # (B, 3, 3, C, T, h, w)
    return tiles.reshape(B, TILES**2, C * T, tile, tile)


def temporal_pieces(cubes: Tensor, pieces: int) -> Tensor:
    """(B, R, C · T / R, S, S): the frames, or sub-clips of equal length, of cubes (B, C, T, S, S)."""
    B, C, T, S, _ = cubes.shape
    length = T // pieces
    parts = cubes.reshape(B, C, pieces, length, S, S)
    first = parts.transpose(1, 2)  # (B, R, C, T / R, S, S)
    return first.reshape(B, pieces, C * length, S, S)


def temporal_change(cubes: Tensor) -> Tensor:
    """(B,) the greatest change of a pixel inside the border from the first frame to the last."""
    inside = with_border(cubes)
    first, last = inside[:, :, 0], inside[:, :, -1]
    change = (last - first).abs()
    return change.flatten(1).amax(1)


def shuffle_tiles(cubes: Tensor, to: Tensor) -> Tensor:
    """Tile p (row by row) of every frame goes to cell `to[:, p]`, (B, 9); the border is black."""
    B, C, T, S, _ = cubes.shape
    b = border_width(S)
    tile = tile_size(S)
    pieces = tiles_of(cubes).flatten(2)
    cell = to[:, :, None].expand_as(pieces)
    placed = torch.empty_like(pieces).scatter_(1, cell, pieces)
    tiles = placed.reshape(B, TILES, TILES, C, T, tile, tile)
    grid = tiles.permute(0, 3, 4, 1, 5, 2, 6)  # (B, C, T, 3, h, 3, w)
    inside = grid.reshape(B, C, T, TILES * tile, TILES * tile)
    return F.pad(inside, (b, b, b, b))


def shuffle_frames(cubes: Tensor, to: Tensor) -> Tensor:
    """Frame p, or the p-th of R sub-clips of equal length, goes to place `to[:, p]`, (B, R)."""
    B, C, T, S, _ = cubes.shape
    R = to.shape[1]
    pieces = cubes.reshape(B, C, R, T // R, S, S)
    place = to[:, None, :, None, None, None].expand_as(pieces)
    placed = torch.empty_like(pieces).scatter_(2, place, pieces)
    return placed.reshape(B, C, T, S, S)


def random_permutations(count: int, pieces: int, partial: bool, device: torch.device) -> Tensor:
    """(count, pieces) places: all orders alike or, when `partial`, two or more pieces move.

    How many move is uniform from 2 to all of them; the others keep their places.
    """
    if not partial:
        return torch.rand(count, pieces, device=device).argsort(1)
    place = torch.arange(pieces, device=device)
    number = torch.randint(2, pieces + 1, (count, 1), device=device)
    rank = torch.rand(count, pieces, device=device).argsort(1).argsort(1)
    moves = rank < number
    # those that move first, in random order, beside their places in rising order; the others
    # beside their own
    random = torch.rand(count, pieces, device=device)
    piece = torch.where(moves, random, 1.0 + place).argsort(1)
    sorted_places = torch.where(moves, place, pieces + place).sort(1).values
    to = sorted_places % pieces
    return torch.empty_like(piece).scatter_(1, piece, to)


def make_puzzles(
    cubes: Tensor,
    pieces: int,
    min_motion: float,
    temporal_share: float = 0.5,
    partial: bool = False,
) -> Puzzles:
    """A puzzle of each cube (B, C, T, S, S) in [0, 1]: temporal, of so many pieces, or spatial.

    Each is temporal with probability `temporal_share`; `partial` as in `random_permutations`, for
    temporal ones alone. A cube of which no pixel changes by `min_motion` from the first frame to
    the last keeps its order, and its label says so, as published: nobody could tell.
    Draws from torch's random state.
    """
    B, device = len(cubes), cubes.device
    is_temporal = torch.rand(B, device=device) < temporal_share
    temporal = random_permutations(B, pieces, partial, device)
    spatial = random_permutations(B, TILES**2, False, device)
    cells = torch.arange(TILES**2, device=device)
    spatial = torch.where(is_temporal[:, None], cells, spatial)
    moves = is_temporal & (temporal_change(cubes) >= min_motion)
    temporal = torch.where(moves[:, None], temporal, torch.arange(pieces, device=device))
    pixels = shuffle_frames(shuffle_tiles(cubes, spatial), temporal)
    return Puzzles(pixels, temporal, spatial, is_temporal)
