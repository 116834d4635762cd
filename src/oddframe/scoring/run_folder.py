"""A run folder: a fitted detector with its calibration, its threshold and the story of how it came
to be.
"""

import json
import math
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cached_property, partial
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import NoneType
from typing import Any, TypeGuard

import numpy as np

from oddframe import __version__
from oddframe.datasets.discovery import with_rate
from oddframe.detector import Detector
from oddframe.errors import BadInput, BadRun
from oddframe.files import finish_replacing, listing, room, together, write_json
from oddframe.progress import logger
from oddframe.results import Result, to_plain
from oddframe.run import refuse_device
from oddframe.scoring.calibration import Calibration, Threshold
from oddframe.scoring.calibration_file import load_calibration, save_calibration
from oddframe.scoring.events import find_events
from oddframe.scoring.live import LiveScores
from oddframe.scoring.pipeline import concatenate, score_video
from oddframe.scoring.two_sided import LONGEST_LOOKAHEAD, calibrate_again, smooth_both
from oddframe.serialization import STATE, load, read_json, read_words, save
from oddframe.types import Event, Floats, IgnoredArea, Scores, Video
from oddframe.video.ignored import boxes_inside, cells_inside, joined, with_ignored
from oddframe.video.ignored_files import area_of_facts
from oddframe.video.reader import facts_of, video_of

OTHER_RATE = 0.25  # difference of frame rates from which on speeds do not compare
USUAL_RATE = 1.0  # false alarms per hour
UNFINISHED = ("remembered", "checkpoints")  # what a fit that was interrupted goes on from
KEPT = "features"  # the folder of what a run keeps of its videos (`--keep-features`)
STATED_PACKAGES = ("torch", "numpy", "av", "opencv-python-headless", "scipy")
# what run.json says in every run, and of what kind it is
FACTS: Mapping[str, type | tuple[type, ...]] = {
    "command": str,
    "oddframe": str,
    "commit": (str, NoneType),
    "versions": dict,
    "machine": dict,
    "began": str,
    "data": str,
    "seed": int,
    "frame_rate": (int, float),
    "trained_on": list,
    "left_out": list,
    "misfits": list,
    "calibration": dict,
    "learned": dict,
    "seconds": dict,
}
SOME_FACTS: Mapping[str, type] = {"stream": str, "set_aside": list}  # that some runs have
PARTS = (STATE, "detector.json", "calibration.npz")  # of a run, beside run.json


@dataclass(frozen=True)
class FittedDetector(Result):
    """A detector that knows how rare its scores are: `score`, `events`, or `detector` and
    `calibration` apart.
    """

    folder: Path
    detector: Detector
    calibration: Calibration
    threshold: Threshold
    facts: Mapping[str, Any]  # run.json
    # seconds that smoothing looks ahead; the calibration and the threshold are of such scores
    lookahead_seconds: float = 0.0

    def with_lookahead(self, seconds: float) -> "FittedDetector":
        """The same run, whose scores are a mean that also looks so many seconds ahead; for files.

        It is calibrated again, on the run's held-out scores smoothed in the same way; the threshold
        is for the same rate of false alarms. 0 is the run as it was fitted. Raises BadInput for a
        run that cannot be calibrated again.
        """
        if not 0 <= seconds <= LONGEST_LOOKAHEAD:
            raise BadInput(
                f"a lookahead is from 0 to {LONGEST_LOOKAHEAD:g} seconds, got {seconds:g}"
            )
        if seconds == self.lookahead_seconds:
            return self
        if self.lookahead_seconds or not seconds:
            raise BadInput("a lookahead is given once, to a run as it was loaded")
        half_life = self.detector.half_life
        if not half_life:
            raise BadInput(
                f"{self.folder} does not smooth its scores (half-life 0), so there is nothing to "
                "look ahead for; leave --lookahead away"
            )
        try:
            calibration = calibrate_again(self.calibration, half_life, seconds)
        except BadInput as error:
            raise BadInput(f"{self.folder}: {error}") from error
        threshold = calibration.threshold(self.threshold.asked, int(self.facts.get("seed", 0)))
        return replace(
            self, calibration=calibration, threshold=threshold, lookahead_seconds=seconds
        )

    def score(self, video: Video | str | Path, damage: list[str] | None = None) -> Scores:
        """Rarities (−log10 p) of a whole video, smoothed, with maps where the method has them.
        Raises BadVideo.
        """
        if not isinstance(video, Video):
            video = video_of(video)
        video = self.as_learned(video)
        if not self.lookahead_seconds:
            batches = score_video(self.detector, video, damage=damage)
            return self.rare(concatenate(batches, video.name), video.ignored)
        unsmoothed = score_video(self.detector, video, damage=damage, half_life=0.0)
        both = smooth_both(unsmoothed, self.detector.half_life, self.lookahead_seconds)
        smoothed = concatenate((later for _, later in both), video.name)
        return self.rare(smoothed, video.ignored)

    @cached_property
    def ignored(self) -> IgnoredArea | None:
        """Where in its pictures the run looks at nothing."""
        return area_of_facts(self.facts.get("ignored"))

    def stream(self, name: str = "stream", ignored: IgnoredArea | None = None) -> LiveScores:
        """Scores of pictures in memory, given as they come: `push`, and `finish` at the end.

        `name` is what the scores bear; `ignored` is left out besides what the run ignores. What
        `score` says of a film with the same pictures is said here. Raises BadInput for a run learned
        from pictures of more than 8 bits, which are no uint8, and for one with a lookahead.
        """
        if self.lookahead_seconds:
            raise BadInput("a stream cannot look ahead; a lookahead is for files")
        if self.facts.get("levels") is not None:
            raise BadInput(
                f"{self.folder} learned from pictures of more than 8 bits, which are scored from "
                "files alone"
            )
        area = joined(self.ignored, ignored)
        return LiveScores(self.detector, partial(self.rare, ignored=area), name, area)

    def as_learned(self, video: Video) -> Video:
        """The video at the grey levels, and a folder of pictures at the rate, of what was learned
        from; without what the run ignores.

        A rate at which speeds do not compare with those learned is a warning. Raises BadVideo.
        """
        video = with_ignored(video, self.ignored)
        levels = self.facts.get("levels")
        if levels is not None:
            video = replace(video, levels=(float(levels[0]), float(levels[1])))
        learned = self.facts.get("frame_rate")
        if learned is None:  # of a run that does not say
            return video
        facts = facts_of(video)
        if facts.codec == "pictures" and video.fps is None:
            return with_rate(video, float(learned))
        highest = self.detector.spec.fps or math.inf  # faster video is thinned to this rate
        ratio = min(facts.fps, highest) / min(float(learned), highest)
        if abs(ratio - 1) > OTHER_RATE:
            logger.warning(
                f"{video.name}: scored at {facts.fps:g} frames a second, learned at {learned:g}:"
                " speeds do not compare"
            )
        elif facts.codec == "pictures" and abs(facts.fps / float(learned) - 1) > OTHER_RATE:
            logger.warning(  # nothing in pictures themselves says how fast they were taken
                f"{video.name}: said to be {facts.fps:g} pictures a second, learned at {learned:g}"
            )
        return video

    def rare(self, scores: Scores, ignored: IgnoredArea | None = None) -> Scores:
        """The same scores, map and boxes on the scale of rarity; that of maps and boxes has no
        ceiling.

        In the area that is ignored maps are 0, and there is no box whose centre lies there.
        """
        rarity = self.calibration.rarity
        rare = replace(scores, value=rarity(scores.value))
        if scores.map is not None:
            rare = replace(rare, map=rarity(scores.map, math.inf).astype("float32"))
        if scores.boxes is not None:
            boxes = []
            for box in scores.boxes:
                boxes.append(with_values(box, rarity(box[:, 4], math.inf)))
            rare = replace(rare, boxes=tuple(boxes))
        if ignored is not None:
            return outside_of(rare, ignored)
        return rare

    def events(self, scores: Scores, *, false_alarms_per_hour: float | None = None) -> list[Event]:
        """What stands out in a video's rarities, at the run's threshold or at another rate of false
        alarms.
        """
        return find_events(scores, self.threshold_for(false_alarms_per_hour).rarity)

    def threshold_for(self, false_alarms_per_hour: float | None) -> Threshold:
        """The run's own threshold, or the one for another rate."""
        if false_alarms_per_hour is None:
            return self.threshold
        return self.calibration.threshold(false_alarms_per_hour)

    def to_dict(self) -> dict[str, Any]:
        """What was learned, from how much, and the threshold: plain data."""
        return to_plain(
            {
                "run": self.folder,
                "method": self.detector.name,
                "data": self.facts["data"],
                "videos": len(self.facts["trained_on"]),
                "left_out": self.facts["left_out"],
                "set_aside": self.facts.get("set_aside", []),
                "normal_hours": self.calibration.hours,
                "calibration": self.facts["calibration"],
                "threshold": {
                    "rarity": self.threshold.rarity,
                    "false_alarms_per_hour": self.threshold.expected,
                    "interval": self.threshold.interval,
                    "counted": self.threshold.counted,
                    "supported": self.threshold.supported,
                    "note": self.threshold.note,
                },
                "seconds": self.facts["seconds"],
            }
        )

    @property
    def lookahead(self) -> int:
        """Frames, at the rate the method looks at, that a score reads ahead, smoothing included."""
        spec = self.detector.spec
        if not self.lookahead_seconds:
            return spec.lookahead
        rate = min(spec.fps or math.inf, float(self.facts.get("frame_rate") or 25.0))
        return spec.lookahead + math.ceil(self.lookahead_seconds * rate - 1e-6)


def outside_of(scores: Scores, area: IgnoredArea) -> Scores:
    """Scores whose maps are 0 in an area, and whose boxes have their centres outside it."""
    if scores.map is not None:
        h, w = scores.map.shape[1:]
        heat = np.where(cells_inside(area, (h, w)), 0, scores.map).astype(scores.map.dtype)
        scores = replace(scores, map=heat)
    if scores.boxes is not None:
        boxes = [these[~boxes_inside(area, these)] for these in scores.boxes]
        scores = replace(scores, boxes=tuple(boxes))
    return scores


def save_run(
    folder: Path,
    detector: Detector,
    calibration: Calibration,
    threshold: Threshold,
    facts: Mapping[str, Any],
) -> FittedDetector:
    """Write a complete run; one that was there before stays as it was until this one is whole."""
    with together(folder, *PARTS, "run.json") as new:
        save(detector, new)
        save_calibration(calibration, new / "calibration.npz")
        told = {**facts, "threshold": asdict(threshold)}
        checks = {name: checksum((new / name).read_bytes()) for name in PARTS}
        checks["run.json"] = checksum_of_facts(told)
        write_json(new / "run.json", {**told, "checks": checks})
    return FittedDetector(folder, detector, calibration, threshold, facts)


def load_run(folder: str | Path, device: str = "cpu") -> FittedDetector:
    """Read a run folder back, its networks onto a device. Raises BadRun with one line that says
    what is the matter.
    """
    refuse_device(device)
    folder = Path(folder).expanduser()
    try:
        finish_replacing(folder)
    except OSError as error:
        reason = error.strerror or error
        raise BadRun(f"{folder} is being replaced and cannot be written: {reason}") from error
    facts = read_json(folder / "run.json")
    read_words(folder)  # a newer run is refused as newer, not as damaged
    refuse_damage(folder, facts)
    try:
        check_facts(facts)
    except ValueError as error:
        raise BadRun(f"{folder}/run.json is damaged: {error}; fit again") from error
    detector = load(folder).to_device(device)
    calibration = load_calibration(folder / "calibration.npz")
    try:
        given = dict(facts["threshold"])
        threshold = Threshold(**{**given, "interval": tuple(given["interval"])})
        check_threshold(threshold)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise BadRun(
            f"{folder}/run.json is damaged: its threshold cannot be read ({error})"
        ) from error
    return FittedDetector(folder, detector, calibration, threshold, facts)


def check_facts(facts: Mapping[str, Any]) -> None:
    """Raise ValueError, one line, for facts that are missing, or of another kind than fit writes."""
    for name, kind in FACTS.items():
        if name not in facts:
            raise ValueError(f"it does not say {name!r}")
        if not isinstance(facts[name], kind) or isinstance(facts[name], bool):
            raise ValueError(f"{name!r} is {str(facts[name])[:40]!r}")
    for video in facts["trained_on"]:
        known = isinstance(video, dict)
        if not known or not all(isinstance(video.get(key), str) for key in ("name", "hash")):
            raise ValueError("a video of 'trained_on' has no name or hash")
    if not isinstance(facts["calibration"].get("held_out"), list):
        raise ValueError("'calibration' does not say what was held out")
    check_positive("the seconds of fitting", facts["seconds"].get("fit"), zero=True)
    check_positive("'frame_rate'", facts["frame_rate"])
    for name, kind in SOME_FACTS.items():
        value = facts.get(name)
        if value is not None and not isinstance(value, kind):
            raise ValueError(f"{name!r} is {str(value)[:40]!r}")
    area_of_facts(facts.get("ignored"))
    check_levels(facts.get("levels"))


def check_levels(levels: object) -> None:
    """Raise ValueError for what are no values of black and white; None is fine."""
    if levels is None:
        return
    if not isinstance(levels, list) or len(levels) != 2:
        raise ValueError("'levels' are not the values of black and white")
    for level in levels:
        if not is_number(level) or not math.isfinite(level):
            raise ValueError(f"a level is {str(level)[:40]!r}, no number")
    if not levels[0] < levels[1]:
        raise ValueError("'levels' have black above white")


def check_positive(name: str, number: object, *, zero: bool = False) -> None:
    """Raise ValueError for what is no finite number above 0, or of 0 where that is taken."""
    if not is_number(number) or not 0 <= number < math.inf or (number == 0 and not zero):
        raise ValueError(f"{name} is {str(number)[:40]!r}, no number above 0")


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def check_threshold(threshold: Threshold) -> None:
    """Raise ValueError for values that no threshold has."""
    numbers = [threshold.rarity, threshold.asked, threshold.expected, threshold.supported]
    numbers += threshold.interval
    for number in numbers:
        if not is_number(number) or not 0 <= number < math.inf:
            raise ValueError(f"it holds {str(number)[:40]!r}, no number of 0 or more")
    if len(threshold.interval) != 2 or not isinstance(threshold.counted, bool):
        raise ValueError("an interval has two ends, and `counted` is true or false")


def room_for_run(folder: Path) -> Path:
    """The folder for a new run, made if need be. Raises BadInput when something else lives
    there.
    """
    folder = room(folder)
    own = ("run.json", *UNFINISHED, KEPT)
    if listing(folder) and not any((folder / name).exists() for name in own):
        raise BadInput(
            f"{folder} holds other things than a run; name a new or empty folder with --out"
        )
    return folder


def circumstances(command: Sequence[str] | None = None) -> dict[str, Any]:
    """Under what a result came about: command, versions, machine, time."""
    if command is None:
        command = sys.argv
    return {
        "command": " ".join(command),
        "oddframe": __version__,
        "commit": commit(),
        "versions": {name: version_of(name) for name in STATED_PACKAGES},
        "python": platform.python_version(),
        "machine": {
            "system": platform.system(),
            "processor": processor(),
            "cores": os.cpu_count(),
        },
        "began": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def refuse_damage(folder: Path, facts: dict[str, Any]) -> None:
    """Take the checksums out of the facts, and raise BadRun where a file is not as it was written.

    Without them a flipped bit would go unseen into every score.
    """
    checks = facts.pop("checks", None)
    found = {"run.json": checksum_of_facts(facts)}
    for name in PARTS:
        try:
            found[name] = checksum((folder / name).read_bytes())
        except FileNotFoundError as error:
            raise BadRun(
                f"{folder} is incomplete: {name} is missing; fit again or copy it anew"
            ) from error
        except OSError as error:
            raise BadRun(f"cannot read {folder / name}: {error.strerror or error}") from error
    for name, check in found.items():
        if not isinstance(checks, dict) or checks.get(name) != check:
            raise BadRun(
                f"{folder / name} is damaged or was changed after fitting; "
                "copy it anew or fit again"
            )


def checksum(data: bytes) -> str:
    """A short text that differs when the bytes do."""
    return blake2b(data, digest_size=8).hexdigest()


def checksum_of_facts(told: Mapping[str, Any]) -> str:
    """The same whether the value comes from memory or from its JSON."""
    as_read_back = json.loads(json.dumps(told))
    text = json.dumps(as_read_back, sort_keys=True)
    return checksum(text.encode())


def with_values(boxes: Floats, values: Floats) -> Floats:
    """Boxes (n, 5) with other values (n,)."""
    changed = boxes.copy()
    changed[:, 4] = values
    return changed


def commit() -> str | None:
    """The commit of the source, where it lies in a repository."""
    here = Path(__file__).parent
    try:
        told = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"],
            cwd=here,
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return told.stdout.strip()


def version_of(package: str) -> str | None:
    """The version of a package; None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def processor() -> str:
    """What the machine's processor is called."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
