"""What could not be read of a source, counted while it is read and told in lines."""

from typing import Any

import av
import numpy as np

from oddframe.types import Bytes

FAULTS = (av.FFmpegError, OSError, ValueError)  # what FFmpeg raises on damaged data
MOST_PIXELS = str(1 << 27)  # 16384 × 8192: more is a damaged header that would take all the memory


class DamageReport:
    """Counts what could not be read from one source; `lines` tells a person, one line a sort of
    damage.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.packets = 0  # damaged, and gave no picture
        self.gaps = 0  # places where the container could not be followed
        self.spoiled = 0  # pictures that the decoder itself calls damaged
        self.pictures: list[str] = []  # files of a folder
        self.pages = 0  # pictures whose file holds further ones
        self.ends = ""  # where the file breaks off
        self.lost_pictures: list[str] = []  # stretches without a picture, see LostPictures

    def __bool__(self) -> bool:
        return bool(self.lines())

    def lines(self) -> list[str]:
        """One line a sort of damage, each beginning with the source's name."""
        found = []
        if self.packets:
            found.append(f"{quantity(self.packets, 'damaged packet')} skipped")
        if self.gaps:
            found.append(f"{quantity(self.gaps, 'unreadable stretch', 'es')} of the file skipped")
        if self.spoiled:
            found.append(f"{quantity(self.spoiled, 'frame')} damaged in part, and kept")
        if self.pictures:
            count = quantity(len(self.pictures), "picture")
            first = self.pictures[0]
            found.append(
                f"{count} unreadable (the first is {first}); a neighbour stands in for each"
            )
        if self.pages:
            count = quantity(self.pages, "picture")
            found.append(f"{count} of several pages; the first page of each is read")
        if self.ends:
            found.append(self.ends)
        found += self.lost_pictures
        return [f"{self.name}: {line}" for line in found]


class LostPictures:
    """Finds stretches in which a camera gives no picture: one colour all over, or the very same
    picture again.

    A frame counts as without a picture from SHORTEST seconds of one colour on, as frozen from
    FROZEN seconds on.
    """

    SHORTEST = 2.0  # seconds
    # seconds: a scene at rest, well compressed, may be the same to the bit for a while
    FROZEN = 10.0
    FLAT = 2.5  # grey levels of standard deviation: less is no picture but the noise of compression
    SAMPLES = 48  # a side: of larger frames a grid of pixels is compared first

    def __init__(self) -> None:
        self.sort = ""  # of the stretch that lasts
        self.start = 0.0
        self.last = 0.0
        self.before: Bytes | None = None
        self.found: list[str] = []

    def see(self, seconds: float, pixels: Bytes) -> None:
        """Take in the next frame, (H, W, C)."""
        sort = self._sort_of(pixels)
        if sort != self.sort:
            self._close(seconds)
            self.sort = sort
            self.start = seconds
            if sort == "frozen":  # it was first shown one frame ago
                self.start = self.last
        self.last = seconds
        self.before = pixels

    def lines(self) -> list[str]:
        """What was found so far, the stretch that lasts included."""
        self._close(self.last)
        self.sort = ""
        return self.found

    def _close(self, end: float) -> None:
        if not self.sort:
            return
        least = self.SHORTEST
        if self.sort == "frozen":
            least = self.FROZEN
        if end - self.start >= least:
            self.found.append(f"picture lost {self.start:.1f}–{end:.1f} s ({self.sort})")

    def _sort_of(self, pixels: Bytes) -> str:
        step = max(1, max(pixels.shape[:2]) // self.SAMPLES)
        sample = pixels[::step, ::step]
        spread = float(sample.std(axis=(0, 1)).max())
        if min(sample.shape[:2]) > 1 and spread < self.FLAT:
            level = float(sample.mean())
            if level < 40:
                return "black"
            if level > 215:
                return "white"
            return "one colour"
        before = self.before
        if before is None or before.shape != pixels.shape:
            return ""
        alike = np.array_equal(before[::step, ::step], sample)
        if alike and np.array_equal(before, pixels):
            return "frozen"
        return ""


def quantity(count: int, what: str, ending: str = "s") -> str:
    """A number of things.

    >>> quantity(1, "frame"), quantity(2, "stretch", "es")
    ('1 frame', '2 stretches')
    """
    if count != 1:
        what += ending
    return f"{count} {what}"


def error_text(error: BaseException) -> str:
    """FFmpeg's own words for what went wrong."""
    known: Any = getattr(error, "strerror", None)
    return str(known or error)
