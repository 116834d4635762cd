"""What the embeddings of a run are worth on videos with classes."""

from json import dumps
from pathlib import Path
from typing import Any

from oddframe.datasets.base import Split, open_data
from oddframe.embeddings.embedder import Embedder
from oddframe.errors import BadInput
from oddframe.evaluation import linear_probe as probing
from oddframe.evaluation.finetune_probe import BatchNorm, tuned
from oddframe.evaluation.linear_probe import (
    Embeddings,
    Verdict,
    chance_at_1,
    embeddings,
    refuse_unlabelled,
    retrieval,
    wilson,
)
from oddframe.evaluation.protocol import refuse_leak
from oddframe.files import room, write_json
from oddframe.run import Run
from oddframe.scoring.run_folder import FittedDetector, load_run
from oddframe.training.config import Training
from oddframe.video.reader import content_hash
from oddframe.visualization.probe_plots import write_confusion_png, write_retrieval_page
from oddframe.workflows.fit import refuse_impossible

PROBED, RETRIEVED = 10, 9  # clips of a video, as TCLR's authors take them
LEARNT_AT = {"linear": 1e-2, "finetune": 1e-4}  # published; for fine-tuning the code's comments


def probe(
    run: Path,
    data: str,
    *,
    root: Path | None = None,
    out: Path | None = None,
    linear: bool = False,
    finetune: bool = False,
    batch_norm: BatchNorm = "frozen",
    epochs: int = 20,
    batch: int = 32,
    lr: float | None = None,
    seed: int = 0,
    device: str = "cpu",
    json: bool = False,
) -> dict[str, Any]:
    """Learn classes on a run's embeddings, and say how well that is done: what the embeddings are worth.

    Writes probe.json and confusion matrices into OUT. Embeddings are kept: a second probe takes seconds.

    Args:
        run: the folder that `oddframe fit` wrote, of a method with embeddings.
        data: a data set of classes (ucf101, hmdb51, labelled), or a folder of your own with train, test and classes.
        root: where a named data set lies.
        out: where results go; RUN/probe-DATA unless given.
        linear: a classifier on the embeddings as they are; what is done unless --finetune is given.
        finetune: a classifier on the network, trained with all of it.
        batch_norm: keep the statistics that the network learned, or let them move on while a classifier is trained
            on changed looks of the clips, as published (slower, for embeddings cannot be kept).
        epochs: times that a network is shown the training videos; a classifier on kept embeddings needs none.
        batch: clips in a batch, where a network is trained.
        lr: learning rate, where a network is trained; 0.01, and 0.0001 with --finetune.
        seed: of everything drawn at random.
        device: where networks run: cpu, cuda, cuda:1 …
        json: print one JSON object instead of lines for a person.
    """
    refuse_impossible(seed, 1, device)
    if batch < 2 or epochs < 1 or (lr is not None and not lr > 0):
        raise BadInput(
            f"a probe takes epochs from 1, a batch from 2, a learning rate above 0; got {epochs}, {batch}, {lr}"
        )
    fitted, embedder, name, split = _opened(run, data, root, device)
    folder = room(out or fitted.folder / f"probe-{name}")
    result: dict[str, Any] = _facts(fitted, name, split)
    verdicts: dict[str, Verdict] = {}
    if linear or not finetune:
        if batch_norm == "frozen":
            train, test = _embed(embedder, split, PROBED, fitted.folder)
            verdicts["linear"] = _linear(train, test)
            result |= {"left_out": [*train.left_out, *test.left_out]}
            pixels = [side.pixels[:, None] for side in (train, test)]
            verdicts["linear on pixels"] = _linear(train, test, *pixels)
        else:
            training = _training(epochs, batch, lr or LEARNT_AT["linear"], len(split.train))
            verdicts["linear"] = _tuned(
                embedder, split, folder, seed, device, training, False, batch_norm
            )
    if finetune:
        training = _training(epochs, batch, lr or LEARNT_AT["finetune"], len(split.train))
        verdicts["finetune"] = _tuned(
            embedder, split, folder, seed, device, training, True, "updating"
        )
    for what, verdict in verdicts.items():
        result[what] = verdict.told()
        write_confusion_png(
            folder / f"confusion-{what.replace(' ', '-')}.png", verdict.classes, verdict.confusion
        )
    result["classes"] = next(iter(verdicts.values())).classes
    result["batch_norm"] = batch_norm
    write_json(folder / "probe.json", result)
    if json:
        print(dumps(result, indent=2))
        return result
    print(_headline(result))
    for what in verdicts:
        low, high = result[what]["interval"]
        print(f"{what:18}accuracy {result[what]['accuracy']:.3f} ({low:.3f}–{high:.3f})")
    print(f"{'commonest class':18}accuracy {result[next(iter(verdicts))]['commonest']:.3f}")
    return result


def retrieve(
    run: Path,
    data: str,
    *,
    root: Path | None = None,
    out: Path | None = None,
    seed: int = 0,
    device: str = "cpu",
    json: bool = False,
) -> dict[str, Any]:
    """Look for each test video's nearest training videos by a run's embeddings, and count those of its class.

    Writes retrieval.json and a page with pictures into OUT. Embeddings are kept: a second look takes seconds.

    Args:
        run: the folder that `oddframe fit` wrote, of a method with embeddings.
        data: a data set of classes (ucf101, hmdb51, labelled), or a folder of your own with train, test and classes.
        root: where a named data set lies.
        out: where results go; RUN/retrieval-DATA unless given.
        seed: of everything drawn at random.
        device: where networks run: cpu, cuda, cuda:1 …
        json: print one JSON object instead of lines for a person.
    """
    refuse_impossible(seed, 1, device)
    fitted, embedder, name, split = _opened(run, data, root, device)
    folder = room(out or fitted.folder / f"retrieval-{name}")
    train, test = _embed(embedder, split, RETRIEVED, fitted.folder)
    found, nearest, cosine = retrieval(
        train.vector.mean(1), train.labels, test.vector.mean(1), test.labels
    )
    by_pixels, *_ = retrieval(train.pixels, train.labels, test.pixels, test.labels)
    low, high = wilson(round(found["R@1"] * len(test.videos)), len(test.videos))
    result = {
        **_facts(fitted, name, split),
        "left_out": [*train.left_out, *test.left_out],
        "embeddings": found,
        "interval_at_1": [low, high],
        "pixels": by_pixels,
        "chance_at_1": chance_at_1(train.labels, test.labels),
    }
    write_json(folder / "retrieval.json", result)
    said = f"{fitted.detector.name} on {name}: " + ", ".join(
        f"{k} {value:.3f}" for k, value in found.items()
    )
    write_retrieval_page(
        folder / "retrieval.html", test.videos, train.videos, nearest, cosine, said
    )
    if json:
        print(dumps(result, indent=2))
        return result
    print(_headline(result))
    print(f"{'':14}" + "".join(f"{k:>8}" for k in found))
    for what, numbers in (("embeddings", found), ("pixels", by_pixels)):
        print(f"{what:14}" + "".join(f"{value:8.3f}" for value in numbers.values()))
    print(f"chance at 1   {result['chance_at_1']:8.3f}   page: {folder / 'retrieval.html'}")
    return result


def _opened(
    run: Path, data: str, root: Path | None, device: str
) -> tuple[FittedDetector, Embedder, str, Split]:
    """The run, its embedder on the device, and the data. Raises BadInput or Leak for what cannot be probed."""
    fitted = load_run(run)
    embedder = fitted.detector
    if not isinstance(embedder, Embedder):
        raise BadInput(
            f"{run} holds {embedder.name}, which has no embeddings to probe; tclr and temporal-queue have"
        )
    name, split = open_data(data, root)
    refuse_unlabelled(name, split)
    trained = {video["hash"]: video["name"] for video in fitted.facts["trained_on"]}
    refuse_leak(trained, {content_hash(video.source): video.name for video in split.test})
    embedder.to(device).eval()
    return fitted, embedder, name, split


def _embed(
    embedder: Embedder, split: Split, positions: int, folder: Path
) -> tuple[Embeddings, Embeddings]:
    kept = folder / "embedded"
    return tuple(  # type: ignore[return-value]
        embeddings(embedder, videos, positions, kept, f"embedding, {side}")
        for side, videos in (("train", split.train), ("test", split.test))
    )


def _linear(train: Embeddings, test: Embeddings, *pixels: Any) -> Verdict:
    one, other = pixels or (train.vector, test.vector)
    return probing.linear(one, train.labels, other, test.labels)


def _tuned(
    embedder: Embedder,
    split: Split,
    folder: Path,
    seed: int,
    device: str,
    training: Training,
    whole: bool,
    batch_norm: BatchNorm,
) -> Verdict:
    run, sides = Run(folder, seed=seed, device=device), (split.train, split.test)
    return tuned(
        embedder, sides, run, training, whole=whole, batch_norm=batch_norm, positions=PROBED
    )


def _training(epochs: int, batch: int, lr: float, videos: int) -> Training:
    """Published: Adam, a tenth of the rate after three epochs that were no better."""
    return Training(
        epochs=epochs,
        batch=min(batch, videos),
        optimizer="adam",
        lr=lr,
        schedule="plateau",
        patience=2,
        precision="float32",
    )


def _facts(fitted: FittedDetector, name: str, split: Split) -> dict[str, Any]:
    return {
        "run": str(fitted.folder),
        "method": fitted.detector.name,
        "data": name,
        "train_videos": len(split.train),
        "test_videos": len(split.test),
    }


def _headline(result: dict[str, Any]) -> str:
    return f"{result['method']} on {result['data']}: {result['train_videos']} videos, tested on {result['test_videos']}"
