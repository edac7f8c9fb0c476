"""Presets are wired as they say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from vostrack.build import build_tracker
from vostrack.errors import InputError
from vostrack.models.target_net_builder import build_target_net
from vostrack.models.weights import save_target_net, shipped_weights
from vostrack.online_finetune.full_network.adapter import FullNetworkAdapter
from vostrack.online_finetune.target.adapter import TargetModelAdapter
from vostrack.presets import PRESETS, TrackerOptions, effective_preset, resolve_preset
from vostrack.refine.craf import Craf
from vostrack.refine.dense_crf import DenseCrfRefiner, SampledCrfRefiner
from vostrack.refine.spn.refiner import LightSpnRefiner
from vostrack.refine.spn.weights import load_spn


def test_the_papers_numbers() -> None:
    """Cheng et al. (2017), sections 3.3 and 4.2."""
    paper = PRESETS["paper"]
    assert paper.network.backbone == "resnet101"
    assert paper.network.strides == (8, 16, 32)
    assert paper.network.head == "fusion"
    assert paper.adapter.objects.steps == 30_000
    assert paper.adapter.objects.halve_every == 10_000
    assert not paper.adapter.share_single
    assert paper.tracker.max_size == 0
    assert paper.craf is not None
    parameters = paper.craf
    assert (parameters.alpha, parameters.beta, parameters.gamma, parameters.delta) == (
        0.2,
        0.9,
        0.1,
        0.4,
    )


@pytest.mark.parametrize("base", ["finetune", "paper"])
def test_the_rows_of_the_ablation(base: str) -> None:
    full = PRESETS[base]
    assert PRESETS[f"{base}-no-craf"].craf is None
    assert PRESETS[f"{base}-no-craf"].adapter == full.adapter
    row = PRESETS[f"{base}-no-craf-no-ft"]
    assert row.craf is None
    assert row.adapter.foreground.steps == 0
    assert row.adapter.objects == full.adapter.objects
    assert PRESETS[f"{base}-per-video"].adapter.per_video
    assert PRESETS[f"{base}-per-video"].craf == full.craf


def test_options_change_what_they_name_and_nothing_else() -> None:
    assert resolve_preset("finetune") == PRESETS["finetune"]
    changed = resolve_preset("finetune", TrackerOptions(object_steps=7, max_size=320))
    assert changed.adapter.objects.steps == 7
    assert changed.adapter.foreground == PRESETS["finetune"].adapter.foreground
    assert changed.tracker.max_size == 320
    assert changed.craf == PRESETS["finetune"].craf


# Row of Cheng et al. (2017): the parts that it has, and its presets. As in docs/ablation.md.
PAPER_ROWS = {
    "table 1, per-video": (
        {"tuned", "per-video"},
        ("finetune-per-video-no-craf-no-spn", "paper-per-video-no-craf"),
    ),
    "table 1, per-object": ({"tuned"}, ("finetune-no-craf-no-spn", "paper-no-craf")),
    "table 2, Ours": ({"tuned", "spn", "craf"}, ("finetune", "paper-spn")),
    "table 2, -CRAF": ({"tuned", "spn"}, ("finetune-no-craf", "paper-spn-no-craf")),
    "table 2, -CRAF-SPN": ({"tuned"}, ("finetune-no-craf-no-spn", "paper-no-craf")),
    "table 2, -CRAF-SPN-FT": (set(), ("finetune-no-craf-no-spn-no-ft", "paper-no-craf-no-ft")),
}


@pytest.mark.parametrize("row", PAPER_ROWS)
def test_the_rows_of_the_papers_tables_are_presets(row: str) -> None:
    parts, names = PAPER_ROWS[row]
    page = (Path(__file__).parents[2] / "docs" / "ablation.md").read_text()
    (line,) = [text for text in page.splitlines() if text.startswith(f"| {row} ")]
    for name in names:
        preset = PRESETS[name]
        found = {
            "tuned": preset.adapter.foreground.steps > 0,
            "per-video": preset.adapter.per_video,
            "spn": preset.refiner == "spn",
            "craf": preset.craf is not None,
        }
        assert {part for part, there in found.items() if there} == parts, name
        assert preset.adapter.objects.steps > 0
        assert f"`{name}`" in line


@pytest.mark.parametrize("preset", ["paper", "finetune", "balanced"])
def test_a_preset_runs(preset: str) -> None:
    """The whole of it, on frames of a few pixels and for a step each."""
    frames = np.full((2, 64, 80, 3), 80, np.uint8)
    frames[:, 20:50, 20:60] = 200
    mask = np.zeros((64, 80), np.uint8)
    mask[20:50, 20:60] = 5
    mask[20:35, 20:60] = 2
    options = TrackerOptions(foreground_steps=1, object_steps=1)
    reports: list[Any] = []
    tracker = build_tracker(
        preset,
        device="cpu",
        weights="none",
        options=options,
        on_progress=lambda *report: reports.append(report),
    )
    assert isinstance(tracker.adapter, FullNetworkAdapter)
    assert isinstance(tracker.temporal_filter, Craf)
    # The published method has one backbone.
    assert (tracker.adapter._generic.semantic is None) == (preset == "paper")
    tracker.start(frames[0], mask)
    result = tracker.step(frames[1])
    assert result.ids == (2, 5)
    assert result.scores.shape == (2, 64, 80)
    assert np.isfinite(result.scores).all()
    assert [r[0] for r in reports] == ["foreground", "object 1 of 2", "object 2 of 2"]


def test_unknown_names() -> None:
    with pytest.raises(InputError, match="paper"):
        build_tracker("slow")
    with pytest.raises(InputError, match="components"):
        build_tracker("finetune", options=TrackerOptions(proposer="x"))


@pytest.mark.parametrize("preset", ["fast", "balanced", "best"])
def test_target_models_run_from_the_shipped_network(preset: str) -> None:
    frames = np.full((2, 64, 80, 3), 80, np.uint8)
    frames[:, 20:50, 20:60] = 200
    mask = np.zeros((64, 80), np.uint8)
    mask[20:50, 20:60] = 5
    tracker = build_tracker(preset, device="cpu", options=TrackerOptions(object_steps=1))
    assert isinstance(tracker.adapter, TargetModelAdapter)
    assert tracker.adapter.config.finetune.steps == 1
    tracker.start(frames[0], mask)
    labels = tracker.step(frames[1]).labels
    overlap = ((labels == 5) & (mask == 5)).sum() / ((labels == 5) | (mask == 5)).sum()
    assert overlap > 0.9


def test_target_models_need_a_target_network(tmp_path: Path) -> None:
    assert effective_preset("balanced", "auto") == "balanced"
    assert effective_preset("balanced", "none") == "finetune"
    assert effective_preset("paper", "none") == "paper"
    path = tmp_path / "t.safetensors"
    save_target_net(build_target_net(), path)
    assert effective_preset("balanced", str(path)) == "balanced"


@pytest.mark.parametrize(
    "options",
    [
        TrackerOptions(foreground_steps=3),
        TrackerOptions(per_video=True),
        TrackerOptions(gate="none"),
    ],
)
def test_options_without_effect_are_refused(options: TrackerOptions) -> None:
    with pytest.raises(InputError, match="no effect"):
        build_tracker("balanced", device="cpu", options=options)


def test_a_proposer_and_the_filter_can_be_added_to_target_models() -> None:
    frames = np.full((3, 64, 80, 3), 80, np.uint8)
    frames[:2, 20:50, 20:60] = 200
    mask = np.zeros((64, 80), np.uint8)
    mask[20:50, 20:60] = 5
    options = TrackerOptions(object_steps=0, craf=True, proposer="components")
    tracker = build_tracker("balanced", device="cpu", options=options)
    tracker.start(frames[0], mask)
    for frame in frames[1:]:  # in the last one the object is gone and is searched
        assert len(tracker.step(frame).presence) == 1


def refiner(preset: str, **options: Any) -> object:
    return build_tracker(preset, device="cpu", options=TrackerOptions(**options)).refiner


def test_a_refiner_can_be_chosen_in_any_preset() -> None:
    for preset in ("fast", "finetune"):
        assert isinstance(refiner(preset, refiner="sampled-crf"), SampledCrfRefiner)
        assert isinstance(refiner(preset, refiner="dense-crf"), DenseCrfRefiner)
        assert isinstance(refiner(preset, refiner="spn"), LightSpnRefiner)
        assert refiner(preset, refiner="none") is None
    resolved = resolve_preset("fast", TrackerOptions(refiner="spn"))
    assert not resolved.tracker.learn_refined  # target models do not learn from refined scores


def test_the_shipped_propagation_network_refines_in_finetune(tmp_path: Path) -> None:
    """It is trained on scores of networks fine-tuned on the video: docs/results/refinement.md."""
    for name in ("finetune", "finetune-no-craf", "finetune-per-video"):
        assert isinstance(refiner(name), LightSpnRefiner)
    shipped = load_spn(shipped_weights("spn")).state_dict()
    found = refiner("finetune")
    assert isinstance(found, LightSpnRefiner)
    assert all(torch.equal(v, shipped[k]) for k, v in found.head.state_dict().items())
    assert refiner("finetune-no-spn") is None
    missing = {"weights": str(tmp_path / "nothing.safetensors")}
    with pytest.raises(
        InputError,
        match=r"spn: no file .*nothing\.safetensors; expected a file of vostrack train spn",
    ):
        refiner("finetune", refiner_options=missing)
    assert "paper-no-spn" not in PRESETS


def test_the_options_of_a_part_go_to_it_alone() -> None:
    found = refiner("fast", refiner_options={"iterations": 3})
    assert isinstance(found, SampledCrfRefiner)
    assert (found.config.iterations, found.config.reach) == (3, 1.5)
    for options, words in (
        ({"refiner_options": {"iteration": 3}}, "no option 'iteration', did you mean iterations"),
        ({"refiner_options": {"iterations": -3}}, "sampled-crf: iterations: expected at least 0"),
        ({"refiner": "spn", "refiner_options": {"iterations": 3}}, "spn has no option"),
        ({"refiner": "none", "refiner_options": {"iterations": 3}}, "there is no refiner"),
        ({"proposer_options": {"localizer": "none"}}, "there is no proposer"),
        ({"craf": True, "proposer": "components", "proposer_options": {"localizer": "none"}}, "no"),
    ):
        with pytest.raises(InputError, match=words):
            resolve_preset("fast", TrackerOptions(**options))


@pytest.mark.parametrize(("ground", "bright"), [(0.15, 0.85), (0.4, 0.6)])
def test_the_shipped_propagation_network_follows_edges(ground: float, bright: float) -> None:
    """A soft, coarse blob over an even square on even ground comes nearer to the square."""
    refine = build_tracker("finetune", device="cpu").refiner
    assert refine is not None
    image = torch.full((3, 96, 128), ground)
    image[:, 24:72, 36:92] = bright
    truth = image[0] > (ground + bright) / 2
    coarse = F.avg_pool2d(truth.float()[None], 17, stride=1, padding=8)
    coarse = torch.roll(coarse, (3, 4), (1, 2))
    refined = refine(image, coarse)

    def overlap(scores: torch.Tensor) -> float:
        found = scores[0] >= 0.5
        return float((found & truth).sum() / (found | truth).sum())

    assert overlap(refined) > overlap(coarse) + 0.1


def test_target_models_return_refined_masks_and_learn_from_their_own_scores() -> None:
    for name in ("fast", "balanced", "best"):
        assert isinstance(build_tracker(name, device="cpu").refiner, SampledCrfRefiner)
        assert not PRESETS[name].tracker.learn_refined
    assert PRESETS["paper"].refiner == "none"
    assert PRESETS["paper"].tracker.learn_refined


def test_adaptation_is_an_option_of_target_models() -> None:
    off = resolve_preset("balanced", TrackerOptions(adapt=False)).target
    assert off is not None
    assert (off.adapt, off.remember_every) == ("off", 0)
    on = resolve_preset("balanced", TrackerOptions(adapt=True)).target
    assert on == PRESETS["balanced"].target
    with pytest.raises(InputError, match="adapt"):
        build_tracker("finetune", device="cpu", weights="none", options=TrackerOptions(adapt=True))
