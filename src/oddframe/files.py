"""Files that are never half there, folders of results that one program writes at a time, and
folders listed as a person would.

A file is written beside its place, as `.NAME.HOST-PROCESS.part.ENDING`, and renamed when it is
whole. What a killed program left of these is removed by the next that writes into the folder.
"""

import errno
import json
import os
import re
import shutil
import socket
import sys
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO

from oddframe.errors import BadInput

JUNK = re.compile(r"^(\.|Thumbs\.db$|desktop\.ini$|__MACOSX$)", re.IGNORECASE)
MOST_KEPT = 50  # letters of a name, in that of the file beside it
PART = re.compile(r"^\..*\.([0-9a-f]{8})-(\d+)\.part(\.[^.]*)?$")  # what a program writes beside
LOCK = ".oddframe.lock"  # of a folder that is being written to
WRITTEN_FILES = ".oddframe.files"  # the names of what oddframe wrote into a folder, a line each
NEW, COMMITTED = ".new", ".next"  # files that are being written, and those that already count


@contextmanager
def aside(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; renamed to `path` when the block ends well, removed when it
    does not.

    The name keeps its ending, which encoders and numpy go by. Raises BadInput, one line, when the
    disk is full, when the folder cannot be written, or when a folder of results (`open_results`)
    has a file there that is not oddframe's.
    """
    results = results_around(path)
    if results is not None:
        _refuse_foreign(results, path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror or error}") from error
    part = part_of(path)
    try:
        yield part
        if not part.exists():  # encoders give no reason
            raise BadInput(f"cannot write {path}: nothing arrived there; is the disk full?")
        if results is not None:
            _note(results, path)
        os.replace(part, path)
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)


def part_of(path: Path) -> Path:
    """Where this program writes what will be `path`. Names have at most 255 bytes, so only their
    beginning is kept, and a checksum that tells apart those which begin alike.
    """
    name = path.stem
    if len(name) > MOST_KEPT:
        name = f"{name[:MOST_KEPT]}-{zlib.crc32(os.fsencode(name)):08x}"
    return path.with_name(f".{name}.{host()}-{os.getpid()}.part{path.suffix}")


def host() -> str:
    """Eight letters for this machine, for a folder may be on a network drive."""
    return f"{zlib.crc32(socket.gethostname().encode()):08x}"


def remove_abandoned(folder: Path) -> None:
    """Remove what programs of this machine that run no more were writing into a folder or a folder
    in it.
    """
    for path in [*folder.glob(".*.part*"), *folder.glob("*/.*.part*")]:
        found = PART.match(path.name)
        if found is not None and found[1] == host() and not is_running(int(found[2])):
            path.unlink(missing_ok=True)


def is_running(process: int) -> bool:
    """Whether there is a process of this number on this machine."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True


# Folders of results.

_owned: dict[Path, set[str]] = {}  # of each folder held by this program, what oddframe wrote there
_owned_lock = Lock()
_held: ContextVar[frozenset[Path]] = ContextVar(
    "_held", default=frozenset()
)  # by this call or its callers


@contextmanager
def open_results(folder: Path, *names: str) -> Iterator[Path]:
    """Hold a folder of results, made if need be, against other programs while the block lasts.

    Within it `aside` replaces only what oddframe wrote there before. What a killed program left
    half written is removed. `names` are files that will be written: one that is there and not
    oddframe's is refused at once. Raises BadInput when another program holds the folder, or when it
    cannot be written.
    """
    folder = room(folder)
    place = folder.resolve()
    if place in _held.get():  # by who called us
        yield folder
        return
    with hold_folder(folder):
        with _owned_lock:
            _owned[place] = files_written(folder)
        token = _held.set(_held.get() | {place})
        try:
            for name in names:
                _refuse_foreign(place, place / name)
            yield folder
        finally:
            _held.reset(token)
            with _owned_lock:
                del _owned[place]


def files_written(folder: Path) -> set[str]:
    """The names, within a folder, of the files that oddframe wrote there as results."""
    try:
        text = (folder / WRITTEN_FILES).read_bytes().decode("utf-8", "surrogateescape")
    except OSError:
        return set()
    return set(text.split("\0")) - {""}


def results_around(path: Path) -> Path | None:
    """The held folder of results in which a path lies, if there is one."""
    if not _owned:
        return None
    here = path.parent.resolve()
    for folder in (here, *here.parents):
        if folder in _owned:
            return folder
    return None


def _name_in(folder: Path, path: Path) -> str:
    return (path.parent.resolve() / path.name).relative_to(folder).as_posix()


def _refuse_foreign(folder: Path, path: Path) -> None:
    if path.exists() and _name_in(folder, path) not in _owned[folder]:
        raise BadInput(
            f"{path} is there and was not written by oddframe; "
            "move it, or name another folder with --out"
        )


def _note(folder: Path, path: Path) -> None:
    """Keep the name of a file that oddframe is about to put into a held folder."""
    name = _name_in(folder, path)
    with _owned_lock:
        if name in _owned[folder]:
            return
        _owned[folder].add(name)
        with (folder / WRITTEN_FILES).open("ab") as file:
            file.write(name.encode("utf-8", "surrogateescape") + b"\0")


@contextmanager
def hold_folder(folder: Path) -> Iterator[None]:
    """Hold a folder against other programs. Raises BadInput when one has it.

    The lock ends with the process that has it, however that ends.
    """
    file = _locked_file(folder)
    try:
        yield
    finally:
        if file is not None:
            (folder / LOCK).unlink(missing_ok=True)
            file.close()


def _locked_file(folder: Path) -> BinaryIO | None:
    """The open lock file; None where the system or the drive has no locks. Raises BadInput when it
    is held.
    """
    if sys.platform == "win32":
        return None
    import fcntl

    while True:
        try:
            file = (folder / LOCK).open("wb")
        except OSError as error:
            raise BadInput(f"cannot write into {folder}: {error.strerror or error}") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.close()
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise BadInput(
                    f"{folder} is in use by another oddframe; "
                    "wait for it, or name another folder with --out"
                ) from error
            return None
        if _is_same(file, folder / LOCK):
            return file
        file.close()  # whoever held it removed it between the two steps


def _is_same(file: BinaryIO, path: Path) -> bool:
    try:
        there = path.stat()
    except OSError:
        return False
    mine = os.fstat(file.fileno())
    return (mine.st_dev, mine.st_ino) == (there.st_dev, there.st_ino)


# Files that belong together.


@contextmanager
def together(folder: Path, *names: str) -> Iterator[Path]:
    """A folder to write these files to; they replace those in `folder`, all or none, when the block
    ends well.

    One rename decides: before it `folder` is as it was; after it the new files count, and whatever
    is not yet in its place is put there by the next program that calls `finish_replacing`. Raises
    BadInput, one line, when they cannot be written.
    """
    new = folder / NEW
    try:
        finish_replacing(folder)
        shutil.rmtree(new, ignore_errors=True)  # of somebody who was killed
        new.mkdir(parents=True)
        yield new
        for path in listing(new):
            if path.name not in names:
                raise ValueError(f"{path.name} is not among the files that belong together")
        os.replace(new, folder / COMMITTED)
        finish_replacing(folder)
    except OSError as error:
        raise BadInput(f"cannot write {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(new, ignore_errors=True)


def finish_replacing(folder: Path) -> None:
    """Put the files in place that somebody who was killed in `together` had already made to count.
    Raises OSError.
    """
    committed = folder / COMMITTED
    if not committed.is_dir():
        return
    for path in committed.iterdir():
        os.replace(path, folder / path.name)
    committed.rmdir()


def room(folder: Path) -> Path:
    """A folder for results, made if need be. Raises BadInput, before any work is done, when it
    cannot be written to.
    """
    folder = Path(folder).expanduser()
    try:
        if folder.exists() and not folder.is_dir():
            raise BadInput(f"{folder} is a file; --out names a folder")
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        remove_abandoned(folder)
    except OSError as error:
        raise BadInput(
            f"cannot write into {folder}: {error.strerror or error}; name a folder with --out"
        ) from error
    return folder


def write_json(path: Path, value: Any) -> None:
    """`value` as indented JSON, whole or not at all."""
    with aside(path) as part:
        part.write_text(json.dumps(value, indent=2) + "\n")


def natural(name: str) -> list[tuple[int, int, str]]:
    """A sort key by which img_10 comes after img_9.

    >>> sorted(["img_10.png", "img_9.png", "a"], key=natural)
    ['a', 'img_9.png', 'img_10.png']
    """
    key = []
    for part in re.split(r"(\d+)", name):
        if part.isdecimal():
            key.append((0, int(part), ""))
        elif part:
            key.append((1, 0, part.lower()))
    return key


def listing(folder: Path) -> list[Path]:
    """What is in a folder, in natural order, without what operating systems leave there."""
    paths = [path for path in folder.iterdir() if not JUNK.match(path.name)]
    return sorted(paths, key=lambda path: natural(path.name))
