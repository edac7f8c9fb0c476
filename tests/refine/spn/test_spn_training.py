"""Training the propagation networks: draws, losses, and that it helps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from vostrack.cli import main
from vostrack.cli.train_spn import TrainSpnCommand
from vostrack.errors import InputError
from vostrack.models.weights_file import read_header
from vostrack.refine.spn import (
    LightGuidanceHead,
    LightSpnConfig,
    SpatialPropagationNetwork,
    SpnConfig,
)
from vostrack.refine.spn.degradation import DegradationConfig
from vostrack.refine.spn.recipe import SpnRecipe
from vostrack.refine.spn.training import SpnTraining
from vostrack.refine.spn.training_images import TrainingImage
from vostrack.refine.spn.weights import load_spn
from vostrack.training.loop import LoopConfig, train

Paint = Callable[..., TrainingImage]
SMALL = SpnRecipe(batch=3, side=48)


def two_levels(image: Tensor) -> Sequence[Tensor]:
    """Stand in for a backbone."""
    return [functional.avg_pool2d(image, stride, ceil_mode=True) for stride in (4, 8)]


def light_head() -> LightGuidanceHead:
    torch.manual_seed(0)
    return LightGuidanceHead(LightSpnConfig((3, 3)))


def training(
    pictures: Sequence[TrainingImage], recipe: SpnRecipe = SMALL, **options: Any
) -> SpnTraining:
    return SpnTraining(light_head(), [(1.0, pictures)], recipe, features=two_levels, **options)


def test_a_draw_is_a_function_of_the_generator(picture: Paint) -> None:
    trained = training([picture(1, 2), picture(4)])
    batch = trained.draw(Generator().manual_seed(5), 0)
    again = trained.draw(Generator().manual_seed(5), 9)
    other = trained.draw(Generator().manual_seed(6), 0)
    for name, shape in {
        "image": (3, 3, 48, 48),
        "truth": (3, 48, 48),
        "coarse": (3, 48, 48),
        "output": (3,),
    }.items():
        assert batch[name].shape == shape
        assert torch.equal(batch[name], again[name])
    assert not torch.equal(batch["truth"], other["truth"])
    assert batch["output"].tolist() == [-1, -1, -1]
    assert 0 <= batch["image"].min() < batch["image"].max() <= 1
    assert 0 < batch["coarse"].min() < batch["coarse"].max() < 1


def test_crops_hold_one_of_the_objects_and_something_else(picture: Paint) -> None:
    """Each object is about as frequent; everything that is not it is background, or void."""
    trained = training([picture(1, 2, 7)])
    means = []
    for seed in range(60):
        batch = trained.draw(Generator().manual_seed(seed), 0)
        for image, truth in zip(batch["image"], batch["truth"], strict=True):
            shares = [(truth == k).float().mean() for k in (0, 1, 255)]
            assert sum(shares) == pytest.approx(1)
            assert min(shares[:2]) >= 0.01
            means.append(int(image[:, truth == 1].mean(dim=1).argmax()))
    counts = torch.bincount(torch.tensor(means), minlength=3)
    assert counts.min() > 40, counts  # of 180; the colour of the object tells which it was


@pytest.mark.parametrize("outputs", [0, 2, 21])
def test_a_target_is_one_object_or_all_that_the_scorer_scores_and_void_is_neither(
    outputs: int, picture: Paint
) -> None:
    shown = picture(1, 2, classes=True)
    scorer = Scorer(outputs) if outputs else None
    trained = training([shown], scorer=scorer)
    for seed in range(4):
        generator = Generator().manual_seed(seed)
        output, target = trained._draw_target(shown, True, generator)
        assert torch.equal(target == 255, shown.labels == 255)
        covered = set(shown.labels[target == 1].tolist())
        assert len(covered) == (2 if outputs == 2 else 1)
        assert output in {0: {-1}, 2: {1}, 21: covered}[outputs]


def test_sources_are_drawn_by_their_weights(picture: Paint) -> None:
    light = light_head()
    sources = [(3.0, [picture(1)]), (1.0, [picture(2, 2, 2)]), (0.0, [picture(3)]), (9.0, [])]
    trained = SpnTraining(light, sources, SMALL, features=two_levels)
    generator = Generator().manual_seed(0)
    drawn = [int(trained._draw_image(generator).labels[20, 20]) for _ in range(400)]
    assert set(drawn) == {1, 2}
    assert drawn.count(1) == pytest.approx(300, abs=30)
    with pytest.raises(InputError, match="at least one image"):
        SpnTraining(light, [(0.0, [picture(1)])], SMALL, features=two_levels)
    with pytest.raises(InputError, match="needs `features`"):
        SpnTraining(light, sources, SMALL)


def test_a_picture_without_objects_is_all_background() -> None:
    batch = training(
        [TrainingImage(torch.zeros(3, 50, 60).byte(), torch.zeros(50, 60).long(), False)]
    )
    drawn = batch.draw(Generator().manual_seed(0), 0)
    assert set(drawn["truth"].flatten().tolist()) <= {0, 255}
    assert drawn["coarse"].max() < 0.5
    assert batch.losses(drawn)["entropy"].isfinite()
    drawn["truth"].fill_(255)
    assert batch.losses(drawn)["entropy"] == 0


class Scorer(nn.Module):
    """Logits that tell the output and the image apart."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.outputs = outputs
        self.seen = 0

    def forward(self, image: Tensor) -> Tensor:
        self.seen += len(image)
        ramp = torch.arange(self.outputs, dtype=torch.float32).view(1, -1, 1, 1)
        return ramp * image[:, :1]


@pytest.mark.parametrize(
    ("outputs", "classes", "allowed"),
    [(21, True, {3, 15}), (21, False, {-1}), (2, False, {1}), (4, True, {-1, 3})],
)
def test_a_scorer_scores_the_labels_it_knows(
    outputs: int, classes: bool, allowed: set[int], picture: Paint
) -> None:
    recipe = SpnRecipe(batch=12, side=48, network_share=1.0, flat_share=0.0)
    scorer = Scorer(outputs)
    trained = training([picture(3, 15, classes=classes)], recipe, scorer=scorer)
    batch = trained.draw(Generator().manual_seed(0), 0)
    assert set(batch["output"].tolist()) == allowed
    coarse = trained.coarse(batch)
    scores = Scorer(outputs)(batch["image"]).softmax(1)
    for k, output in enumerate(batch["output"].tolist()):
        expected = batch["coarse"][k] if output < 0 else scores[k, output]
        torch.testing.assert_close(coarse[k], expected)
    assert scorer.seen == sum(k >= 0 for k in batch["output"].tolist())
    half = SpnRecipe(batch=200, side=32, network_share=0.3, flat_share=0.0)
    drawn = training([picture(3, classes=True)], half, scorer=Scorer(21)).draw(
        Generator().manual_seed(1), 0
    )
    assert (drawn["output"] == 3).float().mean().item() == pytest.approx(0.3, abs=0.1)


def test_some_crops_lose_their_texture(picture: Paint) -> None:
    """Object and rest in one colour each, but for grain; no network scores such a crop."""
    shown = picture(3, 15, classes=True)
    noise = torch.randint(0, 60, shown.image.shape, generator=Generator().manual_seed(2))
    textured = shown._replace(image=(shown.image - noise).clamp(min=0).byte())

    def drawn(share: float, batch: int) -> dict[str, Tensor]:
        recipe = SpnRecipe(batch=batch, side=48, network_share=1.0, flat_share=share)
        scorer = Scorer(21)
        return training([textured], recipe, scorer=scorer).draw(Generator().manual_seed(1), 0)

    flat = drawn(1.0, 12)
    assert set(flat["output"].tolist()) == {-1}
    grains = []
    for image, truth in zip(flat["image"], flat["truth"], strict=True):
        inside, outside = image[:, truth == 1], image[:, truth != 1]
        assert max(inside.std(dim=1).max(), outside.std(dim=1).max()) < 0.025
        grains.append(float(inside.std(dim=1).mean()))
        assert (inside.mean(dim=1) - outside.mean(dim=1)).abs().max() > 0.1
        assert min(inside.mean(dim=1).max(), outside.mean(dim=1).max()) > 0.1  # neither is black
    assert max(grains) > 2 * min(grains) > 0
    some = drawn(0.25, 200)
    assert (some["output"] < 0).float().mean().item() == pytest.approx(0.25, abs=0.1)
    assert (drawn(0.0, 12)["output"] >= 0).all()


def test_the_loss_of_a_head_is_the_entropy_of_what_it_returns(picture: Paint) -> None:
    trained = training([picture(1, 2)])
    batch = trained.draw(Generator().manual_seed(3), 0)
    refined = trained.refine(batch["image"], batch["coarse"])
    counted = batch["truth"] != 255
    expected = functional.binary_cross_entropy(
        refined[counted], (batch["truth"][counted] == 1).float()
    )
    loss = trained.losses(batch)["entropy"]
    assert loss.item() == pytest.approx(expected.item(), rel=2e-2)
    loss.backward()  # type: ignore[no-untyped-call]
    assert isinstance(trained.network, LightGuidanceHead)
    for learnt in (trained.network.gates.weight, trained.network.mixing):
        assert learnt.grad is not None
        assert learnt.grad.any()
    # Scores that are wrong teach, and those that are wrong beyond doubt cost no infinite loss.
    wrong = (batch["truth"] != 1).float()
    for sure, low, high in ((0.8, 1, 3), (1.0, 3, 9.3)):
        trained.network.zero_grad()
        batch["coarse"] = (1 - sure) + (2 * sure - 1) * wrong
        loss = trained.losses(batch)["entropy"]
        assert low < loss < high
        loss.backward()  # type: ignore[no-untyped-call]
        gradients = [p.grad for p in trained.network.gates.parameters()]
        assert all(g is not None and g.isfinite().all() for g in gradients)
        # Sure scores stay as they are: there is nothing to learn from them.
        assert all(g is not None and g.any() == (sure < 0.95) for g in gradients)


def test_the_loss_of_the_whole_network_and_its_rates(picture: Paint) -> None:
    torch.manual_seed(0)
    network = SpatialPropagationNetwork(SpnConfig(channels=2, n_rounds=1))
    trained = SpnTraining(network, [(1.0, [picture(1, 2)])], SMALL)
    batch = trained.draw(Generator().manual_seed(3), 0)
    with torch.no_grad():
        logits = network(batch["image"], batch["coarse"])
        expected = functional.cross_entropy(logits, batch["truth"], ignore_index=255)
        assert trained.losses(batch)["entropy"].item() == pytest.approx(expected.item(), rel=1e-5)
        refined = trained.refine(batch["image"], batch["coarse"])
    torch.testing.assert_close(refined, logits.softmax(1)[:, 1])
    groups = trained.parameter_groups()
    assert [group["lr"] for group in groups] == pytest.approx([1e-4, 1e-3])
    members = [list(group["params"]) for group in groups]
    assert sum(p.numel() for p in members[0]) == 14_714_688  # VGG-16 without its classifier
    ids = [id(p) for group in members for p in group]
    assert sorted(ids) == sorted(id(p) for p in network.parameters())


MILD = DegradationConfig(
    shift=3, spread=3, blur=2, cell=6, holes=0, islands=0, noise=0.3, steepness=(2, 6)
)


def test_training_lowers_the_loss_and_a_checkpoint_knows_its_network(
    tmp_path: Path, picture: Paint
) -> None:
    recipe = SpnRecipe(batch=4, side=64, learning_rate=3e-3, degradation=MILD)
    torch.manual_seed(0)
    # Contrast alone would tell these rectangles apart, and own scores need no gates: all is left to
    # what is learnt.
    head = LightGuidanceHead(LightSpnConfig((3, 3), contrast=0, unsure=10))
    nn.init.zeros_(head.mixing[:1])
    nn.init.constant_(head.mixing[1:], 4.0)
    head.open_gates()
    trained = SpnTraining(head, [(1.0, [picture(1, 2, 7)])], recipe, features=two_levels)
    unseen = [trained.draw(Generator().manual_seed(900 + k), 0) for k in range(5)]

    def judge() -> float:
        """Cross-entropy of crops that training does not draw."""
        with torch.no_grad():
            return sum(float(trained.losses(b)["entropy"]) for b in unseen) / len(unseen)

    before = judge()
    loop = LoopConfig(40, weight_decay=1e-4, warmup=5, precision="fp32")

    def follow(training: SpnTraining, stop_after: int | None = None) -> int:
        return train(
            training.network,
            training,
            loop,
            tmp_path,
            settings=training.settings,
            stop_after=stop_after,
        )

    assert follow(trained, stop_after=1) == 1
    assert follow(trained) == 40
    # Gates open everywhere smear the objects; it has to close them at their edges at least.
    assert judge() < 0.6 * before
    other = LightGuidanceHead(LightSpnConfig((3, 3), stride=4))
    with pytest.raises(InputError, match="another recipe"):
        follow(SpnTraining(other, [(1.0, [picture(1)])], recipe, features=two_levels))


def test_the_command_trains_on_made_and_real_pictures(
    voc: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["train", "spn", "--output", str(tmp_path / "run"), "--steps", "3", "--batch", "2"]
    argv += ["--side", "64", "--synthetic", "2", "--voc", str(voc), "--device", "cpu"]
    argv += ["--coarse", "shipped"]
    assert main([*argv, "--quiet"]) == 0
    assert main(argv) == 0  # all done before
    out = capsys.readouterr().out
    assert "trained the light network" in out
    assert len((tmp_path / "run" / "log.jsonl").read_text().splitlines()) == 3
    path = tmp_path / "run" / "spn.safetensors"
    assert isinstance(load_spn(path), LightGuidanceHead)
    assert '"backbone": "foreground-' in read_header(path)["vostrack.spn"]
    assert main([*argv, "--seed", "1"]) == 2
    assert "another recipe (--seed was 0, is 1)" in capsys.readouterr().err
    assert main([*argv, "--flat-share", "0.5"]) == 2
    assert "another recipe (--flat-share was 0.15, is 0.5)" in capsys.readouterr().err
    assert main(["train", "spn", "--output", str(tmp_path / "none")]) == 2
    assert "give --davis DIR, --voc DIR, --photos DIR or --synthetic N" in capsys.readouterr().err
    for flag in ("synthetic", "flat"):
        assert main([*argv, f"--{flag}-share", "2"]) == 2
        assert f"--{flag}-share: expected 0 .. 1" in capsys.readouterr().err
    assert main([*argv, "--synthetic-share", "0.9"]) == 2
    assert "another recipe (--synthetic-share was 0.3, is 0.9)" in capsys.readouterr().err
    assert main([*argv, "--photo-share", "1"]) == 2
    assert "give --photos" in capsys.readouterr().err


@pytest.mark.parametrize(("network", "share"), [("light", 0.15), ("whole", 0.0)])
def test_the_published_network_is_trained_on_pictures_as_they_are(
    network: Literal["light", "whole"], share: float, tmp_path: Path
) -> None:
    command = TrainSpnCommand(
        output=tmp_path,
        network=network,
        weights=None if network == "light" else "none",
        synthetic=1,
    )
    training, base = command._prepare()
    assert training.recipe.flat_share == share
    assert (base is None) == (network == "whole")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch": 0}, "batch: expected at least 1"),
        ({"side": 16}, "side: expected at least 32, got 16"),
        ({"learning_rate": 0.0}, "learning_rate: expected a value above 0"),
        ({"learning_rate": float("inf")}, "learning_rate: expected a finite number"),
        ({"network_share": 1.5}, r"network_share: expected 0 \.\. 1"),
        ({"flat_share": -0.1}, r"flat_share: expected 0 \.\. 1"),
    ],
)
def test_recipes_are_checked(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SpnRecipe(**change)
