"""The notation of a data set's TREE, which is its documentation, its error message and its test
fixture at once.

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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from oddframe.files import listing

TREE_LINE = re.compile(r"^( *)(\S.*?)(?:  +(.*))?$")  # indentation, what is expected, a remark


@dataclass(frozen=True)
class TreeEntry:
    """One line of a TREE with what stands below it."""

    names: tuple[str, ...]  # without slash; a series is written out
    also: tuple[str, ...]  # other names for the same
    more: bool  # an open series, of which `names` holds the one example
    folder: bool
    optional: bool
    inside: tuple["TreeEntry", ...]

    @property
    def ending(self) -> str:
        """Of its files."""
        return Path(self.names[0]).suffix


@dataclass(frozen=True)
class LayoutComparison:
    """A layout compared with what is on disk."""

    lacking: tuple[str, ...]  # lines to show; one may stand for a whole series
    absent: int  # files and folders that those lines stand for
    found: int


@dataclass(frozen=True)
class Finding:
    """What became of one line of a layout, or of a part of a series."""

    line: str = ""  # to show where something is absent
    absent: int = 0
    found: int = 0


FOUND_ONE = Finding(found=1)


def layouts(tree: str) -> list[tuple[TreeEntry, ...]]:
    """The layouts that a TREE allows, each as its top lines."""
    texts = re.split(r"^or\b.*$", tree, flags=re.MULTILINE)
    return [parse_entries(text.strip("\n").splitlines()) for text in texts]


def compare_layout(layout: tuple[TreeEntry, ...], places: Mapping[str, Path]) -> LayoutComparison:
    """What a layout expects and is not there. `places` says where each of its top lines is; absent
    if nowhere.
    """
    lines: list[str] = []
    absent = found = 0
    for finding in compare_top(layout, places):
        if finding.line:
            lines.append(finding.line)
        absent += finding.absent
        found += finding.found
    return LayoutComparison(tuple(lines), absent, found)


def compare_top(layout: tuple[TreeEntry, ...], places: Mapping[str, Path]) -> Iterator[Finding]:
    """The findings of the top lines, and of what is below them."""
    for entry in layout:
        name = entry.names[0]
        place = places.get(name)
        if place is not None:
            yield FOUND_ONE
            yield from compare_inside(entry.inside, place, name)
        elif not entry.optional:
            yield Finding(f"{name}/", absent=1)


def compare_inside(entries: tuple[TreeEntry, ...], folder: Path, shown: str) -> Iterator[Finding]:
    """The findings below a folder, which is called `shown` in their lines. What is optional counts
    for nothing.
    """
    for entry in entries:
        if entry.optional:
            continue
        if entry.more:
            yield from compare_open_series(entry, folder, shown)
        else:
            yield from compare_series(entry, folder, shown)


def compare_open_series(entry: TreeEntry, folder: Path, shown: str) -> Iterator[Finding]:
    """At least one file with the ending, or at least one folder."""
    alike = [path for path in listing(folder) if is_like(path, entry)]
    if alike:
        yield FOUND_ONE
    else:
        yield Finding(f"{shown}/{entry.names[0]}{slash_of(entry)} …", absent=1)
    if entry.folder:
        for path in alike:
            yield from compare_inside(entry.inside, path, f"{shown}/{path.name}")


def compare_series(entry: TreeEntry, folder: Path, shown: str) -> Iterator[Finding]:
    """Every one of the names; those that are absent side by side are one line."""
    paths = [nearest(folder, name, *entry.also) for name in entry.names]
    slash = slash_of(entry)
    for run in runs([path is None for path in paths]):
        first = entry.names[run[0]]
        last = entry.names[run[-1]]
        line = f"{shown}/{first}{slash}"
        if len(run) > 1:
            line += f" … {last}{slash}"
        yield Finding(line, absent=len(run))
    for path in paths:
        if path is not None:
            yield FOUND_ONE
            yield from compare_inside(entry.inside, path, f"{shown}/{path.name}")


def entries_of(folder: Path | None) -> list[Path]:
    """What is in a folder, in natural order; nothing where there is none."""
    if folder is None or not folder.is_dir():
        return []
    return listing(folder)


def nearest(folder: Path | None, *names: str) -> Path | None:
    """What in the folder has one of these names, whatever its case and whether it is written with
    _, - or a space. None where there is no such folder.
    """
    found = {plain_name(path.name): path for path in entries_of(folder)}
    for name in names:
        path = found.get(plain_name(name))
        if path is not None:
            return path
    return None


def places_found(places: Mapping[str, Path | None]) -> dict[str, Path]:
    """The places that are there, by the top lines of a TREE."""
    return {name: place for name, place in places.items() if place is not None}


def plain_name(name: str) -> str:
    """A name without what spellings differ in.

    >>> plain_name("front_IR"), plain_name("Avenue Dataset")
    ('frontir', 'avenuedataset')
    """
    return re.sub(r"[ _-]", "", name.lower())


def parse_entries(lines: Sequence[str]) -> tuple[TreeEntry, ...]:
    """The lines of one level, each with the deeper ones that follow it."""
    parts = []
    for line in lines:
        match = TREE_LINE.match(line)
        if match is not None:
            parts.append(match.groups(""))
    if not parts:
        return ()
    top = min(len(indent) for indent, _, _ in parts)
    starts = [index for index, (indent, _, _) in enumerate(parts) if len(indent) == top]
    entries = []
    for start, end in pairwise([*starts, len(lines)]):
        _, text, remark = parts[start]
        entries.append(parse_entry(text, remark, lines[start + 1 : end]))
    return tuple(entries)


def parse_entry(text: str, remark: str, below: Sequence[str]) -> TreeEntry:
    """One line, such as `Train001/ … Train016/` or `truth/ or labels/`."""
    first, *others = text.split(" or ")
    return TreeEntry(
        names=series(first),
        also=tuple(name.strip().rstrip("/") for name in others),
        more=text.endswith("…"),
        folder="/" in text,
        optional=remark.startswith("optional"),
        inside=parse_entries(below),
    )


def series(text: str) -> tuple[str, ...]:
    """The names of `Train001/ … Train016/`; one name stays one.

    >>> series("8_label.mat … 10_label.mat")
    ('8_label.mat', '9_label.mat', '10_label.mat')
    """
    first, _, last = (part.strip().rstrip("/") for part in text.partition("…"))
    if not last:
        return (first,)
    words = re.split(r"(\d+)", first)
    other_words = re.split(r"(\d+)", last)
    at = 0
    while words[at] == other_words[at]:
        at += 1
    width = len(words[at])
    names = []
    for number in range(int(words[at]), int(other_words[at]) + 1):
        words[at] = f"{number:0{width}d}"
        names.append("".join(words))
    return tuple(names)


def runs(flags: Sequence[bool]) -> list[list[int]]:
    """The positions that are set, those that follow each other together.

    >>> runs([True, True, False, True])
    [[0, 1], [3]]
    """
    found: list[list[int]] = []
    for position, flag in enumerate(flags):
        if not flag:
            continue
        if found and found[-1][-1] == position - 1:
            found[-1].append(position)
        else:
            found.append([position])
    return found


def is_like(path: Path, entry: TreeEntry) -> bool:
    """Whether a path may belong to an open series."""
    if path.is_dir() != entry.folder:
        return False
    return entry.folder or path.suffix.lower() == entry.ending.lower()


def slash_of(entry: TreeEntry) -> str:
    """What stands after its name."""
    if entry.folder:
        return "/"
    return ""
