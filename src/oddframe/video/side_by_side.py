"""The same work on several videos at a time, which ends soon when one fails or somebody interrupts."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import TypeVar

from oddframe.progress import progress
from oddframe.types import Video

T = TypeVar("T")


def watch_each(videos: Sequence[Video], threads: int, work: Callable[[Video, Event], T]) -> list[T]:
    """What `work` returns for each video, in their order, `threads` of them side by side.

    `work` is given an event that is set once it shall stop: without it Ctrl-C would wait for the
    videos at hand, for hours perhaps. Raises what `work` raises.
    """
    stop = Event()
    pool = ThreadPoolExecutor(max(1, threads))
    with pool, progress("watching", len(videos), "videos") as tick:

        def one(video: Video) -> T:
            result = work(video, stop)
            tick()
            return result

        try:
            return list(pool.map(one, videos))
        except BaseException:
            stop.set()
            raise
