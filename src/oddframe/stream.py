"""Scoring frame by frame: what a method gives when it can do that cheaper than by cutting clips."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from oddframe.types import Frame, Scores


class Stream(ABC):
    """The state of one stream of frames. Scores are those that the method gives for clips cut out
    of it.
    """

    def push(self, frame: Frame) -> Scores | None:
        """The scores that are known now that this frame is; None where there are none yet."""
        return self.push_many([frame])

    @abstractmethod
    def push_many(self, frames: Sequence[Frame]) -> Scores | None:
        """The same for frames that follow each other, which may be worked on side by side."""

    def finish(self) -> Scores | None:
        """The scores that are left when no more frames follow."""
        return None


@runtime_checkable
class Streaming(Protocol):
    """A method that scores frame by frame, without clips."""

    def stream(self, video: str) -> Stream:
        """A stream that begins anew; `video` is the name that its scores bear."""
