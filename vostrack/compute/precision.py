"""Half precision where the hardware gains by it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from vostrack.errors import InputError

__all__ = [
    "Precision",
    "autocast",
    "float32_outside_autocast",
    "has_fast_bf16",
    "resolve_device",
]

Precision = Literal["auto", "fp32", "bf16"]


def resolve_device(device: str) -> torch.device:
    """Return the device of that name; ``auto`` is the first CUDA device, else the CPU.

    Raises:
        InputError: not a device, or not one of this machine.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
    except RuntimeError:
        raise InputError(f"device: expected auto, cpu, cuda or cuda:N, got {device!r}") from None
    if resolved.type == "cuda" and (resolved.index or 0) >= torch.cuda.device_count():
        raise InputError(
            f"device: {device} was asked for, but torch sees {torch.cuda.device_count()} CUDA "
            "device(s); use --device cpu or --device auto"
        )
    if resolved.type not in ("cpu", "cuda"):
        raise InputError(f"device: expected auto, cpu, cuda or cuda:N, got {device!r}")
    return resolved


def has_fast_bf16(device: torch.device) -> bool:
    """Tell whether bfloat16 has its own instructions there; emulated, it is slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # get_capabilities came with torch 2.10; before it, a CPU counts as one without.
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """Return the autocast context for one network pass.

    Args:
        device: where the network is.
        precision: ``auto`` is bfloat16 where it has hardware, else float32.

    Raises:
        InputError: unknown precision.
    """
    if precision not in get_args(Precision):
        raise InputError(f"precision: expected auto, fp32 or bf16, got {precision!r}")
    enabled = precision == "bf16" or (precision == "auto" and has_fast_bf16(device))
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)


@contextmanager
def float32_outside_autocast(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Give the tensors in float32, and switch autocast off while the block runs.

    For linear systems and sums over many elements: bfloat16 has too few digits for them, and CUDA
    has no solver for it.

    Args:
        tensors: of any floating type, on one device.

    Yields:
        The same tensors in float32; those that are already are not copied.
    """
    with torch.autocast(tensors[0].device.type, enabled=False):
        yield tuple(tensor.float() for tensor in tensors)
