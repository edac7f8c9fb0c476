"""Threads that wait for each other sleep, unless the user has chosen otherwise."""

import importlib
import sys

import pytest

from vostrack.batch.executor import thread_environment
from vostrack.compute import waiting
from vostrack.compute.waiting import wait_without_spinning


@pytest.fixture
def no_torch_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)


@pytest.mark.usefixtures("no_torch_yet")
def test_before_torch_is_imported_threads_are_told_to_sleep() -> None:
    environment: dict[str, str] = {}
    wait_without_spinning(environment)
    assert environment == {"OMP_WAIT_POLICY": "PASSIVE"}


@pytest.mark.usefixtures("no_torch_yet")
@pytest.mark.parametrize("name", ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"])
def test_the_choice_of_a_user_stays(name: str) -> None:
    environment = {name: "something"}
    wait_without_spinning(environment)
    assert environment == {name: "something"}


def test_once_torch_is_there_nothing_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", sys)
    environment: dict[str, str] = {}
    wait_without_spinning(environment)
    assert environment == {}


def test_processes_of_a_data_set_run_wait_so_too() -> None:
    assert thread_environment(3)["OMP_WAIT_POLICY"] == "PASSIVE"
    assert thread_environment(3)["OMP_NUM_THREADS"] == "3"


def test_importing_the_package_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import vostrack

    called: list[str] = []
    monkeypatch.setattr(waiting, "wait_without_spinning", lambda: called.append("waiting"))
    importlib.reload(vostrack)
    assert called == ["waiting"]
