"""Cubes of training video by number, cut on the way into a batch.

Decoded frames are kept in bounded memory, patches nowhere. An epoch goes through the video in
groups of stretches that fit into memory, shuffled, and through the cubes of a group shuffled; so
each frame is decoded about once an epoch, however long the video is, and once in all where it fits.

T frames in a cube, C channels, S pixels a side, H × W pixels in a frame; R cubes in all.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Annotated

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from oddframe.errors import BadInput
from oddframe.methods.jigsaw.proposals import crop_cubes
from oddframe.options import Range, check_ranges
from oddframe.types import Bools, Bytes, ClipSpec, Floats, Ints, Video
from oddframe.video.reader import content_of, frames_at

BLOCK_FRAMES = 32  # frames decoded together
# blocks that follow each other and have their turn together: cubes reach into the blocks beside
STRETCH = 8


@dataclass(frozen=True)
class Sampling:
    """What is drawn from the training video.

    Args:
        train_frame_step: Frames from the centre of one training cube to the next.
        epoch_cubes: Cubes in an epoch at most, so that training takes no longer for longer video; 0
            for all.
        jitter: Share of its sides by which a training box is moved and stretched, and of full scale
            by which brightness and contrast vary; 0 as published.
        cache_mb: MB of decoded frames kept while training.
    """

    train_frame_step: Annotated[int, Range(1, 100_000)] = 1
    epoch_cubes: Annotated[int, Range(0, 1_000_000_000)] = 20000
    jitter: Annotated[float, Range(0, 0.5)] = 0.1
    cache_mb: Annotated[int, Range(1, 10_000_000)] = 1000

    def __post_init__(self) -> None:
        check_ranges(type(self), vars(self))


@dataclass(frozen=True)
class BoxedVideo:
    """One video, and what is to be cut out of it."""

    video: Video
    index: Ints  # (F,) source index of each frame that can be read
    place: Ints  # (R,) position, among those frames, of a cube's middle frame
    box: Floats  # (R, 4) x1 y1 x2 y2 in pixels; no columns (R, 0) where cubes are whole frames


def without_truth(boxed: Sequence[BoxedVideo]) -> list[BoxedVideo]:
    """The same for another process, which needs no ground truth, and cannot always be sent it."""
    found = []
    for one in boxed:
        video = replace(one.video, truth=None)
        found.append(replace(one, video=video))
    return found


def split_cubes(
    boxed: Sequence[BoxedVideo], folds: int, fold: int
) -> tuple[list[BoxedVideo], list[BoxedVideo]]:
    """Cubes to learn from, and those of one of several folds, for the validation loss.

    Folds are made of stretches of 256 frames, or whole shorter videos, dealt out in turn. The loss
    on what was learned from goes on falling long after that on other normal video has stopped.
    Videos keep their numbers and frames, and may be left without a cube. Where there is too little
    to divide, both are everything.
    """
    stretch_of = [one.place // (BLOCK_FRAMES * STRETCH) for one in boxed]
    units: list[tuple[int, int]] = []
    for k, stretches in enumerate(stretch_of):
        for stretch in np.unique(stretches):
            units.append((k, int(stretch)))
    in_fold: list[Bools] = []
    for k, one in enumerate(boxed):
        if len(units) < folds:  # a part of each video instead
            in_fold.append(share_of_frames(one.place, fold / folds, (fold + 1) / folds))
        else:
            chosen = [stretch for video, stretch in units[fold::folds] if video == k]
            in_fold.append(np.isin(stretch_of[k], chosen))
    nothing_left = all(rows.all() for rows in in_fold)
    nothing_taken = not any(rows.any() for rows in in_fold)
    if nothing_left or nothing_taken:
        return list(boxed), list(boxed)
    learned: list[BoxedVideo] = []
    validation: list[BoxedVideo] = []
    for one, rows in zip(boxed, in_fold, strict=True):
        learned.append(cubes_at(one, ~rows))
        validation.append(cubes_at(one, rows))
    return learned, validation


def cubes_at(boxed: BoxedVideo, rows: Bools) -> BoxedVideo:
    """The same video with only some of its cubes."""
    place, box = boxed.place[rows], boxed.box[rows]
    return replace(boxed, place=place, box=box)


def share_of_frames(place: Ints, begin: float, end: float) -> Bools:
    """Which of the cubes at these frames lie in a share of them; cubes of a frame stay together."""
    frames = np.unique(place)
    first = round(begin * len(frames))
    last = round(end * len(frames))
    return np.isin(place, frames[first:last])


class FrameCache:
    """Decoded frames of some videos in at most so many bytes; the least recently used go first."""

    def __init__(self, videos: Sequence[BoxedVideo], spec: ClipSpec, limit: int) -> None:
        self.videos, self.spec, self.limit = list(videos), spec, limit
        self.blocks: OrderedDict[tuple[int, int], Bytes] = OrderedDict()
        self.bytes = 0  # in use
        self.decoded = 0  # blocks so far

    def window(self, video: int, place: int) -> Bytes:
        """(T, H, W, C): the clip around a frame, all of which must lie in the video."""
        first = place - self.spec.length // 2
        end = first + self.spec.length
        parts: list[Bytes] = []
        for number in range(first // BLOCK_FRAMES, (end - 1) // BLOCK_FRAMES + 1):
            block = self.block(video, number)
            start = number * BLOCK_FRAMES
            begin = max(0, first - start)
            parts.append(block[begin : end - start])
        if len(parts) == 1:
            return parts[0]
        return np.concatenate(parts)

    def block(self, video: int, number: int) -> Bytes:
        """(≤ 32, H, W, C): a video's frames from 32 · number on."""
        key = (video, number)
        if key in self.blocks:
            self.blocks.move_to_end(key)
            return self.blocks[key]
        boxed = self.videos[video]
        index = boxed.index[number * BLOCK_FRAMES : (number + 1) * BLOCK_FRAMES]
        frames = frames_at(boxed.video, self.spec, index.tolist())
        self.decoded += 1
        self.blocks[key] = frames
        self.bytes += frames.nbytes
        while self.bytes > self.limit and len(self.blocks) > 1:
            _, oldest = self.blocks.popitem(last=False)
            self.bytes -= oldest.nbytes
        return frames

    def __getstate__(self) -> dict[str, object]:
        # a worker process decodes what it needs itself
        return {**self.__dict__, "blocks": OrderedDict(), "bytes": 0, "decoded": 0}


class Cubes(Dataset[Tensor]):
    """`count` cubes (C, T, S, S) uint8 an epoch, half of them mirrored.

    Item i depends on seed, epoch and i alone. With `jitter`, boxes are moved and stretched by up to
    that share of their sides, and brightness and contrast vary.
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
        sizes = [len(one.place) for one in videos]
        self.video = np.repeat(np.arange(len(videos)), sizes)  # (R,)
        if not len(self.video):
            raise BadInput(
                "nothing moves in the training videos, so there is nothing to make puzzles of"
            )
        self.place = np.concatenate([one.place for one in videos])  # (R,)
        self.box = np.concatenate([one.box for one in videos])  # (R, 4)
        self.count = min(count, len(self.video)) if count else len(self.video)
        self.epoch = 0
        self.drawn_epoch = -1  # the epoch of which the next four say what each item is
        self.rows: Ints = np.zeros(0, np.int64)  # (count,) which cube
        self.mirrored: Bools = np.zeros(0, bool)
        self.boxes: Floats = self.box  # (count, 4) moved and stretched
        self.light: Floats = np.zeros((0, 2))  # (count, 2) change of brightness and contrast
        self.frame_bytes = 0

    def __len__(self) -> int:
        return self.count

    def set_epoch(self, epoch: int) -> None:
        """Turn to another order; call it between epochs."""
        self.epoch = epoch

    def fingerprint(self) -> str:
        """A short text that differs when the cubes do: the videos' content, and what is cut."""
        digest = blake2b(digest_size=8)
        for one in self.cache.videos:
            digest.update(repr(content_of(one.video)).encode())
            index = np.asarray(one.index, np.int64)
            digest.update(index.tobytes())
        options = (self.spec, self.side, self.count, self.seed, self.jitter)
        digest.update(repr(options).encode())
        columns = np.column_stack([self.video, self.place, self.box])
        digest.update(columns.tobytes())
        return digest.hexdigest()

    def __getitem__(self, item: int) -> Tensor:
        if not 0 <= item < self.count:
            raise IndexError(f"an epoch has {self.count} cubes, there is no number {item}")
        if self.drawn_epoch != self.epoch:
            self.draw(self.epoch)
        row = self.rows[item]
        video, place = int(self.video[row]), int(self.place[row])
        box = self.boxes[item : item + 1]
        cube = self.cache.window(video, place)
        if box.shape[1]:
            cube = crop_cubes(cube, box, self.side)[0]
        if self.jitter:
            brightness, contrast = self.light[item]
            cube = jitter_light(cube, brightness, contrast)
        if self.mirrored[item]:
            cube = cube[:, :, ::-1]
        first = cube.transpose(3, 0, 1, 2)
        return torch.from_numpy(np.ascontiguousarray(first))

    def draw(self, epoch: int) -> None:
        """Draw what each item of an epoch is."""
        self.drawn_epoch = epoch
        self.rows = self.order(epoch)
        random = np.random.default_rng([self.seed, epoch, 1])
        self.mirrored = random.random(self.count) < 0.5
        self.boxes = self.box[self.rows]
        if self.jitter:
            random = np.random.default_rng([self.seed, epoch, 2])
            uniform = random.uniform(-1, 1, (self.count, 6))
            by_box, by_light = np.split(self.jitter * uniform, [4], axis=1)
            self.boxes = jitter_boxes(self.boxes, by_box)
            self.light = by_light

    def order(self, epoch: int) -> Ints:
        """(count,) which cube each item of an epoch is."""
        random = np.random.default_rng([self.seed, epoch])
        number = self.place // (BLOCK_FRAMES * STRETCH)
        stretch = np.column_stack([self.video, number])
        names, stretch_of = np.unique(stretch, axis=0, return_inverse=True)
        turns = random.permutation(len(names))
        turn = turns[stretch_of.ravel()]  # (R,) when its stretch comes
        group = turn // max(1, self.stretches_in_memory())
        within = random.random(len(group))
        order = np.lexsort((within, group))
        if self.count < len(order):  # an epoch of fewer cubes takes fewer of every group
            kept = random.choice(len(order), self.count, replace=False)
            order = order[np.sort(kept)]
        return np.asarray(order)

    def stretches_in_memory(self) -> int:
        """How many stretches of frames fit into the cache together."""
        if not self.frame_bytes:
            video, place = int(self.video[0]), int(self.place[0])
            clip = self.cache.window(video, place)
            self.frame_bytes = clip[0].nbytes
        frames = sum(len(one.index) for one in self.cache.videos)
        if frames * self.frame_bytes <= self.memory:
            return len(self.video)
        stretch_bytes = (STRETCH + 2) * BLOCK_FRAMES * self.frame_bytes
        return self.memory // stretch_bytes


def jitter_boxes(boxes: Floats, by: Floats) -> Floats:
    """The boxes (n, 4) moved by shares of their sides, the first two columns of `by` (n, 4).

    Each side is multiplied by e to the other two. Whole frames (n, 0) stay.

    >>> jitter_boxes(np.array([[0, 0, 10, 20]]), np.array([[0.1, -0.1, 0, 0]])).tolist()
    [[1.0, -2.0, 11.0, 18.0]]
    """
    if not boxes.shape[1]:
        return boxes
    low, high = boxes[:, :2], boxes[:, 2:]
    sides = high - low
    shift, stretch = by[:, :2], np.exp(by[:, 2:])
    middle = (high + low) / 2 + sides * shift
    half = sides * stretch / 2
    corners = [middle - half, middle + half]
    return np.asarray(np.concatenate(corners, 1), np.float32)


def jitter_light(pixels: Bytes, brightness: float, contrast: float) -> Bytes:
    """The pixels (T, H, W, C), brighter by a share of full scale, contrast up by twice a share."""
    flat = pixels.reshape(len(pixels), -1)
    factor = 1 + 2 * contrast
    mean = cv2.mean(flat)[0]
    shift = mean * (1 - factor) + 255 * brightness
    changed = cv2.addWeighted(flat, factor, flat, 0, shift)
    return np.asarray(changed.reshape(pixels.shape))
