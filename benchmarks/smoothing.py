"""How long a score is best remembered: AUC by the half-life, on simulated streets kept for choosing.

    oddframe simulate STREET --seed 100
    oddframe fit METHOD STREET --out RUN
    python benchmarks/smoothing.py RUN=STREET [RUN=STREET ...] [--out NAME]

Frame AUC, honest, of the run's raw scores of the street's test videos after a causal running mean; the mean over the
streets is last. Streets with seeds from 100 on are for choosing (`street.py`); no real test video is looked at.
"""

import argparse
from pathlib import Path

import numpy as np

from machine import write
from oddframe.datasets.base import open_data
from oddframe.detector import Detector
from oddframe.evaluation.evaluated_video import last_scored
from oddframe.evaluation.metrics import auc
from oddframe.scoring.pipeline import concatenate, score_video
from oddframe.scoring.run_folder import load_run
from oddframe.scoring.smoothing import smooth
from oddframe.types import Bools, Floats, Scores, Video
from oddframe.video.reader import facts_of

HALF_LIVES = (0.0, 0.1, 0.2, 0.3, 0.7, 1.4, 3.4)  # seconds


def main() -> None:
    words = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    words.add_argument("pairs", nargs="+", metavar="RUN=STREET")
    words.add_argument("--out", default="smoothing")
    asked = words.parse_args()
    found = {}
    for pair in asked.pairs:
        run, _, street = pair.partition("=")
        detector = load_run(Path(run)).detector
        seen = [scored(detector, video) for video in open_data(street, None)[1].test]
        odd = np.concatenate([truth for truth, _ in seen])
        found[Path(street).name] = {
            str(seconds): told(odd, [smoothed(*one, seconds) for one in seen])
            for seconds in HALF_LIVES
        }
        print(Path(street).name, found[Path(street).name], flush=True)
    means = {
        seconds: round(float(np.mean([row[seconds] for row in found.values()])), 4)
        for seconds in map(str, HALF_LIVES)
    }
    print("mean", means)
    write(asked.out, {"method": detector.name, "streets": found, "mean": means})


def scored(detector: Detector, video: Video) -> tuple[Bools, Scores]:
    """Which of the frames of a video are odd, and its scores before smoothing."""
    assert video.truth is not None
    odd = video.truth(facts_of(video).frames).frame
    return odd, concatenate(score_video(detector, video, half_life=0.0))


def smoothed(odd: Bools, raw: Scores, half_life: float) -> Floats:
    """(T,) the score of every frame."""
    return np.asarray(concatenate(smooth([raw], half_life)).value)[last_scored(raw.frame, len(odd))]


def told(odd: Bools, values: list[Floats]) -> float:
    """AUC over all videos of a street, which has odd frames and normal ones."""
    found = auc(odd, np.concatenate(values))
    assert found is not None
    return round(found, 4)


if __name__ == "__main__":
    main()
