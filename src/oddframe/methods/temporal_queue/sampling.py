"""Films in order, cut into segments through which a queue slides, as the temporal queue is trained
on them.

n frames in a segment, C channels, H × W pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from oddframe.cache import key
from oddframe.errors import BadInput, BadVideo
from oddframe.types import ClipSpec, Ints, Video
from oddframe.video.reader import content_of, frames_at
from oddframe.video.sampling import Skipped, frames_at_rate, reasons_of


@dataclass(frozen=True)
class Segment:
    """Consecutive frames of a film."""

    video: Video
    frames: Ints  # (n,) indices in its source


class Queues(Dataset[tuple[Tensor, Tensor]]):
    """Items are (n, C, H, W) uint8 frames of a segment, and (k,) where its queues begin: one of
    them, or all.

    Films are cut into as few segments of equal length as `segment`, the longest, allows. Those too
    short or unreadable are left out and listed in `skipped`; raises BadInput when none is left.
    """

    def __init__(
        self,
        videos: Sequence[Video],
        spec: ClipSpec,
        *,
        segment: int,
        queue: int,
        offset: int,
        one_by_one: bool,
    ) -> None:
        self.spec = spec
        self.queue = queue
        self.offset = offset
        self.skipped: list[Skipped] = []
        self.segments: list[Segment] = []
        for video in videos:
            try:
                frames = frames_at_rate(video, spec)
            except BadVideo as error:
                self.skipped.append(Skipped(video.name, str(error)))
                continue
            count = max(1, ceil(len(frames) / segment))
            parts = np.array_split(frames, count)
            shortest = len(parts[-1])
            if shortest <= queue:
                reason = f"has segments of {shortest} frames, a queue of {queue} needs longer ones"
                self.skipped.append(Skipped(video.name, reason))
                continue
            without_truth = replace(video, truth=None)  # which cannot always be sent to a worker
            for part in parts:
                self.segments.append(Segment(without_truth, part))
        if not self.segments:
            why = reasons_of(self.skipped, 2) or "there is none"
            raise BadInput(
                f"none of {len(videos)} films can be contrasted with a queue ({why}); lower --queue"
            )
        self.items: list[tuple[int, list[int]]] = []  # number of a segment, where its queues begin
        for number, one in enumerate(self.segments):
            starts = self.starts(len(one.frames))
            if not one_by_one:
                self.items.append((number, starts))
                continue
            for start in starts:
                self.items.append((number, [start]))
        # the segment decoded last: queues of one segment follow each other
        self.last_decoded: tuple[int, Tensor] | None = None

    def __len__(self) -> int:
        return len(self.items)

    def fingerprint(self) -> str:
        """A short text that differs when the items do."""
        content = [(content_of(one.video), one.frames) for one in self.segments]
        return key(content, self.spec, self.queue, self.offset, len(self.items))

    def __getitem__(self, item: int) -> tuple[Tensor, Tensor]:
        number, positions = self.items[item]
        if self.last_decoded is None or self.last_decoded[0] != number:
            one = self.segments[number]
            pixels = frames_at(one.video, self.spec, one.frames.tolist())  # (n, H, W, C)
            frames = torch.from_numpy(pixels).permute(0, 3, 1, 2)
            self.last_decoded = number, frames
        _, frames = self.last_decoded
        return frames, torch.tensor(positions)

    def starts(self, n: int) -> list[int]:
        """Where queues begin in a segment of n frames.

        As published every `offset` frames; and once more at the end, so that no frame is in no
        queue.
        """
        last = n - self.queue
        starts = list(range(0, last, self.offset))
        return [*starts, last]
