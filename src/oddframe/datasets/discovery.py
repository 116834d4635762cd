"""Finding videos in folders as people keep them: files, folders of pictures, and folders of either.

One search serves every command. A video is a file that FFmpeg can open, whatever it is called, or a
folder of pictures. An entry that looks like a video and cannot be read is found like the others:
reading it says what is wrong with it, and the others are done.
"""

import math
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import partial
from hashlib import blake2b
from pathlib import Path

from oddframe.datasets.annotations import read_truth, truth_files, truth_names
from oddframe.datasets.masks import size_of_video
from oddframe.errors import BadInput, BadTruth, BadVideo
from oddframe.files import listing
from oddframe.types import Truth, Video
from oddframe.video.decoder import opens_as_video
from oddframe.video.reader import (
    PICTURE_ENDINGS,
    VIDEO_ENDINGS,
    times_of,
    video_of,
)

# Files that lie beside videos and are none, whatever FFmpeg makes of them.
OTHER_ENDINGS = {
    ".txt", ".csv", ".tsv", ".json", ".jsonl", ".md", ".rst", ".html", ".htm", ".xml", ".yaml",
    ".yml", ".toml", ".ini", ".cfg", ".log", ".pdf", ".npz", ".npy", ".mat", ".m", ".py", ".sh",
    ".pt", ".pth", ".ckpt", ".onnx", ".safetensors", ".pkl", ".db", ".sqlite", ".h5",
    ".parquet", ".zip", ".gz", ".xz", ".bz2", ".tar", ".tgz", ".7z", ".rar", ".wav", ".mp3",
    ".aac", ".flac", ".ogg", ".opus", ".m4a", ".wma", ".srt", ".vtt", ".ass", ".sub", ".idx",
    ".smi", ".gif", ".webp", ".heic", ".heif", ".avif", ".jxl", ".jp2", ".dng", ".raw", ".svg",
    ".ico", ".doc", ".docx", ".xls", ".xlsx", ".ppt", ".pptx", ".exe", ".dll", ".url", ".lnk",
    ".part", ".tmp", ".md5", ".sha256",
}  # fmt: skip
TRIED = 5  # files of an ending that nobody knows which are opened before it counts as no video's
WRITTEN_ENDINGS = (".overlay.mp4", ".growing.mp4", ".film.mp4")  # by `oddframe score`
MARK = "\N{REPLACEMENT CHARACTER}"  # in place of what cannot be shown, or would steer a terminal
LONGEST_NAME = 120  # bytes of a video's name: files named after it carry more, and 255 are allowed
# text that lies about in folders of labels
NO_LABELS = ("readme", "license", "licence", "notes", "check")


@dataclass(frozen=True)
class Found:
    """A video, and what files of truth about it may be called: names that no other has."""

    video: Video
    called: tuple[str, ...]


def collect_videos(paths: Sequence[Path], fps: float | None = None) -> list[Video]:
    """The videos behind paths: files, folders of pictures, or folders of either at any depth.

    Each source is given once, and no two names are alike. A file that was named counts as a video
    whatever its ending. Raises BadVideo for a path that is not there or holds nothing, BadInput for
    a rate that cannot be.
    """
    check_fps(fps)
    found: list[Video] = []
    for given in paths:
        path = Path(given).expanduser()
        if path.is_dir():
            inside = videos_under(path, fps)
            if not inside:
                raise BadVideo(nothing_in(path))
            found += inside
        else:
            found.append(video_of(path, fps))
    if not found:
        raise BadInput("no video was named; add one or more after the run")
    return with_distinct_names(found)


def check_fps(fps: float | None) -> None:
    """Raise BadInput for a number of frames per second that no video has."""
    if fps is not None and not (fps > 0 and math.isfinite(fps)):
        raise BadInput(f"frames per second is a number above 0, got {fps}")


def with_distinct_names(videos: Sequence[Video]) -> list[Video]:
    """Each source once, under a name that can be shown, written, and is no other's."""
    once: dict[Path, Video] = {}
    for video in videos:
        once.setdefault(video.source.resolve(), video)
    taken: set[str] = set()
    distinct = []
    for video in once.values():
        distinct.append(replace(video, name=free_name(video.name, taken)))
    return distinct


def videos_under(folder: Path | None, fps: float | None = None) -> list[Video]:
    """Every video below a folder, in natural order.

    A video is a file or a folder of pictures. Its name is its own name where that is unique and has
    a letter in it, its path otherwise; its label is the sub-folder that it lies in, None at the
    top. There is none where there is no folder.
    """
    if folder is None:
        return []
    return [found.video for found in find_videos(folder, fps)]


def find_videos(folder: Path, fps: float | None = None) -> list[Found]:
    """The same, each with what its truth may be called."""
    sources = sources_under(folder)
    called = [possible_names(source, folder) for source in sources]
    users: Counter[str] = Counter()  # how many sources may be called so
    for *short, path in called:
        users.update(name.lower() for name in short)
        users[path.lower()] += 2  # the path is a video's own, whatever others may be called
    taken: set[str] = set()
    found = []
    for source, (*short, path) in zip(sources, called, strict=True):
        own = [name for name in short if users[name.lower()] == 1]
        names = (*own, path)
        wanted = best_name(names)
        name = free_name("-".join(Path(wanted).parts), taken)
        label = None
        if folder not in (source, source.parent):
            label = source.parent.name
        found.append(Found(Video(name, source, fps=fps, label=label), names))
    return found


def best_name(names: Sequence[str]) -> str:
    """The first name that says something to a person: recorders call files after minutes and
    folders after days.

    >>> best_name(["gate", "east/gate"]), best_name(["10.20", "2026-03-01/08/10.20"])
    ('gate', '2026-03-01/08/10.20')
    """
    if any(sign.isalpha() for sign in names[0]):
        return names[0]
    for name in names:
        if "/" in name:
            return name
    return names[0]


def with_truth(videos: list[Found], folder: Path) -> list[Video]:
    """The videos, those about which the folder says something with their truth.

    Raises BadTruth for files that belong to no video: a misspelt name must not pass for a video
    without anomalies.
    """
    unused = truth_names(folder)
    given: list[Video] = []
    for found in videos:
        names = []
        for name in found.called:
            if truth_files(folder, name):
                names.append(name)
        if len(names) > 1:
            raise BadTruth(
                f"{found.video.name} has its truth twice, "
                f"as {names[0]} and as {names[1]} in {folder}: keep one"
            )
        truth = None
        for name in names:
            truth = partial(truth_in_folder, folder, name, found.video)
            unused.pop(name, None)
        given.append(replace(found.video, truth=truth))
    for name, path in unused.items():
        if path.suffix == ".txt" and name.lower().startswith(NO_LABELS):
            continue
        guess = guess_name(name, videos)
        raise BadTruth(f"{path} belongs to no test video, or to several; {guess}")
    return given


def guess_name(name: str, videos: Sequence[Found]) -> str:
    """What a file of truth that belongs to no video may have been meant to be called."""
    called: list[str] = []
    for found in videos:
        called += found.called
    for near in get_close_matches(name, called, 1):
        return f"did you mean {near!r}?"
    return "it is named after the video's file, without its ending"


def with_rate(video: Video, fps: float) -> Video:
    """The video at another number of frames a second; so are the seconds in which its truth may be
    written.
    """
    truth = video.truth
    if isinstance(truth, partial) and truth.func is truth_in_folder:
        folder, name, own = truth.args
        truth = partial(truth_in_folder, folder, name, replace(own, fps=fps))
    return replace(video, fps=fps, truth=truth)


def nothing_in(folder: Path) -> str:
    """Why a folder holds no video, in one line."""
    endings: Counter[str] = Counter()
    for _, _, names in os.walk(folder):
        for name in names:
            ending = Path(name).suffix.lower()
            endings[ending or "no ending"] += 1
    kinds = [f"{count} × {ending}" for ending, count in endings.most_common(4)]
    inside = ", ".join(kinds) or "it is empty"
    return f"no video in {folder} ({inside}); {what_is_read()}"


def what_is_read() -> str:
    """What counts as a video, for the end of an error message."""
    return (
        "a video is a file that FFmpeg can open, such as .mp4, .mkv or .avi, "
        f"or a folder of pictures ending in {' '.join(sorted(PICTURE_ENDINGS))}"
    )


def sources_under(folder: Path) -> list[Path]:
    """The videos below a folder as paths: files, and folders of pictures.

    Pictures beside or above videos are their snapshots. A folder that cannot be looked into is
    given too: reading it says why. Raises BadInput where that is the folder itself.
    """
    entries = list(entries_under(folder))
    files = []
    for path, kind in entries:
        if kind == "file":
            files.append(path)
    endings = video_endings_among(files)
    videos: set[Path] = set()
    for path in files:
        ending = path.suffix.lower()
        if ending in endings and (ending or opens_as_video(path)):
            videos.add(path)
    above: set[Path] = set()
    for path in videos:
        above.update(path.parents)
    pictured: set[Path] = set()
    for path, kind in entries:
        if kind == "pictures":
            pictured.update(path.parents)
    found = []
    for path, kind in entries:
        lone = kind == "picture" and path in pictured
        snapshots = kind in ("picture", "pictures") and path in above
        if not lone and not snapshots and (kind != "file" or path in videos):
            found.append(path)
    return found


def entries_under(folder: Path) -> Iterator[tuple[Path, str]]:
    """What may be a video below a folder, in natural order, and what sort of entry it is.

    The sorts are `file`, `pictures` and `picture` (a folder of them, or of one), and `unreadable`
    (a folder). What `oddframe score` and `evaluate` write is left out. A link that leads back up is
    not followed again.
    """
    seen: set[Path] = set()
    waiting = [folder]
    while waiting:
        path = waiting.pop()
        if path != folder and not path.is_dir():
            yield path, "file"
            continue
        real = path.resolve()
        if real in seen:
            continue
        seen.add(real)
        try:
            inside = listing(path)
        except OSError as error:
            if path == folder:
                raise BadInput(f"cannot look into {path}: {error.strerror or error}") from error
            yield path, "unreadable"
            continue
        inside, pictures = parts_of_folder(inside)
        if pictures == 1:
            yield path, "picture"
        elif pictures:
            yield path, "pictures"
        waiting += reversed(inside)


def parts_of_folder(inside: Sequence[Path]) -> tuple[list[Path], int]:
    """The entries of a folder that may be or hold videos, and how many pictures lie beside them."""
    names = {path.name for path in inside}
    written = "events.json" in names or "evaluation.json" in names
    kept = []
    pictures = 0
    for path in inside:
        ending = path.suffix.lower()
        if ending in PICTURE_ENDINGS and not path.is_dir():
            pictures += not written
        elif written and (path.name.endswith(WRITTEN_ENDINGS) or path.name == "events"):
            continue
        elif ending in VIDEO_ENDINGS:
            kept.append(path)
        elif path.is_dir():
            if not path.name.endswith("_gt") and not (written and ending == ".overlay"):
                kept.append(path)
        elif ending not in OTHER_ENDINGS and path.is_file():
            kept.append(path)
    return kept, pictures


def video_endings_among(files: Sequence[Path]) -> set[str]:
    """The endings, in lower case, whose files are videos: FFmpeg is asked about those that nobody
    knows.
    """
    endings: set[str] = set()
    tried: Counter[str] = Counter()
    for path in files:
        ending = path.suffix.lower()
        if ending in VIDEO_ENDINGS:
            endings.add(ending)
        elif ending not in endings and tried[ending] < TRIED:
            tried[ending] += 1
            if opens_as_video(path):
                endings.add(ending)
    return endings


def is_video_file(path: Path) -> bool:
    """Whether a file that somebody named is a video, or says so by its ending."""
    return path.suffix.lower() in VIDEO_ENDINGS or opens_as_video(path)


def possible_names(source: Path, folder: Path) -> tuple[str, ...]:
    """What a source may be called, best first; the last is its path, which no other has."""
    if source == folder:
        return (video_of(folder).name,)
    whole = source.relative_to(folder)
    short = whole
    if not source.is_dir():
        short = whole.with_suffix("")
    path = whole.as_posix()
    names = dict.fromkeys((short.name, short.as_posix(), whole.name))
    names.pop(path, None)
    return (*names, path)


def free_name(name: str, taken: set[str]) -> str:
    """A name that can be shown and written to any disk, with a number if another video has it; it
    is now taken.

    Bytes that are not UTF-8 become marks; longer names than LONGEST_NAME end in what tells them
    apart. Upper and lower case do not tell names apart.
    """
    shown = printable(name)
    if len(shown.encode()) > LONGEST_NAME:
        digest = blake2b(shown.encode(), digest_size=4).hexdigest()
        begins = shown.encode()[: LONGEST_NAME - 9].decode(errors="ignore")
        shown = f"{begins}-{digest}"
    free = shown
    number = 1
    while free.lower() in taken:
        number += 1
        free = f"{shown}-{number}"
    taken.add(free.lower())
    return free


def printable(name: str) -> str:
    """A file's name with marks in place of bytes that are not UTF-8, which no page and no picture
    can show.
    """
    shown = os.fsencode(name).decode(errors="replace")
    for letter in set(shown):
        if not letter.isprintable():
            shown = shown.replace(letter, MARK)
    return shown


def truth_in_folder(folder: Path, name: str, video: Video, frames: int) -> Truth:
    """What a folder of truth says about a video of so many frames. Raises BadTruth."""
    truth = read_truth(
        folder, name, frames, partial(times_of, video), partial(size_of_video, video)
    )
    if truth is None:
        raise BadTruth(f"the truth about {video.name} was in {folder} and is gone")
    return truth
