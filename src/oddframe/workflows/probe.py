"""What the embeddings of a run are worth on videos with classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from oddframe.datasets.base import OfficialSplit, Split, open_data
from oddframe.embeddings.embedder import Embedder
from oddframe.errors import BadInput, BadVideo, OddframeError
from oddframe.evaluation import linear_probe as probing
from oddframe.evaluation.finetune_probe import BatchNorm, fit_classifier
from oddframe.evaluation.linear_probe import (
    Classification,
    SideEmbeddings,
    chance_at_1,
    embed_side,
    find_neighbours,
    refuse_unlabelled,
    wilson_interval,
)
from oddframe.evaluation.measured_run import refuse_learned
from oddframe.files import room, write_json
from oddframe.options import Range, Seed
from oddframe.progress import ProgressCallback
from oddframe.results import Result, to_plain, workflow
from oddframe.run import Run
from oddframe.scoring.run_folder import FittedDetector, load_run
from oddframe.training.config import Training
from oddframe.video.ignored import with_ignored
from oddframe.visualization.probe_plots import write_confusion_png, write_retrieval_page

PROBE_CLIPS, RETRIEVAL_CLIPS = 10, 9  # clips of a video, as TCLR's authors take them
LINEAR_RATE, FINETUNE_RATE = 1e-2, 1e-4  # published; for fine-tuning the code's comments
EPOCHS, BATCH = 20, 32  # where a network is trained
Epochs = Annotated[int, Range(1, 100_000)]
Batch = Annotated[int, Range(2, 65_536)]
Rate = Annotated[float, Range(1e-12, 1e3)]


@dataclass(frozen=True)
class ProbeResult(Result):
    """How well classes are learned on the embeddings of a run."""

    run: Path
    method: str
    data: str
    train_videos: int
    test_videos: int
    left_out: tuple[str, ...]  # videos that could not be used, and why
    verdicts: Mapping[str, Mapping[str, Any]]  # by classifier: accuracy, interval, confusion …
    classes: tuple[str, ...]
    batch_norm: Mapping[str, str]  # by classifier: frozen or updating
    folder: Path

    def to_dict(self) -> dict[str, Any]:
        """What probe.json holds; each classifier stands by its name."""
        values = dict(vars(self))
        values.pop("folder")
        verdicts = values.pop("verdicts")
        return to_plain(values | verdicts)

    def problem(self) -> OddframeError | None:
        """Videos that could not be used."""
        return problem_with_lines(self.left_out)


@dataclass(frozen=True)
class RetrievalResult(Result):
    """How often the nearest training videos are of a test video's class."""

    run: Path
    method: str
    data: str
    train_videos: int
    test_videos: int
    left_out: tuple[str, ...]
    embeddings: Mapping[str, float]  # R@1, R@5 …
    interval_at_1: tuple[float, float]
    pixels: Mapping[str, float]  # the same by the pixels of small pictures
    chance_at_1: float
    page: Path

    def to_dict(self) -> dict[str, Any]:
        """What retrieval.json holds."""
        values = dict(vars(self))
        values.pop("page")
        return to_plain(values)

    def problem(self) -> OddframeError | None:
        """Videos that could not be used."""
        return problem_with_lines(self.left_out)


@workflow
def probe(
    run: str | Path,
    data: str | Path,
    *,
    root: str | Path | None = None,
    split: OfficialSplit | None = None,
    out: str | Path | None = None,
    linear: bool = False,
    finetune: bool = False,
    batch_norm: BatchNorm | None = None,
    epochs: Epochs | None = None,
    batch: Batch | None = None,
    lr: Rate | None = None,
    seed: Seed | None = None,
    device: str = "cpu",
    progress: ProgressCallback | None = None,
) -> ProbeResult:
    """Learn classes on a run's embeddings, and say how well that is done: what the embeddings are
    worth.

    Writes probe.json and confusion matrices into OUT. Embeddings are kept: a second probe takes
    seconds.

    Args:
        run: the folder that `oddframe fit` wrote, of a method with embeddings.
        data: a data set of classes (ucf101, hmdb51, labelled), or a folder of your own with train,
            test and classes.
        root: where a named data set lies.
        split: number of an official split, of data sets that have several; the first unless given.
        out: where results go; RUN/probe-DATA unless given.
        linear: a classifier on the embeddings as they are; what is done unless --finetune is given.
        finetune: a classifier on the network, trained with all of it.
        batch_norm: of --linear: keep the statistics that the network learned (frozen, unless
            given), or let them move on (updating) while a classifier is trained on augmented clips,
            as published (slower, for embeddings cannot be kept). With --finetune they always move.
        epochs: times that a network is shown the training videos, 20 unless given.
        batch: clips in a batch, where a network is trained, 32 unless given.
        lr: learning rate, where a network is trained; 0.01, and 0.0001 with --finetune.
        seed: of everything drawn at random where a network is trained, 0 unless given.
        device: where networks run: cpu, cuda, cuda:1 …
        progress: called with how far the work is.
    """
    linear = linear or not finetune
    if not linear and batch_norm is not None:
        raise BadInput("--batch-norm belongs to --linear; with --finetune statistics always move")
    trains = finetune or batch_norm == "updating"
    if not trains:
        refuse_given(epochs=epochs, batch=batch, lr=lr, seed=seed)
    fitted, embedder, name, videos = open_probe(run, data, root, split, device)
    if out is None:
        out = fitted.folder / f"probe-{name}"
    folder = room(Path(out))
    job = Run(folder, seed=seed or 0, device=device)
    size = min(batch or BATCH, len(videos.train))
    verdicts: dict[str, Classification] = {}
    statistics: dict[str, str] = {}
    left_out: list[str] = []
    if linear and batch_norm == "updating":
        training = probe_training(epochs or EPOCHS, size, lr or LINEAR_RATE)
        verdicts["linear"] = train_classifier(embedder, videos, job, training, False)
        statistics["linear"] = "updating"
    elif linear:
        train, test = embed_split(embedder, videos, PROBE_CLIPS, fitted.folder)
        left_out += [*train.left_out, *test.left_out]
        verdicts["linear"] = probing.linear(
            train.vector,
            train.labels,
            test.vector,
            test.labels,
            save_to=folder / "classifier-linear.npz",
        )
        verdicts["linear on pixels"] = probing.linear(
            train.pixels[:, None], train.labels, test.pixels[:, None], test.labels
        )
        statistics["linear"] = "frozen"
    if finetune:
        training = probe_training(epochs or EPOCHS, size, lr or FINETUNE_RATE)
        verdicts["finetune"] = train_classifier(embedder, videos, job, training, True)
        statistics["finetune"] = "updating"
    for what, verdict in verdicts.items():
        path = folder / f"confusion-{what.replace(' ', '-')}.png"
        write_confusion_png(path, verdict.classes, verdict.confusion)
    first = next(iter(verdicts.values()))
    result = ProbeResult(
        run=fitted.folder,
        method=fitted.detector.name,
        data=name,
        train_videos=len(videos.train),
        test_videos=len(videos.test),
        left_out=tuple(left_out),
        verdicts={what: verdict.to_dict() for what, verdict in verdicts.items()},
        classes=tuple(first.classes),
        batch_norm=statistics,
        folder=folder,
    )
    write_json(folder / "probe.json", result.to_dict())
    return result


@workflow
def retrieve(
    run: str | Path,
    data: str | Path,
    *,
    root: str | Path | None = None,
    split: OfficialSplit | None = None,
    out: str | Path | None = None,
    device: str = "cpu",
    progress: ProgressCallback | None = None,
) -> RetrievalResult:
    """Look for each test video's nearest training videos by a run's embeddings, and count those of
    its class.

    Writes retrieval.json and a page with pictures into OUT. Embeddings are kept: a second time
    takes seconds.

    Args:
        run: the folder that `oddframe fit` wrote, of a method with embeddings.
        data: a data set of classes (ucf101, hmdb51, labelled), or a folder of your own with train,
            test and classes.
        root: where a named data set lies.
        split: number of an official split, of data sets that have several; the first unless given.
        out: where results go; RUN/retrieval-DATA unless given.
        device: where networks run: cpu, cuda, cuda:1 …
        progress: called with how far the work is.
    """
    fitted, embedder, name, videos = open_probe(run, data, root, split, device)
    if out is None:
        out = fitted.folder / f"retrieval-{name}"
    folder = room(Path(out))
    train, test = embed_split(embedder, videos, RETRIEVAL_CLIPS, fitted.folder)
    found, nearest, cosine = find_neighbours(
        train.vector.mean(1), train.labels, test.vector.mean(1), test.labels
    )
    by_pixels, *_ = find_neighbours(train.pixels, train.labels, test.pixels, test.labels)
    count = len(test.videos)
    result = RetrievalResult(
        run=fitted.folder,
        method=fitted.detector.name,
        data=name,
        train_videos=len(videos.train),
        test_videos=len(videos.test),
        left_out=(*train.left_out, *test.left_out),
        embeddings=found,
        interval_at_1=wilson_interval(round(found["R@1"] * count), count),
        pixels=by_pixels,
        chance_at_1=chance_at_1(train.labels, test.labels),
        page=folder / "retrieval.html",
    )
    write_json(folder / "retrieval.json", result.to_dict())
    numbers = ", ".join(f"{at} {value:.3f}" for at, value in found.items())
    title = f"{fitted.detector.name} on {name}: {numbers}"
    write_retrieval_page(result.page, test.videos, train.videos, nearest, cosine, title)
    return result


def refuse_given(**options: float | None) -> None:
    """Raise BadInput where options of training are given, and no network is trained."""
    idle = [f"--{name}" for name, value in options.items() if value is not None]
    if idle:
        raise BadInput(
            f"{', '.join(idle)} count where a network is trained: "
            "add --finetune, or --batch-norm updating"
        )


def open_probe(
    run: str | Path, data: str | Path, root: str | Path | None, number: int | None, device: str
) -> tuple[FittedDetector, Embedder, str, Split]:
    """The run, its embedder on the device, and the data. Raises BadInput or Leak for what cannot be
    probed.
    """
    fitted = load_run(run, device)
    embedder = fitted.detector
    if not isinstance(embedder, Embedder):
        raise BadInput(
            f"{run} holds {embedder.name}, which has no embeddings to probe; "
            "tclr and temporal-queue have"
        )
    name, split = open_data(str(data), root, split=number)
    refuse_unlabelled(name, split)
    refuse_learned(fitted, split.test)
    split = replace(
        split,
        train=[with_ignored(video, fitted.ignored) for video in split.train],
        test=[with_ignored(video, fitted.ignored) for video in split.test],
    )
    embedder.to(device).eval()
    return fitted, embedder, name, split


def embed_split(
    embedder: Embedder, split: Split, positions: int, folder: Path
) -> tuple[SideEmbeddings, SideEmbeddings]:
    """Embeddings of both sides, kept beside the run."""
    kept = folder / "embedded"
    train = embed_side(embedder, split.train, positions, kept, "embedding, train")
    test = embed_side(embedder, split.test, positions, kept, "embedding, test")
    return train, test


def train_classifier(
    embedder: Embedder, split: Split, job: Run, training: Training, whole: bool
) -> Classification:
    """A classifier trained on the network, with all of it or with its statistics alone."""
    return fit_classifier(
        embedder,
        (split.train, split.test),
        job,
        training,
        whole=whole,
        batch_norm="updating",
        positions=PROBE_CLIPS,
    )


def probe_training(epochs: int, batch: int, lr: float) -> Training:
    """Published: Adam, a tenth of the rate after three epochs that were no better."""
    return Training(
        epochs=epochs,
        batch=batch,
        optimizer="adam",
        lr=lr,
        schedule="plateau",
        patience=2,
        precision="float32",
    )


def problem_with_lines(left_out: Sequence[str]) -> OddframeError | None:
    """The error for videos of which only the reasons are known; None where there are none."""
    if not left_out:
        return None
    return BadVideo(f"{len(left_out)} videos could not be used; the first: {left_out[0]}")
