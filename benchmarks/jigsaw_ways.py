"""How strangeness of puzzles best becomes a score: ways, tried on anomalies made in normal video.

    python benchmarks/jigsaw_ways.py RUN --root DATA/ucsd [--rounds 2] [--every 3]

The networks of a run are taken as they are, and each way changes one thing of what is made of their strangeness. Films
are those of training that the fit kept for its threshold, with anomalies made by `oddframe.video.tamper`; their AUC is
what options are chosen by. `moving` is the mean AUC of the kinds but the frozen box: what stands still is no puzzle in
time, by the rule of the paper. `test` is the honest AUC of every so many frames of the test videos. It is there to be
looked at afterwards, and chooses nothing.
"""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jigsaw import marked_again, running, taught
from machine import write
from oddframe.datasets.contract import open_data
from oddframe.learning import alike
from oddframe.methods.jigsaw import Jigsaw, channels_first
from oddframe.scores.fitted import load_run
from oddframe.scores.judged import held
from oddframe.scores.metrics import auc
from oddframe.types import Bools, Bytes, Floats, Ints, Video
from oddframe.video.cubes import Cubes
from oddframe.video.reader import read
from oddframe.video.tamper import KINDS, tamper

Looked = dict[bool, list[tuple[Floats, Floats, Ints]]]  # by whether the worst piece counts


@dataclass(frozen=True)
class Way:
    """One thing that is done otherwise; None is as the method does it."""

    heads: tuple[str, ...] | None = None  # only these
    worst: bool | None = None  # a puzzle is as strange as its worst piece, else as their mean
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
    "the worst piece": Way(worst=True),
    "less than 0.01 nats is none": Way(faint=0.01),
    "beside the nearest 1 %": Way(near=0.01),
    "beside the nearest 16 %": Way(near=0.16),
    "one network": Way(networks=1),
    "three networks": Way(networks=3),
    "smoothing 0.5": Way(smoothing=0.5),
    "smoothing 0.9": Way(smoothing=0.9),
}


class Film(NamedTuple):
    """What all networks said of the things of a film, and which of its frames are odd."""

    kind: str
    frame: Ints  # (F,) which frames were looked at
    things: Ints  # (F,) in each
    strange: dict[bool, Floats]  # (n, networks, heads) logarithms, by whether the worst piece counts
    spot: Floats  # (n, 4)
    odd: Bools  # (T,) of all frames


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("run", type=Path)
    words.add_argument("--root", type=Path)
    words.add_argument("--rounds", type=int, default=2, help="of all kinds of anomaly, for each film")
    words.add_argument("--every", type=int, default=3, help="judge each of so many test frames")
    words.add_argument("--out", default="jigsaw-ways")
    asked = words.parse_args()
    detector = load_run(asked.run).detector
    assert isinstance(detector, Jigsaw)
    split = open_data("ped2", asked.root)[1]
    marked = marked_again(detector, taught(split.train))
    cache = Cubes(marked, detector.spec, side=detector.side).cache
    looked = {
        worst: [detector._look_at_normal(net, marked, cache) for net in detector.nets] for worst in judges(detector)
    }
    kept = [video for video in split.train if video not in taught(split.train)]
    films = [film for video in kept for film in made(detector, video, asked.rounds)]
    tests = [tested(detector, video, asked.every) for video in split.test]
    result = {}
    for name, way in WAYS.items():
        if (way.networks or 0) >= detector.networks or not {*(way.heads or ())} <= {*detector.weights}:
            continue
        result[name] = asdict(way) | measured(detector, looked, films, tests, way)
        print(name, result[name], flush=True)
    write(asked.out, {"run": asked.run.name, "films": len(films), "ways": result})


def made(detector: Jigsaw, video: Video, rounds: int) -> Iterator[Film]:
    """Copies of a film, each with one anomaly."""
    random = np.random.default_rng(0)
    frames = np.stack([frame.pixels[..., 0] for frame in read(video, detector.spec)])
    for kind in KINDS * rounds:
        if (film := tamper(frames, kind, random)) is not None:
            yield seen(detector, film.frames[..., None], video.name, kind, np.asarray(film.mask.any((1, 2))))


def tested(detector: Jigsaw, video: Video, every: int) -> Film:
    frames = np.stack([frame.pixels for frame in read(video, detector.spec)])
    assert video.truth is not None
    return seen(detector, frames, video.name, "test", video.truth(len(frames)).frame, every)


def seen(detector: Jigsaw, frames: Bytes, name: str, kind: str, odd: Bools, every: int = 1) -> Film:
    """What all networks say of the things in frames (T, H, W, C)."""
    reach = detector.frames // 2
    at = np.arange(reach, len(frames) - reach, every)
    cut = [detector._cut(frames[t - reach : t + reach + 1], name, int(t)) for t in at]
    boxes, cubes = (np.concatenate([pair[part] for pair in cut]) for part in (0, 1))
    strange = {
        worst: np.stack([detector._strange(net, channels_first(cubes)) for net in detector.nets], 1)
        for worst in judges(detector)
    }
    return Film(
        kind,
        at,
        np.array([len(pair[0]) for pair in cut]),
        strange,
        alike.spots(boxes, frames.shape[1:3]),
        odd,
    )


def judges(detector: Jigsaw) -> Iterator[bool]:
    """The detector judges puzzles by the mean of their pieces, then by the worst, then as it did."""
    task = detector.task
    for worst in (False, True):
        detector.task = replace(task, worst=worst)
        yield worst
    detector.task = task


def measured(detector: Jigsaw, looked: Looked, films: list[Film], tests: list[Film], way: Way) -> dict[str, Any]:
    """AUC of the made films together and by kind, and of the test."""
    with done(way):
        normal = looked[worst_of(detector, way)][: way.networks]
        detector._learn_scale([(place, again(detector, told, way), clip) for place, told, clip in normal])
        value = [judged(detector, film, way) for film in films]
        test = [judged(detector, film, way) for film in tests]
    kinds = {
        kind: auc(*(np.concatenate(part) for part in zip(*of_kind(films, value, kind), strict=True))) for kind in KINDS
    }
    told = {
        "made": auc(np.concatenate([film.odd for film in films]), np.concatenate(value)),
        "moving": float(np.mean([number for kind, number in kinds.items() if kind != "frozen-box" and number])),
        **kinds,
        "test": auc(np.concatenate([film.odd for film in tests]), np.concatenate(test)),
    }
    return {name: None if number is None else round(number, 4) for name, number in told.items()}


def of_kind(films: list[Film], value: list[Floats], kind: str) -> list[tuple[Bools, Floats]]:
    return [(film.odd, mine) for film, mine in zip(films, value, strict=True) if film.kind == kind]


def judged(detector: Jigsaw, film: Film, way: Way) -> Floats:
    """(T,) the smoothed score of every frame."""
    strange = again(detector, film.strange[worst_of(detector, way)][:, : way.networks], way).mean(1)
    known, place = detector.known.numpy(), detector.place.numpy()
    above = alike.beyond(strange, film.spot, known, place) / detector.usual.numpy()
    ends = np.cumsum(film.things)
    peaks = [above[end - n : end].max(0, initial=0).mean() for n, end in zip(film.things, ends, strict=True)]
    smoothing = detector.smoothing if way.smoothing is None else way.smoothing
    return running(np.array(peaks)[held(film.frame, len(film.odd))], smoothing)


def worst_of(detector: Jigsaw, way: Way) -> bool:
    return detector.task.worst if way.worst is None else way.worst


def again(detector: Jigsaw, logarithms: Floats, way: Way) -> Floats:
    """The logarithms (..., heads) of the heads asked for, as they were with another least strangeness."""
    heads = list(detector.weights)
    logarithms = logarithms[..., [heads.index(name) for name in way.heads or heads]]
    return logarithms if way.faint is None else np.log(np.exp(logarithms) - alike.FAINT + way.faint)


@contextmanager
def done(way: Way) -> Iterator[None]:
    was = alike.NEAR
    alike.NEAR = was if way.near is None else way.near
    try:
        yield
    finally:
        alike.NEAR = was


if __name__ == "__main__":
    main()
