"""The flags of ``vostrack track`` that choose refiner, proposer and mattes have an effect."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from vostrack.arrays import FloatArray

Run = Callable[..., Path]


def record(output: Path) -> Any:
    return json.loads((output / "run.json").read_text())


def test_proposer_is_asked(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from vostrack.online_finetune.full_network.adapter import FullNetworkAdapter
    from vostrack.proposers.components import ForegroundComponents

    asked = []
    propose, scores = ForegroundComponents.propose, FullNetworkAdapter.scores

    def recording(self: ForegroundComponents, *args: Any) -> Any:
        asked.append(1)
        return propose(self, *args)

    monkeypatch.setattr(ForegroundComponents, "propose", recording)

    def lost(self: Any, image: Any) -> Any:
        found, foreground = scores(self, image)
        return found * 0, foreground

    # A proposer is asked only when an object is lost.
    monkeypatch.setattr(FullNetworkAdapter, "scores", lost)
    run()
    assert not asked
    run(proposer="components")
    assert len(asked) == 5
    with pytest.raises(ValueError, match="filter"):
        run(proposer="components", craf=False)


def test_a_localizer_reaches_the_proposer(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vostrack.models.localizer import LocalizerConfig, LocalizerHead, save_localizer
    from vostrack.models.shared_backbone import backbone_fingerprint, load_backbone_network
    from vostrack.online_finetune.target.adapter import TargetModelAdapter

    file = tmp_path / "head.safetensors"
    head = LocalizerHead(LocalizerConfig(width=8, deep_width=8, deep_dilations=(1,)))
    save_localizer(head, file, backbone=backbone_fingerprint(load_backbone_network("target")))
    grids: list[tuple[int, ...]] = []
    forward, scores = LocalizerHead.forward, TargetModelAdapter.scores

    def recording(self: LocalizerHead, *args: Any) -> Any:
        grids.append(tuple(args[0].shape[-2:]))
        return forward(self, *args)

    def lost(self: Any, image: Any) -> Any:
        found, foreground = scores(self, image)
        return found * 0, foreground

    monkeypatch.setattr(LocalizerHead, "forward", recording)
    monkeypatch.setattr(TargetModelAdapter, "scores", lost)
    monkeypatch.setattr(TargetModelAdapter, "presence", lambda _: None)
    changes = {"preset": "fast", "weights": "shipped", "foreground_steps": None, "object_steps": 0}
    run(**changes, proposer="hough", craf=True, end=3, proposer_options={"localizer": "none"})
    assert not grids
    run(**changes, proposer="hough", craf=True, end=3, proposer_options={"localizer": str(file)})
    # What it reads is the tracker's window: of a frame of 96 x 48, scaled up.
    assert grids
    assert all(grid[1] > 96 / 8 for grid in grids)
    with pytest.raises(ValueError, match="choose one with `proposer`"):
        run(**changes, craf=True, proposer_options={"localizer": str(file)})


def test_spn_refines_the_scores(run: Run, tmp_path: Path) -> None:
    from vostrack.refine.spn import SpatialPropagationNetwork

    torch.manual_seed(0)
    path = tmp_path / "spn.pt"
    torch.save(SpatialPropagationNetwork().state_dict(), path)
    changes = {"end": 2, "save_scores": True, "gate": "none", "craf": False}
    chosen = {"refiner": "spn", "refiner_options": {"weights": str(path)}}
    outputs = [run(**changes), run(**changes, **chosen)]
    files = [(o / "scores" / "1" / "00001.png").read_bytes() for o in outputs]
    assert files[0] != files[1]
    assert "refiner" in record(outputs[1])["seconds"]
    wrong = {"weights": record(outputs[0])["settings"]["weights"]}
    with pytest.raises(ValueError, match="does not contain a propagation"):
        run(refiner="spn", refiner_options=wrong)


def test_a_dense_crf_refines_the_scores(run: Run) -> None:
    outputs = [run(save_scores=True, refiner=name) for name in ("none", "dense-crf")]
    files = [(o / "scores" / "1" / "00001.png").read_bytes() for o in outputs]
    assert files[0] != files[1]
    assert "refiner" in record(outputs[1])["seconds"]


def test_the_sampled_crf_can_be_chosen(run: Run) -> None:
    outputs = [run(save_scores=True, refiner=name) for name in (None, "sampled-crf", "none")]
    files = [(o / "scores" / "1" / "00001.png").read_bytes() for o in outputs]
    assert len(set(files)) == 3  # the preset's refiner is another one
    methods = [record(output)["settings"]["method"] for output in outputs]
    assert [method["refiner"] for method in methods] == ["spn", "sampled-crf", "none"]
    assert methods[0]["refiner_options"] == {"weights": "shipped", "backbone": "shipped"}
    assert methods[1]["refiner_options"]["iterations"] == 1
    assert methods[2]["refiner_options"] == {}
    assert "refiner" in record(outputs[1])["seconds"]


def test_the_options_of_a_refiner_reach_it(run: Run) -> None:
    changes = {"save_scores": True, "refiner": "sampled-crf"}
    outputs = [run(**changes), run(**changes, refiner_options={"iterations": 0})]
    files = [(o / "scores" / "1" / "00001.png").read_bytes() for o in outputs]
    assert files[0] != files[1]


@pytest.mark.parametrize("edges", ["plain", "hair"])
@pytest.mark.parametrize("written", [{"export": ("png-mattes",)}, {"save_mattes": True}])
def test_matte_edges(
    edges: str, written: dict[str, Any], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[float] = []

    def noted(plain: FloatArray, *others: Any) -> FloatArray:
        calls.append(others[-1])
        return plain

    monkeypatch.setattr("vostrack.refine.matting.alpha.strands_beyond", noted)
    run(**written, matte_edges=edges, end=2)
    assert bool(calls) == (edges == "hair")
