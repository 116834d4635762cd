"""Data sets of short clips in classes, some of which are anomalous: a film is one class, whole.

They are divided into train, val, test (normal classes) and anomaly; by the source that clips were
cut from, so that near-duplicates never stand on both sides. What `oddframe prepare … OUT` writes is
read as it was divided.
"""

from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np

from oddframe.datasets.base import DataSet, Split
from oddframe.datasets.discovery import videos_under
from oddframe.datasets.splits import SPLIT_NAMES, Clip, source_of_copy, split_clips
from oddframe.datasets.tables import read_records
from oddframe.errors import BadInput
from oddframe.types import Truth, Video

TABLE_COLUMNS = ("CLASS", "LABEL", "PATH", "NUM_FRAMES", "NUM_SEC", "FPS")
ANOMALOUS_NUMBER = "42"  # LABEL of clips that belong to no normal class, as published
ClassVideos = Mapping[str, list[Video]]  # by train, val, test and anomaly; a label is a class


class ClassData(DataSet):
    """Films in classes. A member says where its clips are, what they were cut from, and which
    classes are anomalous.
    """

    anomalous: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def clips(self, root: Path) -> list[Clip]:
        """Every clip under the root as its authors ship it. Raises BadInput, with TREE, where there
        is none.
        """

    def read_split(self, root: Path) -> Split:
        """Train to learn from, val to choose by, test and anomaly to be judged on."""
        videos = self.class_videos(root)
        judged = [with_class_truth(video, anomalous=False) for video in videos["test"]]
        judged += [with_class_truth(video, anomalous=True) for video in videos["anomaly"]]
        return Split(videos["train"], judged, videos["val"])

    def class_videos(self, root: Path) -> ClassVideos:
        """Videos of train, val, test and anomaly: as prepared, or divided here with seed 0 by
        source.
        """
        if (root / "train.csv").is_file():
            return read_class_tables(root)
        if (root / "train").is_dir():
            return read_class_folders(root)
        return as_videos(split_clips(self.clips(root), self.anomalous))


def clips_in_classes(root: Path, sources: Mapping[str, str] | None = None) -> list[Clip]:
    """The clips of a folder of class folders; each its own source unless `sources` knows it by its
    name.
    """
    clips = []
    if not root.is_dir():
        return []
    for video in videos_under(root):
        stem = video.source.stem
        if video.label is None:
            continue
        source = f"{video.label}/{stem}"
        if sources is not None:
            source = sources.get(stem, source)
        clips.append(Clip(video.source, video.label, source))
    return clips


def read_class_folders(root: Path) -> ClassVideos:
    """Videos of ROOT/train/CLASS/ and so on. Each of the four may be absent but train."""
    clips: dict[str, list[Clip]] = {}
    for name in SPLIT_NAMES:
        clips[name] = []
        for clip in clips_in_classes(root / name):
            source = source_of_copy(clip.label, clip.path.stem)
            clips[name].append(replace(clip, source=source))
    if not clips["train"]:
        raise BadInput(f"{root / 'train'} holds no class folder with films")
    return as_videos(clips)


def read_class_tables(root: Path) -> ClassVideos:
    """Videos of train.csv, val.csv, test.csv and anomaly.csv. Raises BadInput for what is missing
    in or behind them.
    """
    clips: dict[str, list[Clip]] = {}
    for name in SPLIT_NAMES:
        clips[name] = []
        table = root / f"{name}.csv"
        if not table.is_file():
            continue
        for row in read_records(table, ("CLASS", "PATH")):
            path = root / row["PATH"]
            if not path.is_file():
                raise BadInput(
                    f"{table} names {row['PATH']}, and there is no such file under {root}"
                )
            source = source_of_copy(row["CLASS"], path.stem)
            clips[name].append(Clip(path, row["CLASS"], source))
    if not clips["train"]:
        raise BadInput(f"{root / 'train.csv'} names no clip: there is nothing to learn from")
    return as_videos(clips)


def as_videos(clips: Mapping[str, list[Clip]]) -> ClassVideos:
    """The clips of each split as videos, under names that no other has."""
    taken: Counter[str] = Counter()
    videos: dict[str, list[Video]] = {}
    for split in SPLIT_NAMES:
        videos[split] = []
        for clip in clips[split]:
            name = f"{split}-{clip.label}-{clip.path.stem}"
            taken[name] += 1
            if taken[name] > 1:
                name = f"{name}-{taken[name]}"
            video = Video(name, clip.path, label=clip.label, group=clip.source or None)
            videos[split].append(video)
    return videos


def with_class_truth(video: Video, *, anomalous: bool) -> Video:
    """The same with its truth: every frame of an anomalous class is."""
    truth = partial(class_truth, anomalous, video.label or "")
    return replace(video, truth=truth)


def class_truth(anomalous: bool, label: str, frames: int) -> Truth:
    """The truth of a film that is one class, whole."""
    kind = np.full(frames, "", dtype=f"<U{max(1, len(label))}")
    if anomalous:
        kind[:] = label
    return Truth(np.full(frames, anomalous), kind=kind)
