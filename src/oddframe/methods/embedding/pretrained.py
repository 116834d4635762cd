"""Published weights into our networks: from a file, or from where their authors offer them when that is asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlsplit

import torch
from torch import Tensor, nn

from oddframe.errors import BadInput
from oddframe.methods.embedding.encoders import Encoder, library
from oddframe.progress import logger
from oddframe.training.checkpoints import put_published, read_published

PREFIXES = ("module.", "model.", "timesformer.", "videomae.", "vjepa2.", "net.", "picture.")
RENAMED = {"q": ".attention.query.bias", "v": ".attention.value.bias"}
# a classifier that we do not have: its tensors may be there
CLASSIFIERS = (
    "fc.",
    "fc_norm.",
    "head.",
    "heads.",
    "classifier.",
    "blocks.5.proj.",
    "blocks.6.proj.",
    "blocks.6.",
)


def put_weights(net: nn.Module, one: Encoder, weights: str) -> str:
    """Load `weights`, which is "hub" or a file, into an encoder; returns where they came from, in words.

    Raises BadInput, one line, for weights of another network, and for what is not there and cannot be fetched.
    """
    if weights == "hub":
        logger.info(f"{one.name}: weights of {one.url} ({one.terms})")
        if one.foreign:
            load_state(
                net, _fetched_foreign(one), one.name, Path(urlsplit(one.url).path.strip("/"))
            )
            return f"{one.url} ({one.terms})"
        path = download_weights(one)
    else:
        path = Path(weights).expanduser()
        if not path.is_file():
            raise BadInput(
                f"no such file of weights: {path}; the published ones of {one.name} are at {one.url}, "
                "and --weights hub fetches them"
            )
    load_state(net, read_state(path), one.name, path)
    return f"{one.url} ({one.terms})" if weights == "hub" else str(path)


def download_weights(one: Encoder) -> Path:
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
            raise BadInput(
                f"{path} is damaged ({error}); name another file with --weights"
            ) from error
    return _plain(read_published(path))


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
    given = {
        own.get(key, key): value
        for key, value in state.items()
        if key in own or not key.startswith(CLASSIFIERS)
    }
    put_published(net, given, f"{path}, read as {name},")


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
