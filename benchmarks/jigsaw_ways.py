"""How strangeness of puzzles best becomes a score: ways, tried on anomalies made in normal video.

    python benchmarks/jigsaw_ways.py RUN --root DATA/ucsd [--rounds 2] [--every 3]

The networks of a run are taken as they are, and each way changes one thing of what is made of their strangeness.
Anomalies are made by `oddframe.synthetic.tamper` in two kinds of normal film: in those of training that the fit kept
for its threshold (`made`), which all networks judge; and in those that one network was not taught (`held`), which it
judges alone, beside what it was taught. By the mean of both (`chosen by`) options are chosen. `test` is the honest AUC
of every so many frames of the test videos. It is there to be looked at afterwards, and chooses nothing.

`edge` tells, of the normal films of both kinds, in which share of the frames the strangest thing of a head is cut off
by the picture's edge, beside the share of such things.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor, nn

from jigsaw import boxed_again, running, taught, weight_of
from machine import write
from oddframe.datasets.base import open_data
from oddframe.evaluation.evaluated_video import last_scored
from oddframe.evaluation.metrics import auc
from oddframe.methods.jigsaw import Jigsaw, local_zscore
from oddframe.methods.jigsaw.cubes import split_cubes
from oddframe.methods.jigsaw.detector import NormalScores
from oddframe.methods.jigsaw.ensemble import ENSEMBLE_FOLDS
from oddframe.methods.jigsaw.proposals import touches_edge
from oddframe.methods.jigsaw.puzzles import (
    EPSILON,
    PuzzleScorer,
    UnshuffledTask,
    excess_nll,
    is_temporal,
    nll,
    unit_range,
)
from oddframe.methods.jigsaw.shuffling import temporal_change, with_border
from oddframe.scoring.run_folder import load_run
from oddframe.synthetic.tamper import TAMPERINGS, tamper
from oddframe.types import Bools, Bytes, Floats, Ints, Video
from oddframe.video.reader import read

Looked = list[
    NormalScores
]  # network by network; scores have a column for each judge and head, and the edge


@dataclass(frozen=True)
class Way:
    """One thing that is done otherwise; None is as the method does it."""

    heads: tuple[str, ...] | None = None  # only these
    judge: str = "method"  # what is made of the answers to a puzzle
    edge: bool = False  # what the picture's edge cuts off has a pace as well
    faint: float | None = None  # nats
    near: float | None = None  # share of the normal things
    networks: int | None = None  # only so many
    smoothing: float | None = None


WAYS = {
    "the method": Way(),
    "without pace": Way(heads=("temporal", "spatial")),
    "temporal alone": Way(heads=("temporal",)),
    "spatial alone": Way(heads=("spatial",)),
    "pace alone": Way(heads=("pace",)),
    "the worst piece": Way(judge="worst"),
    "pace judged as the others": Way(judge="log pace"),
    "the others judged as pace": Way(judge="all surprise"),
    "pace with its first and last piece": Way(judge="ends"),
    "pace at the edge too": Way(edge=True),
    "pace judged as the others, at the edge too": Way(judge="log pace", edge=True),
    "less than 0.01 nats is none": Way(faint=0.01),
    "beside the nearest 1 %": Way(near=0.01),
    "beside the nearest 16 %": Way(near=0.16),
    "one network": Way(networks=1),
    "three networks": Way(networks=3),
    "smoothing 0.5": Way(smoothing=0.5),
    "smoothing 0.8": Way(smoothing=0.8),
    "smoothing 0.9": Way(smoothing=0.9),
}


class LogPace(UnshuffledTask):
    """Pace is scored by its NLL, as the other puzzles are."""

    def nats(self, logits: dict[str, Tensor], cubes: Tensor) -> dict[str, Tensor]:
        rest = {name: rows for name, rows in logits.items() if name != "pace"}
        moves = temporal_change(cubes) >= self.min_motion
        value = nll(logits["pace"], self.reduce) * moves
        return super().nats(rest, cubes) | {"pace": (value + EPSILON).log()}


class AllExcess(UnshuffledTask):
    """All puzzles are scored by their excess NLL."""

    def head_scores(self, net: nn.Module, cubes: Tensor) -> dict[str, Tensor]:
        pixels = with_border(unit_range(cubes))
        moves = temporal_change(pixels) >= self.min_motion
        scores: dict[str, Tensor] = {}
        for name, rows in net(pixels, "").items():
            scores[name] = excess_nll(rows, self.reduce, ends=name != "pace")
            if is_temporal(name):
                scores[name] = scores[name] * moves
        return scores


class Ends(UnshuffledTask):
    """The first and the last piece count for pace, too."""

    def nats(self, logits: dict[str, Tensor], cubes: Tensor) -> dict[str, Tensor]:
        moves = temporal_change(cubes) >= self.min_motion
        value = excess_nll(logits["pace"], self.reduce, ends=True) * moves
        return super().nats(logits, cubes) | {"pace": value}


class Judges(UnshuffledTask):
    """All ways to score a puzzle at once: a column for each judge and head."""

    judges: dict[str, UnshuffledTask]

    def __init__(self, task: UnshuffledTask) -> None:
        given = (task.head_weights, task.clip_length, task.min_motion, task.reduce)
        judges = {
            "method": task,
            "worst": replace(task, reduce="max"),
            "log pace": LogPace(*given),
            "all surprise": AllExcess(*given),
            "ends": Ends(*given),
        }
        object.__setattr__(self, "judges", judges)
        columns = [f"{judge}/{head}" for judge in judges for head in task.head_weights]
        super().__init__(dict.fromkeys(columns, 1.0), *given[1:])

    def head_scores(self, net: nn.Module, cubes: Tensor) -> dict[str, Tensor]:
        logits = net(with_border(unit_range(cubes)), "")
        scores: dict[str, Tensor] = {}
        for judge, task in self.judges.items():
            by_head = task.head_scores(lambda *_: logits, cubes)  # type: ignore[arg-type]
            scores |= {f"{judge}/{head}": values for head, values in by_head.items()}
        return scores


class Film(NamedTuple):
    """What networks said of the things of a film, and which of its frames are odd."""

    kind: str
    frame: Ints  # (F,) which frames were looked at
    things: Ints  # (F,) in each
    strange: Floats  # (n, networks, columns)
    gone: Bools  # (n,) cut off by the picture's edge
    spot: Floats  # (n, 4)
    odd: Bools  # (T,) of all frames
    judge: int | None = None  # the one network that judges it, or all


def main() -> None:
    words = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    words.add_argument("run", type=Path)
    words.add_argument("--root", type=Path)
    words.add_argument(
        "--rounds", type=int, default=2, help="of all kinds of anomaly, for each film"
    )
    words.add_argument("--every", type=int, default=3, help="judge each of so many test frames")
    words.add_argument("--out", default="jigsaw-ways")
    asked = words.parse_args()
    detector = load_run(asked.run).detector
    assert isinstance(detector, Jigsaw)
    assert isinstance(detector.task, UnshuffledTask)
    detector.task = Judges(detector.task)
    # the edge is a column of its own, for the ways with it
    detector.head_scores = partial(with_edge, detector.head_scores)  # type: ignore[method-assign]
    split = open_data("ped2", asked.root)[1]
    learned = taught(split.train)
    boxed, shares = boxed_again(detector, learned), []
    cache = detector.ensemble_training.cubes(boxed, 0).cache
    looked = [detector.score_normal(net, boxed, cache) for net in detector.nets]
    kept = [video for video in split.train if video not in learned]
    films = [film for video in kept for film in made(detector, video, asked.rounds, 0)]
    for k, net in enumerate(detector.nets):
        mine, others = split_cubes(boxed, ENSEMBLE_FOLDS, k)
        shares.append(detector.score_normal(net, mine, cache))
        films += [
            film
            for one in others
            if len(one.place)
            for film in made(detector, one.video, asked.rounds, 1, k)
        ]
        print(f"{len(films)} films", flush=True)
    tests = [tested(detector, video, asked.every) for video in split.test]
    result = {}
    for name, way in WAYS.items():
        if (way.networks or 0) >= detector.ensemble or not {*(way.heads or ())} <= {
            *detector.heads
        }:
            continue
        result[name] = asdict(way) | measured(detector, looked, shares, films, tests, way)
        print(name, result[name], flush=True)
    edge = at_the_edge(detector, looked, shares, films)
    print("edge", edge)
    write(asked.out, {"run": asked.run.name, "films": len(films), "ways": result, "edge": edge})


def with_edge(
    head_scores: Callable[..., Floats], core: nn.Module, cubes: Bytes, cut_off: Bools
) -> Floats:
    """The scores of all judges, of which none is without pace at the edge, and the edge."""
    return np.column_stack([head_scores(core, cubes, np.zeros_like(cut_off)), cut_off])


def made(
    detector: Jigsaw, video: Video, rounds: int, seed: int, judge: int | None = None
) -> Iterator[Film]:
    """The film as it is, and copies, each with one anomaly."""
    random = np.random.default_rng(seed)
    frames = np.stack([frame.pixels[..., 0] for frame in read(video, detector.spec)])
    yield seen(
        detector, frames[..., None], video.name, "normal", np.zeros(len(frames), bool), judge=judge
    )
    for kind in TAMPERINGS * rounds:
        if (film := tamper(frames, kind, random)) is not None:
            odd = np.asarray(film.mask.any((1, 2)))
            yield seen(detector, film.frames[..., None], video.name, kind, odd, judge=judge)


def tested(detector: Jigsaw, video: Video, every: int) -> Film:
    frames = np.stack([frame.pixels for frame in read(video, detector.spec)])
    assert video.truth is not None
    return seen(detector, frames, video.name, "test", video.truth(len(frames)).frame, every)


def seen(
    detector: Jigsaw,
    frames: Bytes,
    name: str,
    kind: str,
    odd: Bools,
    every: int = 1,
    judge: int | None = None,
) -> Film:
    """What networks say of the things in frames (T, H, W, C)."""
    reach = detector.spec.length // 2
    at = np.arange(reach, len(frames) - reach, every)
    cut = [detector.find_and_cut(frames[t - reach : t + reach + 1], name, int(t)) for t in at]
    boxes, cubes = (np.concatenate([pair[part] for pair in cut]) for part in (0, 1))
    nets = detector.nets if judge is None else [detector.nets[judge]]
    shape, cut_off = frames.shape[1:3], np.zeros(len(cubes), bool)
    columns = []
    for net in nets:
        core = PuzzleScorer([net], detector.task)
        columns.append(detector.head_scores(core, cubes, cut_off)[:, :-1])
    return Film(
        kind,
        at,
        np.array([len(pair[0]) for pair in cut]),
        np.stack(columns, 1),
        touches_edge(boxes, shape),
        local_zscore.box_features(boxes, shape),
        odd,
        judge,
    )


def measured(
    detector: Jigsaw, looked: Looked, shares: Looked, films: list[Film], tests: list[Film], way: Way
) -> dict[str, Any]:
    """AUC of the made films together and by kind, and of the test."""
    with done(way):
        value = judged(detector, looked, shares, films, way)
        test = judged(detector, looked, shares, tests, way)

    def of(which: Sequence[bool]) -> float | None:
        """Without the films as they are: the made ones have enough that is normal."""
        chosen = [k for k, good in enumerate(which) if good and films[k].kind != "normal"]
        return auc(
            np.concatenate([films[k].odd for k in chosen]),
            np.concatenate([value[k] for k in chosen]),
        )

    told = {
        "made": of([film.judge is None for film in films]),
        "held": of([film.judge is not None for film in films]),
    }
    told = {
        "chosen by": (told["made"] + told["held"]) / 2 if told["made"] and told["held"] else None,
        **told,
        **{kind: of([film.kind == kind for film in films]) for kind in TAMPERINGS},
        "test": auc(np.concatenate([film.odd for film in tests]), np.concatenate(test)),
    }
    return {name: None if number is None else round(number, 4) for name, number in told.items()}


def judged(
    detector: Jigsaw, looked: Looked, shares: Looked, films: list[Film], way: Way
) -> list[Floats]:
    """The smoothed score of every frame, (T,) of each film."""
    smoothing = weight_of(detector.half_life) if way.smoothing is None else way.smoothing
    found = []
    for film, above in zip(films, excesses(detector, looked, shares, films, way), strict=True):
        ends = np.cumsum(film.things)
        peaks = [
            above[end - n : end].max(0, initial=0).mean()
            for n, end in zip(film.things, ends, strict=True)
        ]
        found.append(running(np.array(peaks)[last_scored(film.frame, len(film.odd))], smoothing))
    return found


def excesses(
    detector: Jigsaw, looked: Looked, shares: Looked, films: list[Film], way: Way
) -> Iterator[Floats]:
    """(n, heads) of the things of each film: beyond normal ones, in units of a high score of normal video."""
    scales: dict[int | None, tuple[Floats, Floats, Floats]] = {}
    for film in films:
        if film.judge not in scales:
            normal = looked[: way.networks] if film.judge is None else [shares[film.judge]]
            told = []
            for one in normal:
                scores = asked(detector, one.scores[:, :-1], one.scores[:, -1] > 0, way)
                told.append(one._replace(scores=scores))
            detector.learn_reference(told)
            scales[film.judge] = (
                detector.reference_scores.numpy(),
                detector.reference_features.numpy(),
                detector.reference_level.numpy(),
            )
        known, place, usual = scales[film.judge]
        nets = [film.strange[:, k] for k in range(film.strange.shape[1])][: way.networks]
        strange = np.mean([asked(detector, said, film.gone, way) for said in nets], axis=0)
        yield local_zscore.local_zscore(strange, film.spot, known, place) / usual


def asked(detector: Jigsaw, columns: Floats, gone: Bools, way: Way) -> Floats:
    """(n, heads) of (n, columns): the heads asked for, by the judge asked for."""
    names = list(detector.task.head_weights)
    heads = way.heads or tuple(detector.heads)
    said = columns[:, [names.index(f"{way.judge}/{head}") for head in heads]].copy()
    for k, head in enumerate(heads):
        if head == "pace" and not way.edge:
            said[gone, k] = 0
        elif head != "pace" and way.faint is not None:
            said[:, k] = np.log(np.exp(said[:, k]) - EPSILON + way.faint)
    return said


def at_the_edge(
    detector: Jigsaw, looked: Looked, shares: Looked, films: list[Film]
) -> dict[str, float]:
    """Of the normal films: the share of things at the edge, and of frames whose strangest thing by a head is one."""
    normal = [film for film in films if film.kind == "normal"]
    heads, first = list(detector.heads), []
    for film, above in zip(
        normal, excesses(detector, looked, shares, normal, Way(edge=True)), strict=True
    ):
        frames = zip(film.things, np.cumsum(film.things), strict=True)
        first += [film.gone[end - n :][above[end - n : end].argmax(0)] for n, end in frames if n]
    shares_of = np.array(first).mean(0)
    told = {
        "things": np.concatenate([film.gone for film in normal]).mean(),
        **dict(zip(heads, shares_of, strict=True)),
    }
    return {name: round(float(number), 3) for name, number in told.items()}


@contextmanager
def done(way: Way) -> Iterator[None]:
    was = local_zscore.NEIGHBOUR_SHARE
    local_zscore.NEIGHBOUR_SHARE = was if way.near is None else way.near
    try:
        yield
    finally:
        local_zscore.NEIGHBOUR_SHARE = was


if __name__ == "__main__":
    main()
