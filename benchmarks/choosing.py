"""How FlowGrid's options were chosen: by anomalies simulated in normal video. No test label is read.

    python benchmarks/choosing.py --ped2 DATA/ucsd --street 100 101 102

Two sources. Ped2's *training* clips, in four folds: anomalies of `video/tamper.py` are put into the clips left out.
Streets of our own, with seeds that no other benchmark uses. Each line is an option set; each number an AUC (%),
anomalous frames of one kind against all normal ones, for several weights of the running mean.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from oddframe.datasets.base import open_data
from oddframe.evaluation.metrics import auc
from oddframe.methods.flowgrid import FlowGrid
from oddframe.methods.flowgrid.features import MotionFeatures
from oddframe.run import Run
from oddframe.scoring.smoothing import smooth
from oddframe.synthetic.simulate import simulate
from oddframe.synthetic.tamper import TAMPERINGS, tamper
from oddframe.types import ClipSpec, Frame, Video
from oddframe.video.clips import clips_of
from oddframe.video.motion import choose_grid
from oddframe.video.reader import read, times_of

FOLDS = 4
SMOOTHINGS = (0.0, 0.3, 0.5, 0.6, 0.7, 0.8)
SETS: dict[str, dict[str, Any]] = {
    "default": {},
    "bank 3000": {"bank": 3000},
    "rare share 1/3": {"rare_share": 1 / 3},
    "rare share 1/6": {"rare_share": 1 / 6},
    "1 neighbour": {"neighbours": 1},
    "no row": {"row_weight": 0.0},
    "row 2": {"row_weight": 2.0},
    "row 10": {"row_weight": 10.0},
    "no dwell": {"dwell_seconds": 0.0},
    "dwell 15 s": {"dwell_seconds": 15.0},
    "frame step 1": {"frame_step": 1},
    "windows ×0.75": {"windows": 0.75},
    "windows ×1.3": {"windows": 1.3},
    "flow fast": {"flow": "fast"},
}


@dataclass(frozen=True)
class Case:
    """Something to be judged: its frames, which are odd, and how."""

    fold: int
    source: Video | list[Frame]
    odd: Any  # (T,) bool
    kind: str


def main() -> None:
    words = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    words.add_argument("--ped2", type=Path, help="folder that holds UCSDped2")
    words.add_argument(
        "--street", type=int, nargs="*", default=[100, 101], help="seeds of simulated streets"
    )
    words.add_argument(
        "--keep", type=Path, help="folder for the streets, so that they are filmed once"
    )
    words.add_argument("--only", nargs="*", help="option sets to run")
    words.add_argument("--out", type=Path)
    asked = words.parse_args()
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        sources = [("ped2-train", *ped2_cases(asked.ped2))] if asked.ped2 else []
        for seed in asked.street:
            sources.append(
                (f"street-{seed}", *street_cases((asked.keep or Path(folder)) / str(seed), seed))
            )
        for name, options in SETS.items():
            if asked.only and name not in asked.only:
                continue
            results[name] = {
                source: measured(options, train, cases) for source, train, cases in sources
            }
            means = {
                w: np.mean([r[w]["mean"] for r in results[name].values()])
                for w in map(str, SMOOTHINGS)
            }
            each = " ".join(f"{s} {r['0.5']['mean']:.2f}" for s, r in results[name].items())
            print(
                f"{name:16}",
                " ".join(f"{w}:{m:.2f}" for w, m in means.items()),
                "|",
                each,
                flush=True,
            )
    if asked.out:
        asked.out.write_text(json.dumps(results, indent=1))


def ped2_cases(root: Path) -> tuple[list[Video], list[Case]]:
    """Ped2's training clips, and each second one with each kind of anomaly."""
    train = open_data("ped2", root)[1].train
    spec = ClipSpec(length=1, size=360, colour="grey")
    random, cases = np.random.default_rng(0), []
    for k, video in enumerate(train):
        frames = list(read(video, spec))
        cases.append(Case(k // FOLDS % FOLDS, frames, np.zeros(len(frames), bool), ""))
        if k % 4:  # one clip of each fold but in turn: enough, and four times quicker
            continue
        film = np.stack([frame.pixels[..., 0] for frame in frames])
        for kind in TAMPERINGS:
            changed = tamper(film, kind, random)
            if changed is not None:
                odd = [
                    replace(f, pixels=p[..., None])
                    for f, p in zip(frames, changed.frames, strict=True)
                ]
                cases.append(Case(k // FOLDS % FOLDS, odd, changed.mask.any((1, 2)), kind))
    return train, cases


def street_cases(folder: Path, seed: int) -> tuple[list[Video], list[Case]]:
    """A street's own test videos; its training videos are one fold that is never left out."""
    if not (folder / "scene.json").is_file():
        simulate(folder, seed=seed, train=4, test=4, seconds=40)
    split = open_data("simulated", folder)[1]
    cases = []
    for video in split.test:
        truth = video.truth(len(times_of(video))) if video.truth else None
        assert truth is not None
        assert truth.kind is not None
        for kind in sorted({kind for kind in truth.kind if kind} | {""}):
            odd = truth.kind == kind if kind else truth.frame
            cases.append(
                Case(-1, video, np.where(odd, 1, np.where(truth.frame, -1, 0)), kind or "any")
            )
    return split.train, cases


def measured(
    options: dict[str, Any], train: Sequence[Video], cases: Sequence[Case]
) -> dict[str, Any]:
    """AUC (%) by kind for each smoothing."""
    if scale := options.get("windows"):
        small, large = choose_grid(train, size=360, fps=10).windows
        options = options | {"windows": (int(scale * small) // 2 * 2, int(scale * large) // 2 * 2)}
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder))
        base = FlowGrid(**options)
        base.grid = base.choose_grid(train, run)
        described, cached = all_described(base, train, cases, run)
        values: dict[str, dict[str, tuple[list[Any], list[Any]]]] = {str(w): {} for w in SMOOTHINGS}
        for fold in sorted({case.fold for case in cases}):
            student = FlowGrid(**options)
            student.grid = base.grid
            kept = [d for k, d in enumerate(described) if k // FOLDS % FOLDS != fold]
            student.learn(kept, [v for k, v in enumerate(train) if k // FOLDS % FOLDS != fold], run)
            judged = {key: student.score_features(one, "") for key, one in cached.items()}
            for case in cases:
                if case.fold == fold:
                    for weight in SMOOTHINGS:
                        bare = replace(judged[id(case.source)], map=None)
                        scores = next(iter(smooth([bare], half_life_of(weight))))
                        odd = np.asarray(case.odd)[scores.frame]
                        into = values[str(weight)].setdefault(case.kind, ([], []))
                        into[0].append(scores.value)
                        into[1].append(odd)
    return {weight: by_kind(kinds) for weight, kinds in values.items()}


def half_life_of(weight: float) -> float:
    """Seconds after which the past counts half, where it counts `weight` after a tenth of one.

    >>> half_life_of(0.5), half_life_of(0.0)
    (0.1, 0.0)
    """
    return float(0.1 / np.log2(1 / weight)) if weight else 0.0


def by_kind(kinds: dict[str, tuple[list[Any], list[Any]]]) -> dict[str, float]:
    """Each kind's odd frames against the normal ones of all."""
    normal = np.concatenate(
        [v[o == 0] for values, odds in kinds.values() for v, o in zip(values, odds, strict=True)]
    )
    found = {}
    for kind, (values, odds) in kinds.items():
        odd = np.concatenate([v[o == 1] for v, o in zip(values, odds, strict=True)])
        if kind and len(odd):
            area = auc(
                np.r_[np.ones(len(odd), bool), np.zeros(len(normal), bool)], np.r_[odd, normal]
            )
            found[kind] = 100 * (area or 0)
    found["mean"] = float(np.mean([value for kind, value in found.items() if kind != "any"]))
    return found


MEMORY: dict[
    Any, tuple[list[MotionFeatures], dict[int, MotionFeatures]]
] = {}  # by source, look and flow: judging is cheap


def all_described(
    base: FlowGrid, train: Sequence[Video], cases: Sequence[Case], run: Run
) -> tuple[list[MotionFeatures], dict[int, MotionFeatures]]:
    """The training videos and everything to be judged, described once for all option sets that see the same."""
    key = (id(cases), base.grid, base.flow)
    if key not in MEMORY:
        unique = {id(case.source): case.source for case in cases}
        with ThreadPoolExecutor(2) as pool:
            found = pool.map(lambda source: described_of(base, source), unique.values())
            MEMORY[key] = (
                base.describer.describe_all(train, run),
                dict(zip(unique, found, strict=True)),
            )
    return MEMORY[key]


def described_of(base: FlowGrid, source: Video | list[Frame]) -> MotionFeatures:
    spec = replace(base.spec, length=2)
    frames: Iterator[Frame] = (
        read(source, spec, threads=1) if isinstance(source, Video) else iter(source)
    )
    return MotionFeatures(**base.describer.describe_clips(clips_of(frames, spec, "")))


if __name__ == "__main__":
    main()
