"""Files that are never half there, and folders listed as a person would."""

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from oddframe.errors import BadInput

JUNK = re.compile(r"^(\.|Thumbs\.db$|desktop\.ini$|__MACOSX$)", re.IGNORECASE)


@contextmanager
def aside(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; renamed to `path` when the block ends well, removed when it does not.

    The name keeps its ending, which encoders and numpy go by. Raises BadInput, one line, when the disk is full or the
    folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror or error}") from error
    # names have at most 255 bytes, and this one is longer than the one it stands for
    part = path.with_name(f".{path.stem[:50]}.{os.getpid()}.part{path.suffix}")
    try:
        yield part
        os.replace(part, path)
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def together(folder: Path, *names: str) -> Iterator[Path]:
    """A folder to write these files to; they replace those in `folder`, in this order, when the block ends well.

    When it does not, `folder` is as it was. Raises BadInput, one line, when they cannot be written.
    """
    new = folder / ".new"
    try:
        shutil.rmtree(new, ignore_errors=True)  # of somebody who was killed
        new.mkdir(parents=True)
        yield new
        for name in names:
            os.replace(new / name, folder / name)
    except OSError as error:
        raise BadInput(f"cannot write {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(new, ignore_errors=True)


def room(folder: Path) -> Path:
    """A folder for results, made if need be. Raises BadInput, before any work is done, when it cannot be written to."""
    folder = Path(folder).expanduser()
    try:
        if folder.exists() and not folder.is_dir():
            raise BadInput(f"{folder} is a file; --out names a folder")
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
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
    return [
        (0, int(part), "") if part.isdecimal() else (1, 0, part.lower())
        for part in re.split(r"(\d+)", name)
        if part
    ]


def listing(folder: Path) -> list[Path]:
    """What is in a folder, in natural order, without what operating systems leave there."""
    return sorted(
        (path for path in folder.iterdir() if not JUNK.match(path.name)),
        key=lambda path: natural(path.name),
    )
