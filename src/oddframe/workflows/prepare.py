"""Is a data set all there? And which are known?"""

from dataclasses import asdict
from json import dumps
from pathlib import Path
from shlex import quote
from typing import Any, Literal

from oddframe.datasets.base import Counts, DataSet, data_set
from oddframe.datasets.classes import ClassData
from oddframe.datasets.dad import Dad
from oddframe.datasets.inventory import Inventory, take_inventory
from oddframe.errors import BadInput, BadVideo
from oddframe.registry import members
from oddframe.workflows.dad_layout import lay_out
from oddframe.workflows.split_clips import Dividing, divide_into

SHOWN = 6  # lines of a kind before "and N more": the answer fits one screen


def prepare(
    name: str,
    root: Path,
    out: Path | None = None,
    *,
    seed: int = 0,
    anomalous: list[str] | None = None,
    by: Literal["source", "clip"] = "source",
    target: int = 0,
    vary: Literal["train", "all"] = "train",
    frames: bool = False,
    json: bool = False,
) -> dict[str, Any]:
    """Check a data set on disk: what is there, what is missing, whether the counts are the published ones.

    Frames are counted without decoding; all ground truth is read and held against its video. Nothing is changed. With
    OUT, clips in classes are divided into train, val, test and anomaly, and written there as mp4 with four tables; the
    recordings of `dad` are laid out there as the jigsaw variant has them, as links, with a mask for each.

    Args:
        name: a data set, as `oddframe datasets` lists them; `folder` for videos of your own.
        root: the folder that holds it.
        out: where clips in classes are written, divided, or `dad` is laid out; a folder that was begun is gone on with.
        seed: of the division and of the varied copies.
        anomalous: classes that count as anomalous, such as [fight]; those of the data set unless given.
        by: source keeps clips of one source on one side; clip divides them singly, as published.
        target: clips that each class of train is brought to by varied copies (val to a twentieth); 0 makes none.
        vary: parts in which copies are made, train or all (train and val).
        frames: write films of `dad` as pictures into OUT, img_<n>.png without loss; otherwise they are only linked.
        json: print one JSON object instead of lines for a person.
    """
    data, root = data_set(name), Path(root).expanduser()
    if out is not None:
        how = Dividing(seed, _tuple(anomalous), by, target, vary)
        if isinstance(data, Dad):
            return _lay_out(data, root, Path(out), how, frames, json)
        if frames:
            raise BadInput(f"--frames is for dad: of {name} no pictures are written")
        return _divide(data, root, Path(out), how, json)
    if frames:
        raise BadInput("--frames needs OUT, a folder for the pictures")
    stock = take_inventory(data, root)
    answer = _answer(data, root, stock)
    if json:
        print(dumps(answer, indent=2))
    else:
        for line in report(data, root, stock):
            print(line)
    if stock.damaged:
        others = f", and {len(stock.damaged) - 1} more" if len(stock.damaged) > 1 else ""
        raise BadInput(f"{name} at {root} cannot be used as it is: {stock.damaged[0]}{others}")
    return answer


def _divide(data: DataSet, root: Path, out: Path, how: Dividing, json: bool) -> dict[str, Any]:
    if not isinstance(data, ClassData):
        raise BadInput(
            f"{data.name} is no data set of clips in classes: there is nothing to divide; leave OUT away"
        )
    told = divide_into(data, root, out, how)
    if json:
        print(dumps(told, indent=2))
        return told
    for part, classes in told["clips"].items():
        counts = ", ".join(f"{label} {count}" for label, count in classes.items()) or "none"
        print(_row(part, f"{_many(sum(classes.values()), 'clip')}: {counts}"))
    for line in _several("left out", tuple(told["left_out"])):
        print(line)
    print(_row("ready", f"oddframe fit embedding class-folders --root {quote(str(out))} --out RUN"))
    return told


def _lay_out(
    data: Dad, root: Path, out: Path, how: Dividing, frames: bool, json: bool
) -> dict[str, Any]:
    if how != Dividing():
        raise BadInput(
            f"{data.name} has no classes: leave --seed, --anomalous, --by, --target and --vary away"
        )
    told = lay_out(data, root, out, frames=frames)
    print(dumps(told, indent=2) if json else "\n".join(_laid_out(told, out)))
    if told["damaged"]:
        raise BadVideo(
            f"{len(told['damaged'])} films cannot be read; the first: {told['damaged'][0]}"
        )
    return told


def _laid_out(told: dict[str, Any], out: Path) -> list[str]:
    rows = []
    for part, streams in told["recordings"].items():
        counts = ", ".join(f"{name} {count}" for name, count in streams.items()) or "none"
        rows.append(_row(part, f"{_many(sum(streams.values()), 'video')}: {counts}"))
    rows.append(_row("links", f"{told['linked']:,} new, {told['there']:,} there before"))
    if told["films"]:
        rows.append(
            _row("films", f"{told['films']:,}; {_many(told['pictures'], 'new picture')} of them")
        )
    rows.append(_row("truth", _many(told["masks"], "frame mask")))
    rows += _several("no truth", tuple(told["without_truth"])) + _several(
        "damaged", tuple(told["damaged"])
    )
    stream = next(iter(told["recordings"]["training"]), "top_depth").lower()
    at = f"--root {quote(str(out))} --stream {stream}"
    return [*rows, _row("ready", f"oddframe fit jigsaw dad {at} --level full-frame --out RUN")]


def _tuple(names: list[str] | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(names)


def datasets(*, json: bool = False) -> dict[str, str]:
    """List the data sets that can be read, each in one line.

    Args:
        json: print one JSON object instead of lines for a person.
    """
    lines = {name: data.summary() for name, data in members("datasets").items()}
    if json:
        print(dumps(lines, indent=2))
    else:
        for name, line in lines.items():
            print(f"{name:14}{line}")
    return lines


def report(data: DataSet, root: Path, stock: Inventory) -> list[str]:
    """One screen for a person."""
    found, known = stock.found, data.counts
    rows = [
        f"{data.name}: {data.summary()}",
        _row("in", str(root)),
        _row(
            "train", f"{_many(found.train_videos, 'video')}, {_many(found.train_frames, 'frame')}"
        ),
        _row("test", f"{_many(found.test_videos, 'video')}, {_many(found.test_frames, 'frame')}"),
    ]
    if stock.classes:
        rows.append(
            _row(
                "classes",
                _short(tuple(f"{label} ({count})" for label, count in stock.classes.items())),
            )
        )
    if found.test_videos:
        labelled = (
            "all"
            if stock.labelled == found.test_videos
            else f"{stock.labelled} of {found.test_videos}"
        )
        truth = f"for {labelled} test videos; pixel masks for {stock.masked}, tracks for {stock.tracked}"
        rows.append(
            _row(
                "truth", truth if stock.labelled else "none: frames can be scored but not evaluated"
            )
        )
    if stock.labelled:
        rows.append(
            _row("odd", f"{found.anomalous_frames:,} of {_many(found.test_frames, 'test frame')}")
        )
    if stock.kinds:
        rows.append(
            _row("kinds", ", ".join(f"{kind} {frames:,}" for kind, frames in stock.kinds.items()))
        )
    if stock.one_sided:
        rows.append(
            _row(
                "one-sided",
                f"no AUC of their own, all frames odd or none: {_short(stock.one_sided)}",
            )
        )
    if known is not None:
        rows += _several("counts", tuple(_against(found, known)))
    rows += _several("missing", stock.missing)
    rows += _several("damaged", stock.damaged)
    rows += _several("note", stock.notes)
    if stock.missing:
        rows.append(_row("offered", data.origin))
    if stock.usable:
        rows.append(_row("ready", _next(data, root, found)))
    return rows


def _answer(data: DataSet, root: Path, stock: Inventory) -> dict[str, Any]:
    known = asdict(data.counts) if data.counts is not None else None
    return {"dataset": data.name, "root": str(root), "usable": stock.usable, "published": known} | {
        field: list(value) if isinstance(value, tuple) else value
        for field, value in asdict(stock).items()
    }


def _against(found: Counts, known: Counts) -> list[str]:
    """Each count that differs from the published one."""
    differing = [
        f"{what.replace('_', ' ')}: {here:,} here, {there:,} published"
        for (what, here), there in zip(asdict(found).items(), asdict(known).values(), strict=True)
        if here != there
    ]
    if not differing:
        return ["all as published"]
    return [*differing, "numbers from this copy do not compare with published ones"]


def _next(data: DataSet, root: Path, found: Counts) -> str:
    where = quote(str(root))
    what = where if data.name == "folder" else f"{data.name} --root {where}"
    if not found.train_videos:
        return f"to evaluate on, not to learn from: oddframe evaluate RUN {what}"
    return f"oddframe fit flowgrid {what} --out RUN"


def _several(what: str, lines: tuple[str, ...]) -> list[str]:
    rest = [f"and {len(lines) - SHOWN:,} more"] if len(lines) > SHOWN else []
    return [
        _row(what if not index else "", line) for index, line in enumerate([*lines[:SHOWN], *rest])
    ]


def _short(names: tuple[str, ...]) -> str:
    return ", ".join(names[:SHOWN]) + (
        f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    )


def _row(what: str, text: str) -> str:
    return f"  {what:10}{text}"


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
