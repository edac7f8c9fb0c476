"""Every precision that can be chosen: what it computes in, and that results stay near."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
from torch import Generator, Tensor, nn

from vostrack.compute.isolation import own_settings
from vostrack.compute.precision import Precision, autocast
from vostrack.errors import InputError
from vostrack.models.foreground import NetworkConfig
from vostrack.models.target_net import TargetNetConfig
from vostrack.models.target_net_builder import build_target_net
from vostrack.models.weights import initialise
from vostrack.online_finetune.full_network.adapter import FullNetworkAdapter, FullNetworkConfig
from vostrack.online_finetune.full_network.finetune import FinetuneConfig, finetune
from vostrack.online_finetune.target.adapter import TargetModelAdapter, TargetModelConfig
from vostrack.online_finetune.target.finetune import TargetFinetuneConfig, finetune_target_net
from vostrack.online_finetune.target.window import WindowConfig
from vostrack.training.loop import LoopConfig, train

CPU = torch.device("cpu")
STEPS = FinetuneConfig(
    steps=8, optimizer="adamw", learning_rate=1e-3, head_learning_rate=3e-3, original_every=1
)


@pytest.fixture
def hardware(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> bool:
    """Whether this machine has bfloat16 instructions, by parameter."""
    found = bool(request.param)
    monkeypatch.setattr("vostrack.compute.precision.has_fast_bf16", lambda _device: found)
    return found


@pytest.fixture
def frame() -> tuple[Tensor, Tensor]:
    image = torch.rand(3, 48, 48, generator=Generator().manual_seed(3)) * 0.2
    labels = torch.zeros(48, 48, dtype=torch.int64)
    labels[10:36, 14:40] = 1
    image[0, labels == 1] += 0.7
    return image, labels


@pytest.mark.parametrize("hardware", [False, True], indirect=True)
def test_only_auto_depends_on_the_hardware(hardware: bool) -> None:
    expected: dict[Precision, bool] = {"fp32": False, "bf16": True, "auto": hardware}
    layer, x = nn.Conv2d(1, 1, 3), torch.rand(1, 1, 8, 8)
    for precision, half in expected.items():
        with autocast(CPU, precision):
            assert layer(x).dtype == (torch.bfloat16 if half else torch.float32), precision
    with pytest.raises(InputError, match="expected auto, fp32 or bf16, got 'fp16'"):
        autocast(CPU, "fp16")  # type: ignore[arg-type]


def full_network(precision: Precision) -> FullNetworkAdapter:
    network = initialise(NetworkConfig("resnet18", (4, 8), "topdown", 8), "none").eval()
    # Fine-tuning a network of random weights would enlarge any difference.
    none = FinetuneConfig(steps=0)
    return FullNetworkAdapter(network, FullNetworkConfig(none, none, precision=precision))


def target_models(precision: Precision) -> TargetModelAdapter:
    torch.manual_seed(0)
    small = TargetNetConfig(key=8, value=4, embedding=6, labels=3, widths=(12, 8, 8, 4))
    config = TargetModelConfig(
        window=WindowConfig(pixels=48 * 48),
        finetune=TargetFinetuneConfig(steps=2, batch=1, pixels=48 * 48),
        precision=precision,
    )
    return TargetModelAdapter(build_target_net(small), config)


@pytest.mark.parametrize("build", [full_network, target_models])
def test_bfloat16_changes_scores_a_little(build: Any, frame: tuple[Tensor, Tensor]) -> None:
    image, labels = frame
    scores = {}
    for precision in ("fp32", "bf16"):
        adapter = build(precision)
        adapter.start(image, labels)
        found, _ = adapter.scores(image)
        adapter.commit(found, (found[0] > 0.5).byte())
        scores[precision], _ = adapter.scores(image.flip(2))
        assert scores[precision].dtype == torch.float32
        assert scores[precision].isfinite().all()
    difference = (scores["fp32"] - scores["bf16"]).abs()
    assert 0 < difference.mean() < 0.05


def test_only_the_backbone_of_target_models_is_fine_tuned_in_bfloat16(
    frame: tuple[Tensor, Tensor],
) -> None:
    """With the decoder in bfloat16, the masks lost up to 0.004 of J&F."""
    image, labels = frame
    network = target_models("bf16").generic
    seen: dict[str, set[torch.dtype]] = {"backbone": set(), "decoder": set()}

    def note(name: str) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            seen[name].add((output[0] if isinstance(output, tuple) else output).dtype)

        return hook

    last = list(network.backbone.stage_layers(16).children())[-1]
    last.register_forward_hook(note("backbone"))
    network.decoder.register_forward_hook(note("decoder"))
    config = TargetFinetuneConfig(steps=1, batch=1, pixels=48 * 48)
    finetune_target_net(network, image, labels, config, seed=0, precision="bf16")
    assert seen == {"backbone": {torch.bfloat16}, "decoder": {torch.float32}}


@pytest.mark.parametrize("hardware", [False, True], indirect=True)
def test_auto_is_one_of_the_two(
    hardware: bool, frame: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where 8 bits are not fast either: those have tests of their own."""
    home = "vostrack.online_finetune.target.eight_bit_stages"
    monkeypatch.setattr(f"{home}.has_fast_int8", lambda: False)
    results = {}
    for precision in ("fp32", "bf16", "auto"):
        adapter = target_models(precision)
        adapter.start(*frame)
        results[precision] = adapter.scores(frame[0])[0]
    assert torch.equal(results["auto"], results["bf16" if hardware else "fp32"])
    assert not torch.equal(results["fp32"], results["bf16"])


@pytest.mark.usefixtures("torchs_own_weights")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_fine_tuning_learns_in_every_precision(
    precision: Precision, frame: tuple[Tensor, Tensor]
) -> None:
    network = initialise(NetworkConfig("resnet18", (4, 8), "topdown", 8), "none").eval()
    losses: list[float] = []
    finetune(
        network,
        *frame,
        STEPS,
        Generator().manual_seed(0),
        precision=precision,
        on_step=lambda _, loss: losses.append(loss),
    )
    assert losses[-1] < 0.7 * losses[0]
    assert all(p.dtype == torch.float32 for p in network.parameters())


def fit_full(frame: tuple[Tensor, Tensor]) -> nn.Module:
    torch.manual_seed(0)
    network = initialise(NetworkConfig("resnet18", (4, 8), "topdown", 8), "none").eval()
    finetune(network, *frame, STEPS, Generator().manual_seed(0), precision="bf16")
    return network


def fit_target(frame: tuple[Tensor, Tensor]) -> nn.Module:
    network = target_models("bf16").generic
    config = TargetFinetuneConfig(steps=4, batch=1, pixels=48 * 48, learning_rate=1e-2)
    finetune_target_net(network, *frame, config, precision="bf16")
    return network


def fit_by_training(_frame: tuple[Tensor, Tensor]) -> nn.Module:
    task = Regression()
    with TemporaryDirectory() as folder:
        train(task.network, task, LoopConfig(steps=4, precision="bf16"), Path(folder))
    return task.network


@pytest.mark.parametrize("fit", [fit_full, fit_target, fit_by_training])
def test_every_step_sees_the_weights_of_the_last(
    fit: Callable[[tuple[Tensor, Tensor]], nn.Module], frame: tuple[Tensor, Tensor]
) -> None:
    """Torch keeps casts of weights until the outermost autocast ends, even if that one is off."""
    wanted = fit(frame).state_dict()
    with own_settings(CPU, gradients=True):
        found = fit(frame).state_dict()
    for name, value in wanted.items():
        assert torch.equal(found[name], value), name


def test_casts_of_others_do_not_count() -> None:
    layer, x = nn.Linear(1, 1), torch.ones(1, 1)
    with torch.autocast("cpu", torch.bfloat16):
        layer(x)
        nn.init.constant_(layer.weight, 2)
        nn.init.zeros_(layer.bias)
        with autocast(CPU, "bf16"):
            assert layer(x).item() == 2


class Regression:
    """Fits a linear map to its input's sum, and notes the type that the network computes in."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.network = nn.Linear(4, 1)
        self.seen: set[torch.dtype] = set()

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [{"params": self.network.parameters(), "lr": 0.05}]

    def draw(self, generator: Generator, step: int) -> Tensor:
        return torch.randn(16, 4, generator=generator)

    def losses(self, batch: Tensor) -> dict[str, Tensor]:
        found = self.network(batch)
        self.seen.add(found.dtype)
        return {"fit": (found[:, 0].float() - batch.sum(1)).square().mean()}


@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)]
)
def test_training_learns_in_every_precision(
    precision: Precision, dtype: torch.dtype, tmp_path: Any
) -> None:
    task = Regression()
    batch = task.draw(Generator().manual_seed(9), 0)
    before = float(task.losses(batch)["fit"].detach())
    task.seen.clear()
    train(task.network, task, LoopConfig(steps=40, precision=precision), tmp_path)
    assert task.seen == {dtype}
    assert float(task.losses(batch)["fit"].detach()) < 0.5 * before
