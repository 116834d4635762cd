"""Producing ahead of whoever consumes, in threads, without letting memory grow."""

import queue
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from typing import Generic

from oddframe.progress import ItemT


def prefetch(items: Iterator[ItemT], depth: int) -> Iterator[ItemT]:
    """The same items, produced by a thread at most `depth` items ahead. An error is raised where it
    would have been.
    """
    line = Line(items, depth)
    try:
        yield from line
    finally:
        line.close()


def prefetch_many(
    streams: Iterable[Iterator[ItemT]], count: int, depth: int
) -> Generator[Iterator[ItemT], None, None]:
    """The streams in their order, `count` of them being produced at a time, each at most `depth`
    items ahead.

    Take each to its end before the next.
    """
    lines: deque[Line[ItemT]] = deque()
    try:
        for stream in streams:
            lines.append(Line(stream, depth))
            if len(lines) == count:
                yield iter(lines[0])
                lines.popleft().close()
        while lines:
            yield iter(lines[0])
            lines.popleft().close()
    finally:
        for line in lines:
            line.close()


class Line(Generic[ItemT]):
    """A thread that fills a queue, and the queue's end where the items come out."""

    def __init__(self, items: Iterator[ItemT], depth: int) -> None:
        self.items = items
        self.queue: queue.Queue[tuple[str, object]] = queue.Queue(depth)
        self.stop = threading.Event()
        self.worker = threading.Thread(target=self._produce, daemon=True)
        self.worker.start()

    def __iter__(self) -> Iterator[ItemT]:
        while True:
            kind, item = self.queue.get()
            if kind == "item":
                yield item  # type: ignore[misc]
            elif kind == "error":
                raise item  # type: ignore[misc]
            else:
                return

    def close(self) -> None:
        self.stop.set()
        self.worker.join()

    def _produce(self) -> None:
        try:
            for item in self.items:
                self._put("item", item)
                if self.stop.is_set():
                    return
            self._put("end", None)
        except BaseException as error:
            self._put("error", error)

    def _put(self, kind: str, item: object) -> None:
        while not self.stop.is_set():
            try:
                self.queue.put((kind, item), timeout=0.1)
                return
            except queue.Full:
                continue
