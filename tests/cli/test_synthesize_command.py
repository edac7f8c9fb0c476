"""``vostrack synthesize``: what it writes, that others can read it, and what it refuses."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from vostrack.cli import main
from vostrack.datasets import open_davis
from vostrack.masks import read_first_mask, read_label_map

Synthesize = Callable[..., int]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four discs with mattes, and three stills in ``stills/``."""
    folder = tmp_path_factory.mktemp("photos")
    for part in ("JPEGImages", "Mattes", "stills"):
        (folder / part).mkdir()
    for index in range(4):
        alpha = np.zeros((48, 48), np.uint8)
        cv2.circle(alpha, (24, 24), 10 + 2 * index, 255, -1)
        image = np.full((48, 48, 3), 50, np.uint8)
        image[alpha > 0] = (250 - 60 * index, 60 * index, 128)
        Image.fromarray(image).save(folder / "JPEGImages" / f"disc{index}.png")
        Image.fromarray(alpha).save(folder / "Mattes" / f"disc{index}.png")
        ramp = np.tile(np.linspace(0, 255, 96, dtype=np.uint8), (64, 1))
        still = np.stack([ramp, ramp[:, ::-1], np.full_like(ramp, 40 * index)], axis=-1)
        Image.fromarray(still).save(folder / "stills" / f"still{index}.png")
    return folder


@pytest.fixture
def synthesize(photos: Path, tmp_path: Path) -> Synthesize:
    """Run the command on small clips; flags given replace these."""

    def run(*flags: str) -> int:
        fixed = ["--objects", str(photos), "--output", str(tmp_path / "out"), "--clips", "2"]
        fixed += ["--backgrounds", str(photos / "stills"), "--size", "96x64", "--frames", "2", "3"]
        return main(["synthesize", *fixed, "--quiet", *flags])

    return run


def _contents(folder: Path) -> dict[str, bytes]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_the_data_set_is_read_like_davis(synthesize: Synthesize, tmp_path: Path) -> None:
    assert synthesize("--set", "val", "--kind", "smoke") == 0
    sequences = open_davis(tmp_path / "out", year=2017, subset="val")
    assert [sequence.name for sequence in sequences] == ["smoke-00", "smoke-01"]
    record = json.loads((tmp_path / "out" / "composites.json").read_text())["clips"]
    for sequence, clip in zip(sequences, record, strict=True):
        assert clip["name"] == sequence.name
        assert "smoke" in clip["tags"]
        assert len(sequence.frames) == clip["frames"] in (2, 3)
        assert sequence.first_mask is not None
        first = read_first_mask(sequence.first_mask, size=(64, 96), min_pixels=1)
        assert set(np.unique(first.labels)) - {0} == set(range(1, clip["objects"] + 1))
        for frame, mask in zip(sequence.frames, sequence.annotations, strict=True):
            assert mask is not None
            with Image.open(frame) as image:
                assert (image.format, image.size, image.mode) == ("JPEG", (96, 64), "RGB")
            assert read_label_map(mask).shape == (64, 96)


def test_the_same_flags_give_the_same_files(synthesize: Synthesize, tmp_path: Path) -> None:
    assert synthesize() == 0
    first = _contents(tmp_path / "out")
    assert synthesize("--output", str(tmp_path / "again")) == 0
    assert _contents(tmp_path / "again") == first
    assert synthesize("--output", str(tmp_path / "other"), "--seed", "1") == 0
    assert _contents(tmp_path / "other") != first


def test_all_kinds_in_turn(synthesize: Synthesize, tmp_path: Path) -> None:
    assert synthesize("--kind", "all", "--clips", "6", "--frames", "6", "6") == 0
    names = (tmp_path / "out" / "ImageSets" / "2017" / "train.txt").read_text().split()
    assert names == [
        f"{kind}-00" for kind in ("look-alikes", "growth", "occlusion", "small", "smoke", "bending")
    ]


def test_an_earlier_run_is_replaced_only_when_asked(
    synthesize: Synthesize, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert synthesize("--clips", "3") == 0
    before = _contents(tmp_path / "out")
    assert synthesize() == 2
    assert "is not empty; expected a new or empty folder" in capsys.readouterr().err
    # Nothing is deleted for flags that cannot be used.
    assert synthesize("--overwrite", "--backgrounds", str(tmp_path / "nowhere")) == 2
    assert _contents(tmp_path / "out") == before
    assert synthesize("--overwrite") == 0
    assert not (tmp_path / "out" / "JPEGImages" / "480p" / "mixed-02").exists()


def test_other_files_are_never_replaced(
    synthesize: Synthesize, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    precious = tmp_path / "out" / "JPEGImages" / "480p" / "bear" / "00000.jpg"
    precious.parent.mkdir(parents=True)
    precious.write_bytes(b"mine")
    assert synthesize("--overwrite") == 2
    assert "holds no composites.json" in capsys.readouterr().err
    assert precious.read_bytes() == b"mine"


def test_an_output_is_never_composed_of_itself(
    synthesize: Synthesize, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What would be deleted is refused as an input, and nothing is deleted."""
    earlier, linked = tmp_path / "out", tmp_path / "linked"
    assert synthesize("--frames", "2", "2") == 0
    linked.mkdir()
    for sequence in (earlier / "JPEGImages" / "480p").iterdir():
        (linked / sequence.name).symlink_to(sequence)
    shutil.copytree(photos, earlier, dirs_exist_ok=True)
    before = _contents(earlier)
    for flag, folder, said in (
        ("--backgrounds", earlier, f"out lies in {earlier}, which --backgrounds reads"),
        ("--backgrounds", earlier / "stills", f"{earlier / 'stills'} lies in"),
        ("--backgrounds", linked, f"{linked / 'mixed-00' / '00000.jpg'} lies in"),
        ("--backgrounds", tmp_path / "out" / ".." / "out", "which --backgrounds reads"),
        ("--objects", earlier, f"out lies in {earlier}, which --objects reads"),
    ):
        assert synthesize("--overwrite", flag, str(folder)) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: --output: ")
        assert said in error
        assert error.endswith("give another folder as --output\n")
        assert _contents(earlier) == before


def test_an_output_inside_an_input_is_refused(
    synthesize: Synthesize, tmp_path: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(photos, tmp_path / "mine")
    before = _contents(tmp_path / "mine")
    objects = ["--objects", str(tmp_path / "mine")]
    assert synthesize(*objects, "--output", str(tmp_path / "mine" / "Mattes" / "new")) == 2
    assert "which --objects reads; give another folder as --output" in capsys.readouterr().err
    assert _contents(tmp_path / "mine") == before


def test_an_output_that_is_a_file_is_refused(
    synthesize: Synthesize, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").write_text("")
    assert synthesize() == 2
    assert "is a file; give the name of a folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--size", "96"], "--size: expected width x height such as 854x480, got '96'"),
        (["--size", "95x64"], "size: expected even sides"),
        (["--clips", "0"], "--clips: expected at least 1, got 0"),
        (["--seed", "-1"], "--seed: expected at least 0, got -1"),
        (["--frames", "5", "2"], "frames: expected 1 <= lowest"),
        (["--objects", "nowhere"], "JPEGImages is no folder"),
        (["--exclude", "still9"], "--exclude: still9 is no background"),
    ],
)
def test_refusals_name_the_trouble(
    synthesize: Synthesize,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
    message: str,
) -> None:
    assert synthesize(*flags) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()
