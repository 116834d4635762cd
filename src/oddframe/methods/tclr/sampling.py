"""Samples for contrast within videos and between them: a global clip and the local clips that tile
its span, in two views, as TCLR is trained on them (Dave et al., CVIU 2022; timing and limits of the
published code).

P local clips, C channels, T frames in a clip, H × W pixels, S pixels a side of what is learned
from.
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
from oddframe.video.augment import crop_spec, mirrored, varied
from oddframe.video.reader import content_of, frames_at
from oddframe.video.sampling import DRAWS, Skipped, frames_at_rate, reasons_of

TRIES = 3  # starts tried in a video before another takes its place
# of the frames that a sample spans: what is missing at the end is mirrored, shorter video is left
# out
SHORTEST_SHARE = 7 / 8


@dataclass(frozen=True)
class Timing:
    """Which frames the clips of a sample have, counted from its first."""

    length: int = 16  # T: frames in a clip, global or local
    step: int = 1  # frames from one frame of a local clip to the next
    parts: int = 4  # P: local clips, one for each moment that the network finds in a global clip

    @property
    def span(self) -> int:
        """Frames that a sample is cut from."""
        return self.length * self.parts * self.step

    def clips(self) -> list[list[int]]:
        """(1 + P) × T positions: the global clip, then the local ones, which tile its span.

        >>> Timing(length=8, parts=2).clips()[:2]
        [[0, 2, 4, 6, 8, 10, 12, 14], [0, 1, 2, 3, 4, 5, 6, 7]]
        """
        whole = range(0, self.span, self.parts * self.step)
        clips = [list(whole)]
        local = self.length * self.step  # frames that a local clip spans
        for start in range(0, self.span, local):
            part = range(start, start + local, self.step)
            clips.append(list(part))
        return clips


class TwoViews(Dataset[Tensor]):
    """One sample of each video an epoch, in random order: (2, 1 + P, C, T, S, S) uint8. Each frame
    is decoded once.

    Films of more than `max_video_frames` frames are cut into pieces that count as videos. Those
    too short or unreadable are left out and listed in `skipped`; raises BadInput when fewer than
    two are left.
    """

    def __init__(
        self,
        videos: Sequence[Video],
        timing: Timing,
        size: int,
        *,
        max_video_frames: int,
        seed: int = 0,
    ) -> None:
        self.timing = timing
        self.size = size
        self.seed = seed
        self.epoch = 0
        self.skipped: list[Skipped] = []
        self.videos: list[Video] = []
        self.frames: list[Ints] = []  # of each video, indices in its source
        self.specs: list[ClipSpec] = []
        shortest = int(SHORTEST_SHARE * timing.span) + 1
        for video in videos:
            try:
                frames = frames_at_rate(video, ClipSpec())
                spec = crop_spec(video, size)
            except BadVideo as error:
                self.skipped.append(Skipped(video.name, str(error)))
                continue
            if len(frames) < shortest:
                reason = f"has {len(frames)} frames, a sample needs {shortest}"
                self.skipped.append(Skipped(video.name, reason))
                continue
            count = ceil(len(frames) / max(max_video_frames, shortest))
            pieces = np.array_split(frames, count)
            if len(pieces[-1]) < shortest:
                pieces = [frames]
            without_truth = replace(video, truth=None)  # which cannot always be sent to a worker
            self.videos += len(pieces) * [without_truth]
            self.frames += pieces
            self.specs += len(pieces) * [spec]
        if len(self.videos) < 2:
            why = reasons_of(self.skipped, 3) or "none was left out"
            raise BadInput(
                "videos are contrasted with each other, and "
                f"{len(self.videos)} of {len(videos)} can be used ({why}); "
                "a smaller --clip-length or --train-frame-step asks for shorter ones"
            )

    def __len__(self) -> int:
        return len(self.videos)

    def set_epoch(self, epoch: int) -> None:
        """Turn to other samples; call it between epochs."""
        self.epoch = epoch

    def fingerprint(self) -> str:
        """A short text that differs when the samples do."""
        content = [content_of(video) for video in self.videos]
        lengths = list(map(len, self.frames))
        return key(content, lengths, self.timing, self.size, self.seed)

    def __getitem__(self, item: int) -> Tensor:
        if not 0 <= item < len(self):
            raise IndexError(f"an epoch has {len(self)} samples, there is no number {item}")
        count = len(self.videos)
        of_epoch = np.random.default_rng([self.seed, self.epoch])
        order = of_epoch.permutation(count)
        random = np.random.default_rng([self.seed, self.epoch, item])
        for attempt in range(DRAWS):
            place = item + attempt // TRIES
            number = int(order[place % count])
            decoded = self.decode(number, random)
            if decoded is not None:
                return self.draw_views(*decoded, random)
        raise BadInput(
            f"{DRAWS} samples in a row cannot be read, the last from {self.videos[number].source}"
        )

    def decode(
        self, number: int, random: np.random.Generator
    ) -> tuple[Tensor, list[list[int]]] | None:
        """Frames (n, H, W, C), and for each clip the positions of its frames among them; None where
        damage is.
        """
        frames = self.frames[number]
        latest = max(1, len(frames) - self.timing.span)
        start = int(random.integers(latest))
        rest = len(frames) - start
        clips = np.array([mirrored(clip, rest) for clip in self.timing.clips()])  # (1 + P, T)
        needed, places = np.unique(clips, return_inverse=True)
        indices = frames[start + needed]
        damage: list[str] = []
        try:
            pixels = frames_at(self.videos[number], self.specs[number], indices, damage)
        except BadVideo:
            return None
        if damage:
            return None
        return torch.from_numpy(pixels), places.reshape(len(clips), -1).tolist()

    def draw_views(
        self, frames: Tensor, clips: list[list[int]], random: np.random.Generator
    ) -> Tensor:
        """(2, 1 + P, C, T, S, S): two views of each clip, every one with changes of its own."""
        size = (self.size, self.size)
        cut = [take_frames(frames, clip) for clip in clips]  # (T, H, W, C) each
        views = []
        for _ in range(2):
            for clip in cut:
                first = clip.permute(0, 3, 1, 2)  # (T, C, H, W)
                views.append(varied(first, size, random))  # (T, C, S, S)
        stacked = torch.stack(views).transpose(1, 2)  # (2 (1 + P), C, T, S, S)
        return stacked.reshape(2, -1, *stacked.shape[1:])


def take_frames(frames: Tensor, clip: list[int]) -> Tensor:
    """The frames at these positions, as a view where they are at equal distances."""
    first = clip[0]
    step = max(1, clip[1] - first)
    even = list(range(first, clip[-1] + 1, step))
    if clip == even:
        return frames[first::step][: len(clip)]
    return frames[clip]
