"""A fitted detector on disk: `detector.json` (method, options, version) and `state.safetensors`.

The second holds the learned arrays, and plain values as JSON in its metadata. No file is ever
unpickled.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oddframe import __version__
from oddframe.detector import Detector
from oddframe.errors import BadInput, BadRun
from oddframe.files import aside, write_json
from oddframe.registry import entries, member

FORMAT = 2  # raised when an older oddframe could not read what we write, or we what it wrote
STATE = "state.safetensors"
NOT_FITTING = (  # what detectors raise when they are given options or a state of something else
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    RuntimeError,
    BadInput,
)
PLAIN = "metadata"  # the entry of the state file's metadata that holds plain values as JSON


def save(detector: Detector, folder: Path) -> None:
    """Write a detector into a run folder; each file appears whole or not at all."""
    from safetensors.numpy import save as pack

    # laid out anew where need be: the format takes memory as it lies, and would scramble other
    # layouts
    arrays = {name: np.asarray(array, order="C") for name, array in detector.state().items()}
    packed = pack(arrays, metadata={PLAIN: json.dumps(detector.metadata())})
    with aside(folder / STATE) as part:
        part.write_bytes(packed)
    words = {
        "format": FORMAT,
        "oddframe": __version__,
        "method": detector.name,
        "options": detector.options,
    }
    write_json(folder / "detector.json", words)


def load(folder: Path) -> Detector:
    """The detector that was saved there. Raises BadRun with one line that says what is the matter."""
    words = read_words(folder)
    kind = member("methods", words["method"], "method")
    arrays, metadata = read_state(folder / STATE)
    try:
        kind.refuse_size(words["options"], sum(array.size for array in arrays.values()))
        detector: Detector = kind.of(words["options"])
    except NOT_FITTING as error:
        raise BadRun(
            f"{folder}/detector.json has options that {words['method']} does not take: {error}"
        ) from error
    try:
        detector.load_state(arrays, metadata)
    except NOT_FITTING as error:
        raise BadRun(
            f"{folder / STATE} does not fit a {detector.name} with these options: {error}"
        ) from error
    return detector


def read_words(folder: Path) -> dict[str, Any]:
    """What detector.json says: a method that is known, and its options. Raises BadRun, also for
    what is too new.
    """
    words = read_json(folder / "detector.json")
    version, method, known = words.get("format"), words.get("method"), entries("methods")
    if (
        not isinstance(version, int)
        or not isinstance(method, str)
        or not isinstance(words.get("options"), dict)
    ):
        raise BadRun(
            f"{folder}/detector.json is damaged: it names no format, method and options; fit again"
        )
    if version < FORMAT:
        raise BadRun(
            f"{folder} is a run of the older format {version}, written by oddframe "
            f"{words.get('oddframe')}; this one ({__version__}) reads format {FORMAT}: fit again"
        )
    if version > FORMAT:
        raise BadRun(
            f"{folder} is a run of format {version}, written by oddframe {words.get('oddframe')}; "
            f"this one ({__version__}) reads format {FORMAT}: update oddframe or fit again"
        )
    if method not in known:
        raise BadRun(
            f"{folder} holds a detector {method!r}; this oddframe knows {', '.join(known)}"
        )
    return words


def read_state(path: Path) -> tuple[dict[str, NDArray[Any]], Mapping[str, Any]]:
    """The arrays and the plain values of a state file. Raises BadRun."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise BadRun(
            f"{path.parent} is incomplete: {path.name} is missing; fit again or copy it anew"
        )
    try:
        with safe_open(path, framework="numpy") as file:
            plain = json.loads((file.metadata() or {}).get(PLAIN, "{}"), parse_constant=no_number)
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, ValueError, TypeError, OSError, RecursionError) as error:
        raise BadRun(f"{path} is damaged or cut short; fit again or copy it anew") from error
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise BadRun(f"{path} is damaged: {name} holds numbers that are not finite; fit again")
    if not isinstance(plain, dict):
        raise BadRun(f"{path} is damaged: its metadata is no JSON object; fit again")
    return arrays, plain


def no_number(text: str) -> float:
    """Raise ValueError for NaN and Infinity, which Python's JSON takes for numbers."""
    raise ValueError(f"{text} is no number")


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file of a run folder. Raises BadRun."""
    if not path.parent.is_dir():
        raise BadRun(f"no such run folder: {path.parent}; `oddframe fit` makes one")
    if not path.is_file():
        raise BadRun(
            f"{path.parent} is not a complete run: {path.name} is missing; `oddframe fit` writes it"
        )
    try:
        value = json.loads(path.read_text())
    except (ValueError, UnicodeDecodeError, RecursionError) as error:
        raise BadRun(f"{path} is damaged: {error}") from error
    if not isinstance(value, dict):
        raise BadRun(f"{path} is damaged: it holds no JSON object")
    return value
