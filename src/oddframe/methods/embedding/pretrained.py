"""Published weights into our networks: from a file, or from where their authors offer them when
that is asked for.
"""

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

Weights = Mapping[str, Tensor]  # by name
# what wrappers put before names; base_model is the published autoencoder's
PREFIXES = (
    "module.",
    "base_model.",
    "model.",
    "timesformer.",
    "videomae.",
    "vjepa2.",
    "net.",
    "picture.",
)
VIDEOMAE_BIASES = {"q": ".attention.query.bias", "v": ".attention.value.bias"}
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
# the published autoencoder's own layers: encoder.layer_1, decoder.layer_3, encoder.batchNorm1
AUTOENCODER_LAYER = re.compile(r"(?:module\.)?(encoder|decoder)\.(?:layer_(\d)|batchNorm1)\.(\w+)$")


def load_pretrained(
    net: nn.Module, encoder: Encoder, weights: str
) -> tuple[str, dict[str, Tensor]]:
    """Load `weights`, which is "hub" or a file, into a network.

    Returns where they came from, in words, and the weights of the autoencoder by the names of the
    head autoencoder, where the file is one of the published system. Raises BadInput, one line, for
    weights of another network, and for what is not there and cannot be downloaded.
    """
    if weights == "hub":
        source = f"{encoder.url} ({encoder.terms})"
        logger.info(f"{encoder.name}: weights of {source}")
        if encoder.foreign:
            repository = Path(urlsplit(encoder.url).path.strip("/"))
            load_network(net, download_foreign(encoder), encoder.name, repository)
            return source, {}
        path = download_weights(encoder)
    else:
        path = Path(weights).expanduser()
        source = str(path)
        if not path.is_file():
            raise BadInput(
                f"no such file of weights: {path}; the published ones of {encoder.name} are at "
                f"{encoder.url}, and --weights hub downloads them"
            )
    network, autoencoder = split_autoencoder(read_weights(path))
    load_network(net, network, encoder.name, path)
    return source, autoencoder


def split_autoencoder(state: Weights) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The weights of the network, and those of a published autoencoder by our names for its layers.

    Published are `encoder.batchNorm1`, `encoder.layer_1` … and `decoder.layer_3` …
    `decoder.layer_1`; ours number the layers in the order in which they are passed, ReLU and
    dropout counted.
    """
    network: dict[str, Tensor] = {}
    autoencoder: dict[str, Tensor] = {}
    found = {name: match for name in state if (match := AUTOENCODER_LAYER.match(name))}
    depth = max((int(match[2]) for match in found.values() if match[2]), default=0)
    for name, value in state.items():
        match = found.get(name)
        if match is None:
            network[name] = value
            continue
        side, number, tensor = match[1], int(match[2] or 0), match[3]
        if number == 0:
            place = "encoder.0"
        elif side == "encoder":
            place = "latent" if number == depth else f"encoder.{3 * number - 2}"
        else:
            place = f"decoder.{3 * (depth - number)}"
        autoencoder[f"{place}.{tensor}"] = value
    return network, autoencoder


def download_weights(encoder: Encoder) -> Path:
    """The file of the published weights in torch's cache, downloaded if need be. Raises BadInput,
    one line.
    """
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    path = folder / encoder.file
    if path.is_file():
        return path
    try:
        folder.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(encoder.url, str(path), progress=False)
    except (URLError, OSError, RuntimeError) as error:
        why = getattr(error, "reason", None) or error
        host = urlsplit(encoder.url).hostname
        raise BadInput(
            f"cannot reach {host} for the weights of {encoder.name} ({why}); "
            f"bring {encoder.url} to {path}, or name the file with --weights"
        ) from error
    return path


def download_foreign(encoder: Encoder) -> dict[str, Tensor]:
    """The weights that the transformers library downloads. Raises BadInput, one line."""
    repository = urlsplit(encoder.url).path.strip("/")
    published = getattr(library("transformers", encoder.name, "hub"), encoder.foreign)
    try:
        return with_our_names(published.from_pretrained(repository).state_dict())
    except (OSError, ValueError) as error:
        why = " ".join(str(error).split())[:200]
        raise BadInput(
            f"cannot get the weights of {encoder.name} from {encoder.url} ({why}); "
            "download them where there is a network and copy the cache of the transformers "
            "library, or name a file of tensors with --weights"
        ) from error


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by the names that stand there. Raises BadInput."""
    if path.suffix != ".safetensors":
        return read_published(path)
    tensors = library("safetensors.torch", path.name, "hub")
    safetensors = library("safetensors", path.name, "hub")
    damaged = safetensors.SafetensorError
    try:
        state: dict[str, Tensor] = tensors.load_file(path)
    except (OSError, damaged) as error:
        raise BadInput(f"{path} is damaged ({error}); name another file with --weights") from error
    return state


def load_network(net: nn.Module, state: Weights, name: str, path: Path) -> None:
    """Put tensors into a network; all of its own must be there, and nothing else but a classifier
    may be.

    Raises BadInput, one line, that names what is missing, unexpected, or of another shape.
    """
    own = {without_prefixes(key): key for key in net.state_dict()}
    given = {}
    for key, value in with_our_names(state).items():
        if key in own or not key.startswith(CLASSIFIERS):
            given[own.get(key, key)] = value
    put_published(net, given, f"{path}, read as {name},")


def with_our_names(state: Weights) -> dict[str, Tensor]:
    """Without what wrappers put before names, and with today's names for VideoMAE's biases."""
    renamed = {}
    for name, value in state.items():
        plain = without_prefixes(name)
        found = re.search(r"\.attention\.([qv])_bias$", plain)
        if found:
            begin = plain[: found.start()]
            plain = begin + VIDEOMAE_BIASES[found[1]]
        renamed[plain] = value
    return renamed


def without_prefixes(name: str) -> str:
    """A tensor's name without what wrappers put before it, once or several times."""
    changed = True
    while changed:
        before = name
        for prefix in PREFIXES:
            name = name.removeprefix(prefix)
        changed = name != before
    return name
