"""What CUDA would refuse, found on the CPU: solvers given bfloat16, and copies that wait."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from vostrack.build import build_tracker
from vostrack.models.memory_cues import RidgeRegression
from vostrack.presets import TrackerOptions
from vostrack.tracking.tracker import Tracker

# Functions of torch that have no kernel for half precision on CUDA.
_FULL_PRECISION_ONLY = {
    torch.linalg.solve,
    torch.linalg.inv,
    torch.linalg.cholesky,
    torch.linalg.qr,
    torch.linalg.svd,
    torch.linalg.lstsq,
    torch.linalg.eigh,
    torch.cholesky_solve,
    torch.lu_solve,
    torch.histc,
    torch.quantile,
}


class CudaRules(TorchFunctionMode):
    """Refuses what a CUDA device refuses, while everything runs on the CPU."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in _FULL_PRECISION_ONLY:
            for value in (*args, *kwargs.values()):
                if isinstance(value, Tensor) and value.dtype in (torch.bfloat16, torch.float16):
                    raise RuntimeError(
                        f"{getattr(func, '__name__', func)} is not implemented for {value.dtype}"
                    )
        return func(*args, **kwargs)


def two_objects() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 255, (64, 96, 3), dtype=np.uint8)
    mask = np.zeros((64, 96), np.uint8)
    mask[10:40, 10:40], mask[20:50, 55:85] = 1, 2
    return frame, mask


def test_the_mode_itself_finds_a_solve_in_bfloat16() -> None:
    with pytest.raises(RuntimeError, match="solve is not implemented"), CudaRules():
        torch.linalg.solve(torch.eye(2, dtype=torch.bfloat16), torch.ones(2, dtype=torch.bfloat16))


def test_the_ridge_regression_solves_in_float32_under_autocast() -> None:
    regression = RidgeRegression()
    embedding = torch.randn(2, 9, 4, 6, requires_grad=True)
    mask = torch.rand(2, 1, 4, 6)
    with torch.autocast("cpu", dtype=torch.bfloat16), CudaRules():
        statistics = regression.statistics(embedding.bfloat16(), mask * 2 - 1, mask)
        result = regression(embedding.bfloat16(), statistics)
    assert statistics.gram.dtype == result.dtype == torch.float32
    rounded = embedding.bfloat16().float()
    expected = regression(rounded, regression.statistics(rounded, mask * 2 - 1, mask))
    torch.testing.assert_close(result, expected, rtol=0, atol=0)
    result.sum().backward()
    assert embedding.grad is not None
    assert embedding.grad.isfinite().all()


@pytest.mark.parametrize("preset", ["fast", "balanced", "best", "finetune"])
def test_presets_run_in_bfloat16_under_the_rules(preset: str) -> None:
    frame, mask = two_objects()
    options = TrackerOptions(
        precision="bf16",
        object_steps=0 if preset == "fast" else 1,
        foreground_steps=1 if preset == "finetune" else None,
    )
    tracker = build_tracker(preset, options=options)
    with CudaRules():
        tracker.start(frame, mask)
        for _ in range(2):
            result = tracker.step(frame)
    assert np.isfinite(result.scores).all()


# Methods of a tensor that make the host wait for the device.
_WAITING = (
    "item",
    "tolist",
    "cpu",
    "nonzero",
    "__bool__",
    "__int__",
    "__float__",
    "__index__",
)


class Waits(TorchFunctionMode):
    """Counts the calls for which the host would wait until the device has caught up."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        name = getattr(func, "__name__", "")
        if name in _WAITING:
            self.counts[name] += 1
        if name == "__getitem__" and _by_mask(args[1]):
            self.counts["boolean index"] += 1
        return func(*args, **(kwargs or {}))


def _by_mask(index: Any) -> bool:
    parts = index if isinstance(index, tuple) else (index,)
    return any(isinstance(part, Tensor) and part.dtype == torch.bool for part in parts)


def count_waits(objects: int) -> int:
    frame = np.random.default_rng(1).integers(0, 255, (96, 128, 3), dtype=np.uint8)
    mask = np.zeros((96, 128), np.uint8)
    for k in range(objects):
        y, x = divmod(k, 4)
        mask[y * 32 + 4 : y * 32 + 28, x * 32 + 4 : x * 32 + 28] = k + 1
    tracker: Tracker = build_tracker("fast", options=TrackerOptions(refiner="none"))
    tracker.start(frame, mask)
    tracker.step(frame)
    with Waits() as waits:
        tracker.step(frame)
    return sum(waits.counts.values())


def test_a_step_waits_for_the_device_no_more_often_for_many_objects() -> None:
    """Objects that are lost are segmented as a group of their own: two groups at most."""
    counts = {objects: count_waits(objects) for objects in (1, 4, 10)}
    assert max(counts.values()) <= 16, counts
