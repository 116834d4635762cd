"""Published weights into our networks: from a file, or from where their authors offer them when that is asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlsplit

import torch
from torch import Tensor, nn

from oddframe.console import say
from oddframe.errors import BadInput, BadRun
from oddframe.learning.encoders import Encoder, library
from oddframe.learning.saving import read_weights

INSIDE = ("model_state", "state_dict", "model", "module", "bb_state_dict")  # where files keep the tensors
PREFIXES = ("module.", "model.", "timesformer.", "videomae.", "vjepa2.", "net.", "picture.")
RENAMED = {"q": ".attention.query.bias", "v": ".attention.value.bias"}
# a classifier that we do not have: its tensors may be there
CLASSIFIERS = ("fc.", "fc_norm.", "head.", "heads.", "classifier.", "blocks.5.proj.", "blocks.6.proj.", "blocks.6.")


def put_weights(net: nn.Module, one: Encoder, weights: str) -> str:
    """Load `weights`, which is "hub" or a file, into an encoder; returns where they came from, in words.

    Raises BadInput, one line, for weights of another network, and for what is not there and cannot be fetched.
    """
    if weights == "hub":
        say(f"{one.name}: weights of {one.url} ({one.terms})")
        if one.foreign:
            load_state(net, _fetched_foreign(one), one.name, Path(urlsplit(one.url).path.strip("/")))
            return f"{one.url} ({one.terms})"
        path = fetched(one)
    else:
        path = Path(weights).expanduser()
        if not path.is_file():
            raise BadInput(
                f"no such file of weights: {path}; the published ones of {one.name} are at {one.url}, "
                "and --weights hub fetches them"
            )
    load_state(net, read_state(path), one.name, path)
    return f"{one.url} ({one.terms})" if weights == "hub" else str(path)


def fetched(one: Encoder) -> Path:
    """The file of the published weights in torch's cache, downloaded if need be. Raises BadInput, one line."""
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    path = folder / one.file
    if path.is_file():
        return path
    try:
        folder.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(one.url, str(path), progress=False)
    except (URLError, OSError, RuntimeError) as error:
        why = getattr(error, "reason", None) or error
        raise BadInput(
            f"cannot reach {urlsplit(one.url).hostname} for the weights of {one.name} ({why}); bring {one.url} to "
            f"{path}, or name the file with --weights"
        ) from error
    return path


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name, without what wrappers put before their names. Raises BadInput."""
    if path.suffix == ".safetensors":
        tensors = library("safetensors.torch", path.name, "hub")
        try:
            return _plain(tensors.load_file(path))
        except (OSError, library("safetensors", path.name, "hub").SafetensorError) as error:
            raise BadInput(f"{path} is damaged ({error}); name another file with --weights") from error
    try:
        state: Any = read_weights(path, "name another file with --weights")
    except BadRun as error:
        raise BadInput(str(error)) from error
    for name in INSIDE:
        if isinstance(state.get(name), Mapping):
            state = state[name]
    return _plain({name: value for name, value in state.items() if isinstance(value, Tensor)})


def _plain(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Without what wrappers put before names, and with today's names for VideoMAE's biases."""
    return {
        re.sub(r"\.attention\.([qv])_bias$", lambda found: RENAMED[found[1]], _bare(name)): value
        for name, value in state.items()
    }


def load_state(net: nn.Module, state: Mapping[str, Tensor], name: str, path: Path) -> None:
    """Put tensors into a network; all of its own must be there, and nothing else but a classifier may be.

    Raises BadInput, one line, that names what is missing, unexpected, or of another shape.
    """
    own = {_bare(key): key for key in net.state_dict()}
    wanted = net.state_dict()
    missing = [key for key in own if key not in state and not key.endswith("num_batches_tracked")]
    extra = [key for key in state if key not in own and not key.startswith(CLASSIFIERS)]
    shapes = [key for key in own if key in state and state[key].shape != wanted[own[key]].shape]
    if missing or extra or shapes:
        told = [
            f"{len(keys)} {what}, such as {keys[0]}{_shapes(keys[0], what, state, wanted, own)}"
            for keys, what in ((missing, "missing"), (extra, "unexpected"), (shapes, "of another shape"))
            if keys
        ]
        raise BadInput(f"{path} holds weights of another network than {name}: of {len(own)} tensors {'; '.join(told)}")
    net.load_state_dict({own[key]: value for key, value in state.items() if key in own}, strict=False)


def _shapes(
    key: str, what: str, state: Mapping[str, Tensor], wanted: Mapping[str, Tensor], own: Mapping[str, str]
) -> str:
    if what != "of another shape":
        return ""
    return f" ({tuple(state[key].shape)}, not {tuple(wanted[own[key]].shape)})"


def _bare(name: str) -> str:
    changed = True
    while changed:
        before = name
        for prefix in PREFIXES:
            name = name.removeprefix(prefix)
        changed = name != before
    return name


def _fetched_foreign(one: Encoder) -> dict[str, Tensor]:
    repository = urlsplit(one.url).path.strip("/")
    published = getattr(library("transformers", one.name, "hub"), one.foreign)
    try:
        return _plain(published.from_pretrained(repository).state_dict())
    except (OSError, ValueError) as error:
        why = " ".join(str(error).split())[:200]
        raise BadInput(
            f"cannot get the weights of {one.name} from {one.url} ({why}); download them where there is a network and "
            "copy the cache of the transformers library, or name a file of tensors with --weights"
        ) from error
