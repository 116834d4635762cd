"""Two cameras on one street: what each says alone, and both by their mean rarity.

    python benchmarks/fusion.py [--seeds 0 1 2] [--method flowgrid]

The second camera sees the simulated street from the side, darker and through noise: every frame is warped, dimmed and
given sensor noise. Nothing is chosen here. About three minutes a seed.
"""

import argparse
import io
import shutil
import tempfile
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import oddframe
from machine import write
from oddframe.types import Bytes, ClipSpec
from oddframe.video.reader import read, video_of
from oddframe.video.writer import video_writer
from oddframe.workflows.fuse import fuse

VIEWS = ("front", "side")
KINDS = "runner,cyclist,car"  # what moves oddly: flowgrid is blind to some of the others, on both cameras alike


def main() -> None:
    words = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    words.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    words.add_argument("--method", default="flowgrid")
    asked = words.parse_args()
    rows = []
    for seed in asked.seeds:
        with tempfile.TemporaryDirectory() as folder, redirect_stdout(io.StringIO()):
            rows.append(one(asked.method, seed, Path(folder)))
        print(seed, rows[-1], flush=True)
    names = ("all", *VIEWS)
    mean = {
        name: round(float(np.mean([row[name]["micro_auc"] for row in rows])), 4) for name in names
    }
    print(mean)
    write(
        "fusion",
        {
            "method": asked.method,
            "mean": mean,
            "seeds": dict(zip(map(str, asked.seeds), rows, strict=True)),
        },
    )


def one(method: str, seed: int, folder: Path) -> dict[str, Any]:
    """Film, see with two cameras, fit each, fuse."""
    film, both = folder / "film", folder / "both"
    oddframe.simulate(
        film, seed=seed, kinds=KINDS
    )  # four normal minutes and four of testing: less teaches nothing
    for part in ("train", "test"):
        for path in sorted((film / part).glob("*.mp4")):
            frames = [frame.pixels for frame in read(video_of(path), ClipSpec(length=1, size=None))]
            for view in VIEWS:
                to = both / part / view / path.name
                to.parent.mkdir(parents=True, exist_ok=True)
                with video_writer(to, 10.0, frames[0].shape[:2]) as video:
                    for number, picture in enumerate(frames):
                        video.write(picture if view == "front" else from_the_side(picture, number))
                for truth in (film / "truth").glob(f"{path.stem}.csv") if part == "test" else []:
                    (both / "truth" / view).mkdir(parents=True, exist_ok=True)
                    shutil.copy(truth, both / "truth" / view / truth.name)
    runs = []
    for view in VIEWS:
        oddframe.fit(method, both, out=folder / view, seed=seed, stream=view)
        runs.append(folder / view)
    return dict(fuse(runs, both, out=folder / "fused").streams)


def from_the_side(picture: Bytes, number: int) -> Bytes:
    """The frame as another, worse camera would see it."""
    H, W = picture.shape[:2]
    corners = np.array([[0, 0], [W, 0], [W, H], [0, H]], np.float32)
    seen = np.array([[0.05 * W, 0.2 * H], [W, 0], [0.9 * W, 0.95 * H], [0.2 * W, H]], np.float32)
    warped = cv2.warpPerspective(picture, cv2.getPerspectiveTransform(corners, seen), (W, H))
    noise = np.random.default_rng(number).normal(0, 6, picture.shape)
    return np.asarray(np.clip(0.5 * warped + noise, 0, 255), np.uint8)


if __name__ == "__main__":
    main()
