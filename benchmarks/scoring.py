"""What scoring costs beside decoding alone, and what faster presets cost in accuracy: python benchmarks/scoring.py

Films of the simulated street at 720p are decoded (with flowgrid's own scaling, by FFmpeg's usual threads) and scored
in turn, several rounds; a ratio is of the times of one round, and the median over the rounds counts. Ratios of
processor seconds stand beside those of seconds, for on a machine with other work to do the latter tell of that work.
With `--ped2 ROOT` every preset is fitted and evaluated on UCSD Ped2 too, and the default twice with the same seed.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from machine import learned, middle, street, write
from oddframe.datasets.base import open_data
from oddframe.detector import Detector
from oddframe.methods.flowgrid import FlowGrid
from oddframe.scoring.fitting import fit_videos
from oddframe.scoring.pipeline import score_video
from oddframe.types import ClipSpec, Video
from oddframe.video.motion import flow_estimator, motion_cells
from oddframe.video.reader import read, times_of, video_of
from oddframe.workflows.evaluate import evaluate

FILMS = {
    "30 fps": (30.0, 30.0),
    "25 fps": (25.0, 30.0),
    "10 fps": (10.0, 60.0),
}  # frames per second, seconds
PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    "fast flow": {"flow": "fast"},
    "ultrafast flow": {"flow": "ultrafast"},
    "fast flow, 240 wide": {"flow": "fast", "width": 240},
    "5 frames/s": {"fps": 5.0},
}


def decode(video: Video, spec: ClipSpec) -> None:
    for _ in read(video, spec):
        pass


def score(video: Video, detector: Detector) -> None:
    for _ in score_video(detector, video):
        pass


def command(video: Video, run: Path) -> None:
    """`oddframe score` as a whole, start and report included, without overlay and cut events."""
    with tempfile.TemporaryDirectory() as out:
        words = ["score", str(run), str(video.source), "--out", out, "--no-overlay", "--no-clips"]
        subprocess.run(
            [sys.executable, "-m", "oddframe.cli.main", *words],
            check=True,
            stdout=subprocess.DEVNULL,
        )


def timed(
    ways: dict[str, Callable[[], None]], rounds: int, frames: int
) -> dict[str, dict[str, float]]:
    """Each way's frames per second, and its median ratio to the first one in seconds and in processor seconds."""
    lasted: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            began, busy = time.perf_counter(), _busy()
            way()
            lasted[name].append((time.perf_counter() - began, _busy() - busy))
    alone = next(iter(lasted.values()))
    return {
        name: {
            "frames_per_second": round(frames / middle([seconds for seconds, _ in own]), 1),
            "ratio": round(middle([a[0] / b[0] for a, b in zip(own, alone, strict=True)]), 2),
            "processor_ratio": round(
                middle([a[1] / b[1] for a, b in zip(own, alone, strict=True)]), 2
            ),
        }
        for name, own in lasted.items()
    }


def parts(video: Video, detector: FlowGrid) -> dict[str, float]:
    """Processor milliseconds for each frame looked at: what scoring is made of."""
    began = _busy()
    frames = [(frame.pixels[..., 0].copy(), frame.seconds) for frame in read(video, detector.spec)]
    decoding = _busy() - began
    pairs = list(pairwise(frames))
    began = _busy()
    for (before, _), (now, _) in pairs:
        flow_estimator(detector.flow).calc(before, now, None)
    flow = _busy() - began
    began = _busy()
    for (before, then), (now, seconds) in pairs:
        motion_cells(before, now, seconds - then, detector.grid, detector.flow)
    cells = _busy() - began
    began = _busy()
    score(video, detector)
    everything = _busy() - began
    spent = {
        "decoding and scaling": decoding,
        "optical flow": flow,
        "averages over windows": cells - flow,
    }
    spent["nearest windows, standing things, the rest"] = everything - cells - decoding
    return {name: round(1000 * seconds / len(frames), 2) for name, seconds in spent.items()}


def on_ped2(root: Path, folder: Path, name: str, options: dict[str, Any]) -> dict[str, Any]:
    out = folder / f"ped2-{name}".replace(" ", "-").replace("/", "-")
    began = time.perf_counter()
    fit_videos(FlowGrid(**options), open_data("ped2", root)[1].train, data="ped2", out=out)
    fitting = time.perf_counter() - began
    found = evaluate(out, "ped2", root=root, report=False)
    honest = found.honest
    kept = {key: honest[key] for key in ("micro_auc", "micro_auc_interval", "macro_auc")}
    return {
        "options": options,
        **kept,
        "fit_seconds": round(fitting, 1),
        "score_seconds": found.seconds["score"],
    }


def same_twice(root: Path, folder: Path) -> dict[str, Any]:
    """The default fitted twice with one seed: the same weights, the same scores, to the last bit?"""
    lasted, runs = [], []
    for k in range(2):
        began = time.perf_counter()
        out = folder / f"twice-{k}"
        runs.append(fit_videos(FlowGrid(), open_data("ped2", root)[1].train, data="ped2", out=out))
        lasted.append(round(time.perf_counter() - began, 1))
    videos = [[run.score(video) for video in open_data("ped2", root)[1].test] for run in runs]
    return {
        "fit_seconds": lasted,
        "same_weights": (folder / "twice-0/state.safetensors").read_bytes()
        == (folder / "twice-1/state.safetensors").read_bytes(),
        "same_scores": all(
            np.array_equal(one.value, other.value) and np.array_equal(_map(one), _map(other))
            for one, other in zip(*videos, strict=True)
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3, help="times that each way is tried")
    parser.add_argument(
        "--ped2", type=Path, help="where UCSD Ped2 lies; without it no accuracy is measured"
    )
    asked = parser.parse_args()
    result: dict[str, Any] = {"rounds": asked.rounds, "films": {}}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        runs = {
            preset: learned(folder / str(k), **PRESETS[preset]) for k, preset in enumerate(PRESETS)
        }
        default = runs["default"].detector
        assert isinstance(default, FlowGrid)
        for film, (fps, seconds) in FILMS.items():
            video = video_of(street(fps, seconds))
            ways: dict[str, Callable[[], None]] = {
                "decoding alone": partial(decode, video, default.spec)
            }
            for preset, run in runs.items():
                ways[preset] = partial(score, video, run.detector)
            ways["oddframe score, as a whole"] = partial(command, video, folder / "0")
            result["films"][film] = {
                "megabits_per_second": round(video.source.stat().st_size * 8 / seconds / 1e6, 2),
                "ways": timed(ways, asked.rounds, len(times_of(video))),
                "processor_ms_per_frame_looked_at": parts(video, default),
            }
            show(film, result["films"][film])
        if asked.ped2:
            result["ped2"] = {
                preset: on_ped2(asked.ped2, folder, preset, PRESETS[preset]) for preset in PRESETS
            }
            result["ped2_twice"] = same_twice(asked.ped2, folder)
            for preset, found in result["ped2"].items():
                print(
                    f"{preset:28s} micro AUC {found['micro_auc']:.4f}, macro {found['macro_auc']:.4f} on Ped2"
                )
            print(result["ped2_twice"])
    print(write("scoring", result))


def show(film: str, found: dict[str, Any]) -> None:
    print(f"720p at {film}, {found['megabits_per_second']} Mbit/s")
    for name, way in found["ways"].items():
        print(
            f"  {name:28s} {way['frames_per_second']:7.0f} frames/s   {way['ratio']:5.2f} × decoding alone "
            f"({way['processor_ratio']:.2f} in processor seconds)"
        )
    spent = found["processor_ms_per_frame_looked_at"]
    print(
        "  ms a frame looked at: " + ", ".join(f"{name} {took}" for name, took in spent.items()),
        flush=True,
    )


def _busy() -> float:
    """Processor seconds of this process and of its ended children, all threads together."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def _map(scores: Any) -> Any:
    return np.zeros(0) if scores.map is None else scores.map


if __name__ == "__main__":
    main()
