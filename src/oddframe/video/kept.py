"""What a run keeps of a video that it learned from, so that the video need not be there again.

A method's own file lies beside it (`detector.Extendable`). T frames; h × w pixels.
"""

import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from oddframe.errors import BadRun
from oddframe.files import aside
from oddframe.types import Bytes, Floats
from oddframe.video.source import Facts


@dataclass(frozen=True)
class KeptVideo:
    """All that fitting asks of a video besides what a method makes of its pixels."""

    content: str  # the hash of its source
    seconds: Floats  # (T,) of every frame, as the source has them
    facts: Facts
    background: Bytes  # (h, w) of its scene; empty where no frame could be read for it
    shake: float  # how much the camera moves, in widths of the picture
    exposure: float  # mean grey level


def save_kept(path: Path, kept: KeptVideo) -> None:
    """Write it as npz, whole or not at all."""
    with aside(path) as part:
        np.savez(
            part,
            content=np.array(kept.content),
            seconds=kept.seconds,
            facts=np.array(json.dumps(asdict(kept.facts))),
            background=kept.background,
            scene=np.array([kept.shake, kept.exposure]),
        )


def load_kept(path: Path) -> KeptVideo:
    """Read it back. Raises BadRun."""
    try:
        state = path.stat()
    except OSError as error:
        raise BadRun(f"{path} is missing; fit again on all videos") from error
    return loaded(path, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=10_000)
def loaded(path: Path, _size: int, _changed: int) -> KeptVideo:
    """What the file holds in this state: it is asked for many times in a fit."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            shake, exposure = stored["scene"].tolist()
            seconds = np.asarray(stored["seconds"], np.float64)
            background = np.asarray(stored["background"], np.uint8)
            if seconds.ndim != 1 or not np.isfinite(seconds).all() or background.ndim != 2:
                raise ValueError("its arrays are of another shape")
            facts = Facts(**json.loads(str(stored["facts"])))
            return KeptVideo(str(stored["content"]), seconds, facts, background, shake, exposure)
    except Exception as error:  # zipfile, numpy and json each have their own words for damage
        why = " ".join(str(error).split())[:160]
        raise BadRun(f"{path} is damaged ({why}); fit again on all videos") from error
