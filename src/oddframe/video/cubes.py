"""Cubes of training video by number, cut on the way into a batch: decoded frames are kept in bounded memory, patches
nowhere.

An epoch goes through the video in groups of stretches that fit into memory, shuffled, and through the cubes of a group
shuffled; so each frame is decoded about once an epoch, however long the video is, and once in all where it fits.
T frames in a cube, C channels, S pixels a side, H × W pixels in a frame; R cubes in all.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from zlib import crc32

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from oddframe.errors import BadInput
from oddframe.types import Bools, Bytes, ClipSpec, Floats, Ints, Video
from oddframe.video.reader import frames_at
from oddframe.video.regions import cut

BLOCK = 32  # frames decoded together
STRETCH = 8  # blocks that follow each other and have their turn together: cubes reach into the blocks beside them


@dataclass(frozen=True)
class Marked:
    """One video, and what is to be cut out of it."""

    video: Video
    index: Ints  # (F,) source index of each frame that can be read
    place: Ints  # (R,) position, among those frames, of a cube's middle frame
    box: Floats  # (R, 4) x1 y1 x2 y2 in pixels; no columns (R, 0) where cubes are whole frames


class FrameCache:
    """Decoded frames of some videos in at most so many bytes; the blocks used longest ago go first."""

    def __init__(self, videos: Sequence[Marked], spec: ClipSpec, limit: int) -> None:
        self.videos, self.spec, self.limit = list(videos), spec, limit
        self.blocks: OrderedDict[tuple[int, int], Bytes] = OrderedDict()
        self.held = self.decoded = 0  # bytes now; blocks decoded so far

    def window(self, video: int, place: int) -> Bytes:
        """(T, H, W, C): the clip around a frame. Frames before the first or after the last are not asked for."""
        first = place - self.spec.length // 2
        last = first + self.spec.length - 1
        parts = []
        for b in range(first // BLOCK, last // BLOCK + 1):
            start = b * BLOCK
            parts.append(self._block(video, b)[max(0, first - start) : last + 1 - start])
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _block(self, video: int, b: int) -> Bytes:
        key = (video, b)
        if key in self.blocks:
            self.blocks.move_to_end(key)
            return self.blocks[key]
        marked = self.videos[video]
        frames = frames_at(marked.video, self.spec, marked.index[b * BLOCK : (b + 1) * BLOCK].tolist())
        self.decoded += 1
        self.blocks[key] = frames
        self.held += frames.nbytes
        while self.held > self.limit and len(self.blocks) > 1:
            self.held -= self.blocks.popitem(last=False)[1].nbytes
        return frames

    def __getstate__(self) -> dict[str, object]:
        # a worker decodes what it needs itself
        return {**self.__dict__, "blocks": OrderedDict(), "held": 0, "decoded": 0}


class Cubes(Dataset[Tensor]):
    """`count` cubes (C, T, S, S) uint8 an epoch, half of them mirrored; item i depends on seed, epoch and i alone.

    Raises BadInput when there is not one cube.
    """

    def __init__(
        self,
        videos: Sequence[Marked],
        spec: ClipSpec,
        *,
        side: int,
        count: int = 0,
        seed: int = 0,
        memory: int = 1 << 30,
    ) -> None:
        # without truth, which a worker does not need and which cannot always be sent to it
        videos = [replace(marked, video=replace(marked.video, truth=None)) for marked in videos]
        self.spec, self.side, self.seed, self.memory = spec, side, seed, memory
        self.cache = FrameCache(videos, spec, memory)
        sizes = [len(marked.place) for marked in videos]
        self.of = np.repeat(np.arange(len(videos)), sizes)  # (R,) which video
        if not len(self.of):
            raise BadInput("nothing moves in the training videos, so there is nothing to make puzzles of")
        self.place = np.concatenate([marked.place for marked in videos])  # (R,)
        self.box = np.concatenate([marked.box for marked in videos])  # (R, 4)
        self.count = min(count, len(self.of)) if count else len(self.of)
        # in shared memory: workers that outlive an epoch see it turn
        self.epoch = torch.zeros((), dtype=torch.int64).share_memory_()  # type: ignore[no-untyped-call]
        self.ordered: tuple[int, Ints, Bools] = (-1, np.zeros(0, np.int64), np.zeros(0, bool))
        self.frame_bytes = 0

    def __len__(self) -> int:
        return self.count

    def set_epoch(self, epoch: int) -> None:
        """Turn to another order; call it between epochs."""
        self.epoch.fill_(epoch)

    def fingerprint(self) -> str:
        """What the cubes are cut from, for a training to know whether it goes on with the same."""
        return f"{crc32(np.column_stack([self.of, self.place, self.box]).tobytes()):08x}"

    def __getitem__(self, item: int) -> Tensor:
        if not 0 <= item < self.count:
            raise IndexError(f"an epoch has {self.count} cubes, there is no number {item}")
        epoch = int(self.epoch)
        if self.ordered[0] != epoch:
            mirrored = np.random.default_rng([self.seed, epoch, 1]).random(self.count) < 0.5
            self.ordered = (epoch, self._order(epoch), mirrored)
        row = int(self.ordered[1][item])
        clip = self.cache.window(int(self.of[row]), int(self.place[row]))
        cube = cut(clip, self.box[row : row + 1], self.side)[0] if self.box.shape[1] else clip
        if self.ordered[2][item]:
            cube = cube[:, :, ::-1]
        return torch.from_numpy(np.ascontiguousarray(cube.transpose(3, 0, 1, 2)))

    def _order(self, epoch: int) -> Ints:
        """(count,) which cube each item of this epoch is."""
        random = np.random.default_rng([self.seed, epoch])
        stretch = self.place // (BLOCK * STRETCH)
        names, each = np.unique(np.column_stack([self.of, stretch]), axis=0, return_inverse=True)
        rank = random.permutation(len(names))[each.ravel()]  # (R,) when the stretch of each cube has its turn
        group = rank // max(1, self._stretches_that_fit())
        order = np.lexsort((random.random(len(group)), group))
        if self.count < len(order):  # an epoch of fewer cubes takes fewer of every group
            kept = np.sort(random.choice(len(order), self.count, replace=False))
            order = order[kept]
        return np.asarray(order)

    def _stretches_that_fit(self) -> int:
        if not self.frame_bytes:
            self.frame_bytes = self.cache.window(int(self.of[0]), int(self.place[0]))[0].nbytes
        if sum(len(marked.index) for marked in self.cache.videos) * self.frame_bytes <= self.memory:
            return len(self.of)
        return self.memory // ((STRETCH + 2) * BLOCK * self.frame_bytes)
