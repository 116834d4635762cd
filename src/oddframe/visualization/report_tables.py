"""The tables of the report as plain values, which the template lays out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

from oddframe.evaluation.metric_registry import METRICS
from oddframe.visualization.report_data import Json, browser_text

FIRST = ("event_recall", "event_precision", "event_f1", "delay_seconds", "false_alarms_per_hour")
SMALL_PRINT = ("micro_auc_interval", "macro_videos")  # stand under another number
PROTOCOLS = {"honest": "honest", "as_published": "as published"}
LOCAL_FOLDER = re.compile(r"(?<![\w.-])(?:~|\.\.)?(?:/[^\s/]+)*/(?=[^\s/])")


@dataclass(frozen=True)
class Cell:
    """A number as text, and what stands small under it."""

    text: str = ""
    small: str = ""
    ours: bool = False


@dataclass(frozen=True)
class TableRow:
    """One row: its name, its cells, and what it says."""

    name: str
    cells: Sequence[Cell]
    meaning: str = ""


@dataclass(frozen=True)
class Table:
    """A table with the names of its columns, the first of which names the rows."""

    columns: Sequence[str]
    rows: Sequence[TableRow]


def evaluation_tables(evaluation: Mapping[str, Json]) -> list[Table]:
    """What found and missed first, then the metrics, then what each component is worth."""
    tables = [kinds_table(evaluation), metrics_table(evaluation), components_table(evaluation)]
    return [table for table in tables if table.rows]


def kinds_table(evaluation: Mapping[str, Json]) -> Table:
    """How many segments of each kind of anomaly raised an event, and its AUC against all normal
    frames.
    """
    rows = []
    for name, numbers in mapping(evaluation.get("kinds")).items():
        kind = mapping(numbers)
        found = "–"
        if "found" in kind:
            found = f"{kind['found']} of {kind['stretches']}"
        frames = Cell(fact_text(kind.get("frames")))
        rows.append(
            TableRow(browser_text(name), [Cell(found), metric_cell("auc", kind, {}), frames])
        )
    columns = [
        "kind of anomaly",
        "raised an event",
        "AUC against all normal frames (0.5 is guessing)",
        "frames",
    ]
    return Table(columns, rows)


def components_table(evaluation: Mapping[str, Json]) -> Table:
    """What each component of the score is worth alone, and below them the score."""
    components = mapping(evaluation.get("parts")) or mapping(evaluation.get("components"))
    columns = [
        "component of the score",
        "AUC, honest",
        "mean of videos",
        "AUC, as published",
        "mean of videos",
    ]
    if not components:
        return Table(columns, [])
    rows = []
    for name, value in {**components, "combined": evaluation}.items():
        numbers = mapping(value)
        cells = []
        for protocol in PROTOCOLS:
            for key in ("micro_auc", "macro_auc"):
                cells.append(metric_cell(key, mapping(numbers.get(protocol)), {}))
        rows.append(TableRow(browser_text(name), cells))
    return Table(columns, rows)


def metrics_table(evaluation: Mapping[str, Json]) -> Table:
    """A row a metric; columns for us, for the field's usual protocol, and for the baselines."""
    columns = metric_columns(evaluation)
    reasons = undefined_reasons(evaluation)
    rows = []
    for key, name, meaning in metric_rows():
        if not any(key in numbers for numbers in columns.values()):
            continue
        cells = []
        for column, numbers in columns.items():
            cells.append(
                metric_cell(key, numbers, reasons.get(column, {}), ours=column == "honest")
            )
        rows.append(TableRow(name, cells, meaning))
    return Table(["metric", *map(browser_text, columns), "what it says"], rows)


def metric_rows() -> list[tuple[str, str, str]]:
    """Key, title and meaning of each metric once: those of events first, which owners of cameras
    ask for.
    """
    rows: dict[str, tuple[str, str, str]] = {}
    for metric in METRICS:
        if metric.key not in SMALL_PRINT:
            rows.setdefault(metric.key, (metric.key, metric.title, metric.meaning))
    first = [rows.pop(key) for key in FIRST if key in rows]
    return [*first, *rows.values()]


def metric_columns(evaluation: Mapping[str, Json]) -> dict[str, Mapping[str, Json]]:
    """The numbers of each column of the table of metrics, by the column's name."""
    honest = dict(mapping(evaluation.get("honest")))
    place = mapping(evaluation.get("place"))
    if "peak_in_region" in place:
        honest["peak_in_region"] = place["peak_in_region"]
    columns: dict[str, Mapping[str, Json]] = {
        "honest": honest,
        "as published": mapping(evaluation.get("as_published")),
    }
    for name, numbers in mapping(evaluation.get("baselines")).items():
        if isinstance(numbers, Mapping):
            columns[name] = numbers
        else:
            columns[name] = {"micro_auc": numbers}
    return columns


def undefined_reasons(evaluation: Mapping[str, Json]) -> dict[str, dict[str, Json]]:
    """Why numbers are not defined, by column and metric."""
    why = dict(mapping(evaluation.get("why_null")))
    published = {key.removeprefix("as_published."): reason for key, reason in why.items()}
    return {"honest": why, "as published": published}


def metric_cell(
    key: str, numbers: Mapping[str, Json], why: Mapping[str, Json], *, ours: bool = False
) -> Cell:
    """The number of a metric, and small under it what belongs to it."""
    if key not in numbers:
        return Cell(ours=ours)
    value = numbers[key]
    if not isinstance(value, int | float) or not isfinite(value):
        return Cell("–", browser_text(str(why.get(key, "undefined"))), ours)
    return Cell(metric_text(key, value), metric_remark(key, numbers), ours)


def metric_text(key: str, value: int | float) -> str:
    """A metric's number with its unit and digits."""
    if key == "delay_seconds":
        return f"{value:.1f} s"
    if key == "false_alarms_per_hour":
        return f"{value:.3g}"
    if isinstance(value, int):
        return str(value)
    return f"{value:.3f}"


def metric_remark(key: str, numbers: Mapping[str, Json]) -> str:
    """What stands small under a metric's number."""
    if key == "micro_auc":
        interval = sequence(numbers.get("micro_auc_interval"))
        ends = [end for end in interval if isinstance(end, float)]
        if len(ends) == 2:
            return f"95 % interval {ends[0]:.3f}–{ends[1]:.3f}"
    if key == "macro_auc" and numbers.get("macro_videos"):
        return f"over {numbers['macro_videos']} videos"
    return ""


def evaluation_notes(evaluation: Mapping[str, Json]) -> list[str]:
    """What a reader of the numbers must know."""
    notes = [browser_text(str(note)) for note in sequence(evaluation.get("notes"))]
    one_class = sequence(evaluation.get("one_class_videos"))
    if one_class:
        names = ", ".join(str(name) for name in one_class)
        notes.append(
            f"No area of their own, being wholly normal or wholly odd: {browser_text(names)}"
        )
    return notes


def fact_text(value: Json) -> str:
    """A plain fact as text."""
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        if not isfinite(value):
            return "–"
        return f"{value:,.4g}"
    return browser_text(str(value))


def without_local_folders(text: str) -> str:
    """A command or path with file names alone: a page that is passed on says nothing of whose
    machine it was made on.

    >>> without_local_folders("oddframe score /srv/runs/yard today.mp4 --out ../found/today")
    'oddframe score yard today.mp4 --out today'
    """
    return LOCAL_FOLDER.sub("", text)


def mapping(value: Json) -> Mapping[str, Json]:
    """The value if it is a mapping, or an empty one."""
    if isinstance(value, Mapping):
        return value
    return {}


def sequence(value: Json) -> Sequence[Json]:
    """The value if it is a list, or an empty one."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return value
    return ()
