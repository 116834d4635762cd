"""Results as lines for a person. Nothing is computed here, and only the command line prints."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from oddframe.cli.render_data import prepared
from oddframe.cli.rows import DASH, count_of_events, counts_in_words, many, number
from oddframe.results import Listing
from oddframe.visualization.timeline import clock, duration, place, rareness

if TYPE_CHECKING:
    from oddframe.cli.completion import Completion
    from oddframe.results import Result
    from oddframe.scoring.run_folder import FittedDetector
    from oddframe.visualization.outputs import VideoResult
    from oddframe.workflows.class_report import ClassDistribution, ClassReport, ClassThresholds
    from oddframe.workflows.compare import Comparison
    from oddframe.workflows.demo import Demonstration
    from oddframe.workflows.evaluate import EvaluationResult
    from oddframe.workflows.fuse import Fusion
    from oddframe.workflows.info import Contents
    from oddframe.workflows.probe import ProbeResult, RetrievalResult
    from oddframe.workflows.score import ScoreResult
    from oddframe.workflows.simulate import Simulation

# columns that are shown
COMPARED = ("micro_auc", "macro_auc", "event_f1", "as_published.micro_auc")


def lines_of(command: str, result: "Result") -> list[str]:
    """The lines that a command prints about its result."""
    render: Callable[[Any], list[str]] = RENDERERS[command]
    return render(result)


def listing_lines(found: Listing) -> list[str]:
    """One line a name."""
    width = max(len(name) for name in found.lines) + 2
    return [f"{name:{width}}{line}" for name, line in found.lines.items()]


def contents(found: "Contents") -> list[str]:
    """One line a value."""
    return [f"{name:13} {short_value(value)}" for name, value in found.to_dict().items()]


def short_value(value: Any) -> str:
    """A value in one line; of a long list how many it has, and the first."""
    if isinstance(value, list) and len(value) > 3:
        first = value[0]
        if isinstance(first, dict):
            first = first.get("name", next(iter(first.items()), ""))
        return f"{len(value)}: {first} …"
    if isinstance(value, dict):
        return ", ".join(f"{key} {within(item)}" for key, item in value.items())
    return str(value)


def within(value: Any) -> str:
    """A value among others of one line: of several names, in brackets, or nobody could tell whose
    they are.
    """
    if isinstance(value, dict):
        return f"({short_value(value)})"
    return short_value(value)


def simulation(found: "Simulation") -> list[str]:
    """What was filmed, and what is odd in it."""
    scene = found.scene
    height, width = scene["size"]
    videos = scene["videos"]
    rate = f"{scene['fps']:g} frames per second, {scene['seconds']:g} s each, seed {scene['seed']}"
    lines = [
        f"{found.folder}: {videos['train']} normal and {videos['test']} test videos, "
        f"{width}×{height}, {rate}"
    ]
    for name, there in scene["test_videos"].items():
        lines.append(f"  test/{name}.mp4  {', '.join(there) or 'nothing odd'}")
    frames = scene["odd_frames"]
    if frames:
        share = sum(frames.values()) / scene["frames"]["test"]
        counts = counts_in_words(frames)
        lines.append(f"  odd frames: {counts} ({share:.0%} of the test)")
    return lines


def fitted_lines(found: "FittedDetector") -> list[str]:
    """From how much was learned, and the threshold."""
    count = len(found.facts["trained_on"])
    left_out = len(found.facts["left_out"])
    videos = many(count, "video")
    if left_out:
        videos = f"{count} of {count + left_out} videos"
    misfits = len(found.facts["misfits"])
    if misfits:
        videos += f" ({misfits} left out that did not belong to the others)"
    kept = len(found.facts["calibration"]["held_out"])
    if kept:
        videos = f"{count - kept} of {count} videos, calibrated on the other {kept},"
    before = found.facts.get("added_to")
    if before is not None:
        videos += f", {before['videos']} of them learned before by {before['run']},"
    seconds = found.facts["seconds"]["fit"]
    threshold = found.threshold
    rate = f"{threshold.asked:g} false alarms per hour"
    lines = [
        f"learned {found.detector.name} from {videos} in {seconds:.1f} s: {found.folder}",
        f"threshold: rarity {threshold.rarity:.2f} for {rate}; {threshold.note}",
    ]
    aside = found.facts.get("set_aside", [])
    if aside:
        spans = [f"{one['video']} {one['start']:.1f}–{one['end']:.1f} s" for one in aside]
        lines.append(f"set aside as unusual: {', '.join(spans)}; --keep-all learns from them too")
    return lines


def score_lines(found: "ScoreResult") -> list[str]:
    """What was found: when, how rare, where; and of a quiet video its least usual moment."""
    lines = []
    for video in found.videos:
        lines += video_lines(video)
    if found.lookahead_seconds:
        lines.append(f"smoothed with {found.lookahead_seconds:g} s of what comes after: not live")
    lines.append(f"threshold: rarity {found.threshold.rarity:.2f}; {found.threshold.note}")
    lines.append(f"report: {found.report}")
    return lines


def video_lines(found: "VideoResult") -> list[str]:
    """The events of one video."""
    events = count_of_events(len(found.events))
    lines = [f"{found.video}: {events} in {duration(found.seconds)}"]
    lines += [f"  {note}" for note in found.notes]
    for event in found.events:
        where = ""
        if event.box is not None:
            where = f", {place(event.box)}"
        lasts = f"{clock(event.start)} for {duration(event.end - event.start)}"
        rare = rareness(event.peak, found.normal_frames)
        lines.append(f"  {lasts:18} {rare}{where} (rarity {event.peak:.1f})")
    moment = found.least_usual
    if moment is not None:
        rare = rareness(moment.rarity, found.normal_frames)
        lines.append(f"  the least usual moment: {clock(moment.seconds)}, {rare}")
    return lines


def evaluation(found: "EvaluationResult") -> list[str]:
    """A table of both protocols, of parts of the score, baselines and kinds."""
    lines = [
        f"{found.detector} on {found.dataset}, {found.frames} frames of {len(found.videos)} videos",
        "",
        f"{'':24}{'honest':>18}{'as published':>14}",
    ]
    for name, value in found.honest.items():
        if name == "micro_auc_interval":
            continue
        published = found.as_published.get(name)
        other = ""
        if published is not None:
            other = f"{published:.4f}"
        lines.append(f"{name:24}{number(value):>18}{other:>14}")
        interval = found.honest.get("micro_auc_interval")
        if name == "micro_auc" and interval:
            low, high = interval
            lines.append(f"{'':24}{f'({low:.3f}–{high:.3f})':>18}")
    for name, value in found.as_published.items():
        if name not in found.honest and value is not None:
            lines.append(f"{name:24}{'':>18}{value:>14.4f}")
    lines += component_lines(found)
    for name, numbers in found.baselines.items():
        lines.append(f"{'micro_auc of ' + name:30}{number(numbers['micro_auc']):>12}")
    for kind, numbers in found.kinds.items():
        met = f"{numbers['found']} of {numbers['stretches']} raised an event"
        lines.append(f"{'auc of ' + kind:30}{number(numbers['auc']):>12}   {met}")
    if found.lookahead_seconds:
        lines.append(f"smoothed with {found.lookahead_seconds:g} s of what comes after: not live")
    expected = found.expected["false_alarms_per_hour"]
    if expected is not None:
        what = "expected false alarms per hour, by calibration on normal video"
        lines.append(f"{what}: {expected:.4f}")
    for name, why in found.why_null.items():
        lines.append(f"{name}: undefined, {why}")
    if found.report is not None:
        lines.append(f"report: {found.report}")
    return lines


def component_lines(found: "EvaluationResult") -> list[str]:
    """A table of what the score was made of, where the method says; its last row is the score
    itself.
    """
    if not found.parts:
        return []
    lines = [f"{'AUC of each part':24}{'micro':>9}{'macro':>9}{'as published':>14}{'macro':>9}"]
    whole = {"honest": found.honest, "as_published": found.as_published}
    for name, numbers in {**found.parts, "combined": whole}.items():
        honest = numbers["honest"]
        published = numbers["as_published"]
        row = f"{number(honest['micro_auc']):>9}{number(honest['macro_auc']):>9}"
        row += f"{number(published['micro_auc']):>14}{number(published['macro_auc']):>9}"
        lines.append(f"{name:24}{row}")
    return lines


def comparison(found: "Comparison") -> list[str]:
    """One row a run with the numbers that are compared most, then one a method over its seeds."""
    table = found.table
    columns = [name for name in COMPARED if name in table.columns]
    width = max(len(label) for label in table.runs) + 2
    header = "".join(f"{name.rpartition('.')[2][:16]:>18}" for name in columns)
    lines = [f"{found.dataset}: {many(len(table.runs), 'run')}", "", f"{'':{width}}{header}"]
    for label, numbers in table.runs.items():
        cells = "".join(f"{number(numbers[name]):>18}" for name in columns)
        lines.append(f"{label:{width}}{cells}")
    for method in table.methods:
        spread = method.numbers.get("micro_auc") or method.numbers.get("honest.micro_auc")
        if spread is not None and spread.seeds > 1:
            ends = f"{spread.lowest:.4f}–{spread.highest:.4f}"
            mean = f"{spread.mean:.4f} in the mean of {spread.seeds} runs"
            lines.append(f"micro AUC of {method.method}: {mean} ({ends})")
    for name, value in found.baselines.items():
        lines.append(f"{'micro_auc of ' + name:{width}}{number(value):>18}")
    return [*lines, f"plot: {found.plot}"]


def fusion(found: "Fusion") -> list[str]:
    """Micro AUC of all runs together, and of each, where there is truth; then the events."""
    lines = []
    if found.streams:
        lines.append(f"{found.recordings} recordings{'':14}{'honest':>10}{'as published':>14}")
    for stream, numbers in found.streams.items():
        honest = number(numbers["micro_auc"])
        published = number(numbers["micro_auc_as_published"])
        lines.append(f"micro_auc of {stream:16}{honest:>10}{published:>14}")
    shares = [f"{label} {share:.0%}" for label, share in found.weights.items()]
    lines.append(f"weights: {', '.join(shares)}; {found.weighing}")
    for video in found.videos:
        lines += video_lines(video)
    lines.append(
        f"threshold: mean rarity {found.threshold['rarity']:.2f}; {found.threshold['note']}"
    )
    lines.append(f"report: {found.report}")
    return lines


def demonstration(found: "Demonstration") -> list[str]:
    """What of the odd was found, what was missed, and what was no more than a false alarm."""
    numbers = found.evaluation
    met = []
    missed = []
    for kind, count in numbers["kinds"].items():
        if count["found"]:
            met.append(kind)
        else:
            missed.append(kind)
    precision = numbers["honest"]["event_precision"] or 0
    false = round(numbers["events"] * (1 - precision))
    return [
        f"raised an event: {', '.join(met) or 'nothing'}",
        f"raised none: {', '.join(missed) or 'nothing'}",
        f"false alarms: {false} of {numbers['events']} events",
        "",
        f"all of it took {found.seconds:.0f} s. Open {found.report} in a browser",
        "the same with videos of your own: oddframe fit FOLDER --out RUN, "
        "oddframe score RUN VIDEO --out DIR",
    ]


def probe_lines(found: "ProbeResult") -> list[str]:
    """How often each classifier was right."""
    lines = [tested_on(found)]
    for what, verdict in found.verdicts.items():
        low, high = verdict["interval"]
        lines.append(f"{what:18}accuracy {verdict['accuracy']:.3f} ({low:.3f}–{high:.3f})")
    commonest = next(iter(found.verdicts.values()))["commonest"]
    lines.append(f"{'commonest class':18}accuracy {commonest:.3f}")
    return lines


def retrieval_lines(found: "RetrievalResult") -> list[str]:
    """How often the nearest are of the class, by embeddings and by pixels."""
    header = "".join(f"{at:>8}" for at in found.embeddings)
    lines = [tested_on(found), f"{'':14}{header}"]
    for what, numbers in (("embeddings", found.embeddings), ("pixels", found.pixels)):
        cells = "".join(f"{value:8.3f}" for value in numbers.values())
        lines.append(f"{what:14}{cells}")
    lines.append(f"chance at 1   {found.chance_at_1:8.3f}   page: {found.page}")
    return lines


def tested_on(found: "ProbeResult | RetrievalResult") -> str:
    """Of which run and data the numbers are."""
    videos = f"{found.train_videos} videos, tested on {found.test_videos}"
    return f"{found.method} on {found.data}: {videos}"


def class_distribution(found: "ClassDistribution") -> list[str]:
    """Clips and their length by part."""
    lines = []
    for part, counts in found.clips.items():
        classes = counts_in_words(counts)
        lasting = ""
        if part in found.seconds:
            span = found.seconds[part]
            lasting = f"; {span['shortest']:.1f} to {span['longest']:.1f} s"
        lines.append(f"{part:9}{sum(counts.values()):5} clips{lasting}: {classes}")
    return [*lines, f"picture: {found.picture}"]


def class_report_lines(found: "ClassReport") -> list[str]:
    """Errors and distances by part, and how well they tell anomalies from normal clips."""
    columns = f"{'clips':>7}{'error: mean':>14}{'median':>10}{'max':>10}{'own class: mean':>18}"
    lines = [f"{'':9}{columns}"]
    for part, values in found.parts.items():
        error = values["error"]
        if error is None:
            continue
        distance = values["distance to own class"]
        own = f"{DASH:>18}"
        if distance:
            own = f"{distance['mean']:18.4g}"
        row = f"{error['count']:7}{error['mean']:14.4g}{error['50%']:10.4g}{error['max']:10.4g}"
        lines.append(f"{part:9}{row}{own}")
    for what, rules in found.clip_auc.items():
        known = []
        for rule, value in rules.items():
            if value is not None:
                known.append(f"{rule} {value:.4f}")
        if known:
            lines.append(f"clip AUC, {what}: {', '.join(known)}")
    count = found.parameters
    lines.append(f"parameters: encoder {count['encoder']:,}, head {count['head']:,}")
    lines.append(f"tables and pictures: {found.folder}")
    return lines


def class_thresholds(found: "ClassThresholds") -> list[str]:
    """The thresholds as a table."""
    from oddframe.workflows.class_report import threshold_lines

    return threshold_lines(found.rules)


def completion_script(found: "Completion") -> list[str]:
    """The script."""
    return [found.script.rstrip("\n")]


RENDERERS: Mapping[str, Callable[[Any], list[str]]] = {
    "demo": demonstration,
    "simulate": simulation,
    "prepare": prepared,
    "fit": fitted_lines,
    "score": score_lines,
    "evaluate": evaluation,
    "compare": comparison,
    "probe": probe_lines,
    "retrieve": retrieval_lines,
    "describe": class_distribution,
    "classes": class_report_lines,
    "threshold": class_thresholds,
    "fuse": fusion,
    "methods": listing_lines,
    "datasets": listing_lines,
    "info": contents,
    "completion": completion_script,
}
