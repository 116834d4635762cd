"""The notation of a data set's TREE, which is its documentation, its error message and its test fixture at once.

    UCSDped2/
      Train/
        Train001/ … Train016/       a series: every number between is expected
          001.tif …                 an open series: at least one with this ending
      Train001_gt/ or masks/        either name
      notes.txt                     optional: may be absent
    or                              another layout of the same

Two spaces of indentation a level, a slash after folders, remarks after two spaces.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from oddframe.files import listing

LINE = re.compile(r"^( *)(\S.*?)(?:  +(.*))?$")
_Seen = tuple[
    str, int, int
]  # a line about what is absent, how much it stands for, how much was found


@dataclass(frozen=True)
class Entry:
    """One line of a TREE with what stands below it."""

    names: tuple[str, ...]  # without slash; a series is written out
    also: tuple[str, ...]  # other names for the same
    more: bool  # an open series, of which `names` holds the one example
    folder: bool
    optional: bool
    inside: tuple["Entry", ...]

    @property
    def endings(self) -> str:
        return Path(self.names[0]).suffix


def layouts(tree: str) -> list[tuple[Entry, ...]]:
    """The layouts that a TREE allows, each as its top lines."""
    return [
        _entries(part.strip("\n").splitlines())
        for part in re.split(r"^or\b.*$", tree, flags=re.MULTILINE)
    ]


@dataclass(frozen=True)
class Comparison:
    """A layout held against what is on disk."""

    lacking: tuple[str, ...]  # lines to show; one may stand for a whole series
    absent: int  # files and folders that those lines stand for
    found: int


def compare(layout: tuple[Entry, ...], places: Mapping[str, Path]) -> Comparison:
    """What a layout expects and is not there. `places` says where each of its top lines is; absent if nowhere."""
    seen: list[_Seen] = []
    for entry in layout:
        place = places.get(entry.names[0])
        if place is not None:
            seen += [("", 0, 1), *_inside(entry.inside, place, entry.names[0])]
        elif not entry.optional:
            seen.append((f"{entry.names[0]}/", 1, 0))
    return Comparison(
        tuple(line for line, _, _ in seen if line),
        sum(row[1] for row in seen),
        sum(row[2] for row in seen),
    )


def nearest(folder: Path, *names: str) -> Path | None:
    """What in the folder has one of these names, whatever its case and whether it is written with _, - or a space."""
    wanted = [_plain(name) for name in names]
    found = {_plain(path.name): path for path in listing(folder)} if folder.is_dir() else {}
    return next((found[name] for name in wanted if name in found), None)


def _plain(name: str) -> str:
    return re.sub(r"[ _-]", "", name.lower())


def _entries(lines: list[str]) -> tuple[Entry, ...]:
    parts = [match.groups() for line in lines if (match := LINE.match(line))]
    if not parts:
        return ()
    top = min(len(indent) for indent, _, _ in parts)
    starts = [index for index, (indent, _, _) in enumerate(parts) if len(indent) == top]
    bodies = [
        lines[start + 1 : end] for start, end in zip(starts, [*starts[1:], len(lines)], strict=True)
    ]
    return tuple(
        Entry(
            names=_series(parts[start][1].split(" or ")[0]),
            also=tuple(name.strip().rstrip("/") for name in parts[start][1].split(" or ")[1:]),
            more=parts[start][1].endswith("…"),
            folder="/" in parts[start][1],
            optional=(parts[start][2] or "").startswith("optional"),
            inside=_entries(body),
        )
        for start, body in zip(starts, bodies, strict=True)
    )


def _series(text: str) -> tuple[str, ...]:
    """The names of `Train001/ … Train016/`; one name stays one.

    >>> _series("8_label.mat … 10_label.mat")
    ('8_label.mat', '9_label.mat', '10_label.mat')
    """
    first, _, last = (part.strip().rstrip("/") for part in text.partition("…"))
    if not last:
        return (first,)
    before = re.split(r"(\d+)", first)
    after = re.split(r"(\d+)", last)
    at = next(k for k in range(len(before)) if before[k] != after[k])
    width = len(before[at])
    numbers = (f"{number:0{width}d}" for number in range(int(before[at]), int(after[at]) + 1))
    return tuple("".join([*before[:at], number, *before[at + 1 :]]) for number in numbers)


def _inside(entries: tuple[Entry, ...], folder: Path, shown: str) -> Iterator[_Seen]:
    for entry in entries:
        slash = "/" * entry.folder
        if entry.optional:
            continue
        if entry.more:
            alike = [
                path
                for path in listing(folder)
                if path.is_dir() == entry.folder and _ends(path, entry)
            ]
            yield ("", 0, 1) if alike else (f"{shown}/{entry.names[0]}{slash} …", 1, 0)
            for path in alike if entry.folder else []:
                yield from _inside(entry.inside, path, f"{shown}/{path.name}")
            continue
        there = {name: nearest(folder, name, *entry.also) for name in entry.names}
        for run in _runs([path is None for path in there.values()]):
            first, last = f"{shown}/{entry.names[run[0]]}{slash}", f"{entry.names[run[-1]]}{slash}"
            yield (first if len(run) == 1 else f"{first} … {last}", len(run), 0)
        for below in there.values():
            if below is not None:
                yield ("", 0, 1)
                yield from _inside(entry.inside, below, f"{shown}/{below.name}")


def _runs(flags: list[bool]) -> list[list[int]]:
    """The positions that are set, those that follow each other together.

    >>> _runs([True, True, False, True])
    [[0, 1], [3]]
    """
    runs: list[list[int]] = []
    for position in (position for position, flag in enumerate(flags) if flag):
        if runs and runs[-1][-1] == position - 1:
            runs[-1].append(position)
        else:
            runs.append([position])
    return runs


def _ends(path: Path, entry: Entry) -> bool:
    return entry.folder or path.suffix.lower() == entry.endings.lower()
