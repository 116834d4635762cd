"""Random clips for training, read by seeking: what item i of epoch e is depends on the seed, e and
i alone.

So neither the number of worker processes nor stopping and going on again changes what a method is
taught. C channels, T frames in a clip, H × W pixels.
"""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from oddframe.errors import BadInput, BadVideo
from oddframe.progress import logger
from oddframe.run import Run
from oddframe.types import ClipSpec, Ints, Video
from oddframe.video.clips import resampled
from oddframe.video.reader import content_of, frames_at
from oddframe.video.sampling import DRAWS, Skipped, frames_at_rate, reasons_of


def note_skipped(skipped: Sequence[Skipped], run: Run) -> None:
    """Log the videos that are not trained on, and note them in the run."""
    lines = [f"{one.video} {one.reason}" for one in skipped]
    for line in lines:
        logger.warning(f"not trained on: {line}")
    run.notes["skipped"] = lines


class Sample(NamedTuple):
    """One clip on its way into a batch."""

    pixels: Tensor  # (C, T, H, W) uint8
    video: int  # position in the videos given
    start: int  # index, in the source, of the clip's first frame


def clip_at(
    video: Video, spec: ClipSpec, window: Sequence[int], damage: list[str] | None = None
) -> Tensor:
    """(C, T, H, W) uint8: the clip of these frames, contiguous in memory. Raises BadVideo."""
    frames = torch.from_numpy(frames_at(video, spec, window, damage))  # (T, H, W, C)
    return frames.permute(3, 0, 1, 2).contiguous()


class RandomClips(Dataset[Sample]):
    """`count` random clips an epoch, every clip of every video equally likely. For a DataLoader of
    any kind.

    Videos without a clip are left out and listed in `skipped`; raises BadInput when none is left. A
    clip that touches damage is replaced by another draw.
    """

    def __init__(
        self, videos: Sequence[Video], spec: ClipSpec, *, count: int, seed: int = 0
    ) -> None:
        if count < 1:
            raise BadInput(f"an epoch has at least one clip, got {count}")
        # without truth, which a worker does not need and which cannot always be sent to it
        self.videos = [replace(video, truth=None) for video in videos]
        self.spec = spec
        self.count = count
        self.seed = seed
        self.epoch = 0
        self.skipped: list[Skipped] = []
        clips = list(map(self.clips_in, self.videos))
        self.ends = np.cumsum(clips)  # (videos,)
        if not any(clips):
            why = reasons_of(self.skipped, 3)
            raise BadInput(
                f"none of {len(self.videos)} videos gives a clip of {spec.span} frames ({why})"
            )

    def __len__(self) -> int:
        return self.count

    def set_epoch(self, epoch: int) -> None:
        """Turn to other clips; call it between epochs."""
        self.epoch = epoch

    def fingerprint(self) -> str:
        """A short text that differs when the clips do."""
        content = [content_of(video) for video in self.videos]
        words = repr((content, self.spec, self.count, self.seed))
        digest = blake2b(words.encode(), digest_size=8)
        return digest.hexdigest()

    def __getitem__(self, item: int) -> Sample:
        if not 0 <= item < self.count:
            raise IndexError(f"an epoch has {self.count} clips, there is no number {item}")
        random = np.random.default_rng([self.seed, self.epoch, item])
        for _ in range(DRAWS):
            draw = int(random.integers(self.ends[-1]))
            number = int(np.searchsorted(self.ends, draw, "right"))
            video = self.videos[number]
            first = draw
            if number:
                first -= int(self.ends[number - 1])
            window = self.frames_of_clip(video, first)
            damage: list[str] = []
            try:
                pixels = clip_at(video, self.spec, window.tolist(), damage)
            except BadVideo:
                continue
            if not damage:
                return Sample(pixels, number, int(window[0]))
        raise BadInput(f"{DRAWS} random clips in a row touch damage, the last in {video.source}")

    def frames_of_clip(self, video: Video, first: int) -> Ints:
        """(T,) indices, in the source, of a clip that begins with a frame of those at the spec's
        rate.
        """
        spec = self.spec
        frames = frames_at_rate(video, spec)
        if len(frames) < spec.span:
            return frames[resampled(len(frames), spec.length)]
        return frames[first : first + spec.span : spec.stride]

    def clips_in(self, video: Video) -> int:
        """How many clips a video gives; one that gives none is noted in `skipped`."""
        spec = self.spec
        try:
            frames = len(frames_at_rate(video, spec))
        except BadVideo as error:
            self.skipped.append(Skipped(video.name, str(error)))
            return 0
        clips = max(0, frames - spec.span + 1)
        if frames and spec.resample_short:
            clips = max(1, clips)
        if not clips:
            reason = f"has {frames} frames, a clip needs {spec.span}"
            self.skipped.append(Skipped(video.name, reason))
        return clips
