"""What every measurement here shares: films to measure on, the machine that it ran on, and a file for the result."""

import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from oddframe.methods.flowgrid import FlowGrid
from oddframe.scoring.fitting import fit_videos
from oddframe.scoring.run_folder import FittedDetector, circumstances
from oddframe.synthetic.simulate import FIRST_TEST, Shot, film
from oddframe.video.reader import video_of
from oddframe.video.writer import video_writer

RESULTS = Path(__file__).parent / "results"
FILMS = Path(tempfile.gettempdir()) / "oddframe-benchmarks"  # made once, then found again
HD = (720, 1280)


def street(
    fps: float,
    seconds: float,
    *,
    number: int = FIRST_TEST,
    size: tuple[int, int] = HD,
    seed: int = 0,
) -> Path:
    """A film of the simulated street, about 2 Mbit/s at 720p; those of `number` from FIRST_TEST on hold oddities."""
    path = FILMS / f"street-{seed}-{number}-{size[0]}p-{fps:g}fps-{seconds:g}s.mp4"
    if not path.is_file():
        FILMS.mkdir(parents=True, exist_ok=True)
        odd = ("runner", "cyclist", "car") if number >= FIRST_TEST else ()
        with video_writer(path, fps, size, crf=22) as video:
            for picture, _ in film(Shot(seed, number, round(seconds * fps), fps, size, odd)):
                video.write(picture)
    return path


def learned(out: Path, **options: Any) -> FittedDetector:
    """A flowgrid run on a minute of the same street, filmed at other times, on which nothing odd happens."""
    return fit_videos(
        FlowGrid(**options), [video_of(street(10, 30, number=k)) for k in (0, 1)], out=out
    )


def middle(values: list[float]) -> float:
    return statistics.median(values)


def write(name: str, result: Mapping[str, Any]) -> Path:
    """Put a result into benchmarks/results with the command, commit and machine that it came from."""
    if "measured" in result:
        raise ValueError("`measured` is where the circumstances go; give the result another name")
    # where things lie on this machine is nobody else's business
    words = [f"…/{Path(word).name}" if word.startswith("/") else word for word in sys.argv[1:]]
    told = circumstances(["python", Path(sys.argv[0]).name, *words])
    told["machine"] |= {
        "memory_gb": _memory(),
        "load_at_end": os.getloadavg()[0],
        "platform": platform.machine(),
    }
    path = RESULTS / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({**result, "measured": told}, indent=2) + "\n")
    return path


def _memory() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (ValueError, OSError):
        return None
