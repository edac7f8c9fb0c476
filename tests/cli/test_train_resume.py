"""A training goes on only with the data and the options that it began with."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.cli.test_train_target import small_network
from vostrack.cli import main
from vostrack.masks import read_label_map, write_label_map
from vostrack.output_folder import exclusive_folder

# Changes of what is given, each with what the message says of it.
Changes = list[tuple[list[str], str]]
TINY = ["--steps", "1", "--batch", "1", "--quiet", "--device", "cpu"]


def assert_refused(
    argv: list[str], output: Path, changes: Changes, capsys: pytest.CaptureFixture[str]
) -> None:
    """Train with ``argv``; then each change is refused, and writes nothing."""
    argv = ["train", *argv, *TINY, "--output", str(output)]
    assert main(argv) == 0
    before = {path: path.read_bytes() for path in output.rglob("*") if path.is_file()}
    capsys.readouterr()
    for change, words in changes:
        assert main([*argv, *change]) == 2, change
        said = capsys.readouterr().err
        assert f"recipe ({words}" in said
        assert said.count("\n") == 1
    assert {path: path.read_bytes() for path in output.rglob("*") if path.is_file()} == before


@pytest.fixture
def three(davis: Path) -> Path:
    """A DAVIS root of three videos, and lists of the same videos under other names."""
    for kind in ("JPEGImages", "Annotations"):
        shutil.copytree(davis / kind / "480p" / "clip", davis / kind / "480p" / "third")
    for year in ("2016", "2017"):
        (davis / "ImageSets" / year).mkdir(exist_ok=True)
        for subset in ("train", "val"):
            path = davis / "ImageSets" / year / f"{subset}.txt"
            path.write_text("clip\nmirror\nthird\n")
    return davis


@pytest.fixture
def masks(davis: Path) -> Path:
    """A folder of two masks."""
    for name in ("00000", "00001"):
        path = davis / "Annotations" / "480p" / "clip" / f"{name}.png"
        write_label_map(davis.parent / "masks" / path.name, read_label_map(path))
    return davis.parent / "masks"


def change_a_mask(root: Path) -> None:
    path = root / "Annotations" / "480p" / "clip" / "00001.png"
    labels = read_label_map(path).copy()
    labels[0, 0] = 1 - min(labels[0, 0], 1)
    write_label_map(path, labels)


EXCLUDE: Changes = [(["--exclude", "clip"], "--exclude was ['mirror'], is ['clip']")]
LISTS: Changes = [
    (["--year", "2016"], "--year was 2017, is 2016"),
    (["--set", "val"], "--set was 'train', is 'val'"),
]


def test_foreground(
    three: Path, matted_photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["foreground", "--root", str(three), "--exclude", "mirror", "--weights", "none"]
    argv += ["--strides", "2", "4", "--width", "4", "--side", "32", "--photos", str(matted_photos)]
    other = shutil.copytree(three, tmp_path / "other")
    change_a_mask(other)
    photos = shutil.copytree(matted_photos, tmp_path / "mattes")
    (photos / "JPEGImages" / "a.jpg").write_bytes((photos / "JPEGImages" / "b.jpg").read_bytes())
    changes = [
        *EXCLUDE,
        (["--set", "val"], "--set was 'train', is 'val'"),
        (["--keep-backbone"], "--keep-backbone was False, is True"),
        (["--root", str(other)], "--root was '24 files, digest "),
        (["--photos", str(photos)], "--photos was '4 files, digest "),
    ]
    assert_refused(argv, tmp_path / "runs", changes, capsys)
    moved = shutil.copytree(three, tmp_path / "moved")
    argv = ["train", *argv, *TINY, "--output", str(tmp_path / "runs"), "--root", str(moved)]
    assert main([*argv, "--backbone", "resnet18"]) == 0


def test_target(
    three: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start, copy = tmp_path / "start.safetensors", tmp_path / "copy.safetensors"
    small_network(start)
    shutil.copy(start, copy)
    other = shutil.copytree(three, tmp_path / "other")
    change_a_mask(other)
    second = tmp_path / "second.safetensors"
    torch.manual_seed(1)
    small_network(second)
    argv = ["target", "--data", f"davis:{three}", "--exclude", "mirror", "--weights", str(start)]
    argv += ["--pixels", "1024", "--clip-length", "2", "2", "--accumulate", "1"]
    changes = [
        *EXCLUDE,
        *LISTS,
        (["--validate", str(three), "--validate-every", "1"], "--validate was [], is ['"),
        (["--data", f"davis:{three}:0.5"], "--data was ['davis:1 (36 files, digest "),
        (["--data", f"davis:{other}"], "--data was ['davis:1 (36 files, digest "),
        (["--weights", str(second)], "--weights was '1 file, digest "),
    ]
    assert_refused(argv, tmp_path / "runs", changes, capsys)
    moved = ["--data", f"davis:{three}:1.0", "--weights", str(copy), "--hours", "1"]
    (tmp_path / "train").touch()  # named like the value of --set
    monkeypatch.chdir(tmp_path)
    assert main(["train", *argv, *TINY, "--output", str(tmp_path / "runs"), *moved]) == 0


def test_siseg(
    three: Path, masks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["siseg", "--masks", str(masks), "--side", "64", "--longest", "64", "80"]
    argv += ["--offsets", "4"]
    other = shutil.copytree(masks, tmp_path / "other")
    Image.fromarray(np.ones((48, 96), np.uint8)).save(other / "00001.png")
    changes = [
        (["--masks", str(other)], "--masks was ['2 files, digest "),
        (["--davis", str(three)], "--davis was None, is '36 files, digest "),
        (["--drawn", "5"], "--drawn was 0, is 5"),
        (["--exclude", "*1"], "--exclude was [], is ['*1']"),
        (["--background-ids", "1"], "--background-ids was [], is [1]"),
        (["--side", "48"], "--side of scenes was 64, is 48"),
    ]
    assert_refused(argv, tmp_path / "runs", changes, capsys)


def test_mask_localizer(masks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = shutil.copytree(masks, tmp_path / "other")
    (other / "00000.png").rename(other / "2.png")
    changes = [
        (["--masks", str(other)], "--masks was ['2 files, digest "),
        (["--exclude", "*1"], "--exclude was [], is ['*1']"),
    ]
    argv = ["mask-localizer", "--masks", str(masks), "--pool", "2"]
    assert_refused(argv, tmp_path / "runs", changes, capsys)


def test_spn(three: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = shutil.copytree(three, tmp_path / "other")
    change_a_mask(other)
    changes = [
        *EXCLUDE,
        (["--davis", str(other)], "--davis was '24 files, digest "),
        (["--coarse", "shipped"], "--coarse was 'degraded', is 'shipped'"),
    ]
    argv = ["spn", "--davis", str(three), "--exclude", "mirror", "--side", "32"]
    assert_refused(argv, tmp_path / "runs", changes, capsys)


def test_what_an_earlier_version_wrote_goes_on_with_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["train", "siseg", "--side", "64", "--longest", "64", "80", "--offsets", "4"]
    argv += ["--steps", "1", "--batch", "1", "--output", str(tmp_path), "--drawn"]
    assert main([*argv, "4"]) == 0
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    del state["settings"]["recipe.given"]
    torch.save(state, tmp_path / "checkpoint.pt")
    assert main([*argv, "5"]) == 0
    assert "did not record the data and all options" in capsys.readouterr().err
    assert main([*argv, "5", "--side", "48"]) == 2
    assert "--side of scenes was 64, is 48" in capsys.readouterr().err


NAMES = "detection-crf foreground target spn siseg fcrn localizer mask-localizer"


@pytest.mark.parametrize("name", NAMES.split())
def test_two_trainings_do_not_share_a_folder_and_a_file_is_none(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    needed = {"target": "--data", "mask-localizer": "--masks", "siseg": "--masks", "spn": "--davis"}
    argv = ["train", name, needed.get(name, "--root"), str(tmp_path / "nowhere"), "--output"]
    with exclusive_folder(tmp_path / "runs"):
        assert main([*argv, str(tmp_path / "runs")]) == 2
        assert "error: --output: another run is writing to " in capsys.readouterr().err
    (tmp_path / "file").touch()
    for place in ("file", "file/below"):
        assert main([*argv, str(tmp_path / place)]) == 2
        assert "file is not a folder; give the name of a folder" in capsys.readouterr().err.replace(
            "/below", ""
        )
    assert main([*argv, str(tmp_path / "new" / "runs")]) == 2
    assert not (tmp_path / "new").exists()


def test_results_and_notes_beside_the_data_do_not_count(
    matted_photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_network(tmp_path / "start.safetensors")
    monkeypatch.chdir(matted_photos)
    argv = ["train", "target", "--data", "photos:.", "--weights", "../start.safetensors"]
    argv += ["--pixels", "1024", "--clip-length", "2", "2", "--accumulate", "1", *TINY]
    assert main([*argv, "--output", "run"]) == 0
    Path("run", "shown.png").touch()
    Path("notes.txt").touch()
    assert main([*argv, "--output", "run"]) == 0
