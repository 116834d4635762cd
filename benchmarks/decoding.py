"""What reading costs, as ratios to decoding alone in the same run: python benchmarks/decoding.py

Films a moving pattern with noise, 720p, and reads it in each way several times in turn, so that a busy machine
disturbs all ways alike; each way's best time counts. Ratios are of frames per second: above 1 is quicker than decoding.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np

from oddframe.types import ClipSpec
from oddframe.video.reader import read, video_of

RGB = ClipSpec(size=(224, 224))
GREY = ClipSpec(size=320, colour="grey")
THIN = ClipSpec(size=(224, 224), fps=10)
SLOW = ClipSpec(size=(224, 224), fps=2)


def film(path: Path, seconds: int, fps: int = 25, height: int = 720, width: int = 1280) -> None:
    """Squares that wander over a textured ground, with sensor noise: about what a fixed camera sees."""
    random = np.random.default_rng(0)
    ground = cv2.resize(random.integers(60, 160, (45, 80, 3), dtype=np.uint8), (width, height))
    noise = random.normal(0, 6, (8, height, width, 1)).astype(np.int8)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=fps, options={"preset": "medium", "crf": "24"})
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        for k in range(seconds * fps):
            picture = ground.copy()
            for square in range(12):
                x = (square * 211 + k * (2 + square % 5)) % (width - 60)
                y = (square * 97 + k * (square % 3)) % (height - 120)
                picture[y : y + 120, x : x + 60] = 20 * square
            noisy = np.clip(picture.astype(np.int16) + noise[k % 8], 0, 255).astype(np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(noisy)))
        out.mux(stream.encode(None))


def decode_alone(path: Path, threads: int = 0, **options: str) -> None:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type, stream.codec_context.thread_count = "AUTO", threads
        skip = options.pop("skip_frame", None)
        if skip:
            stream.codec_context.skip_frame = skip
        stream.codec_context.options = options
        for _ in container.decode(stream):
            pass


def opencv(path: Path, size: tuple[int, int]) -> None:
    film = cv2.VideoCapture(str(path))
    while (found := film.read())[0]:
        cv2.resize(found[1], size, interpolation=cv2.INTER_AREA)


def exhaust(path: Path, spec: ClipSpec, threads: int = 0) -> None:
    for _ in read(video_of(path), spec, threads=threads):
        pass


def ways(path: Path) -> dict[str, Callable[[], None]]:
    return {
        "decoding alone (PyAV)": lambda: decode_alone(path),
        "decoding alone, 1 thread": lambda: decode_alone(path, 1),
        "decoding alone, without loop filter": lambda: decode_alone(path, skip_loop_filter="all"),
        "decoding alone, without B-frames": lambda: decode_alone(path, skip_frame="NONREF"),
        "decoding alone, without either": lambda: decode_alone(
            path, skip_loop_filter="all", skip_frame="NONREF"
        ),
        "decoding alone, B-frames unfiltered": lambda: decode_alone(path, skip_loop_filter="noref"),
        "read, 224 × 224 rgb": lambda: exhaust(path, RGB),
        "read, 224 × 224 rgb, 1 thread": lambda: exhaust(path, RGB, 1),
        "read, 320 wide grey": lambda: exhaust(path, GREY),
        "read, 320 wide grey, 1 thread": lambda: exhaust(path, GREY, 1),
        "read, 224 × 224 rgb at 10 fps": lambda: exhaust(path, THIN),
        "read, 224 × 224 rgb at 2 fps": lambda: exhaust(path, SLOW),
        "OpenCV, read and resize": lambda: opencv(path, (224, 224)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=20, help="length of the film")
    parser.add_argument("--rounds", type=int, default=3, help="times that each way is tried")
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object instead of a table"
    )
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        film(path, asked.seconds)
        rate = path.stat().st_size * 8 / asked.seconds / 1e6
        best: dict[str, float] = {}
        for _ in range(asked.rounds):
            for name, way in ways(path).items():
                begun = time.perf_counter()
                way()
                best[name] = min(best.get(name, np.inf), time.perf_counter() - begun)
    alone = best["decoding alone (PyAV)"]
    frames = asked.seconds * 25
    if asked.json:
        print(
            json.dumps(
                {
                    name: {"fps": frames / lasted, "ratio": alone / lasted}
                    for name, lasted in best.items()
                }
            )
        )
        return
    print(f"{asked.seconds} s of 720p at 25 frames/s, {rate:.1f} Mbit/s; best of {asked.rounds}")
    for name, lasted in best.items():
        print(f"{name:40s} {frames / lasted:7.0f} frames/s   {alone / lasted:5.2f}")


if __name__ == "__main__":
    main()
