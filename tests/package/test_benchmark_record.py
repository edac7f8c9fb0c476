"""The record that every benchmark prints and writes."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def record(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("record", BENCHMARKS / "record.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(sys, "argv", ["benchmarks/some.py", "--quick"])
    return module


def test_it_is_printed_and_written(
    record: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    started = record.begin_record("some figure", ("numpy", "no-such-package"))
    started["figure"] = record.spread([0.001, 0.002, 0.003])
    record.finish_record(started, tmp_path / "new" / "some.json")
    printed = capsys.readouterr().out
    assert (tmp_path / "new" / "some.json").read_text() == printed
    written = json.loads(printed)
    assert written["benchmark"] == "some figure"
    assert written["figure"] == {
        "median_ms": 2.0,
        "iqr_low_ms": 1.0,
        "iqr_high_ms": 3.0,
        "repeats": 3,
    }
    facts = written["environment"]
    assert facts["device"]
    assert facts["threads"]["torch"] == torch.get_num_threads()
    assert facts["versions"]["no-such-package"] == "not installed"
    assert facts["command"] == "python benchmarks/some.py --quick"


def test_figures_that_are_no_numbers_are_not_written(record: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        record.finish_record({"figure": float("nan")}, tmp_path / "some.json")
    assert not (tmp_path / "some.json").exists()


def test_the_processor_flags_are_those_that_matter(
    record: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "model name : Some CPU\nflags : fpu amx_bf16 sse avx2 avx512_bf16\nflags : other\n"
    (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(record, "Path", lambda *_: tmp_path / "cpuinfo")
    assert record._processor_flags() == ["avx2", "avx512_bf16", "amx_bf16"]
    assert record._processor() == "Some CPU"


def test_every_benchmark_has_the_same_arguments(record: ModuleType) -> None:
    parser = record.benchmark_parser("Time something.\n\nMore.", threads=3)
    assert parser.description == "Time something."
    assert vars(parser.parse_args([])) == {"json": None, "threads": 3}
    record.add_davis_arguments(parser)
    arguments = parser.parse_args(["--root", "DAVIS", "--json", "a.json"])
    assert (arguments.year, arguments.set, arguments.json) == (2017, "val", Path("a.json"))
    assert not hasattr(record.benchmark_parser(None).parse_args([]), "threads")


@pytest.mark.parametrize("path", sorted(BENCHMARKS.glob("*.py")), ids=lambda path: path.stem)
def test_no_benchmark_has_a_record_of_its_own(path: Path) -> None:
    text = path.read_text()
    if path.stem in ("record", "accuracy_curve", "speed_worker") or "__main__" not in text:
        return
    assert "benchmark_parser(" in text
    assert "finish_record(" in text
    assert "ArgumentParser(" not in text
