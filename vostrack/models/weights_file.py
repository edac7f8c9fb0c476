"""Files of weights: tensors by name, and a header that says what they are the weights of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vostrack.errors import InputError
from vostrack.files import atomic_path

__all__ = [
    "read_described",
    "read_description",
    "read_header",
    "read_state_dict",
    "read_weights",
    "write_weights",
]

# Files written before version 0.2 call a backbone a trunk. First match wins.
_EARLIER_PREFIXES = (("backbone.trunk.", "backbone.layers."), ("trunk.", "backbone."))


def write_weights(
    network: nn.Module | Mapping[str, Tensor],
    path: Path,
    header: Mapping[str, object] | None = None,
    *,
    half: bool = False,
) -> None:
    """Write the weights of a network as safetensors; the file is replaced whole or not at all.

    Args:
        network: what to save, or its state dict.
        path: file to write; missing folders are created.
        header: what is needed to build the network again, by key. A string is stored as it is,
            anything else as JSON.
        half: store float16: half the size, a relative rounding error of at most 2**-11.
    """
    from safetensors.torch import save_file

    state = network.state_dict() if isinstance(network, nn.Module) else network
    tensors = {
        name: value.detach()
        .cpu()
        .to(torch.float16 if half and value.is_floating_point() else value.dtype)
        .contiguous()
        for name, value in state.items()
    }
    metadata = {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in (header or {}).items()
    }
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata=metadata or None)


def read_header(path: Path) -> dict[str, str]:
    """Read the header of a safetensors file; empty where there is none, and for other files.

    Raises:
        InputError: the file is damaged, or no safetensors file in spite of its name.
    """
    if path.suffix != ".safetensors" or not path.is_file():
        return {}
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except SafetensorError as error:
        raise InputError(f"weights: {path} is not a safetensors file ({error})") from None


def read_description(path: Path, key: str) -> dict[str, Any] | None:
    """Read the JSON object under ``key`` in the header of a file; None where it has no such key.

    Raises:
        InputError: the file is damaged, or the entry is not a JSON object.
    """
    text = read_header(path).get(key)
    if text is None:
        return None
    try:
        description = json.loads(text)
    except json.JSONDecodeError:
        description = None
    if not isinstance(description, dict):
        raise InputError(
            f"weights: the header of {path} says {text[:80]!r} under {key}, expected a JSON "
            "object; another program or a newer version of vostrack wrote it"
        )
    return description


def read_described(
    path: Path, key: str, *, what: str, command: str
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read the description of a network and its weights.

    Args:
        path: the file.
        key: of the description in the header.
        what: the kind of network, for the error.
        command: the training command that writes such files, for the error.

    Returns:
        The description, and the tensors as ``read_weights`` gives them.

    Raises:
        InputError: no such file, or the weights of something else.
    """
    state = read_weights(path)
    description = read_description(path, key)
    if description is None:
        raise InputError(
            f"weights: {path} holds no {what}; expected a file that vostrack train {command} wrote"
        )
    return description, state


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a file as ``read_state_dict`` does, floating point ones as float32."""
    return {
        name: value.float() if value.is_floating_point() else value
        for name, value in read_state_dict(path).items()
    }


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read tensors by name from ``.safetensors``, or from ``.pt``/``.pth`` without running code.

    Raises:
        InputError: no such file, or nothing that holds tensors by name.
    """
    if not path.is_file():
        raise InputError(
            f"weights: no file {path}; expected imagenet, none, shipped or the path of a "
            ".safetensors, .pt or .pth file"
        )
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return _current_names(load_file(path))
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise InputError(
            f"weights: {path} cannot be read as a state dict ({type(error).__name__}: "
            f"{str(error).splitlines()[0] if str(error) else 'no reason given'}); expected tensors "
            "by name in .safetensors, or a .pt/.pth file that torch.load(weights_only=True) accepts"
        ) from None
    if not isinstance(state, Mapping):
        raise InputError(f"weights: {path} holds a {type(state).__name__}, expected a state dict")
    inner = state.get("state_dict", state)
    return _current_names({k: v for k, v in inner.items() if isinstance(v, Tensor)})


def _current_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {_current_name(name): value for name, value in state.items()}


def _current_name(name: str) -> str:
    for earlier, current in _EARLIER_PREFIXES:
        if name.startswith(earlier):
            return current + name.removeprefix(earlier)
    return name
