"""Training a target network from the command line, and tracking with the result."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from vostrack.cli import main
from vostrack.cli.training_data import parse_data
from vostrack.models.deeplab_mobilenetv2 import DeepLabMobileNetV2
from vostrack.models.target_net import TargetNetConfig
from vostrack.models.target_net_builder import build_target_net
from vostrack.models.weights import load_target_net, save_target_net


def small_network(path: Path) -> TargetNetConfig:
    config = TargetNetConfig(key=8, value=4, embedding=6, labels=3, widths=(12, 8, 8, 4))
    save_target_net(build_target_net(config), path)
    return config


def test_it_trains_judges_resumes_and_the_result_tracks(
    davis: Path, clip_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = tmp_path / "start.safetensors"
    small = small_network(start)
    runs = tmp_path / "runs"
    argv = ["train", "target", "--data", f"davis:{davis}", "--output", str(runs), "--device", "cpu"]
    argv += ["--weights", str(start), "--pixels", "4096", "--accumulate", "2", "--steps", "3"]
    argv += ["--clip-length", "3", "3", "--exclude", "mirror", "--validate-every", "2"]
    assert main(argv) == 0
    assert "3 of 3 steps" in capsys.readouterr().out
    lines = [json.loads(line) for line in (runs / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3]
    curves = json.loads((runs / "curves.json").read_text())
    assert [entry["step"] for entry in curves["validation"]] == [2, 3]
    assert all(0 <= entry["J&F"] <= 1 for entry in curves["validation"])
    assert main([*argv, "--quiet"]) == 0  # complete: nothing is trained again
    assert len((runs / "log.jsonl").read_text().splitlines()) == 3
    path = runs / "best.safetensors"
    assert load_target_net(path).config == load_target_net(runs / "target.safetensors").config
    assert load_target_net(path).config == small

    out = tmp_path / "out"
    track = ["track", "--video", str(clip_folder / "frames"), "--output", str(out), "--quiet"]
    track += ["--first-mask", str(min((clip_folder / "truth").iterdir())), "--weights", str(path)]
    assert main([*track, "--object-steps", "1", "--no-overlay", "--device", "cpu"]) == 0
    run = json.loads((out / "run.json").read_text())
    assert run["settings"]["preset"] == "balanced"
    assert run["settings"]["method"]["target"]["finetune"]["steps"] == 1

    # What has ended is not judged any more, as after a training without judgements.
    path.unlink()
    capsys.readouterr()
    assert main([*argv, "--quiet"]) == 2
    assert "had ended, so that nothing was judged; give another --output" in capsys.readouterr().err


def test_a_mixture_of_layouts_with_hours(
    davis: Path,
    matted_photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("vostrack.cli.train_target._IMAGES", 3)  # few, since they take a while
    mose = tmp_path / "MOSE"
    for kind in ("JPEGImages", "Annotations"):
        shutil.copytree(davis / kind / "480p", mose / kind)
    start = tmp_path / "start.safetensors"
    small_network(start)
    argv = ["train", "target", "--output", str(tmp_path / "runs"), "--device", "cpu"]
    argv += ["--data", f"davis:{davis}:0.5", f"mose:{mose}:1", f"objects:{matted_photos}:2.5"]
    argv += [f"photos:{matted_photos}"]
    argv += ["--backgrounds", str(davis)]
    argv += ["--weights", str(start), "--pixels", "4096", "--steps", "50", "--hours", "1e-9"]
    deeplab = DeepLabMobileNetV2()
    torch.save(deeplab.state_dict(), tmp_path / "deeplab.pt")
    assert main([*argv, "--semantic-scale", "0.5"]) == 2
    assert "semantic-weights" in capsys.readouterr().err
    argv += ["--semantic-weights", str(tmp_path / "deeplab.pt")]
    assert main([*argv, "--semantic-scale", "0"]) == 2
    assert "over 0 to 4, got 0" in capsys.readouterr().err
    assert main(argv) == 0
    assert "1 of 50 steps" in capsys.readouterr().out
    result = load_target_net(tmp_path / "runs" / "target.safetensors")
    assert result.config.semantic == "deeplab"
    assert result.config.semantic_scale == 0.75
    assert result.semantic is not None
    kept = result.semantic.backbone.features.state_dict()
    for name, value in deeplab.features.state_dict().items():
        torch.testing.assert_close(kept[name], value.half().float())
    assert main([*argv, "--semantic-scale", "0.5"]) == 2
    assert "--semantic-scale was 0.75, is 0.5" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ("DAVIS", "KIND:PATH"),
        ("other:DAVIS", "KIND:PATH"),
        ("davis:DAVIS:0", "expected a share over 0, got '0' in 'davis:DAVIS:0'"),
        ("davis:DAVIS:-1", "expected a share over 0, got '-1'"),
        ("davis:DAVIS:nan", "expected a share over 0, got 'nan'"),
        ("davis:DAVIS:inf", "expected a share over 0, got 'inf'"),
        ("davis:DAVIS:0,5", "expected a share over 0, got '0,5'"),
        ("davis:DAVIS:0.5.1", "expected a share over 0, got '0.5.1'"),
        ("mose:nowhere:1", "no video in"),
    ],
)
def test_wrong_data_is_named(
    data: str, named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "target", "--data", data, "--output", str(tmp_path)]) == 2
    assert named in capsys.readouterr().err


def test_shares_are_numbers_and_paths_may_have_colons() -> None:
    items = ["davis:DAVIS", "mose:a:1e-3", "objects:b:c:+.5", "photos:c:d", "davis:C:/data/DAVIS:2"]
    assert [(str(part.path), part.share) for part in parse_data(items)] == [
        ("DAVIS", 1),
        ("a", 0.001),
        ("b:c", 0.5),
        ("c:d", 1),
        ("C:/data/DAVIS", 2),
    ]


def test_what_is_left_out_is_not_trained_on(
    davis: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["train", "target", "--data", f"davis:{davis}", "--output", str(tmp_path / "runs")]
    assert main([*argv, "--exclude", "clip", "mirror", "--weights", "none", "--quiet"]) == 2
    assert "--exclude: it leaves out all 2 videos of a data set" in capsys.readouterr().err
    assert main([*argv, "--validate-every", "5", "--weights", "none", "--quiet"]) == 2
    assert "nothing to judge on" in capsys.readouterr().err
