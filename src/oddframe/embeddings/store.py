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
    name = key(__version__, content_of(video), *depends_on)
    return folder / f"{name}.npy"


def open_embeddings(path: Path, video: Video) -> VideoEmbeddings | None:
    """What was written there; None when nothing was, or when it is damaged."""
    try:
        rows = np.load(path, mmap_mode="r", allow_pickle=False)
        frame = np.array(rows["frame"])
        seconds = np.array(rows["seconds"])
        return VideoEmbeddings(video, frame, seconds, rows["vector"])
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


def clips_between(one: VideoEmbeddings, first: int, end: int) -> VideoEmbeddings:
    """The clips of a video from one number to another, which is not included."""
    return replace(
        one,
        frame=one.frame[first:end],
        seconds=one.seconds[first:end],
        vector=one.vector[first:end],
    )


def total(embedded: Sequence[VideoEmbeddings]) -> int:
    """How many clips there are in all."""
    return sum(map(len, embedded))


def with_clips(embedded: Sequence[VideoEmbeddings]) -> list[VideoEmbeddings]:
    """The videos that have a clip: those that are not too short for one."""
    return [one for one in embedded if len(one)]


def width_of(embedded: Sequence[VideoEmbeddings]) -> int:
    """D. Raises BadInput when there are no embeddings, or of several sorts."""
    widths = {one.vector.shape[1] for one in with_clips(embedded)}
    if not widths:
        raise BadInput(
            "the videos give no clip to learn from: each is shorter than a clip; give longer ones"
        )
    if len(widths) > 1:
        listed = " and ".join(map(str, sorted(widths)))
        raise BadInput(f"embeddings of {listed} numbers do not go together")
    return int(widths.pop())


def gather(embedded: Sequence[VideoEmbeddings], rows: Ints) -> Floats:
    """(len(rows), D) float32: the vectors at these positions, counted through all videos one after
    the other.
    """
    counts = np.array([len(one) for one in embedded])
    ends = np.cumsum(counts)
    starts = ends - counts
    video_of_row = np.searchsorted(ends, rows, "right")
    vectors = np.empty((len(rows), width_of(embedded)), np.float32)
    for k in np.unique(video_of_row):
        mine = video_of_row == k
        own_rows = rows[mine] - starts[k]
        vectors[mine] = embedded[k].vector[own_rows]
    return vectors


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


def class_labels(embedded: Sequence[VideoEmbeddings]) -> list[str]:
    """The class of every video; "" for all of them where not every one has a class."""
    labels = []
    for one in embedded:
        if one.video.label is None:
            return [""] * len(embedded)
        labels.append(one.video.label)
    return labels


def write_header(file: IO[bytes], kind: np.dtype[Any], count: int) -> None:
    """Write the header of a numpy file of so many rows."""
    described = np.lib.format.dtype_to_descr(kind)
    header = {
        "descr": described,
        "fortran_order": False,
        "shape": (count,),
    }
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
        random = np.random.default_rng([self.seed, 15, epoch])
        self.order = random.permutation(len(self.order))

    def __getitem__(self, item: int) -> Tensor:
        return self.__getitems__([item])[0]

    def __getitems__(self, items: list[int]) -> list[Tensor]:
        """Those of a whole batch at once, so that each file is read once for all of them."""
        rows = self.order[items]
        vectors = gather(self.embedded, rows)
        return list(torch.from_numpy(vectors))

    def fingerprint(self) -> str:
        """A short text that differs when the embeddings do."""
        return key_of(self.embedded)


def key_of(embedded: Sequence[VideoEmbeddings], *more: object) -> str:
    """A key for the values of embeddings, and whatever else is told."""
    vectors = [one.vector for one in embedded]
    return key(vectors, *more)
