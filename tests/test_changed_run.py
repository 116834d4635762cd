"""A run folder changed by somebody who computed its checksums, which have no key, anew: refused in one line, code 5."""

import json
import shutil
import time
import zipfile
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from films import film
from oddframe.cli.main import main

Refused = Callable[..., str]
PARTS = ("state.safetensors", "detector.json", "calibration.npz")
HEADS = {
    "knn": ["--neighbours", "2"],
    "centroid": [],
    "mahalanobis": [],
    "mixture": [],
    "autoencoder": ["--layers", "[8,4]", "--head.training.epochs", "5"],
    "density": ["--steps", "8"],
}


def checksum(data: bytes) -> str:
    return blake2b(data, digest_size=8).hexdigest()


def sign(run: Path, facts: dict[str, Any]) -> None:
    """Write run.json with checksums of whatever lies there now."""
    facts.pop("checks", None)
    checks = {name: checksum((run / name).read_bytes()) for name in PARTS}
    checks["run.json"] = checksum(json.dumps(facts, sort_keys=True).encode())
    (run / "run.json").write_text(json.dumps({**facts, "checks": checks}))


def facts_of_run(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "run.json").read_text())
    return found


def change_options(run: Path, **options: object) -> None:
    words = json.loads((run / "detector.json").read_text())
    words["options"] |= options
    (run / "detector.json").write_text(json.dumps(words))


def change_calibration(run: Path, **arrays: NDArray[Any]) -> None:
    with np.load(run / "calibration.npz") as held:
        whole = dict(held)
    np.savez(run / "calibration.npz", **{**whole, **arrays})  # type: ignore[arg-type]


def change_state(run: Path, name: str, change: Callable[[NDArray[Any]], NDArray[Any]]) -> None:
    path = run / "state.safetensors"
    with safe_open(path, framework="numpy") as held:
        plain = held.metadata()
        arrays = {key: held.get_tensor(key) for key in held.keys()}  # noqa: SIM118
    arrays[name] = np.ascontiguousarray(change(arrays[name]))
    save_file(arrays, path, metadata=plain)


def grow_scores(run: Path) -> None:
    """A calibration of a few hundred kilobytes that unpacks to four gigabytes."""
    with np.load(run / "calibration.npz") as held:
        whole = dict(held)
    about = {"descr": "<f4", "fortran_order": False, "shape": (1 << 30,)}
    with zipfile.ZipFile(run / "calibration.npz", "w", zipfile.ZIP_DEFLATED) as packed:
        for name, array in whole.items():
            with packed.open(f"{name}.npy", "w", force_zip64=True) as file:
                if name != "scores":
                    np.lib.format.write_array(file, array)
                    continue
                np.lib.format.write_array_header_1_0(file, about)
                for _ in range(64):
                    file.write(bytes(1 << 20))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param(grow_scores, "would unpack to", id="a bomb"),
        pytest.param(
            lambda run: change_calibration(run, scores=np.full(9, np.nan, np.float32)),
            "do not fit",
            id="other scores",
        ),
        pytest.param(
            lambda run: change_options(run, dwell_seconds=1e300), "dwell_seconds", id="an option"
        ),
        pytest.param(lambda run: change_options(run, wings=2), "wings", id="a strange option"),
        pytest.param(
            lambda run: change_state(run, "bank", lambda a: a * np.nan), "not finite", id="nan"
        ),
        pytest.param(lambda run: change_state(run, "bank", lambda a: a[:, :3]), "bank", id="shape"),
        pytest.param(lambda run: change_state(run, "bank", lambda a: a[:0]), "bank", id="nothing"),
        pytest.param(
            lambda run: change_state(run, "origin", lambda a: a.astype(float)), "type", id="type"
        ),
        pytest.param(
            lambda run: change_state(run, "spread", lambda a: a * 0), "spread", id="a range"
        ),
    ],
)
@pytest.mark.parametrize("command", ["info", "score"])
def test_changed_parts_are_refused(
    refused: Refused,
    run: Path,
    short: Path,
    tmp_path: Path,
    command: str,
    change: Callable[[Path], None],
    says: str,
) -> None:
    facts = facts_of_run(run)
    change(run)
    sign(run, facts)
    more = (short, "--out", tmp_path / "out") if command == "score" else ()
    began = time.monotonic()
    assert says in refused(5, command, run, *more)
    assert time.monotonic() - began < 20


def test_scores_that_are_not_finite_are_refused(refused: Refused, run: Path) -> None:
    with np.load(run / "calibration.npz") as held:
        scores = held["scores"] * np.nan
    change_calibration(run, scores=scores)
    sign(run, facts_of_run(run))
    assert "not finite" in refused(5, "info", run)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("threshold", {"rarity": "3"}),
        ("threshold", None),
        ("threshold", [1, 2]),
        ("trained_on", [1]),
        ("trained_on", {"name": "x"}),
        ("trained_on", [{"name": "x"}]),
        ("levels", [5.0, 1.0]),
        ("levels", ["a", "b"]),
        ("levels", [1.0]),
        ("levels", [0.0, float("inf")]),
        ("frame_rate", 0),
        ("frame_rate", float("nan")),
        ("frame_rate", "25"),
        ("stream", 3),
        ("seconds", {"fit": "long"}),
        ("seconds", {}),
        ("calibration", {}),
        ("seed", "0"),
        ("data", None),
        ("left_out", 3),
        ("machine", "mine"),
        ("versions", []),
        ("began", None),
    ],
)
def test_changed_facts_are_refused(refused: Refused, run: Path, name: str, value: Any) -> None:
    facts = facts_of_run(run)
    sign(run, {**facts, name: value})
    assert "run.json is damaged" in refused(5, "info", run)
    if value is not None:
        del facts[name if name in facts else "data"]
        sign(run, facts)
        assert "run.json is damaged" in refused(5, "info", run)


# Methods with a network, and every head.


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    for k in range(4):
        film(folder / f"{k}.mp4", 80, fps=10, size=(32, 32), start=20 * k)
    return folder


@pytest.fixture(scope="module", params=HEADS)
def embedded(
    request: pytest.FixtureRequest, films: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The run of a head on the embeddings of a small network."""
    head = str(request.param)
    run = tmp_path_factory.mktemp(head) / "run"
    words = ["fit", "embedding", films, "--head", head, *HEADS[head], "--keep-all", "--out", run]
    words += ["--network", "image-resnet18", "--clip-length", "2", "--clip-seconds", "0.2"]
    words += ["--hop-seconds", "0.4", "--size", "32"]
    assert main([*map(str, words), "--quiet"]) == 0
    return run


def test_info_tells_of_every_head(embedded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    for more in ([], ["--json"]):
        assert main(["info", str(embedded), *more]) == 0
        out, err = capsys.readouterr()
        assert err == ""
        assert "embedding" in out
    told = json.loads(out)
    assert told["parameters"]["total"] > 1_000_000


def test_changed_heads_and_networks_are_refused(
    refused: Refused, embedded: Path, films: Path, tmp_path: Path
) -> None:
    with safe_open(embedded / "state.safetensors", framework="numpy") as held:
        names = sorted(held.keys())
        shapes = {name: held.get_slice(name).get_shape() for name in names}
    of_head = [name for name in names if name.startswith("head.")]
    chosen = [*of_head[:5], next(name for name in names if name.startswith("net."))]
    for name in chosen:
        changes: list[Callable[[NDArray[Any]], NDArray[Any]]] = [lambda a: a[None, None]]
        if shapes[name]:
            changes.append(lambda a: a.astype(np.int32) if a.dtype.kind == "f" else a + 0.5)
        for number, change in enumerate(changes):
            run = Path(shutil.copytree(embedded, tmp_path / f"{name}-{number}"))
            change_state(run, name, change)
            sign(run, facts_of_run(run))
            assert "does not fit" in refused(5, "info", run)
            if number == 0 and name == of_head[0]:
                out = tmp_path / "out"
                assert "does not fit" in refused(5, "score", run, films / "0.mp4", "--out", out)
            shutil.rmtree(run)


def test_plain_values_of_another_kind_are_refused(
    refused: Refused, embedded: Path, tmp_path: Path
) -> None:
    for number, text in enumerate(
        ("[]", "{}", '{"_extra_state": 3}', '{"_extra_state": {"source": NaN, "resamples": 1}}')
    ):
        run = Path(shutil.copytree(embedded, tmp_path / str(number)))
        path = run / "state.safetensors"
        with safe_open(path, framework="numpy") as held:
            arrays = {name: held.get_tensor(name) for name in held.keys()}  # noqa: SIM118
        save_file(arrays, path, metadata={"metadata": text})
        sign(run, facts_of_run(run))
        assert "state.safetensors" in refused(5, "info", run)
        shutil.rmtree(run)
