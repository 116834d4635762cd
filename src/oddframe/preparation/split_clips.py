"""Clips in classes, divided and written as films of one kind: what `oddframe prepare NAME ROOT OUT`
does.
"""

import csv
import json
import shutil
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np

from oddframe.datasets.classes import ANOMALOUS_NUMBER, TABLE_COLUMNS, ClassData
from oddframe.datasets.splits import LEFT_OUT, SPLIT_NAMES, Clip, split_clips
from oddframe.errors import BadInput, BadVideo
from oddframe.files import aside, room, write_json
from oddframe.options import Range, Seed
from oddframe.progress import progress
from oddframe.results import Result, to_plain
from oddframe.types import ClipSpec, Video
from oddframe.video.augment_film import variation
from oddframe.video.reader import facts_of, read, times_of
from oddframe.video.writer import video_writer

SHORTEST_CLIP = 1.0  # seconds; shorter clips are left out, as published
ClipsAClass = Annotated[int, Range(0, 1_000_000)]
WHOLE_FRAMES = ClipSpec(length=1, size=None)


@dataclass(frozen=True)
class Dividing:
    """How clips are divided and multiplied.

    Args:
        seed: of the division and of the variations.
        anomalous: classes that count as anomalous; those of the data set unless given.
        by: keep clips of one source together, or divide clip by clip as published.
        target: clips that each class of train (and a twentieth of it, of val) is brought to by
            varied copies; 0: none.
        vary: the parts in which copies are made.
    """

    seed: Seed = 0
    anomalous: tuple[str, ...] | None = None
    by: Literal["source", "clip"] = "source"
    target: ClipsAClass = 0
    vary: Literal["train", "all"] = "train"


@dataclass(frozen=True)
class Made:
    """One film that was written."""

    part: str
    label: str
    path: Path
    frames: int
    seconds: float
    fps: float


@dataclass(frozen=True)
class ClipSplit(Result):
    """What was divided and written."""

    out: Path
    labels: Mapping[str, int]  # the number of each normal class
    clips: Mapping[str, Mapping[str, int]]  # part → class → films
    left_out: tuple[str, ...]  # clips that are not used, and why
    empty: tuple[str, ...]  # parts without a clip


def divide_into(data: ClassData, root: Path, out: Path, how: Dividing) -> ClipSplit:
    """Write OUT/PART/CLASS/NAME_K.mp4, K = 0 the clip itself, and the four tables.

    What is there already is kept. Raises BadInput when OUT was divided in another way, or holds
    something else.
    """
    folder = room(out)
    refuse_another(folder, data, how)
    clips, refused = usable_clips(data.clips(root))
    anomalous = data.anomalous
    if how.anomalous is not None:
        anomalous = how.anomalous
    divided = split_clips(clips, anomalous, seed=how.seed, by=how.by)
    jobs = []
    for part in SPLIT_NAMES:
        named = named_clips(divided[part])
        copies = copies_of(divided[part], part, how)
        for (clip, name), count in zip(named, copies, strict=True):
            jobs.append((part, clip, name, count))
    made = write_clips(jobs, folder, how.seed)
    labels = write_tables(folder, made)
    counts: dict[str, Counter[str]] = {part: Counter() for part in SPLIT_NAMES}
    for one in made:
        counts[one.part][one.label] += 1
    for clip in divided[LEFT_OUT]:
        refused.append(f"{clip.label}/{clip.path.name}: its source is in train or val")
    empty = [part for part in SPLIT_NAMES if not divided[part]]
    split = ClipSplit(folder, labels, counts, tuple(refused), tuple(empty))
    write_json(folder / "divided.json", split.to_dict())
    return split


def write_clips(jobs: Sequence[tuple[str, Clip, str, int]], folder: Path, seed: int) -> list[Made]:
    """Write clips with their copies: of each its part, itself, its name, and how many copies."""
    made: list[Made] = []
    total = len(jobs)
    for *_, copies in jobs:
        total += copies
    with progress("writing", total, "films") as tick:
        for part, clip, name, copies in jobs:
            for k in range(copies + 1):
                path = folder / part / clip.label / f"{name}_{k}.mp4"
                if not path.is_file():
                    write_clip(clip, path, k, seed)
                video = Video(name, path)
                count = len(times_of(video))
                fps = facts_of(video).fps
                made.append(Made(part, clip.label, path, count, count / fps, fps))
                tick()
    return made


def usable_clips(clips: Sequence[Clip]) -> tuple[list[Clip], list[str]]:
    """The clips that can be read and last long enough, and a line for each other."""
    kept = []
    refused = []
    for clip in clips:
        video = Video(clip.path.stem, clip.path)
        try:
            frames = len(times_of(video))
            seconds = frames / facts_of(video).fps
        except BadVideo as error:
            refused.append(f"{clip.label}/{clip.path.name}: {error}")
            continue
        if seconds < SHORTEST_CLIP:
            refused.append(
                f"{clip.label}/{clip.path.name}: lasts {seconds:.1f} s, under {SHORTEST_CLIP:g}"
            )
        else:
            kept.append(clip)
    if not kept:
        first = "none is there"
        if refused:
            first = refused[0]
        raise BadInput(f"none of {len(clips)} clips can be used; the first: {first}")
    return kept, refused


def copies_of(clips: Sequence[Clip], part: str, how: Dividing) -> list[int]:
    """How many varied copies of each clip: round((target − n) / n), as published."""
    target = how.target
    if part != "train":
        target //= 20
    if not target or part in SPLIT_NAMES[2:] or (part == "val" and how.vary == "train"):
        return [0] * len(clips)
    count = Counter(clip.label for clip in clips)
    copies = []
    for clip in clips:
        n = count[clip.label]
        copies.append(max(0, round((target - n) / n)))
    return copies


def named_clips(clips: Sequence[Clip]) -> list[tuple[Clip, str]]:
    """Each clip and a name that no other of its class has."""
    taken: Counter[tuple[str, str]] = Counter()
    named = []
    for clip in clips:
        taken[clip.label, clip.path.stem] += 1
        again = taken[clip.label, clip.path.stem]
        name = clip.path.stem
        if again > 1:
            name += f"-{again}"
        named.append((clip, name))
    return named


def write_clip(clip: Clip, path: Path, k: int, seed: int) -> None:
    """Write a clip (k = 0) or its k-th varied copy as an mp4."""
    if not k and clip.path.suffix.lower() == ".mp4":
        with aside(path) as part:
            shutil.copyfile(clip.path, part)
        return
    video = Video(clip.path.stem, clip.path)
    facts = facts_of(video)
    random = np.random.default_rng([seed, 32, k, zlib.crc32(clip.path.name.encode())])
    size = (facts.height, facts.width)
    with video_writer(path, facts.fps, size, crf=20) as film:
        if k:
            vary = variation(random, size)
            for frame in read(video, WHOLE_FRAMES):
                film.write(vary(frame.pixels))
        else:
            for frame in read(video, WHOLE_FRAMES):
                film.write(frame.pixels)


def write_tables(folder: Path, made: Sequence[Made]) -> dict[str, int]:
    """The four tables with the published columns; returns the number of each normal class."""
    labels: dict[str, int] = {}
    for one in made:
        if one.part != "anomaly":
            labels.setdefault(one.label, len(labels))
    for part in SPLIT_NAMES:
        with aside(folder / f"{part}.csv") as path, path.open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(TABLE_COLUMNS)
            for one in made:
                if one.part == part:
                    number = ANOMALOUS_NUMBER
                    if part != "anomaly":
                        number = str(labels[one.label])
                    where = one.path.relative_to(folder).as_posix()
                    seconds = f"{one.seconds:.3f}"
                    rows.writerow([one.label, number, where, one.frames, seconds, f"{one.fps:g}"])
    return labels


def refuse_another(folder: Path, data: ClassData, how: Dividing) -> None:
    """Written before the first film, so that what was interrupted goes on and what is another
    division is refused.
    """
    note = folder / "division.json"
    wanted = {"data": data.name, **to_plain(asdict(how))}
    if not note.is_file():
        if any((folder / part).exists() for part in SPLIT_NAMES):
            raise BadInput(f"{folder} holds other films; name a new or empty folder")
        write_json(note, wanted)
        return
    try:
        held = json.loads(note.read_text())
    except (OSError, ValueError) as error:
        raise BadInput(f"{note} is damaged ({error}); name a new or empty folder") from error
    if held != wanted:
        raise BadInput(f"{folder} was divided in another way ({held}); name a new or empty folder")
