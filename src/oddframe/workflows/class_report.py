"""Clips in classes: how they are distributed, what a run says of them, and thresholds that a person
decides on.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from oddframe.datasets.base import data_set
from oddframe.datasets.classes import ClassData, ClassVideos
from oddframe.datasets.splits import SPLIT_NAMES
from oddframe.datasets.tables import read_records
from oddframe.embeddings.embedder import Embedder
from oddframe.errors import BadInput, BadRun, Leak, OddframeError
from oddframe.evaluation.class_report import (
    NORMAL_PARTS,
    ODD,
    ThresholdRule,
    accuracies,
    class_summary,
    class_table,
    propose,
    values_of_part,
)
from oddframe.files import aside, room, write_json
from oddframe.left_out import LeftOut, do_each, problem_with
from oddframe.options import Range, Seed
from oddframe.progress import ProgressCallback, logger
from oddframe.registry import members
from oddframe.results import Result, to_plain, workflow
from oddframe.run import Run, user_cache
from oddframe.scoring.run_folder import load_run
from oddframe.types import IgnoredArea, Video
from oddframe.video.ignored import with_ignored
from oddframe.video.reader import content_hash, times_of
from oddframe.visualization.class_plots import write_counts_png
from oddframe.visualization.class_results import (
    CLIP_COLUMNS,
    CLIPS,
    draw_class_table,
    write_class_tables,
    write_parameters,
)

Distance = Annotated[float, Range(0, 1e12)]
Share = Annotated[float, Range(0, 1, open_low=True, open_high=True)]


@dataclass(frozen=True)
class ClassDistribution(Result):
    """How many clips each part and class has, and how long they are."""

    clips: Mapping[str, Mapping[str, int]]  # part → class → clips
    seconds: Mapping[str, Mapping[str, float]]  # part → shortest, mean, longest
    picture: Path
    left_out: tuple[LeftOut, ...]

    def problem(self) -> OddframeError | None:
        """Clips that cannot be read."""
        total = sum(sum(counts.values()) for counts in self.clips.values())
        return problem_with(self.left_out, total + len(self.left_out), "read", "clips")


@dataclass(frozen=True)
class ClassReport(Result):
    """What a run says of clips in classes, by part and class."""

    parts: Mapping[str, Any]
    classes: Mapping[str, Any]
    clip_auc: Mapping[str, Mapping[str, float | None]]
    parameters: Mapping[str, int]  # numbers in encoder and head
    left_out: tuple[LeftOut, ...]
    clip_count: int
    folder: Path

    def to_dict(self) -> dict[str, Any]:
        """What summary.json holds."""
        values = dict(vars(self))
        for name in ("folder", "clip_count"):
            values.pop(name)
        return to_plain(values)

    def problem(self) -> OddframeError | None:
        """Clips that cannot be read."""
        return problem_with(self.left_out, self.clip_count, "read", "clips")


@dataclass(frozen=True)
class ClassThresholds(Result):
    """Thresholds of error and distance, and what they flag in each part."""

    rules: Mapping[str, Mapping[str, Any]]
    folder: Path

    def to_dict(self) -> dict[str, Any]:
        """What NAME.json holds."""
        return to_plain(self.rules)


@workflow
def describe(
    data: str | Path,
    root: str | Path | None = None,
    *,
    out: str | Path | None = None,
    progress: ProgressCallback | None = None,
) -> ClassDistribution:
    """Draw how many clips each class and part of a data set has, and how long they are:
    data_distribution.png.

    Args:
        data: a data set of clips in classes, or the folder of one.
        root: where a named data set lies.
        out: where the picture goes; the folder that holds the data unless given.
        progress: called with how far the work is.
    """
    parts, folder = open_parts(data, root)
    readable, left_out = readable_clips(parts)
    counts = {}
    seconds = {}
    for part in SPLIT_NAMES:
        counts[part] = dict(Counter(str(video.label) for video in readable[part]))
        seconds[part] = np.array([clip_seconds(video) for video in readable[part]])
    if out is not None:
        folder = Path(out)
    path = room(folder) / "data_distribution.png"
    write_counts_png(path, counts, seconds)
    spans = {}
    for part, lasting in seconds.items():
        if len(lasting):
            spans[part] = {
                "shortest": float(lasting.min()),
                "mean": float(lasting.mean()),
                "longest": float(lasting.max()),
            }
    return ClassDistribution(counts, spans, path, left_out)


@workflow
def class_report(
    run: str | Path,
    data: str | Path,
    *,
    root: str | Path | None = None,
    out: str | Path | None = None,
    seed: Seed = 0,
    progress: ProgressCallback | None = None,
) -> ClassReport:
    """Judge every clip of a data set in classes: errors, distances to class centroids, box plots,
    t-SNE, tables.

    Refuses when a clip of val, test or anomaly was learned from. Clips that cannot be read are left
    out, and named.

    Args:
        run: the folder that `oddframe fit` wrote, of a method with embeddings.
        data: the data set of clips in classes that the run learned, or the folder of one.
        root: where a named data set lies.
        out: where tables and pictures go; RUN/classes unless given.
        seed: of t-SNE.
        progress: called with how far the work is.
    """
    fitted = load_run(run)
    if not isinstance(fitted.detector, Embedder):
        raise BadInput(
            f"{run} is of {fitted.detector.name}, which has no embeddings; "
            "fit one with `oddframe fit embedding`"
        )
    parts, _ = open_parts(data, root)
    readable, left_out = readable_clips(parts)
    readable = without_ignored(readable, fitted.ignored)
    refuse_learned_clips(fitted.facts["trained_on"], readable)
    if not readable[ODD]:
        logger.warning("there is no clip in anomaly: only normal ones are judged")
    if out is None:
        out = Path(run) / "classes"
    folder = room(Path(out))
    table = class_table(fitted.detector, readable, Run(folder, cache=user_cache()))
    write_class_tables(folder, table)
    draw_class_table(folder, table, seed, fitted.facts.get("learned", {}))
    summary = class_summary(table)
    report = ClassReport(
        parts=summary["parts"],
        classes=summary["classes"],
        clip_auc=summary["clip_auc"],
        parameters=write_parameters(folder / "parameters.csv", fitted.detector),
        left_out=left_out,
        clip_count=sum(len(videos) for videos in parts.values()),
        folder=folder,
    )
    write_json(folder / "summary.json", report.to_dict())
    return report


@workflow
def threshold(
    run: str | Path,
    *,
    error: Distance | None = None,
    distance: Distance | None = None,
    false_alarm_rate: Share = 0.05,
    name: str = "threshold",
    out: str | Path | None = None,
) -> ClassThresholds:
    """Apply thresholds to every part: an error at or above one, or a distance to every class
    centroid, is anomalous.

    A threshold that is not given is proposed from val, never from test or anomaly.

    Args:
        run: a run of which `oddframe classes` has judged a data set.
        error: threshold of the error.
        distance: threshold of the distance to the nearest class centroid.
        false_alarm_rate: share of normal clips that a proposed threshold may flag.
        name: of the file that is written, without its ending.
        out: where `oddframe classes` wrote; RUN/classes unless given.
    """
    if out is None:
        out = Path(run) / "classes"
    folder = Path(out)
    path = folder / CLIPS
    if not path.is_file():
        raise BadRun(f"{path} is missing: `oddframe classes {run} DATA` writes it")
    rows = read_records(path, CLIP_COLUMNS)
    errors = numbers_in_column(rows, "ERROR", path)
    distances = numbers_in_column(rows, "NEAREST_CENTROID", path)
    rules = {
        "error": apply_rule("error", errors, error, false_alarm_rate),
        "distance": apply_rule("distance", distances, distance, false_alarm_rate),
    }
    with aside(folder / f"{name}.txt") as part:
        part.write_text("\n".join(threshold_lines(rules)) + "\n")
    result = ClassThresholds(rules, folder)
    write_json(folder / f"{name}.json", result.to_dict())
    return result


def numbers_in_column(
    rows: Sequence[Mapping[str, str]], column: str, path: Path
) -> list[tuple[str, float]]:
    """The part and the number of each clip of clips.csv. Raises BadRun."""
    return [(row["TYPE_DATASET"], number_in_table(row[column], path)) for row in rows]


def apply_rule(
    what: str, values: Sequence[tuple[str, float]], given: float | None, false_alarm_rate: float
) -> dict[str, Any]:
    """A threshold, given or proposed from val, and how many clips of each part it flags."""
    if given is None:
        rule = propose(values_of_part(values, "val"), false_alarm_rate, what)
    else:
        rule = ThresholdRule(given, "as given")
    parts = accuracies(values, rule.threshold)
    return {"threshold": rule.threshold, "why": rule.why, "parts": parts}


def threshold_lines(rules: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The thresholds as a table, as NAME.txt holds it."""
    lines = []
    for what, rule in rules.items():
        lines.append(f"threshold of {what}: {rule['threshold']:.6g} ({rule['why']})")
    columns = (
        f"{'part':9}{'clips':>7}{'flagged':>10}{'accuracy':>10}{'flagged':>12}{'accuracy':>10}"
    )
    lines += ["", f"{'':16}{'by error':>20}{'by distance':>22}", columns]
    for part in (*NORMAL_PARTS, ODD):
        by_error = rules["error"]["parts"][part]
        by_distance = rules["distance"]["parts"][part]
        cells = f"{by_error['flagged']:10}{share_text(by_error['accuracy'])}"
        cells += f"{by_distance['flagged']:12}{share_text(by_distance['accuracy'])}"
        lines.append(f"{part:9}{by_error['total_clip']:7}{cells}")
    return lines


def share_text(value: float | None) -> str:
    """A share in a column, or a dash."""
    if value is None:
        return f"{'–':>10}"
    return f"{value:10.3f}"


def open_parts(data: str | Path, root: str | Path | None) -> tuple[ClassVideos, Path]:
    """Videos by part, and the folder that holds them. Raises BadInput."""
    known = members("datasets")
    path = Path(data).expanduser()
    if root is None and str(data) not in known:
        folders = data_set("class-folders")
        if not isinstance(folders, ClassData):
            raise TypeError(folders)
        return folders.class_videos(path), path
    found = data_set(str(data))
    if not isinstance(found, ClassData):
        names = [name for name, one in known.items() if issubclass(one, ClassData)]
        raise BadInput(f"{data} is no data set of clips in classes; there are {', '.join(names)}")
    if root is None:
        raise BadInput(f"where is {data}? Give the folder that holds it with --root")
    place = Path(root).expanduser()
    return found.class_videos(place), place


def readable_clips(parts: Mapping[str, Sequence[Video]]) -> tuple[ClassVideos, tuple[LeftOut, ...]]:
    """The clips of each part that can be read, and the others."""
    every: list[tuple[str, Video]] = []
    for part, videos in parts.items():
        for video in videos:
            every.append((part, video))

    def read_times(entry: tuple[str, Video]) -> tuple[str, Video]:
        times_of(entry[1])
        return entry

    kept, left_out = do_each(every, read_times, name_of=lambda entry: entry[1].name, what="clips")
    readable: ClassVideos = {part: [] for part in parts}
    for part, video in kept:
        readable[part].append(video)
    return readable, left_out


def without_ignored(parts: ClassVideos, area: IgnoredArea | None) -> ClassVideos:
    """The clips of each part, without what an area ignores."""
    found = {}
    for part, videos in parts.items():
        found[part] = [with_ignored(video, area) for video in videos]
    return found


def refuse_learned_clips(trained: Iterable[Mapping[str, str]], parts: ClassVideos) -> None:
    """Raise Leak when a clip of another part than train was learned from."""
    learned = {video["hash"]: video["name"] for video in trained}
    for part in SPLIT_NAMES[1:]:
        for video in parts[part]:
            same = learned.get(content_hash(video.source))
            if same is not None:
                raise Leak(
                    f"{video.source} of {part} was learned from, as {same}; fit on train alone"
                )


def clip_seconds(video: Video) -> float:
    """How long a clip is, its last frame included."""
    times = times_of(video)
    if not len(times):
        return 0.0
    return float(times[-1] - times[0]) * len(times) / max(1, len(times) - 1)


def number_in_table(text: str, path: Path) -> float:
    """A number of clips.csv. Raises BadRun."""
    try:
        return float(text)
    except ValueError as error:
        raise BadRun(
            f"{path} is damaged: {text!r} is no number; run `oddframe classes` again"
        ) from error
