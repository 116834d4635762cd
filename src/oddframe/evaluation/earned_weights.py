"""How much each of several runs counts when they are fused: earned on the scene's own normal video
into which faults are put (`synthetic/tamper.py`), never on a label.

A run's AUC says how well its scores tell frames with a fault from frames without: from the held-out
normal scores of its calibration, whose detectors had not seen the video, and from the untouched
beginning of the very clips that were tampered with; the lower of the two counts. So neither
remembering a training video nor the making of a clip earns anything. The weight is 2 AUC − 1: 1
for a run that finds all, 0 for one that is no better than chance. T frames of H × W pixels.
"""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path

import cv2
import numpy as np

from oddframe import __version__
from oddframe.cache import key
from oddframe.errors import OddframeError
from oddframe.evaluation.metrics import auc
from oddframe.progress import logger, progress
from oddframe.run import Arrays, Run, user_cache
from oddframe.scoring.pipeline import concatenate, score_video, values_of
from oddframe.scoring.run_folder import FittedDetector
from oddframe.scoring.score_store import fingerprint
from oddframe.synthetic.tamper import TAMPERINGS, tamper
from oddframe.types import Bools, Bytes, ClipSpec, Floats, IgnoredArea, Scores, Video
from oddframe.video.ignored import joined, touched_pixels
from oddframe.video.reader import content_hash, content_of, facts_of, read, times_of, video_of

CLIPS = 12  # that are tampered with, in turn by each kind of fault
SECONDS = 8.0  # of a clip
FEWEST_FRAMES, MOST_FRAMES = 60, 240  # of a clip, whatever its rate
WIDTH = 640  # pixels of wider video
ATTEMPTS = 3  # at a clip in which a fault can be put


@dataclass(frozen=True)
class TamperedClip:
    """Normal video with one fault."""

    frames: Bytes  # (T, H, W, 3)
    odd: Bools  # (T,) True where the fault is seen
    fps: float


@dataclass(frozen=True)
class Earned:
    """What runs have earned, in their order."""

    aucs: tuple[float, ...]
    weights: tuple[float, ...]  # 0 for a run that is no better than chance
    clips: int


class CannotTell(Exception):
    """Why weights cannot be told, in words."""


def earn_weights(runs: Sequence[FittedDetector]) -> Earned | str:
    """What each run earns on normal video with faults; or, in words, why that cannot be told.

    It is kept in the user's cache for the next time: it depends on runs and normal video alone.
    """
    videos = normal_videos(runs)
    if not videos:
        return "the normal video that the runs learned from is no longer where it was"
    depends_on = [__version__, CLIPS, [content_of(video) for video in videos]]
    for run in runs:
        depends_on += [fingerprint(run), run.ignored]

    def measured() -> Arrays:
        aucs, clips = measured_aucs(runs, videos)
        return {"aucs": np.array(aucs), "clips": np.array(clips)}

    try:
        kept = Run(user_cache()).remember(f"fused-{key(depends_on)}", measured)
    except CannotTell as why:
        return str(why)
    aucs = tuple(float(area_under) for area_under in kept["aucs"])
    weights = tuple(max(0.0, round(2 * area_under - 1, 4)) for area_under in aucs)
    if not any(weights):
        return "no run tells normal video with faults from normal video"
    return Earned(aucs, weights, int(kept["clips"]))


def measured_aucs(
    runs: Sequence[FittedDetector], videos: Sequence[Video]
) -> tuple[list[float], int]:
    """The AUC of each run on clips of these videos with faults, and how many clips there are.
    Raises CannotTell.
    """
    area = reduce(joined, [run.ignored for run in runs])
    odd: list[list[Floats]] = [[] for _ in runs]
    untouched: list[list[Floats]] = [[] for _ in runs]
    count = 0
    with progress("weighing runs on tampered normal video", CLIPS, "clips") as tick:
        for clip in tampered_clips(videos, area):
            count += 1
            try:
                found = [score_clip(run, clip) for run in runs]
            except OddframeError as error:
                raise CannotTell(f"normal video with faults is not scored: {error}") from error
            for k, (with_fault, without) in enumerate(found):
                odd[k].append(with_fault)
                untouched[k].append(without)
            tick()
    if not count:
        raise CannotTell("nothing moves in the normal video that faults could be made of")
    aucs = []
    for run, faults, before in zip(runs, odd, untouched, strict=True):
        area_under = auc_of_run(run, np.concatenate(faults), np.concatenate(before))
        if area_under is None:
            raise CannotTell(f"{run.detector.name} scores none of the frames with a fault")
        aucs.append(area_under)
    return aucs, count


def auc_of_run(run: FittedDetector, odd: Floats, untouched: Floats) -> float | None:
    """The lower of two AUCs of frames with a fault: against the calibration's normal scores, and
    against untouched frames of the same clips. None where no frame with a fault was scored.
    """
    if not len(odd):
        return None
    areas = []
    for normal in (run.calibration.ascending, untouched):
        if len(normal):
            # as the calibration keeps them: equal ones must stay equal
            values = np.concatenate([odd, normal]).astype(np.float32)
            is_odd = np.arange(len(values)) < len(odd)
            areas.append(auc(is_odd, values.astype(np.float64)))
    known = [area for area in areas if area is not None]
    return min(known)


def normal_videos(runs: Sequence[FittedDetector]) -> list[Video]:
    """Videos that the runs learned from and that are still there unchanged, at their grey levels
    and rate.
    """
    found: dict[str, Video] = {}
    for run in runs:
        for entry in run.facts["trained_on"]:
            if entry["hash"] in found or not isinstance(entry.get("source"), str):
                continue
            source = Path(entry["source"])
            try:
                if content_hash(source) != entry["hash"]:
                    continue
                found[entry["hash"]] = run.as_learned(video_of(source))
            except (OddframeError, OSError):
                continue
    return [replace(video, ignored=None) for video in found.values()]


def tampered_clips(videos: Sequence[Video], area: IgnoredArea | None) -> Iterator[TamperedClip]:
    """Clips of all videos in turn, each with a fault of another kind; where no fault can be made of
    what moves in one, another place of that video is tried.
    """
    for number in range(CLIPS):
        video = videos[number % len(videos)]
        kind = TAMPERINGS[number % len(TAMPERINGS)]
        for attempt in range(ATTEMPTS):
            random = np.random.default_rng([number, attempt])
            try:
                made = tampered_clip(video, kind, random, area)
            except OddframeError as error:
                logger.debug(f"no clip of {video.name}: {error}")
                break
            if made is not None:
                yield made
                break


def tampered_clip(
    video: Video, kind: str, random: np.random.Generator, area: IgnoredArea | None
) -> TamperedClip | None:
    """A part of a video, at a place drawn at random, with one fault; None where nothing moves in
    it, or the fault lies where nothing is looked at.
    """
    times = times_of(video)
    facts = facts_of(video)
    wanted = int(np.clip(SECONDS * facts.fps, FEWEST_FRAMES, MOST_FRAMES))
    first = int(random.integers(max(1, len(times) - wanted + 1)))
    last = min(first + wanted, len(times)) - 1
    part = replace(video, span=(float(times[first]), float(times[last]) + 1e-6))
    size = min(WIDTH, facts.width)
    frames = np.stack([frame.pixels for frame in read(part, ClipSpec(size=size))])
    luma = np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames])
    made = tamper(luma, kind, random, fps=float(np.clip(facts.fps, 1, 60)))
    if made is None:
        return None
    looked_at = np.ones(luma.shape[1:], bool)
    if area is not None:
        height, width = luma.shape[1:]
        looked_at = ~touched_pixels(area, (height, width))
    odd = np.asarray((made.mask & looked_at).any(axis=(1, 2)))
    if not odd.any():
        return None
    # in colour: what is brighter or darker in grey is so in all colours
    change = made.frames.astype(np.int16) - luma
    coloured = np.clip(frames + change[..., None], 0, 255).astype(np.uint8)
    return TamperedClip(coloured, odd, facts.fps)


def score_clip(run: FittedDetector, clip: TamperedClip) -> tuple[Floats, Floats]:
    """Smoothed scores of a clip's frames with the fault, and of those before it. Raises
    OddframeError.
    """
    with tempfile.TemporaryDirectory(prefix="oddframe-") as folder:
        for index, frame in enumerate(clip.frames):
            name = str(Path(folder) / f"{index:05d}.png")
            cv2.imwrite(name, frame[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])
        video = run.as_learned(Video("normal video with a fault", Path(folder), fps=clip.fps))
        scores = values_only(run, video)
    odd = clip.odd[scores.frame]
    rate = run.detector.spec.fps or clip.fps
    margin = run.lookahead / min(rate, clip.fps)  # seconds that a score reads ahead
    begins = float(np.flatnonzero(clip.odd)[0]) / clip.fps - margin
    return scores.value[odd], scores.value[scores.seconds < begins - 1e-6]


def values_only(run: FittedDetector, video: Video) -> Scores:
    """Smoothed scores of a video without maps."""
    batches = score_video(run.detector, video)
    return concatenate(map(values_of, batches), video.name)
