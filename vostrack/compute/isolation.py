"""Our own numerical settings inside another program's process, for as long as a call lasts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor

__all__ = ["building", "check_not_forked", "float32_outside_autocast", "own_settings"]

# Other devices have no autocast to switch off.
_AUTOCAST_DEVICES = frozenset({"cpu", "cuda", "mps", "xpu"})
_HALF = (torch.float16, torch.bfloat16)
_forked_after_use = False
_used = False


def _note_fork() -> None:
    global _forked_after_use
    _forked_after_use = _used


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)


@contextmanager
def float32_outside_autocast(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Give tensors of half precision in float32, and switch autocast off while the block runs.

    For linear systems and sums over many elements: bfloat16 has too few digits for them, and CUDA
    has no solver for it.

    Args:
        tensors: of any floating type, on one device.

    Yields:
        The same tensors; those of full precision are not copied.
    """
    with torch.autocast(tensors[0].device.type, enabled=False):
        yield tuple(t.float() if t.dtype in _HALF else t for t in tensors)


@contextmanager
def own_settings(device: torch.device, *, gradients: bool = False) -> Iterator[None]:
    """Compute in float32, outside the caller's autocast, whatever the caller has set.

    The caller's settings are back when the block ends. The default dtype is a setting of the
    process: while the block runs, other threads see float32 too. New tensors are on the CPU unless
    they are told otherwise, whatever the default device.

    Args:
        device: where the work is done.
        gradients: whether the block trains. Then the caller's ``no_grad`` and ``inference_mode``
            do not count either.

    Raises:
        RuntimeError: see `check_not_forked`.
    """
    check_not_forked()
    before = torch.get_default_dtype()
    with ExitStack() as stack:
        for kind in {"cpu", device.type} & _AUTOCAST_DEVICES:
            stack.enter_context(torch.autocast(kind, enabled=False))
        if gradients:
            stack.enter_context(torch.inference_mode(False))
            stack.enter_context(torch.enable_grad())
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        if before != torch.float32:
            torch.set_default_dtype(torch.float32)
            stack.callback(torch.set_default_dtype, before)
        yield


@contextmanager
def building() -> Iterator[None]:
    """Build networks in float32, and leave torch's random state as it was.

    New layers draw their weights at random before those of a file take their place. Weights that
    are made in inference mode could never be fine-tuned, so the caller's does not count.

    Raises:
        RuntimeError: see `check_not_forked`.
    """
    with (
        own_settings(torch.device("cpu")),
        torch.inference_mode(False),
        torch.random.fork_rng(devices=[]),
    ):
        yield


def check_not_forked() -> None:
    """Refuse to compute in a forked child, where torch's threads are gone and it would hang.

    Call it before torch is used. It is what a fork of this process is known by.

    Raises:
        RuntimeError: the process was forked after its parent had computed or built something, and
            torch would use several threads.
    """
    global _used
    if _forked_after_use and torch.get_num_threads() > 1:
        raise RuntimeError(
            "this process was forked after vostrack had used torch in its parent; torch's threads "
            "do not survive that, and the call would hang. Start processes with the method "
            "'spawn', fork before anything is built or tracked, or call torch.set_num_threads(1) "
            "in the child"
        )
    _used = True
