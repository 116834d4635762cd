"""Peak memory of `oddframe score` on an hour of 720p against a minute of it: python benchmarks/memory.py

The hour is the minute again and again (packets copied, nothing encoded anew), at 10 frames a second so that all of
them are scored. Each way is a process of its own, and its peak is what the kernel says of it when it ends.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import av

from machine import FILMS, learned, street, write

FPS = 10
ALLOWED = 1.1


def repeated(film: Path, times: int) -> Path:
    """The film this many times in a row, by copying packets."""
    path = FILMS / f"{film.stem}-x{times}.mp4"
    if path.is_file():
        return path
    with av.open(str(path), "w") as out:
        stream: Any = None
        for k in range(times):
            with av.open(str(film)) as container:
                source = container.streams.video[0]
                stream = stream or out.add_stream_from_template(source)
                assert source.duration is not None
                for packet in container.demux(source):
                    if packet.dts is not None and packet.pts is not None:
                        packet.pts += k * source.duration
                        packet.dts += k * source.duration
                        packet.stream = stream
                        out.mux(packet)
    return path


def peak(run: Path, film: Path, *options: str) -> dict[str, float]:
    """Megabytes and seconds of one `oddframe score`."""
    with tempfile.TemporaryDirectory() as out:
        began = time.perf_counter()
        command = [
            sys.executable,
            "-m",
            "oddframe.cli.main",
            "score",
            str(run),
            str(film),
            "--out",
            out,
            *options,
        ]
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise SystemExit(f"{' '.join(command)} ended with {child.returncode}")
        on_disk = sum(path.stat().st_size for path in Path(out).rglob("*") if path.is_file())
    lasted = time.perf_counter() - began
    return {
        "megabytes": round(used.ru_maxrss / 1024, 1),
        "seconds": round(lasted, 1),
        "written_mb": on_disk / 1e6,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--minutes", type=int, default=60, help="length of the long film, scored without overlay"
    )
    parser.add_argument(
        "--overlay-minutes", type=int, default=10, help="the same with overlay; 0: leave it out"
    )
    asked = parser.parse_args()
    minute = street(FPS, 60)
    long: dict[str, tuple[Any, ...]] = {
        "scores, maps, report": (asked.minutes, "--no-overlay", "--no-clips")
    }
    if asked.overlay_minutes:
        long["overlay and cut events as well"] = (asked.overlay_minutes,)
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        learned(Path(folder))
        for name, (minutes, *options) in long.items():
            ways = {"minute": peak(Path(folder), minute, *options)}
            ways["long"] = peak(Path(folder), repeated(minute, minutes), *options)
            ratio = ways["long"]["megabytes"] / ways["minute"]["megabytes"]
            result[name] = {
                "minutes": minutes,
                **ways,
                "ratio": round(ratio, 3),
                "within_10_percent": ratio <= ALLOWED,
            }
            print(
                f"{name}: {ways['minute']['megabytes']:.0f} MB for a minute, {ways['long']['megabytes']:.0f} MB for"
            )
            print(f"  {minutes} minutes: {ratio:.3f}")
    print(write("memory", result))


if __name__ == "__main__":
    main()
