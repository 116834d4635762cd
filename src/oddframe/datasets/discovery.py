"""Finding videos in folders as people keep them: files, folders of pictures, and folders of either."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import partial
from pathlib import Path

from oddframe.datasets.annotations import read_truth, truth_files, truth_names
from oddframe.errors import BadInput, BadTruth
from oddframe.files import listing
from oddframe.types import Truth, Video
from oddframe.video.reader import PICTURE_ENDINGS, VIDEO_ENDINGS, pictures_of, times_of

NO_LABELS = (
    "readme",
    "license",
    "licence",
    "notes",
    "check",
)  # text that lies about in folders of labels


@dataclass(frozen=True)
class Found:
    """A video, and what files of truth about it may be called: names that no other video of the folder shares."""

    video: Video
    called: tuple[str, ...]


def videos_under(folder: Path, fps: float | None = None) -> list[Video]:
    """Every video below a folder, in natural order.

    A video is a file or a folder of pictures. Its name is its own name where that is unique, its path otherwise; its
    label is the sub-folder that it lies in, None at the top.
    """
    return [found.video for found in find_videos(folder, fps)]


def find_videos(folder: Path, fps: float | None = None) -> list[Found]:
    """The same, each with what its truth may be called."""
    sources = list(_sources(folder, set()))
    called = [_callings(source, folder) for source in sources]
    shared = Counter(name.lower() for names in called for name in names[:-1])
    paths = {
        names[-1].lower() for names in called
    }  # the path is a video's own, whatever others may be called
    called = [
        tuple(
            name for name in names[:-1] if shared[name.lower()] == 1 and name.lower() not in paths
        )
        + names[-1:]
        for names in called
    ]
    taken: set[str] = set()
    found = []
    for source, names in zip(sources, called, strict=True):
        name = _free("-".join(Path(names[0]).parts), taken)
        parent = source.parent if source != folder else folder
        label = None if parent == folder else parent.name
        found.append(Found(Video(name, source, fps=fps, label=label), names))
    return found


def with_truth(videos: list[Found], folder: Path) -> list[Video]:
    """The videos, those about which the folder says something with their truth.

    Raises BadTruth for files that belong to no video: a misspelt name must not pass for a video without anomalies.
    """
    said = truth_names(folder)
    given: list[Video] = []
    for found in videos:
        names = [name for name in found.called if truth_files(folder, name)]
        if len(names) > 1:
            raise BadTruth(
                f"{found.video.name} has its truth twice, as {names[0]} and as {names[1]} in {folder}: keep one"
            )
        truth = partial(_truth, folder, names[0], found.video) if names else None
        given.append(replace(found.video, truth=truth))
        said.pop(names[0] if names else "", None)
    for name, path in said.items():
        if path.suffix == ".txt" and name.lower().startswith(NO_LABELS):
            continue
        near = get_close_matches(name, [name for found in videos for name in found.called], 1)
        guess = (
            f"did you mean {near[0]!r}?"
            if near
            else "it is named after the video's file, without its ending"
        )
        raise BadTruth(f"{path} belongs to no test video, or to several; {guess}")
    return given


def nothing_in(folder: Path) -> str:
    """Why a folder holds no video, in one line."""
    endings = Counter(
        path.suffix.lower() or "no ending" for path in folder.rglob("*") if path.is_file()
    )
    held = (
        ", ".join(f"{count} × {ending}" for ending, count in endings.most_common(4))
        or "it is empty"
    )
    return f"no video in {folder} ({held}); {what_is_read()}"


def what_is_read() -> str:
    """What counts as a video, for the end of an error message."""
    return (
        f"a video is a file ending in {' '.join(sorted(VIDEO_ENDINGS))}, "
        f"or a folder of pictures ending in {' '.join(sorted(PICTURE_ENDINGS))}"
    )


def _sources(folder: Path, seen: set[Path]) -> Iterator[Path]:
    if folder.resolve() in seen:  # a link that leads back up
        return
    seen.add(folder.resolve())
    try:
        entries = listing(folder)
        films = {
            path for path in entries if path.is_file() and path.suffix.lower() in VIDEO_ENDINGS
        }
        if not films and pictures_of(folder):  # pictures beside films are their posters
            yield folder
    except OSError as error:
        raise BadInput(f"cannot look into {folder}: {error.strerror or error}") from error
    for path in entries:
        if path in films:
            yield path
        elif path.is_dir() and not path.name.endswith("_gt"):
            yield from _sources(path, seen)


def _callings(source: Path, folder: Path) -> tuple[str, ...]:
    """What a source may be called, best first; the last is its path, which no other has."""
    if source == folder:
        return (folder.name,)
    whole = source.relative_to(folder)
    short = whole if source.is_dir() else whole.with_suffix("")
    path = whole.as_posix()
    return (
        *dict.fromkeys(name for name in (short.name, short.as_posix(), whole.name) if name != path),
        path,
    )


def _free(name: str, taken: set[str]) -> str:
    """The name, with a number if another video has it. Case does not tell apart: reports are written to any disk."""
    free, number = name, 1
    while free.lower() in taken:
        number += 1
        free = f"{name}-{number}"
    taken.add(free.lower())
    return free


def _truth(folder: Path, name: str, video: Video, frames: int) -> Truth:
    truth = read_truth(folder, name, frames, partial(times_of, video))
    if truth is None:
        raise BadTruth(f"the truth about {video.name} was in {folder} and is gone")
    return truth
