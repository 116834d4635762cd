"""Dividing clips so that what was cut from one source never stands on both sides.

Two rules: by shares of train, val and test beside anomalous classes (`split_clips`), and a third of
each class held out for a probe (`hold_out_groups`). Both keep sources whole; `read_sources` reads
what people write about the sources.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Literal

import numpy as np

from oddframe.datasets.base import Split
from oddframe.datasets.tables import read_rows, read_text
from oddframe.datasets.tree import nearest
from oddframe.errors import BadInput, unknown
from oddframe.types import Video

SPLIT_NAMES = ("train", "val", "test", "anomaly")
LEFT_OUT = "left out"
# of the normal clips in train, val and test, as the published embedding autoencoder takes them
SHARES = {"train": 0.5, "val": 0.1, "test": 0.4}
HELD_OUT = 1 / 3  # of the videos of each class, as near as groups allow

SERIES = re.compile(r"^(.*?)(\d+)\s*-\s*\1(\d+)$")
CUT_OUT = re.compile(r"^(.*_g\d+)_c\d+$")  # how UCF101 and others name clips of one film


@dataclass(frozen=True)
class Clip:
    """A short film of one class, and what it was cut from."""

    path: Path
    label: str
    source: str


# ── train, val, test and anomaly ──


def split_clips(
    clips: Sequence[Clip],
    anomalous: Sequence[str],
    *,
    seed: int = 0,
    by: Literal["source", "clip"] = "source",
) -> dict[str, list[Clip]]:
    """Clips of train, val, test and anomaly, and as "left out" anomalous ones of a source of train
    or val.

    Normal classes go to train, val and test in shares of 50, 10 and 40 %, source by source, each to
    the one that lacks most of what the source holds; anomalous classes to anomaly. `by="clip"` is
    the published way, in which near-duplicates stand on both sides. Raises BadInput for an
    anomalous class that there is not, and when no normal clip is left.
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
    split_of = assign_sources(normal, np.random.default_rng([seed, 31]), by)
    found: dict[str, list[Clip]] = {}
    for name in (*SPLIT_NAMES, LEFT_OUT):
        found[name] = []
    for clip in clips:
        name = split_of.get(source_key(clip, by), "test")
        if clip.label not in anomalous:
            found[name].append(clip)
        elif name == "test":
            found["anomaly"].append(clip)
        else:
            found[LEFT_OUT].append(clip)
    return found


def assign_sources(
    normal: Sequence[Clip], random: np.random.Generator, by: Literal["source", "clip"]
) -> dict[str, str]:
    """The split of each source: the one that lacks most clips of the classes that the source
    holds.
    """
    inside: dict[str, Counter[str]] = {}
    totals: Counter[str] = Counter()
    for clip in normal:
        inside.setdefault(source_key(clip, by), Counter())[clip.label] += 1
        totals[clip.label] += 1
    wanted: dict[str, dict[str, float]] = {}  # clips of each class that a split still lacks
    for name, share in SHARES.items():
        wanted[name] = {label: share * count for label, count in totals.items()}
    sources = sorted(inside)
    order = [sources[k] for k in random.permutation(len(sources))]
    # what is larger than the smallest split comes first: later it would fit nowhere
    large = min(SHARES.values()) * len(normal)
    order.sort(key=lambda source: inside[source].total() < large)
    assigned = {}
    for source in order:
        needs = [need_for(inside[source], wanted[name]) for name in SHARES]
        best = list(SHARES)[int(np.argmax(needs))]
        assigned[source] = best
        for label, count in inside[source].items():
            wanted[best][label] -= count
    return assigned


def need_for(counts: Counter[str], wanted: Mapping[str, float]) -> float:
    """How much a split lacks of what a source holds: each of its clips counts what its class
    lacks.
    """
    return sum(count * wanted[label] for label, count in counts.items())


def source_key(clip: Clip, by: Literal["source", "clip"]) -> str:
    """What is kept whole: the clip's source, or the clip alone."""
    if by == "source":
        return clip.source
    return str(clip.path)


# ── a third held out ──


def hold_out_groups(
    videos: Sequence[Video], groups: Mapping[str, str], share: float = HELD_OUT
) -> Split:
    """A split by groups, always the same for the same groups: about `share` of each class is for
    testing.

    Groups are gone through in the order of a hash of their names, and one goes to the test side
    when no class would then have more there than its share.
    """
    inside: dict[str, Counter[str | None]] = {}
    totals: Counter[str | None] = Counter()
    for video in videos:
        inside.setdefault(groups[video.name], Counter())[video.label] += 1
        totals[video.label] += 1
    held_out: Counter[str | None] = Counter()
    test: set[str] = set()
    for group in sorted(inside, key=hash_of):
        fits = True
        for label, count in inside[group].items():
            most = max(1, share * totals[label])
            if held_out[label] + count > most or most >= totals[label]:
                fits = False
        if fits:
            held_out += inside[group]
            test.add(group)
    split = Split([], [])
    for video in videos:
        if groups[video.name] in test:
            split.test.append(video)
        else:
            split.train.append(video)
    return split


def hash_of(name: str) -> bytes:
    """An order that is by chance and always the same."""
    return blake2b(name.encode()).digest()


# ── sources ──


def read_groups(videos: Sequence[Video], root: Path) -> dict[str, str]:
    """The source that each video was cut from, by the video's name; its own name where nothing is
    known.

    Sources are listed in `groups.csv` (lines of a video's name and its group) or `videos.txt`.
    """
    table = nearest(root, "groups.csv")
    listed = nearest(root, "videos.txt")
    sources: dict[str, str] = {}
    if table is not None:
        for _, cells in read_rows(table):
            if len(cells) > 1:
                sources[Path(cells[0]).stem] = cells[1]
    elif listed is not None:
        sources = read_sources(read_text(listed))
    if sources and not any(video.source.stem in sources for video in videos):
        raise BadInput(
            f"{table or listed} names none of the videos of {root}, such as {videos[0].source.stem}"
        )
    groups = {}
    for video in videos:
        groups[video.name] = sources.get(video.source.stem) or group_of_name(video)
    return groups


def read_sources(text: str) -> dict[str, str]:
    """The source of each video: lines `name: times` below the address of a film, or `first - last:
    source`.

    >>> read_sources("https://film.example/1\\na1: 0.02\\nb08 - b09: elsewhere")
    {'a1': 'https://film.example/1', 'b08': 'elsewhere', 'b09': 'elsewhere'}
    """
    sources: dict[str, str] = {}
    film = ""
    for line in map(str.strip, text.splitlines()):
        name, colon, rest = line.partition(":")
        name = name.strip()
        rest = rest.strip()
        series = SERIES.match(name)
        if "://" in line:
            film = line
        elif series is not None:
            begins, first, last = series.groups()
            for number in range(int(first), int(last) + 1):
                sources[f"{begins}{number:0{len(first)}d}"] = rest
        elif colon and film:
            sources[name] = film
    return sources


def source_of_copy(label: str, stem: str) -> str:
    """The source of a clip as prepare writes them: NAME_0 and its varied copies NAME_1, NAME_2 are
    of one.

    >>> source_of_copy("walk", "monday_0"), source_of_copy("walk", "v_walk_g01_c02_13")
    ('walk/monday', 'walk/v_walk_g01')
    """
    name = re.sub(r"_\d+$", "", stem)
    return f"{label}/{film_of(name) or name}"


def group_of_name(video: Video) -> str:
    """The group that a clip's name gives, as UCF101's do; else its own name."""
    return f"{video.label}/{film_of(video.source.stem) or video.name}"


def film_of(clip: str) -> str:
    """What clips of one film have in common in their names; empty where a name is no such."""
    found = CUT_OUT.match(clip)
    if found is None:
        return ""
    return found[1]


def labels_of_videos(videos: Iterable[Video]) -> set[str]:
    """The classes of videos; "None" stands for those that are in no folder of a class."""
    return {str(video.label) for video in videos}
