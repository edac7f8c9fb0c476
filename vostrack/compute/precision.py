"""Devices, and half precision on hardware that supports it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Literal, get_args

from vostrack.errors import InputError

if TYPE_CHECKING:
    import torch

__all__ = ["Precision", "autocast", "has_fast_bf16", "resolve_device"]

Precision = Literal["auto", "fp32", "bf16"]


def resolve_device(device: str) -> torch.device:
    """Return the torch device of a given name.

    Args:
        device: ``cpu``, ``cuda``, ``cuda:N``, or ``auto`` for the first CUDA device if there is
            one, else the CPU.

    Raises:
        InputError: no such device, or this machine does not have it.
    """
    import torch

    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
    except RuntimeError:
        raise InputError(f"device: expected auto, cpu, cuda or cuda:N, got {device!r}") from None
    if resolved.type == "cuda" and (resolved.index or 0) >= torch.cuda.device_count():
        raise InputError(
            f"device: {device} was requested, but torch sees {torch.cuda.device_count()} CUDA "
            "device(s); use `device='cpu'` or `device='auto'`"
        )
    if resolved.type not in ("cpu", "cuda"):
        raise InputError(f"device: expected auto, cpu, cuda or cuda:N, got {device!r}")
    return resolved


def has_fast_bf16(device: torch.device) -> bool:
    """Tell whether a device has bfloat16 instructions; emulation is slower than float32."""
    import torch

    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # torch.cpu.get_capabilities is new in torch 2.10. Older versions report no bfloat16.
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[None]:
    """Return the autocast context for one forward pass.

    Weights are cast anew for each pass. Torch keeps the casts until the outermost context ends,
    even if that one is off, and fine-tuning inside it would go on with the first weights.

    Args:
        device: the network's device.
        precision: ``fp32``, ``bf16``, or ``auto`` for bfloat16 if the device supports it and
            float32 otherwise.

    Raises:
        InputError: unknown precision.
    """
    import torch

    if precision not in get_args(Precision):
        raise InputError(f"precision: expected auto, fp32 or bf16, got {precision!r}")
    enabled = precision == "bf16" or (precision == "auto" and has_fast_bf16(device))
    return _own_casts(torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled))


@contextmanager
def _own_casts(context: torch.autocast) -> Iterator[None]:
    """Enter a context without the casts of weights that others left, and leave none behind."""
    import torch

    torch.clear_autocast_cache()
    try:
        with context:
            yield
    finally:
        torch.clear_autocast_cache()
