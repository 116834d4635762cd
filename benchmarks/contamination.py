"""What a little that is odd among the normal video costs, and what setting it aside gives back.

    python benchmarks/contamination.py [--seeds 100 101 102] [--kinds runner+car car+cyclist scatter]

Each seed is a simulated street with eight normal videos of a minute and four test videos. One or two of the eight
are replaced by videos in each of which something of one kind happens, in nearly 2 % of all frames together. That is
learned from as it is, with what is far beyond the rest set aside (`oddframe fit --clean`, the default), and without
the truly odd frames, which nobody knows. Micro AUC on the test videos, all kinds. The grid is that of the eight normal
videos, so that each film is described once. Seeds from 100 on are kept for choosing options.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from machine import FILMS, write
from oddframe.datasets.annotations import read_truth
from oddframe.evaluation.metrics import auc
from oddframe.methods.flowgrid import FlowGrid
from oddframe.run import Run
from oddframe.scoring.cleansing import MARGIN, SetAside, find_unusual, parts_without
from oddframe.scoring.cross_validation import fit_and_cross_validate, segments_of
from oddframe.scoring.pipeline import concatenate, values_of
from oddframe.scoring.smoothing import smooth
from oddframe.synthetic.simulate import FIRST_TEST, Shot, simulate, write_shot
from oddframe.types import Bools, Video
from oddframe.video.motion import MotionGrid
from oddframe.video.reader import video_of

FPS = 10.0
FRAMES = 600  # of each film
NORMAL = 8
SIZE = (240, 360)
NOTHING = "nothing"


@dataclass(frozen=True)
class Street:
    """The films of one seed, each described once."""

    folder: Path
    run: Run
    grid: MotionGrid | None = None

    def videos(self, part: str) -> list[Video]:
        return [video_of(path) for path in sorted((self.folder / part).glob("*.mp4"))]

    def truth(self, video: Video) -> Bools:
        truth = read_truth(
            self.folder / "truth", video.name, FRAMES, lambda: np.arange(FRAMES) / FPS, lambda: SIZE
        )
        return np.zeros(FRAMES, bool) if truth is None else truth.frame

    def odd_seconds(self, kind: str) -> list[float]:
        frames: list[int] = json.loads((self.folder / f"{kind}.json").read_text())
        return [frame / FPS for frame in frames]

    def auc_of(self, detector: FlowGrid) -> float:
        """Micro AUC on the test videos, of smoothed scores."""
        tests = self.videos("test")
        values, odd = [], []
        features = detector.describer.describe_all(tests, self.run)
        for video, one in zip(tests, features, strict=True):
            raw = values_of(detector.score_features(one, video.name))
            scores = concatenate(smooth([raw], detector.half_life))
            values.append(scores.value)
            odd.append(self.truth(video)[scores.frame])
        found = auc(np.concatenate(odd), np.concatenate(values))
        assert found is not None
        return found


def main() -> None:
    words = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    words.add_argument("--seeds", type=int, nargs="+", default=[100, 101, 102])
    words.add_argument("--kinds", nargs="+", default=["runner+car", "car+cyclist", "scatter"])
    asked = words.parse_args()
    rows: list[dict[str, Any]] = []
    for seed in asked.seeds:
        street = filmed(seed, asked.kinds)
        for kind in (NOTHING, *asked.kinds):
            rows.append({"seed": seed, "with": kind, **measured(street, kind)})
            print(rows[-1], flush=True)
        if any(row["with"] != NOTHING for row in rows):
            by_name = {f"{row['seed']} with {row['with']}": row for row in rows}
            write("contamination", {"margin": MARGIN, **summed(rows), "streets": by_name})
    print(summed(rows))


def filmed(seed: int, kinds: Sequence[str]) -> Street:
    """The films, made once."""
    folder = FILMS / f"contamination-{seed}"
    if not (folder / "scene.json").is_file():
        simulate(folder, seed=seed, train=NORMAL, test=4, seconds=FRAMES / FPS, fps=FPS, size=SIZE)
    for kind in sorted(set("+".join(kinds).split("+"))):
        told = folder / f"{kind}.json"
        if not told.is_file():
            shot = Shot(seed, 2 * FIRST_TEST, FRAMES, FPS, SIZE, (kind,))
            seen = list(write_shot(folder / "odd" / f"{kind}.mp4", shot))
            odd = [index for index, one in enumerate(seen) if one.kind]
            told.write_text(json.dumps(odd))
    street = Street(folder, Run(folder / "described", threads=1))
    grid = FlowGrid().choose_grid(street.videos("train"), street.run)
    return replace(street, grid=grid)


def measured(street: Street, kind: str) -> dict[str, Any]:
    """Micro AUC learned as it is, with what is far out set aside, and without what is truly odd."""
    videos = street.videos("train")
    odd: dict[str, list[float]] = {}
    if kind != NOTHING:
        odd = {one: street.odd_seconds(one) for one in kind.split("+")}
    for k, one in enumerate(odd):
        videos[-1 - k] = video_of(street.folder / "odd" / f"{one}.mp4")
    detector = FlowGrid()
    detector.held_grid = street.grid
    held_out = fit_and_cross_validate(detector, videos, street.run)
    aside = find_unusual(held_out.scores)
    truly = [
        SetAside(name, at[0] - 0.3, at[-1] + 0.4, at[0], 0.0, len(at)) for name, at in odd.items()
    ]
    right = [one for one in aside if overlaps(one, truly)]
    all_far = find_unusual(held_out.scores, margin=0.5)
    normal_far = [one.how_far for one in all_far if not overlaps(one, truly)]
    as_it_is = street.auc_of(detector)
    return {
        "odd_frames": sum(map(len, odd.values())),
        "farthest_normal": round(max(normal_far, default=0.0), 2),
        "farthest_odd": [farthest(all_far, one) for one in truly],
        "set_aside": [f"{one}, {one.how_far:.2f}" for one in aside],
        "stretches": len(truly),
        "stretches_set_aside": len(right),
        "normal_set_aside": len(aside) - len(right),
        "as_it_is": as_it_is,
        "set_aside_auc": learned_without(street, detector, videos, aside, as_it_is),
        "truth_auc": learned_without(street, detector, videos, truly, as_it_is),
    }


def overlaps(one: SetAside, truly: Sequence[SetAside]) -> bool:
    return any(
        one.video == other.video and one.start < other.end and other.start < one.end
        for other in truly
    )


def farthest(found: Sequence[SetAside], truly: SetAside) -> float:
    return round(max((one.how_far for one in found if overlaps(one, [truly])), default=0.0), 2)


def learned_without(
    street: Street,
    detector: FlowGrid,
    videos: Sequence[Video],
    aside: Sequence[SetAside],
    as_it_is: float,
) -> float:
    """Micro AUC learned again without some stretches."""
    if not aside:
        return as_it_is
    parts = []
    for segment in segments_of(videos):
        parts += parts_without(segment, aside)
    detector.fit_part(parts, street.run)
    return street.auc_of(detector)


def summed(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Points of micro AUC lost, in the mean over streets and kinds."""
    normal = [row for row in rows if row["with"] == NOTHING]
    spoilt = [row for row in rows if row["with"] != NOTHING]
    return {
        "normal_lost_by_setting_aside": lost(normal, "as_it_is", "set_aside_auc"),
        "spoilt_lost_as_it_is": lost(spoilt, "truth_auc", "as_it_is"),
        "spoilt_lost_with_setting_aside": lost(spoilt, "truth_auc", "set_aside_auc"),
        "stretches": sum(row["stretches"] for row in spoilt),
        "stretches_set_aside": sum(row["stretches_set_aside"] for row in spoilt),
        "normal_set_aside": sum(row["normal_set_aside"] for row in rows),
    }


def lost(rows: Sequence[dict[str, Any]], best: str, other: str) -> dict[str, float]:
    """Points (hundredths) between two AUC: mean and most."""
    points = [100 * (row[best] - row[other]) for row in rows]
    return {"mean": round(float(np.mean(points)), 2), "most": round(max(points), 2)}


if __name__ == "__main__":
    main()
