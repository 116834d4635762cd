"""How long a piece of work took over all its attempts, however each of them ended."""

import json
import time
from pathlib import Path

from oddframe.errors import BadInput
from oddframe.files import write_json


class Attempts:
    """The attempts at one fit, kept in a file of its folder until it is done.

    An attempt that was killed left no word of its end: the newest file below the folder tells it.
    """

    def __init__(self, folder: Path, name: str = "attempts.json") -> None:
        self.path = folder / name
        self.before = self.seconds_before()
        self.began = time.perf_counter()
        try:
            write_json(self.path, {"before": self.before, "began": time.time()})
        except OSError as error:
            raise BadInput(f"cannot write {self.path}: {error.strerror or error}") from error

    def seconds(self) -> float:
        """Seconds of this attempt and those before."""
        return self.before + time.perf_counter() - self.began

    def seconds_before(self) -> float:
        """Seconds of the attempts that the file tells of; 0 where there is none, or it is damaged."""
        try:
            kept = json.loads(self.path.read_text())
            before, began = float(kept["before"]), float(kept["began"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0.0
        ended = began
        for path in self.path.parent.parent.rglob("*"):
            if path != self.path and path.is_file():
                ended = max(ended, path.stat().st_mtime)
        return before + ended - began
