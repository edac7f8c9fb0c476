"""Training a target network from the command line, and tracking with the result."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vostrack.cli import main
from vostrack.masks import read_label_map, write_label_map
from vostrack.models.target_net import TargetNetConfig, build_target_net
from vostrack.models.weights import load_target_net, save_target_net


@pytest.fixture
def davis(clip_folder: Path, tmp_path: Path) -> Path:
    """A DAVIS 2017 root of the clip and its mirror image."""
    root = tmp_path / "DAVIS"
    for name, step in (("clip", 1), ("mirror", -1)):
        images, masks = (root / kind / "480p" / name for kind in ("JPEGImages", "Annotations"))
        images.mkdir(parents=True)
        for path in sorted((clip_folder / "frames").iterdir()):
            picture = np.ascontiguousarray(np.array(Image.open(path))[:, ::step])
            Image.fromarray(picture).save(images / f"{path.stem}.jpg", quality=95)
        for path in sorted((clip_folder / "truth").iterdir()):
            write_label_map(
                masks / path.name, np.ascontiguousarray(read_label_map(path)[:, ::step])
            )
    (root / "ImageSets" / "2017").mkdir(parents=True)
    (root / "ImageSets" / "2017" / "train.txt").write_text("clip\nmirror\n")
    return root


def test_it_trains_resumes_and_the_result_tracks(
    davis: Path, clip_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = tmp_path / "start.safetensors"
    small = TargetNetConfig(key=8, value=4, embedding=6, labels=3, widths=(12, 8, 8, 4))
    save_target_net(build_target_net(small), start)
    runs = tmp_path / "runs"
    argv = ["train", "target", "--root", str(davis), "--output", str(runs), "--device", "cpu"]
    argv += ["--weights", str(start), "--side", "64", "--batch", "1", "--steps", "3"]
    assert main(argv) == 0
    assert "trained on 2 videos" in capsys.readouterr().out
    lines = [json.loads(line) for line in (runs / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3]
    assert main([*argv, "--quiet"]) == 0  # complete: nothing is trained again
    assert len((runs / "log.jsonl").read_text().splitlines()) == 3
    path = runs / "target.safetensors"
    assert load_target_net(path).config == small

    out = tmp_path / "out"
    track = ["track", "--video", str(clip_folder / "frames"), "--output", str(out), "--quiet"]
    track += ["--first-mask", str(min((clip_folder / "truth").iterdir())), "--weights", str(path)]
    assert main([*track, "--object-steps", "1", "--no-overlay", "--device", "cpu"]) == 0
    run = json.loads((out / "run.json").read_text())
    assert run["settings"]["preset"] == "balanced"
    assert run["settings"]["method"]["target"]["finetune"]["steps"] == 1


def test_what_is_left_out_is_not_read(davis: Path, tmp_path: Path) -> None:
    argv = ["train", "target", "--root", str(davis), "--output", str(tmp_path / "runs")]
    argv += ["--exclude", "clip", "mirror", "--weights", "none", "--quiet"]
    assert main(argv) == 2
