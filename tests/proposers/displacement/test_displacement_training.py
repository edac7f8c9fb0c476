from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vostrack.cli.train_siseg import TrainSisegCommand
from vostrack.datasets.label_maps import DrawnMaps
from vostrack.errors import InputError
from vostrack.masks.palette import write_label_map
from vostrack.proposers.displacement.networks import (
    DisplacementNet,
    NetworkConfig,
    load_displacement_net,
)
from vostrack.proposers.displacement.recipe import (
    SisegRecipe,
    SisegTraining,
    estimate_mean_shift,
    loop_for,
)
from vostrack.proposers.displacement.scenes import SceneConfig
from vostrack.training.loop import step_generator, train

SMALL = SisegRecipe(batch=4, offsets=6, radius=6, scenes=SceneConfig(side=64, longest=(48, 80)))


def build_training(seed: int = 0, recipe: SisegRecipe = SMALL) -> SisegTraining:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = DisplacementNet()
    return SisegTraining(network, [DrawnMaps(64, 80)], recipe)


def test_a_batch_depends_on_the_generator_alone() -> None:
    training = build_training()
    first, second, other = (training.draw(step_generator(0, s, 0), s) for s in (3, 3, 4))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["labels"], other["labels"])
    assert first["labels"].shape == (4, 64, 64)
    assert first["regions"].shape == (4, 16, 16)
    assert len(first["offsets"]) == 6


def test_a_step_has_eight_scenes_and_sixteen_offsets_unless_told_otherwise() -> None:
    training = build_training(recipe=SisegRecipe(scenes=SMALL.scenes))
    first, second = (training.draw(step_generator(0, s, 0), s) for s in (0, 1))
    assert len(first["labels"]) == len(first["regions"]) == 8
    offsets = [batch["offsets"].tolist() for batch in (first, second)]
    assert [len(set(chosen)) for chosen in offsets] == [16, 16]
    assert offsets[0] != offsets[1]


def test_all_offsets_are_taken_where_no_number_is_asked_for() -> None:
    training = build_training(
        recipe=SisegRecipe(batch=1, offsets=None, radius=5, scenes=SMALL.scenes)
    )
    batch = training.draw(step_generator(0, 0, 0), 0)
    assert batch["offsets"].tolist() == list(range(34))


def test_training_lowers_every_loss(tmp_path: Path) -> None:
    """The field learns to point to common centres from label maps: no instance label is read."""
    training = build_training(recipe=replace(SMALL, batch=2))
    loop = loop_for(training.network, 40, checkpoint_every=40, precision="fp32")
    train(training.network, training, loop, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert len(lines) == 40
    for name, part in (("foreground", 0.85), ("boundary", 0.92), ("centre", 0.95)):
        values = [line[name] for line in lines]
        assert sum(values[-8:]) < part * sum(values[:8]), name


def test_the_mean_shift_is_the_mean_over_objects() -> None:
    training = build_training()
    shift = estimate_mean_shift(training, batches=2, seed=5)
    torch.testing.assert_close(shift, training.network.mean_shift)
    total, count = torch.zeros(2), 0
    for index in range(2):
        batch = training.draw(step_generator(5, index, 0), index)
        with torch.no_grad():
            field = training.network.field_and_boundary(batch["labels"]).field
        objects = batch["regions"] > 0
        total += torch.stack([field[:, axis][objects].sum() for axis in range(2)])
        count += int(objects.sum())
    assert count > 0
    torch.testing.assert_close(total / count, torch.zeros(2), atol=1e-4, rtol=0)


def test_rates_and_loop_follow_the_backbone() -> None:
    light = build_training()
    rates = [group["lr"] for group in light.parameter_groups()]
    assert rates == [2e-3, 2e-3, 2e-3]
    assert loop_for(light.network, 100).optimizer == "adamw"
    paper = SisegTraining(DisplacementNet(NetworkConfig.paper()), [DrawnMaps(4)])
    groups = paper.parameter_groups()
    assert [group["lr"] for group in groups] == [0.05, 0.5]
    trained = {id(p) for group in groups for p in group["params"]}
    assert trained.isdisjoint(id(p) for p in paper.network.backbone.parameters())
    loop = loop_for(paper.network, 100)
    assert (loop.optimizer, loop.schedule, loop.weight_decay) == ("sgd", "poly", 1e-4)


def test_the_command_trains_resumes_and_saves(tmp_path: Path) -> None:
    command = TrainSisegCommand(
        output=tmp_path / "run",
        drawn=16,
        steps=2,
        batch=2,
        side=64,
        longest=(48, 80),
        offsets=4,
        precision="fp32",
        device="cpu",
        quiet=True,
    )
    assert command.run() == 0
    path = tmp_path / "run" / "displacement.safetensors"
    network = load_displacement_net(path)
    assert float(network.mean_shift.abs().max()) > 0
    before = path.read_bytes()
    assert command.run() == 0
    assert path.read_bytes() == before


def test_training_on_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no label maps"):
        TrainSisegCommand(output=tmp_path, quiet=True).run()
    with pytest.raises(InputError, match="at least one collection"):
        SisegTraining(DisplacementNet(), [])
    with pytest.raises(InputError, match="batch"):
        SisegRecipe(batch=0)


def test_known_centres_count_by_their_weight() -> None:
    batch = build_training().draw(step_generator(0, 0, 0), 0)
    losses = {}
    for weight in (0.0, 1.0, 2.0):
        training = build_training(recipe=replace(SMALL, centre=weight))
        with torch.no_grad():
            losses[weight] = {name: float(v) for name, v in training.losses(batch).items()}
    assert set(losses[0.0]) == {"foreground", "background", "boundary"}
    assert losses[2.0]["centre"] == pytest.approx(2 * losses[1.0]["centre"])
    assert losses[1.0]["centre"] > 0


def test_the_command_trains_the_paper_without_known_centres(tmp_path: Path) -> None:
    paper = TrainSisegCommand(output=tmp_path, backbone="resnet50", pieces=0)._recipe()
    light = TrainSisegCommand(output=tmp_path)._recipe()
    assert (paper.centre, paper.scenes.objects, paper.offsets) == (0.0, False, None)
    assert light.centre > 0
    assert light.scenes.objects


def test_the_settings_of_the_command_follow_the_backbone(tmp_path: Path) -> None:
    light = TrainSisegCommand(output=tmp_path)
    assert (light.backbone, light.steps, light.seed, light.drawn) == ("light", 1800, 0, 0)
    assert light._recipe() == SisegRecipe(
        batch=8,
        learning_rate=None,
        radius=10.0,
        offsets=16,
        centre=1.0,
        scenes=SceneConfig(
            side=256, longest=(224, 416), pieces=3, permute=True, objects=True, merge=0.1
        ),
    )
    paper = TrainSisegCommand(output=tmp_path, backbone="resnet101")
    assert paper._recipe() == SisegRecipe(
        batch=14,
        learning_rate=None,
        radius=10.0,
        offsets=None,
        centre=0.0,
        scenes=SceneConfig(
            side=512, longest=(256, 768), pieces=3, permute=False, objects=False, merge=0.0
        ),
    )


@pytest.mark.parametrize("backbone", ["light", "resnet50"])
def test_what_the_command_is_told_goes_before_its_defaults(tmp_path: Path, backbone: str) -> None:
    command = TrainSisegCommand(
        output=tmp_path,
        backbone=backbone,  # type: ignore[arg-type]  # its values
        batch=3,
        side=96,
        longest=(50, 70),
        pieces=1,
        offsets=5,
        learning_rate=0.01,
    )
    config = command._recipe()
    assert (config.batch, config.offsets, config.learning_rate) == (3, 5, 0.01)
    scenes = config.scenes
    assert (scenes.side, scenes.longest, scenes.pieces) == (96, (50, 70), 1)


def test_the_command_leaves_out_what_is_to_judge(tmp_path: Path) -> None:
    for name in ("2007_000032", "2008_000007"):
        write_label_map(tmp_path / "masks" / f"{name}.png", np.ones((4, 4), np.uint8))
    command = TrainSisegCommand(output=tmp_path, masks=(tmp_path / "masks",), exclude=("2007_*",))
    assert [len(source) for source in command._sources()] == [1]


@pytest.mark.parametrize("backbone", ["light", "resnet50"])
def test_the_command_hands_the_network_of_its_backbone_on(
    backbone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}
    room = "vostrack.proposers.displacement"

    def fill(_: object, name: str, weights: str) -> None:
        seen.update(name=name, weights=weights)

    def keep(network: DisplacementNet, training: SisegTraining, *rest: Any, **_: Any) -> None:
        seen.update(network=network.config, maps=training.sources[0], loop=rest[0])

    monkeypatch.setattr(f"{room}.backbones.fill_displacement_backbone", fill)
    monkeypatch.setattr("vostrack.training.loop.train", keep)
    monkeypatch.setattr(f"{room}.recipe.estimate_mean_shift", lambda *_, **__: torch.zeros(2))
    monkeypatch.setattr(
        f"{room}.networks.save_displacement_net", lambda *_, half: seen.update(half=half)
    )
    command = TrainSisegCommand(
        output=tmp_path,
        backbone=backbone,  # type: ignore[arg-type]  # its values
        drawn=3,
        seed=5,
        steps=50,
        device="cpu",
        quiet=True,
    )
    assert command.run() == 0
    light = backbone == "light"
    assert seen["name"] == backbone
    assert seen["weights"] == ("none" if light else "imagenet")
    assert seen["network"] == (NetworkConfig() if light else NetworkConfig.paper("resnet50"))
    assert seen["half"] == light
    assert (seen["loop"].steps, seen["loop"].checkpoint_every) == (50, 20)
    np.testing.assert_array_equal(seen["maps"][2], DrawnMaps(3, seed=5)[2])


def test_the_command_learns_from_the_training_set_of_davis(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def nothing(root: Path, **choice: Any) -> None:
        asked.update(root=root, **choice)
        raise InputError("no such data set")

    monkeypatch.setattr("vostrack.datasets.open_davis", nothing)
    with pytest.raises(InputError, match="no such data set"):
        TrainSisegCommand(output=tmp_path, davis=tmp_path, year=2016)._sources()
    assert asked == {"root": tmp_path, "year": 2016, "subset": "train"}
