"""Fixtures every test folder may use."""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import sys
from collections.abc import Generator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

# Threads that spin while they wait for each other made a test of two small networks ten times as
# long where the cores had other work. The package tells them to sleep, if it comes before torch.
import vostrack  # noqa: F401


def _end_at_once() -> None:
    """End this process without taking everything apart first, which takes seconds."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


# pytest-xdist starts a process per core. It has its results before they end.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    atexit.register(_end_at_once)  # what is registered first runs last
else:
    # Libraries complain of leaks unless the interpreter tidies up as usual.
    atexit.register(gc.unfreeze)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Thousands of tests are made and kept. Looking for garbage among them takes seconds."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def pytest_xdist_auto_num_workers() -> int:
    """Return what ``-n auto`` means: one process more than cores, as some tests wait."""
    return (os.cpu_count() or 1) + 1


SLOW_FIRST = ("tests/batch/test_cluster.py", "tests/studio/browser", "tests/refine/spn")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with files that wait or take long, so that none of them is left at the end."""
    items.sort(key=lambda item: not item.nodeid.startswith(SLOW_FIRST))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Where there are few processes, one of them takes all files that need a browser."""
    if config.getoption("dist") != "loadfile" or len(config.getoption("tx")) > 3:
        return None
    scheduling: Any = importlib.import_module("xdist.scheduler").LoadFileScheduling(config, log)
    file_of, folder = scheduling._split_scope, "tests/studio/browser"
    scheduling._split_scope = lambda test: folder if test.startswith(folder) else file_of(test)
    return scheduling


@pytest.fixture(autouse=True)
def _bfloat16_as_on_newer_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    """With ``VOSTRACK_TEST_BF16=1``, precision ``auto`` is bfloat16 here, emulated if need be."""
    if os.environ.get("VOSTRACK_TEST_BF16") == "1":
        monkeypatch.setattr("vostrack.compute.precision.has_fast_bf16", lambda _device: True)


@cache
def _shipped_networks() -> tuple[Any, Any, list[int]]:
    from vostrack.models.weights import load_network, load_target_net, shipped_weights

    target, whole = load_target_net(), load_network(shipped_weights())
    return target, whole, _changes(target, whole)


def _changes(*networks: Any) -> list[int]:
    """Return how often each weight was changed in place."""
    return [weight._version for one in networks for weight in one.state_dict().values()]


@pytest.fixture
def shipped_network_read_once(monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    """Trackers share the networks that they promise not to change.

    A third of a short run was to build one from its file.
    """
    from vostrack.models.weights import initialise, load_target_net

    def load(path: Path | None = None, device: Any = None) -> Any:
        on_cpu = device is None or device.type == "cpu"
        return _shipped_networks()[0] if path is None and on_cpu else load_target_net(path, device)

    def begin(config: Any, weights: str, *, seed: int = 0, device: Any = None) -> Any:
        on_cpu = device is None or device.type == "cpu"
        if weights == "shipped" and on_cpu:
            return _shipped_networks()[1]
        return initialise(config, weights, seed=seed, device=device)

    monkeypatch.setattr("vostrack.build.load_target_net", load)
    monkeypatch.setattr("vostrack.build.initialise", begin)
    yield
    if _shipped_networks.cache_info().currsize:
        *networks, before = _shipped_networks()
        assert _changes(*networks) == before


@pytest.fixture(scope="session", autouse=True)
def _weights_from_a_table() -> Generator[None]:
    """Random initial weights take a fifth of the time; see tests/drawn_weights.py."""
    with pytest.MonkeyPatch.context() as patch:
        if "torch" in sys.modules:
            importlib.import_module("tests.drawn_weights").draw_from_a_table(patch)
        yield


@pytest.fixture
def torchs_own_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of the initial weights themselves."""
    importlib.import_module("tests.drawn_weights").draw_by_torch(monkeypatch)


@pytest.fixture
def few_altered_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    """Target networks are fine-tuned on two altered frames in place of 8 or 16."""
    from vostrack.online_finetune.target.frame_pairs import FramePairs

    def few(network: Any, config: Any, precision: Any) -> FramePairs:
        return FramePairs(network, replace(config, frames=2, references=2), precision)

    monkeypatch.setattr("vostrack.online_finetune.target.finetune.FramePairs", few)


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder that holds the real sequences (``data/``) and weights (``weights/``)."""
    default = Path(__file__).resolve().parents[2] / "shared"
    folder = Path(os.environ.get("VOSTRACK_SHARED", default))
    if not (folder / "data").is_dir():
        pytest.skip(f"needs the real sequences: no {folder / 'data'} (set VOSTRACK_SHARED)")
    return folder
