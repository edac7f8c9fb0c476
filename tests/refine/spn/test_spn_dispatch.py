"""What the door refuses, and which implementation is taken."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from vostrack.errors import InputError
from vostrack.refine.spn import dispatch, normalize_gates, propagate, reference, scan

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _fresh_reports(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(dispatch.ENVIRONMENT, raising=False)
    dispatch._report.cache_clear()
    dispatch._report_fallback.cache_clear()
    yield
    dispatch._report.cache_clear()
    dispatch._report_fallback.cache_clear()


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Make a package look as if it were not installed."""
    find = importlib.util.find_spec

    def hide(package: str) -> None:
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name: None if name == package else find(name)
        )

    return hide


@pytest.mark.parametrize(
    ("x", "gates", "problem"),
    [
        (torch.zeros(1, 4, 5), torch.zeros(1, 1, 4, 3, 4, 5), r"x: expected .*\(1, 4, 5\)"),
        (torch.zeros(1, 1, 0, 5), torch.zeros(1, 1, 4, 3, 0, 5), "non-empty"),
        (torch.zeros(2, 3, 4, 5), torch.zeros(2, 2, 4, 3, 4, 5), r"gates: .*\(2, 2, 4, 3, 4, 5\)"),
        (torch.zeros(2, 3, 4, 5), torch.zeros(3, 1, 4, 3, 4, 5), "gates: expected"),
        (torch.zeros(2, 3, 4, 5), torch.zeros(1, 1, 3, 4, 4, 5), "gates: expected"),
        (torch.zeros(2, 3, 4, 5), torch.zeros(1, 1, 4, 3, 5, 4), "gates: expected"),
        (torch.zeros(2, 3, 4, 5), torch.zeros(1, 1, 3, 4, 5), "gates: expected"),
        (torch.zeros(1, 1, 4, 5), torch.zeros(1, 1, 4, 3, 4, 5).double(), "float32 and .*float64"),
        (torch.zeros(1, 1, 4, 5).int(), torch.zeros(1, 1, 4, 3, 4, 5).int(), "floating point"),
        (torch.zeros(1, 1, 4, 5), torch.zeros(1, 1, 4, 3, 4, 5, device="meta"), "cpu and meta"),
    ],
)
def test_propagate_refuses(x: Tensor, gates: Tensor, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        propagate(x, gates)


def test_scan_refuses() -> None:
    x = torch.zeros(1, 1, 4, 5)
    with pytest.raises(InputError, match=r"left_right, .*got 'up'"):
        scan(x, torch.zeros(1, 1, 3, 4, 5), "up")  # type: ignore[arg-type]  # on purpose
    with pytest.raises(InputError, match="gates: expected"):
        scan(x, torch.zeros(1, 1, 4, 3, 4, 5), "left_right")


def test_unknown_implementations_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    x, gates = torch.zeros(1, 1, 4, 5), torch.zeros(1, 1, 4, 3, 4, 5)
    with pytest.raises(InputError, match=r"impl: expected one of .*got 'cuda'"):
        propagate(x, gates, "cuda")  # type: ignore[arg-type]  # on purpose
    monkeypatch.setenv("VOSTRACK_SPN", "fast")
    with pytest.raises(InputError, match=r"VOSTRACK_SPN: expected one of .*got 'fast'"):
        propagate(x, gates)


def test_named_implementations_that_cannot_run_are_refused(
    monkeypatch: pytest.MonkeyPatch, without: Callable[[str], None]
) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    x, gates = torch.zeros(1, 1, 4, 5), torch.zeros(1, 1, 4, 3, 4, 5)
    without("numba")
    with pytest.raises(InputError, match=r"impl: 'numba' cannot run .*not installed; use 'auto'"):
        propagate(x, gates, "numba")
    monkeypatch.setenv("VOSTRACK_SPN", "triton")
    with pytest.raises(InputError, match="VOSTRACK_SPN: 'triton' cannot run on cpu"):
        propagate(x, gates)
    assert dispatch.resolve("reference", CPU) == "reference"  # the argument wins


def test_auto_takes_numba_and_falls_back_with_one_warning(
    caplog: pytest.LogCaptureFixture, without: Callable[[str], None]
) -> None:
    pytest.importorskip("numba")
    with caplog.at_level(logging.INFO, logger=dispatch.__name__):
        assert [dispatch.resolve("auto", CPU) for _ in range(3)] == ["numba"] * 3
        assert [r.levelname for r in caplog.records] == ["INFO"]
        caplog.clear()
        without("numba")
        assert [dispatch.resolve("auto", CPU) for _ in range(3)] == ["reference"] * 3
    assert [r.levelname for r in caplog.records] == ["WARNING"]
    assert "numba is not installed" in caplog.text


def test_the_environment_names_the_implementation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOSTRACK_SPN", "reference")
    assert dispatch.resolve("auto", CPU) == "reference"

    def fail(*_: Any) -> Any:
        raise AssertionError("the reference was not asked")

    monkeypatch.setattr(reference, "forward", fail)
    with pytest.raises(AssertionError, match="not asked"):
        propagate(torch.zeros(1, 1, 4, 5), torch.zeros(1, 1, 4, 3, 4, 5))


def test_gate_modes(sample: Callable[..., Tensor]) -> None:
    raw = sample(2, 4, 3, 5, 6, scale=2)
    total = raw.abs().sum(dim=2, keepdim=True)
    assert (total > 1).any()
    assert (total < 1).any()
    torch.testing.assert_close(normalize_gates(raw), torch.where(total > 1, raw / total, raw))
    torch.testing.assert_close(normalize_gates(raw, "always"), raw / total)
    assert torch.equal(normalize_gates(raw * 0, "always"), raw * 0)
    convex = normalize_gates(raw, "convex")
    assert (convex > 0).all()
    assert (convex.sum(dim=2) < 1).all()
    assert convex[:, :, 0].sub(convex[:, :, 1]).sign().equal((raw[:, :, 0] - raw[:, :, 1]).sign())


def test_convex_gates_reach_nearly_one_and_nearly_none() -> None:
    raw = torch.tensor([100.0, -100.0, -100.0]).view(3, 1, 1)
    assert normalize_gates(raw, "convex")[0].item() == pytest.approx(100 / 101)
    assert normalize_gates(-raw.abs(), "convex").sum().item() == pytest.approx(0, abs=1e-30)


def test_convex_gates_keep_scores_in_range_and_signed_ones_do_not(
    sample: Callable[..., Tensor],
) -> None:
    x = (torch.arange(200) % 2).double().expand(1, 1, 3, 200)
    raw = sample(1, 1, 3, 3, 200, scale=4)
    y = scan(x, normalize_gates(raw, "convex"), "left_right")
    assert 0 <= y.min() <= y.max() <= 1
    growing = scan(x * 2 - 1, normalize_gates(-torch.ones_like(raw), "always"), "left_right")
    assert growing.abs().max() > 10


def test_normalize_gates_refuses() -> None:
    with pytest.raises(InputError, match=r"raw gates .*\(4, 5, 5\)"):
        normalize_gates(torch.zeros(4, 5, 5))
    with pytest.raises(InputError, match="got 'softmax'"):
        normalize_gates(torch.zeros(3, 5, 5), "softmax")  # type: ignore[arg-type]  # on purpose
