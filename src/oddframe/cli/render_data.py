"""What `oddframe prepare` has found, divided or laid out, as lines for a person."""

from shlex import quote
from typing import TYPE_CHECKING

from oddframe.cli.rows import counts_in_words, many, row, several, shortened

if TYPE_CHECKING:
    from oddframe.datasets.base import Counts
    from oddframe.preparation.dad_layout import DadLayout
    from oddframe.preparation.split_clips import ClipSplit
    from oddframe.workflows.prepare import Preparation


def prepared(found: "Preparation | ClipSplit | DadLayout") -> list[str]:
    """What `prepare` has found, divided or laid out."""
    from oddframe.preparation.dad_layout import DadLayout
    from oddframe.preparation.split_clips import ClipSplit

    if isinstance(found, ClipSplit):
        return clip_split(found)
    if isinstance(found, DadLayout):
        return dad_layout(found)
    return preparation(found)


def preparation(found: "Preparation") -> list[str]:
    """What of a data set is there: one screen."""
    stock = found.inventory
    counts = stock.found
    train = f"{many(counts.train_videos, 'video')}, {many(counts.train_frames, 'frame')}"
    test = f"{many(counts.test_videos, 'video')}, {many(counts.test_frames, 'frame')}"
    lines = [
        f"{found.dataset}: {found.about}",
        row("in", str(found.root)),
        row("train", train),
        row("test", test),
    ]
    if stock.classes:
        labels = [f"{label} ({count})" for label, count in stock.classes.items()]
        lines.append(row("classes", shortened(labels)))
    if counts.test_videos and not found.has_classes:
        lines.append(row("truth", truth_text(found)))
    if stock.labelled:
        frames = many(counts.test_frames, "test frame")
        lines.append(row("odd", f"{counts.anomalous_frames:,} of {frames}"))
    if stock.kinds:
        kinds = ", ".join(f"{kind} {frames:,}" for kind, frames in stock.kinds.items())
        lines.append(row("kinds", kinds))
    if stock.one_sided:
        names = shortened(stock.one_sided)
        lines.append(row("one-sided", f"no AUC of their own, all frames odd or none: {names}"))
    if found.published is not None:
        lines += several("counts", against_published(counts, found.published))
    lines += several("missing", stock.missing)
    lines += several("damaged", stock.damaged)
    lines += several("left out", found.misfits)
    lines += several("note", stock.notes)
    if stock.missing:
        lines.append(row("offered", found.offered))
    if stock.usable:
        lines.append(row("ready", next_command(found)))
    return lines


def truth_text(found: "Preparation") -> str:
    """Of how many test videos there is truth, and of what sort."""
    stock = found.inventory
    if not stock.labelled:
        return "none: frames can be scored but not evaluated"
    total = stock.found.test_videos
    labelled = f"{stock.labelled} of {total}"
    if stock.labelled == total:
        labelled = "all"
    sorts = f"pixel masks for {stock.masked}, tracks for {stock.tracked}"
    return f"for {labelled} test videos; {sorts}"


def against_published(found: "Counts", published: "Counts") -> list[str]:
    """Each count that differs from the published one."""
    differing = []
    for name, there in vars(published).items():
        here = getattr(found, name)
        if here != there:
            differing.append(f"{name.replace('_', ' ')}: {here:,} here, {there:,} published")
    if not differing:
        return ["all as published"]
    return [*differing, "numbers from this copy do not compare with published ones"]


def next_command(found: "Preparation") -> str:
    """What to do next with a data set that is ready."""
    where = quote(str(found.root))
    what = f"{found.dataset} --root {where}"
    if found.dataset == "folder":
        what = where
    if not found.inventory.found.train_videos:
        return f"to evaluate on, not to learn from: oddframe evaluate RUN {what}"
    if found.has_classes:
        return f"oddframe fit embedding {what} --out RUN"
    if found.inventory.classes and not found.inventory.labelled:  # nothing to evaluate on
        return f"oddframe fit tclr {what} --out RUN, then oddframe probe RUN {what}"
    return f"oddframe fit {what} --out RUN"


def clip_split(found: "ClipSplit") -> list[str]:
    """How clips were divided."""
    lines = []
    for part, classes in found.clips.items():
        clips = many(sum(classes.values()), "clip")
        lines.append(row(part, f"{clips}: {counts_in_words(classes)}"))
    lines += several("left out", found.left_out)
    command = f"oddframe fit embedding class-folders --root {quote(str(found.out))} --out RUN"
    return [*lines, row("ready", command)]


def dad_layout(found: "DadLayout") -> list[str]:
    """What was laid out."""
    lines = []
    for part, streams in found.recordings.items():
        videos = many(sum(streams.values()), "video")
        lines.append(row(part, f"{videos}: {counts_in_words(streams)}"))
    lines.append(row("links", f"{found.linked:,} new, {found.there:,} there before"))
    if found.films:
        pictures = many(found.pictures, "new picture")
        lines.append(row("films", f"{found.films:,}; {pictures} of them"))
    lines.append(row("truth", many(found.masks, "frame mask")))
    lines += several("no truth", found.without_truth) + several("damaged", found.damaged)
    stream = next(iter(found.recordings["training"]), "top_depth").lower()
    at = f"--root {quote(str(found.out))} --stream {stream}"
    return [*lines, row("ready", f"oddframe fit jigsaw-frames dad {at} --out RUN")]
