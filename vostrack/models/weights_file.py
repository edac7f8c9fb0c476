"""Weights files: tensors by name, and a header that describes the network."""

from __future__ import annotations

import json
import stat
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from vostrack.errors import InputError
from vostrack.files import atomic_path, parse_json

__all__ = [
    "DescribedWeights",
    "UndrawnWeights",
    "check_weights_file",
    "read_described",
    "read_description",
    "read_header",
    "read_state_dict",
    "read_weights",
    "write_weights",
]

# What layers call to draw their first weights.
_RANDOM = frozenset(
    {
        *("kaiming_normal_", "kaiming_uniform_", "normal_", "trunc_normal_", "uniform_"),
        *("xavier_normal_", "xavier_uniform_"),
    }
)
# Files written before version 0.2 call the backbone a trunk. The first match is used.
_EARLIER_PREFIXES = (("backbone.trunk.", "backbone.layers."), ("trunk.", "backbone."))


def write_weights(
    network: nn.Module | Mapping[str, Tensor],
    path: Path,
    header: Mapping[str, object] | None = None,
    *,
    half: bool = False,
) -> None:
    """Write the weights of a network as safetensors, atomically.

    Who may read the file follows the umask, as for all files.

    Args:
        network: the network, or its state dict.
        path: the file to write; missing folders are created.
        header: entries that describe the network, by key. Strings are stored unchanged, other
            values as JSON.
        half: whether to store float16, with a relative rounding error of at most 2**-11.

    Raises:
        OSError: the file cannot be written, for want of room or otherwise.
    """
    from safetensors import SafetensorError
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
        # The library makes files that nobody else can read, in folders that many share, too.
        temporary.touch()
        mode = temporary.stat().st_mode
        try:
            save_file(tensors, temporary, metadata=metadata or None)
            temporary.chmod(stat.S_IMODE(mode))
        except SafetensorError as error:
            raise OSError(f"{path} cannot be written ({error}); make room") from None


def read_header(path: Path) -> dict[str, str]:
    """Read the header of a safetensors file.

    Returns:
        The entries by key; empty if there is no header, and for other kinds of files.

    Raises:
        InputError: the file is corrupt or, despite its suffix, not a safetensors file.
    """
    if path.suffix != ".safetensors" or not path.is_file():
        return {}
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except SafetensorError as error:
        raise InputError(
            f"weights: {path} is not a safetensors file ({error}); copy it again"
        ) from None


def read_description(path: Path, key: str) -> dict[str, Any] | None:
    """Read the JSON object under ``key`` in the header of a file.

    Returns:
        The object; None if the header has no such key.

    Raises:
        InputError: the file is corrupt, or the entry is not a JSON object.
    """
    text = read_header(path).get(key)
    if text is None:
        return None
    try:
        description = parse_json(text)
    except ValueError:
        description = None
    if not isinstance(description, dict):
        raise InputError(
            f"weights: expected a JSON object under {key} in the header of {path}, got "
            f"{text[:80]!r}; check which program or version of vostrack wrote it"
        )
    return description


class DescribedWeights(NamedTuple):
    """The contents of a weights file.

    Attributes:
        description: the JSON object in the header.
        weights: tensors by name; those with floating point are float32.
    """

    description: dict[str, Any]
    weights: dict[str, Tensor]


def read_described(path: Path, key: str, *, what: str, command: str) -> DescribedWeights:
    """Read the description of a network and its weights.

    Args:
        path: the file.
        key: key of the description in the header.
        what: kind of network, for the message.
        command: training command that writes such files, for the message.

    Raises:
        InputError: the file does not exist or does not contain such a network.
    """
    state = read_weights(path)
    description = read_description(path, key)
    if description is None:
        raise InputError(
            f"weights: {path}: expected {what} weights; use a file that vostrack train {command} "
            "wrote"
        )
    return DescribedWeights(description, state)


class UndrawnWeights(TorchFunctionMode):
    """Builds networks without drawing random weights: a file is to replace every one of them.

    Drawing those of a ResNet-18 takes half a second. Until the file is loaded, they are whatever is
    in memory.
    """

    _blocks = threading.local()

    @classmethod
    def active(cls) -> bool:
        """Tell whether this thread is in such a block."""
        return getattr(cls._blocks, "depth", 0) > 0

    def __enter__(self) -> UndrawnWeights:
        """Begin the block."""
        self._blocks.depth = getattr(self._blocks, "depth", 0) + 1
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: Any) -> None:
        """End the block."""
        self._blocks.depth -= 1
        super().__exit__(*error)  # type: ignore[no-untyped-call]

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Leave tensors as they are where they would be drawn at random."""
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") in _RANDOM:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read tensors like ``read_state_dict``, and convert floating point ones to float32."""
    return {
        name: value.float() if value.is_floating_point() else value
        for name, value in read_state_dict(path).items()
    }


def check_weights_file(path: Path) -> None:
    """Refuse the path of weights where there is no file.

    Raises:
        InputError: there is none.
    """
    if not path.is_file():
        raise InputError(
            f"weights: no file {path}; expected imagenet, none, shipped or the path of a "
            ".safetensors, .pt or .pth file; check the path"
        )


def read_state_dict(path: Path, prefix: str = "") -> dict[str, Tensor]:
    """Read tensors by name from ``.safetensors``, or from ``.pt``/``.pth`` without running code.

    Args:
        path: the file.
        prefix: only tensors whose names begin with it are read.

    Raises:
        InputError: the file does not exist, or does not contain tensors by name, or not all of
            their values are finite.
    """
    check_weights_file(path)
    try:
        if path.suffix == ".safetensors":
            return _finite(_read_some(path, prefix), path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"weights: {path} cannot be read as a state dict ({type(error).__name__}: "
            f"{str(error).splitlines()[0] if str(error) else 'no reason given'}); expected tensors "
            "by name in .safetensors, or a .pt/.pth file that torch.load(weights_only=True) accepts"
        ) from None
    if not isinstance(state, Mapping):
        raise InputError(
            f"weights: {path}: expected a state dict, got a {type(state).__name__}; save "
            "network.state_dict()"
        )
    inner = state.get("state_dict", state)
    tensors = {_current_name(k): v for k, v in inner.items() if isinstance(v, Tensor)}
    return _finite({k: v for k, v in tensors.items() if k.startswith(prefix)}, path)


def _finite(state: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    for name, value in state.items():
        if value.is_floating_point() and not _all_finite(value):
            raise InputError(
                f"weights: {path}: {name} has values that are not finite; the file is damaged, or "
                "the training that wrote it diverged: use another file"
            )
    return state


def _all_finite(value: Tensor) -> bool:
    """Look at the extremes, which are not finite if anything is: a quarter of the time."""
    return not value.numel() or all(bool(x.isfinite()) for x in value.aminmax())


def _read_some(path: Path, prefix: str) -> dict[str, Tensor]:
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        names = {name: _current_name(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        return {
            current: file.get_tensor(name)
            for name, current in names.items()
            if current.startswith(prefix)
        }


def _current_name(name: str) -> str:
    for earlier, current in _EARLIER_PREFIXES:
        if name.startswith(earlier):
            return current + name.removeprefix(earlier)
    return name
