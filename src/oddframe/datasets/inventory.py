"""What stands on disk of a data set: frames counted without decoding, and all truth compared with
its videos.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import av

from oddframe.datasets.base import Counts, DataSet, Split, at_rate
from oddframe.datasets.discovery import check_fps
from oddframe.errors import BadTruth, BadVideo
from oddframe.progress import progress
from oddframe.types import ClipSpec, Truth, Video
from oddframe.video.reader import read, times_of


@dataclass(frozen=True)
class Inventory:
    """What stands under a root."""

    found: Counts
    labelled: int  # test videos that have truth at all,
    masked: int  # with pixel masks,
    tracked: int  # with tracks
    # test videos all of whose frames are anomalous, or none: no AUC of their own
    one_sided: tuple[str, ...]
    kinds: Mapping[str, int]  # anomalous frames of each kind, where kinds are known
    classes: Mapping[str, int]  # videos of each label, where videos have labels
    missing: tuple[str, ...]  # lines of TREE that nothing answers to
    damaged: tuple[str, ...]  # videos without a frame, truth that does not fit
    notes: tuple[str, ...]

    @property
    def usable(self) -> bool:
        """Whether nothing is damaged and there is something to use."""
        return not self.damaged and bool(self.found.train_videos or self.found.test_videos)


@dataclass(frozen=True)
class CheckedVideo:
    """What is remembered of one video; its masks are not, they may be gigabytes."""

    name: str
    frames: int = 0
    damage: str = ""
    labelled: bool = False
    masked: bool = False
    tracked: bool = False
    anomalous: int = 0  # frames
    note: str = ""
    kinds: Counter[str] = field(default_factory=Counter)


def take_inventory(data: DataSet, root: Path, fps: float | None = None) -> Inventory:
    """Count frames, without decoding, and read all truth. Raises BadInput, with TREE, where nothing
    fits.

    `fps` is the rate of all videos, where given: truth may be written in seconds.
    """
    check_fps(fps)
    split = data.read_split(root)
    if fps is not None:
        split = at_rate(split, fps)
    inventory = count_split(split, data.missing(root))
    return replace(inventory, notes=(*inventory.notes, *data.differences(root, inventory)))


def count_split(split: Split, missing: tuple[str, ...] = ()) -> Inventory:
    """The inventory of videos; those of val count as videos to learn from."""
    learned = [*split.train, *split.val]
    with progress("counting", len(learned) + len(split.test), "videos") as tick:
        train = []
        for video in learned:
            train.append(check_video(video, judged=False))
            tick()
        test = []
        for video in split.test:
            test.append(check_video(video, judged=True))
            tick()
    kinds: Counter[str] = Counter()
    totals: Counter[str] = Counter()
    for one in test:
        kinds += one.kinds
        totals.update(
            frames=one.frames,
            anomalous=one.anomalous,
            labelled=one.labelled,
            masked=one.masked,
            tracked=one.tracked,
        )
    classes: Counter[str] = Counter()
    for video in (*learned, *split.test):
        if video.label:
            classes[video.label] += 1
    damaged = []
    notes = list(split.notes)
    for one in train + test:
        if one.damage:
            damaged.append(one.damage)
        if one.note:
            notes.append(f"{one.name}: {one.note}")
    return Inventory(
        found=Counts(
            train_videos=len(train),
            train_frames=sum(one.frames for one in train),
            test_videos=len(test),
            test_frames=totals["frames"],
            anomalous_frames=totals["anomalous"],
        ),
        labelled=totals["labelled"],
        masked=totals["masked"],
        tracked=totals["tracked"],
        one_sided=one_sided(test),
        kinds=dict(kinds.most_common()),
        classes=dict(classes),
        missing=missing,
        damaged=tuple(damaged),
        notes=tuple(notes),
    )


def check_video(video: Video, *, judged: bool) -> CheckedVideo:
    """Count a video's frames and, where it is judged, read its truth. What is wrong is in
    `damage`.
    """
    frames = 0
    truth = None
    try:
        frames = counted_frames(video)
        if judged:
            truth = read_video_truth(video, frames)
    except (BadVideo, BadTruth) as error:
        return CheckedVideo(video.name, frames, damage=str(error))
    if truth is None:
        return CheckedVideo(video.name, frames)
    kinds: Counter[str] = Counter()
    if truth.kind is not None:
        kinds.update(truth.kind.tolist())
        del kinds[""]
    return CheckedVideo(
        video.name,
        frames=len(truth.frame),
        labelled=True,
        masked=truth.mask is not None,
        tracked=truth.tracks is not None,
        anomalous=int(truth.frame.sum()),
        note=truth.note,
        kinds=kinds,
    )


def read_video_truth(video: Video, frames: int) -> Truth | None:
    """The truth of a video in whose container so many frames were counted. Raises BadTruth."""
    if video.truth is None:
        return None
    try:
        return video.truth(frames)
    except BadTruth:
        # a container may count packets that give no picture (MPEG-4 in AVI does): only decoding
        # tells for sure
        spec = ClipSpec(size=(16, 16), colour="grey")
        decoded = sum(1 for _ in read(video, spec))
        if decoded == frames:
            raise
        return video.truth(decoded)


def counted_frames(video: Video) -> int:
    """The frames that a container counts, at least one. Raises BadVideo."""
    try:
        count = len(times_of(video))
    except (av.FFmpegError, OSError, IndexError, ValueError) as error:
        raise BadVideo(f"{video.source} is not a video that FFmpeg can read ({error})") from error
    if not count:
        raise BadVideo(f"{video.source} holds no frame")
    return count


def one_sided(videos: Sequence[CheckedVideo]) -> tuple[str, ...]:
    """Names of the labelled videos all of whose frames are anomalous, or none."""
    names = []
    for one in videos:
        if one.labelled and one.anomalous in (0, one.frames):
            names.append(one.name)
    return tuple(names)
