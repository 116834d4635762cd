"""Embeddings on disk: one file a video, written as they come, memory-mapped when read. M clips, D
numbers each.

A file is plain numpy: rows of `frame`, `seconds` and `vector`. It is there once the video has been
embedded to its end, so that what was interrupted goes on with the next video.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from oddframe import __version__
from oddframe.cache import key
from oddframe.errors import BadInput
from oddframe.files import aside
from oddframe.types import Floats, Ints, Video
from oddframe.video.reader import content_of

Rows = tuple[Ints, Floats, Floats]  # frame (N,), seconds (N,) and vector (N, D) of a batch


@dataclass(frozen=True)
class VideoEmbeddings:
    """The embeddings of one video, in order."""

    video: Video
    frame: Ints  # (M,) index, in the source, of the frame that each clip speaks for
    seconds: Floats  # (M,)
    vector: Floats  # (M, D) float32, memory-mapped where it came from disk

    def __len__(self) -> int:
        return len(self.frame)


def cache_path(folder: Path, video: Video, *depends_on: object) -> Path:
    """Where the embeddings of a video are kept: named after its content, whatever else they depend
    on, and the version of oddframe, for another may decode or embed in another way.
    """
    return folder / f"{key(__version__, content_of(video), *depends_on)}.npy"


def open_embeddings(path: Path, video: Video) -> VideoEmbeddings | None:
    """What was written there; None when nothing was, or when it is damaged."""
    try:
        rows = np.load(path, mmap_mode="r", allow_pickle=False)
        return VideoEmbeddings(
            video, np.array(rows["frame"]), np.array(rows["seconds"]), rows["vector"]
        )
    except (OSError, ValueError, EOFError, IndexError, KeyError):
        return None


def write_embeddings(path: Path, video: Video, batches: Iterable[Rows]) -> VideoEmbeddings:
    """Write batches as they come, whole or not at all. A video without any has no file and comes
    back empty.
    """
    count = 0
    kind = np.dtype([])
    with aside(path) as part, part.open("wb") as file:
        for frame, seconds, vector in batches:
            if not count:
                width = vector.shape[1]
                kind = np.dtype([("frame", "<i8"), ("seconds", "<f8"), ("vector", "<f4", (width,))])
                write_header(file, kind, 0)
            rows = np.empty(len(frame), kind)
            rows["frame"] = frame
            rows["seconds"] = seconds
            rows["vector"] = vector
            file.write(rows.tobytes())
            count += len(rows)
        file.seek(0)
        # as long as before: numpy leaves room for the first axis to grow
        write_header(file, kind, count)
    found = open_embeddings(path, video)
    if found is not None:
        return found
    path.unlink(missing_ok=True)
    nothing = np.zeros((0, 0), np.float32)
    return VideoEmbeddings(video, np.zeros(0, np.int64), np.zeros(0), nothing)


def part_of(one: VideoEmbeddings, part: slice) -> VideoEmbeddings:
    """Some of the clips of a video."""
    return replace(one, frame=one.frame[part], seconds=one.seconds[part], vector=one.vector[part])


def total(embedded: Sequence[VideoEmbeddings]) -> int:
    """How many clips there are in all."""
    return sum(len(one) for one in embedded)


def width_of(embedded: Sequence[VideoEmbeddings]) -> int:
    """D. Raises BadInput when there are no embeddings, or of several sorts."""
    widths = {one.vector.shape[1] for one in embedded if len(one)}
    if not widths:
        raise BadInput(
            "the videos give no clip to learn from: each is shorter than a clip; give longer ones"
        )
    if len(widths) > 1:
        raise BadInput(
            f"embeddings of {' and '.join(map(str, sorted(widths)))} numbers do not go together"
        )
    return int(widths.pop())


def gather(embedded: Sequence[VideoEmbeddings], rows: Ints) -> Floats:
    """(len(rows), D) float32: the vectors at these positions, counted through all videos one after
    the other.
    """
    ends = np.cumsum([len(one) for one in embedded])
    number = np.searchsorted(ends, rows, "right")
    out = np.empty((len(rows), width_of(embedded)), np.float32)
    for k in np.unique(number):
        mine = number == k
        out[mine] = embedded[k].vector[rows[mine] - (ends[k] - len(embedded[k]))]
    return out


def sample_rows(
    embedded: Sequence[VideoEmbeddings], most: int, random: np.random.Generator
) -> Ints:
    """Ascending positions of at most so many clips, drawn from all videos; all of them where they
    are fewer.
    """
    count = total(embedded)
    if count <= most:
        return np.arange(count)
    return np.sort(random.choice(count, most, replace=False))


def labels_of(embedded: Sequence[VideoEmbeddings]) -> list[str]:
    """The class of every video; "" for all of them where not every one has a class."""
    labels = [one.video.label for one in embedded]
    return ["" if None in labels else str(label) for label in labels]


def write_header(file: IO[bytes], kind: np.dtype[Any], count: int) -> None:
    """Write the header of a numpy file of so many rows."""
    described = np.lib.format.dtype_to_descr(kind)
    header = {"descr": described, "fortran_order": False, "shape": (count,)}
    np.lib.format.write_array_header_1_0(file, header)


class ShuffledRows(Dataset[Tensor]):
    """Every embedding once an epoch, (D,) each, in an order that depends on the seed and the epoch
    alone.
    """

    def __init__(self, embedded: Sequence[VideoEmbeddings], seed: int) -> None:
        self.embedded = embedded
        self.seed = seed
        self.order: Ints = np.arange(total(embedded))

    def __len__(self) -> int:
        return len(self.order)

    def set_epoch(self, epoch: int) -> None:
        """Turn to another order; call it between epochs."""
        self.order = np.random.default_rng([self.seed, 15, epoch]).permutation(len(self.order))

    def __getitem__(self, item: int) -> Tensor:
        return self.__getitems__([item])[0]

    def __getitems__(self, items: list[int]) -> list[Tensor]:
        """Those of a whole batch at once, so that each file is read once for all of them."""
        return list(torch.from_numpy(gather(self.embedded, self.order[items])))

    def fingerprint(self) -> str:
        """A short text that differs when the embeddings do."""
        return key_of(self.embedded)


def key_of(embedded: Sequence[VideoEmbeddings], *more: object) -> str:
    """A key for the values of embeddings, and whatever else is told."""
    return key([one.vector for one in embedded], *more)
