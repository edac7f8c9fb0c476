"""Choosing the implementation of the propagation: the caller's, the user's, or the fastest."""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, Literal, Protocol, cast, get_args

import torch
from torch import Tensor

from vostrack.errors import InputError
from vostrack.refine.spn import reference

__all__ = ["ENVIRONMENT", "Impl", "Implementation", "check_name", "implementation", "resolve"]

Impl = Literal["auto", "reference", "numba", "triton"]

ENVIRONMENT: Final = "VOSTRACK_SPN"
_LOG = logging.getLogger(__name__)


class Implementation(Protocol):
    """Interface of a module that implements the propagation; see ``reference``."""

    def forward(
        self, x: Tensor, gates: Tensor, directions: Sequence[int], keep_states: bool
    ) -> tuple[Tensor, Tensor]:
        """Propagate the map."""
        ...

    def backward(
        self, grad: Tensor, x: Tensor, gates: Tensor, states: Tensor, directions: Sequence[int]
    ) -> tuple[Tensor, Tensor]:
        """Return the gradients of x and of the gates."""
        ...


def check_name(name: str, source: str) -> None:
    """Check the name of an implementation.

    Args:
        name: the name.
        source: where the name was given, for the message.

    Raises:
        InputError: there is no such implementation.
    """
    if name not in get_args(Impl):
        raise InputError(f"{source}: expected one of {', '.join(get_args(Impl))}, got {name!r}")


def resolve(impl: str, device: torch.device) -> str:
    """Choose the implementation for tensors on a device.

    Args:
        impl: a name. ``auto`` uses the environment variable VOSTRACK_SPN. If that is unset or
            ``auto`` too, it is Triton on CUDA and numba on the CPU if installed, else the
            reference. Triton must also agree with the reference on this device.
        device: device of the tensors.

    Returns:
        ``reference``, ``numba`` or ``triton``.

    Raises:
        InputError: the named implementation is not available on this device.
    """
    source = "impl"
    if impl == "auto":
        source = f"the environment variable {ENVIRONMENT}"
        impl = os.environ.get(ENVIRONMENT, "auto")
        check_name(impl, source)
    if impl == "auto":
        return _fastest(device)
    obstacle = _obstacle(impl, device)
    if obstacle:
        raise InputError(
            f"{source}: {impl!r} cannot run on {device.type}: {obstacle}; use 'auto' or 'reference'"
        )
    _report(impl, device.type, source)
    return impl


def implementation(name: str) -> Implementation:
    """Load an implementation by the name that ``resolve`` returned."""
    if name == "numba":
        from vostrack.refine.spn import numba_kernel

        return cast(Implementation, numba_kernel)
    if name == "triton":
        from vostrack.refine.spn import triton_kernel

        return cast(Implementation, triton_kernel)
    return cast(Implementation, reference)


def _obstacle(impl: str, device: torch.device) -> str:
    """Return why an implementation cannot run on a device; empty if it can."""
    if impl == "reference":
        return ""
    if importlib.util.find_spec(impl) is None:
        return f"the package {impl} is not installed"
    if impl == "numba":
        return "" if device.type == "cpu" else "it needs tensors on the CPU"
    interpreted = os.environ.get("TRITON_INTERPRET") == "1"
    if device.type == "cuda" or (interpreted and device.type == "cpu"):
        return ""
    return "it needs tensors on a CUDA device (or its interpreter, TRITON_INTERPRET=1)"


def _fastest(device: torch.device) -> str:
    preferred = "triton" if device.type == "cuda" else "numba"
    obstacle = _obstacle(preferred, device)
    if not obstacle and preferred == "triton":
        obstacle = _disagreement(device)
    if obstacle:
        _report_fallback(preferred, device.type, obstacle)
        return "reference"
    _report(preferred, device.type, "auto")
    return preferred


@lru_cache(maxsize=8)
def _disagreement(device: torch.device) -> str:
    """Return how the Triton kernel fails on a small map on this device; empty if it works.

    Drivers, devices and versions of Triton differ too much to rely on an untested kernel.
    """
    size = (70, 600) if device.type == "cuda" else (2, 3)  # the interpreter is slow
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, 2, *size, generator=generator).to(device)
    gates = torch.randn(1, 1, 4, 3, *size, generator=generator).to(device) / 3
    try:
        results = []
        for module in (reference, implementation("triton")):
            y, states = module.forward(x, gates, range(4), True)
            results.append((y, *module.backward(x, x, gates, states, range(4))))
        torch.testing.assert_close(results[1], results[0], rtol=1e-3, atol=1e-3)
    except Exception as error:  # any error of the compiler, the driver or the launch
        return f"its check failed ({type(error).__name__}: {str(error).strip().splitlines()[0]})"
    return ""


@lru_cache(maxsize=32)
def _report(impl: str, device: str, source: str) -> None:
    _LOG.info("spatial propagation on %s: %s (by %s)", device, impl, source)


@lru_cache(maxsize=32)
def _report_fallback(impl: str, device: str, obstacle: str) -> None:
    _LOG.warning(
        "spatial propagation on %s: using the slow reference, because %s cannot run: %s",
        device,
        impl,
        obstacle,
    )
