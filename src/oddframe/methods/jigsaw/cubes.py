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

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from oddframe.errors import BadInput
from oddframe.methods.jigsaw.proposals import crop_cubes
from oddframe.types import Bools, Bytes, ClipSpec, Floats, Ints, Video
from oddframe.video.reader import frames_at

BLOCK = 32  # frames decoded together
STRETCH = 8  # blocks that follow each other and have their turn together: cubes reach into the blocks beside them


@dataclass(frozen=True)
class BoxedVideo:
    """One video, and what is to be cut out of it."""

    video: Video
    index: Ints  # (F,) source index of each frame that can be read
    place: Ints  # (R,) position, among those frames, of a cube's middle frame
    box: Floats  # (R, 4) x1 y1 x2 y2 in pixels; no columns (R, 0) where cubes are whole frames


def without_truth(marked: Sequence[BoxedVideo]) -> list[BoxedVideo]:
    """The same for another process, which does not need the truth; it cannot always be sent to one."""
    return [replace(one, video=replace(one.video, truth=None)) for one in marked]


def held_out(
    marked: Sequence[BoxedVideo], share: int, turn: int
) -> tuple[list[BoxedVideo], list[BoxedVideo]]:
    """What is learned from, and the `turn`-th of `share` parts of the cubes: stretches of 256 frames, or whole shorter
    videos, dealt out one after another.

    The loss on what was learned from falls long after that on other normal video has stopped. Videos keep their numbers
    and frames, and may be left without a cube. Where there is too little to divide, both are everything.
    """
    stretches = [one.place // (BLOCK * STRETCH) for one in marked]
    units = [(k, part) for k, mine in enumerate(stretches) for part in np.unique(mine)]
    chosen = {unit for number, unit in enumerate(units) if number % share == turn}
    taken = [
        np.array([(k, part) in chosen for part in mine], bool) for k, mine in enumerate(stretches)
    ]
    if len(units) < share:  # a piece of each instead
        taken = [_piece(one.place, turn / share, (turn + 1) / share) for one in marked]
    if all(is_held.all() for is_held in taken) or not any(is_held.any() for is_held in taken):
        return list(marked), list(marked)
    learned, held = (
        [
            replace(one, place=one.place[rows], box=one.box[rows])
            for one, rows in zip(marked, which, strict=True)
        ]
        for which in ([~is_held for is_held in taken], taken)
    )
    return learned, held


def _piece(place: Ints, begin: float, end: float) -> Bools:
    """Which of the cubes at these frames, in order, lie in a share of them; those of one frame stay together."""
    frames = np.unique(place)
    first, last = (round(at * len(frames)) for at in (begin, end))
    return np.isin(place, frames[first:last])


class FrameCache:
    """Decoded frames of some videos in at most so many bytes; the blocks used longest ago go first."""

    def __init__(self, videos: Sequence[BoxedVideo], spec: ClipSpec, limit: int) -> None:
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
        frames = frames_at(
            marked.video, self.spec, marked.index[b * BLOCK : (b + 1) * BLOCK].tolist()
        )
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

    With `jitter`, boxes are moved and stretched by up to that share of their sides, and brightness and contrast vary.
    Raises BadInput when there is not one cube.
    """

    def __init__(
        self,
        videos: Sequence[BoxedVideo],
        spec: ClipSpec,
        *,
        side: int,
        count: int = 0,
        seed: int = 0,
        memory: int = 1 << 30,
        jitter: float = 0.0,
    ) -> None:
        videos = without_truth(videos)
        self.spec, self.side, self.seed, self.memory, self.jitter = spec, side, seed, memory, jitter
        self.cache = FrameCache(videos, spec, memory)
        sizes = [len(marked.place) for marked in videos]
        self.of = np.repeat(np.arange(len(videos)), sizes)  # (R,) which video
        if not len(self.of):
            raise BadInput(
                "nothing moves in the training videos, so there is nothing to make puzzles of"
            )
        self.place = np.concatenate([marked.place for marked in videos])  # (R,)
        self.box = np.concatenate([marked.box for marked in videos])  # (R, 4)
        self.count = min(count, len(self.of)) if count else len(self.of)
        # in shared memory: workers that outlive an epoch see it turn
        self.epoch = torch.zeros((), dtype=torch.int64).share_memory_()  # type: ignore[no-untyped-call]
        self.ordered = -1  # the epoch of which the next four tell each item:
        self.rows: Ints = np.zeros(0, np.int64)
        self.mirrored: Bools = np.zeros(0, bool)
        self.cut_at, self.light = (
            self.box,
            np.zeros((0, 2)),
        )  # the box, moved; how much brighter and sharper
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
        if self.ordered != (epoch := int(self.epoch)):
            self._turn(epoch)
        row, box = int(self.rows[item]), self.cut_at[item : item + 1]
        clip = self.cache.window(int(self.of[row]), int(self.place[row]))
        cube = crop_cubes(clip, box, self.side)[0] if box.shape[1] else clip
        if self.jitter:
            cube = jitter_light(cube, *self.light[item])
        if self.mirrored[item]:
            cube = cube[:, :, ::-1]
        return torch.from_numpy(np.ascontiguousarray(cube.transpose(3, 0, 1, 2)))

    def _turn(self, epoch: int) -> None:
        """Draw what each item of an epoch is."""
        self.ordered, self.rows = epoch, self._order(epoch)
        self.mirrored = np.random.default_rng([self.seed, epoch, 1]).random(self.count) < 0.5
        self.cut_at = self.box[self.rows]
        if self.jitter:
            drawn = self.jitter * np.random.default_rng([self.seed, epoch, 2]).uniform(
                -1, 1, (self.count, 6)
            )
            self.cut_at, self.light = jitter_boxes(self.cut_at, drawn[:, :4]), drawn[:, 4:]

    def _order(self, epoch: int) -> Ints:
        """(count,) which cube each item of this epoch is."""
        random = np.random.default_rng([self.seed, epoch])
        stretch = self.place // (BLOCK * STRETCH)
        names, each = np.unique(np.column_stack([self.of, stretch]), axis=0, return_inverse=True)
        rank = random.permutation(len(names))[
            each.ravel()
        ]  # (R,) when the stretch of each cube has its turn
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


def jitter_boxes(boxes: Floats, by: Floats) -> Floats:
    """The boxes (n, 4) moved by shares of their sides, (x, y) of `by` (n, 4), and each side times e to the other two.

    Whole pictures (n, 0) stay.

    >>> moved(np.array([[0, 0, 10, 20]]), np.array([[0.1, -0.1, 0, 0]])).tolist()
    [[1.0, -2.0, 11.0, 18.0]]
    """
    if not boxes.shape[1]:
        return boxes
    sides = boxes[:, 2:] - boxes[:, :2]
    middle = (boxes[:, 2:] + boxes[:, :2]) / 2 + sides * by[:, :2]
    half = sides * np.exp(by[:, 2:]) / 2
    return np.asarray(np.concatenate([middle - half, middle + half], 1), np.float32)


def jitter_light(pixels: Bytes, brighter: float, sharper: float) -> Bytes:
    """The pixels (T, H, W, C), brighter by a share of full scale, their contrast higher by twice a share."""
    flat, sharp = pixels.reshape(len(pixels), -1), 1 + 2 * sharper
    mean = cv2.mean(flat)[0]
    return np.asarray(
        cv2.addWeighted(flat, sharp, flat, 0, mean * (1 - sharp) + 255 * brighter).reshape(
            pixels.shape
        )
    )
