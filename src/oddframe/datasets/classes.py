"""Data sets of short clips in classes, some of which are anomalous: a film is one class, whole.

They are divided into train, val, test (normal classes) and anomaly; by the source that clips were cut from, so that
near-duplicates never stand on both sides. What `oddframe prepare … OUT` writes is read as it was divided.
"""

from __future__ import annotations

import csv
from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from oddframe.datasets.base import DataSet, Split
from oddframe.errors import BadInput, unknown
from oddframe.files import listing
from oddframe.types import Truth, Video
from oddframe.video.reader import VIDEO_ENDINGS

PARTS = ("train", "val", "test", "anomaly")
SHARES = (0.5, 0.1, 0.4)  # of the normal clips, as the published system takes them
COLUMNS = ("CLASS", "LABEL", "PATH", "NUM_FRAMES", "NUM_SEC", "FPS")
ANOMALOUS = "42"  # LABEL of clips that belong to no normal class, as published
Divided = Mapping[str, list[Video]]  # by part; a video's label is its class


@dataclass(frozen=True)
class Clip:
    """A short film of one class, and what it was cut from."""

    path: Path
    label: str
    source: str


class ClassData(DataSet):
    """Films in classes. A member says where its clips are, what they were cut from, and which classes are anomalous."""

    anomalous: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def clips(self, root: Path) -> list[Clip]:
        """Every clip under the root as its authors ship it. Raises BadInput, with TREE, where there is none."""

    def read_split(self, root: Path) -> Split:
        """Train to learn from, val to choose weights and thresholds by, test and anomaly to be judged on."""
        parts = self.parts(root)
        return Split(
            parts["train"],
            [_judged(video, part == "anomaly") for part in PARTS[2:] for video in parts[part]],
            val=parts["val"],
        )

    def parts(self, root: Path) -> Divided:
        """Videos by part: as prepared, or divided here with seed 0 by source."""
        if (root / "train.csv").is_file():
            return from_tables(root)
        if (root / "train").is_dir():
            return from_folders(root)
        divided = divide(self.clips(root), self.anomalous)
        taken: Counter[str] = Counter()
        return {
            part: [
                _video(clip.path, clip.label, part, taken, clip.source) for clip in divided[part]
            ]
            for part in PARTS
        }


def divide(
    clips: Sequence[Clip],
    anomalous: Sequence[str],
    *,
    seed: int = 0,
    by: Literal["source", "clip"] = "source",
) -> dict[str, list[Clip]]:
    """Clips by part, and under "left out" the anomalous ones cut from what train and val were cut from.

    Normal classes go to train, val and test in shares of 50, 10 and 40 %, source by source, each to the part that lacks
    most of what the source holds; anomalous classes to anomaly. `by="clip"` is the published way, in which
    near-duplicates stand on both sides. Raises BadInput for an anomalous class that there is not, and when no normal
    clip is left.
    """
    classes = sorted({clip.label for clip in clips})
    for name in anomalous:
        if name not in classes:
            raise unknown("class", name, classes)
    normal = [clip for clip in clips if clip.label not in anomalous]
    if not normal:
        raise BadInput(
            f"all of {', '.join(classes)} are anomalous: there is nothing normal to learn from"
        )
    place = _places(normal, np.random.default_rng([seed, 31]), by)
    divided: dict[str, list[Clip]] = {part: [] for part in (*PARTS, "left out")}
    for clip in clips:
        source = _key(clip, by)
        if clip.label not in anomalous:
            divided[place[source]].append(clip)
        else:
            divided["anomaly" if place.get(source, "test") == "test" else "left out"].append(clip)
    return divided


def gather(root: Path, sources: Mapping[str, str] | None = None) -> list[Clip]:
    """The clips of a folder of class folders; each its own source unless `sources` knows it by its name."""
    found = []
    for folder in listing(root) if root.is_dir() else []:
        if folder.is_dir():
            films = [
                path
                for path in listing(folder)
                if path.is_file() and path.suffix.lower() in VIDEO_ENDINGS
            ]
            found += [
                Clip(
                    path, folder.name, (sources or {}).get(path.stem, f"{folder.name}/{path.stem}")
                )
                for path in films
            ]
    return found


def from_folders(root: Path) -> Divided:
    """Videos of ROOT/PART/CLASS/. A part may be absent; train may not."""
    parts = {part: gather(root / part) for part in PARTS}
    if not parts["train"]:
        raise BadInput(f"{root / 'train'} holds no class folder with films")
    taken: Counter[str] = Counter()
    return {
        part: [
            _video(clip.path, clip.label, part, taken, prepared_from(root, clip.path))
            for clip in parts[part]
        ]
        for part in PARTS
    }


def from_tables(root: Path) -> Divided:
    """Videos of train.csv, val.csv, test.csv and anomaly.csv. Raises BadInput for what is missing in or behind them."""
    parts: dict[str, list[Video]] = {part: [] for part in PARTS}
    taken: Counter[str] = Counter()
    for part in PARTS:
        table = root / f"{part}.csv"
        for row in read_table(table, ("CLASS", "PATH")) if table.is_file() else []:
            path = root / row["PATH"]
            if not path.is_file():
                raise BadInput(
                    f"{table} names {row['PATH']}, and there is no such file under {root}"
                )
            parts[part].append(_video(path, row["CLASS"], part, taken, prepared_from(root, path)))
    if not parts["train"]:
        raise BadInput(f"{root / 'train.csv'} names no clip: there is nothing to learn from")
    return parts


def read_table(path: Path, needed: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a CSV. Raises BadInput, one line, when it cannot be read or lacks one of these columns."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            lacking = [name for name in needed if name not in (rows.fieldnames or [])]
            if lacking:
                got = ", ".join(rows.fieldnames or []) or "nothing"
                raise BadInput(
                    f"{path} lacks the column {' and '.join(lacking)}; its first line has {got}"
                )
            return [{name: value or "" for name, value in row.items() if name} for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{path} cannot be read as a table: {error}") from error


def _places(normal: Sequence[Clip], random: np.random.Generator, by: str) -> dict[str, str]:
    """The part of each source: the one that lacks most clips of the classes that the source holds."""
    held: dict[str, Counter[str]] = {}
    for clip in normal:
        held.setdefault(_key(clip, by), Counter())[clip.label] += 1
    totals = Counter(clip.label for clip in normal)
    lacks = {
        part: {k: share * n for k, n in totals.items()}
        for part, share in zip(PARTS, SHARES, strict=False)
    }
    order = [sorted(held)[k] for k in random.permutation(len(held))]
    # what is larger than the smallest part comes first: later it would fit nowhere
    order.sort(key=lambda name: held[name].total() < min(SHARES) * len(normal))
    place = {}
    for source in order:
        place[source] = max(
            lacks,
            key=lambda part: sum(
                count * lacks[part][label] for label, count in held[source].items()
            ),
        )
        for label, count in held[source].items():
            lacks[place[source]][label] -= count
    return place


def _key(clip: Clip, by: str) -> str:
    return clip.source if by == "source" else str(clip.path)


def prepared_from(root: Path, path: Path) -> str | None:
    """The clip that `prepare` wrote NAME_K.mp4 from, itself or a varied copy; None for clips that it did not write."""
    if not (root / "divided.json").is_file():
        return None
    return f"{path.parent.name}/{path.stem.rpartition('_')[0] or path.stem}"


def _video(
    path: Path, label: str, part: str, taken: Counter[str], group: str | None = None
) -> Video:
    """With a name that no other has."""
    name = f"{part}-{label}-{path.stem}"
    taken[name] += 1
    return Video(
        name if taken[name] == 1 else f"{name}-{taken[name]}", path, label=label, group=group
    )


def _judged(video: Video, odd: bool) -> Video:
    """The same with its truth: every frame of an anomalous class is odd."""
    return Video(
        video.name, video.source, label=video.label, truth=partial(_whole, odd, video.label or "")
    )


def _whole(odd: bool, label: str, frames: int) -> Truth:
    kind = np.full(frames, label if odd else "", dtype=f"<U{max(1, len(label))}")
    return Truth(np.full(frames, odd), kind=kind)
