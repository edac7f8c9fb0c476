"""``vostrack dataset run`` on every layout: objects are added at their own frames."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.datasets.small_sets import (
    LATE,
    labels_of,
    make_burst,
    make_lvos,
    make_mose,
    make_youtube_vos,
)
from vostrack.batch import Job
from vostrack.cli import main
from vostrack.errors import InputError
from vostrack.masks import FirstMask, read_label_map, write_label_map
from vostrack.runs.sequence import given_masks
from vostrack.video import FrameSource


@pytest.fixture
def flags(tiny_network: str) -> list[str]:
    return ["--weights", tiny_network, "--foreground-steps", "1", "--object-steps", "2", "--quiet"]


@pytest.mark.parametrize(
    ("layout", "make", "late"),
    [
        ("youtube-vos", make_youtube_vos, LATE),
        ("lvos", make_lvos, LATE),
        ("burst", make_burst, LATE // 2),
        ("mose", lambda root: make_mose(root, subset="valid", dense=False), LATE),
    ],
)
def test_late_objects_are_added_at_their_frames(
    layout: str, make: Callable[[Path], Path], late: int, flags: list[str], tmp_path: Path
) -> None:
    root, output = make(tmp_path / "data"), tmp_path / "out"
    argv = ["dataset", "run", "--layout", layout, "--root", str(root), "--output", str(output)]
    assert main([*argv, *flags]) == 0
    folder = next(path for path in output.iterdir() if path.name.endswith("goats"))
    masks = [read_label_map(path) for path in sorted(folder.glob("*.png"))]
    held = [5 in mask for mask in masks]
    assert held[:late] == [False] * late
    assert held[late]
    given = labels_of("goats", LATE)
    assert np.array_equal(masks[late] == 5, given == 5)
    first = (folder / "done.json").stat().st_mtime_ns
    assert main([*argv, *flags]) == 0  # kept
    assert (folder / "done.json").stat().st_mtime_ns == first
    assert main(["eval", str(output), "--layout", layout, "--root", str(root), "--quiet"]) == (
        2 if layout == "mose" else 0
    )


def test_an_option_of_another_layout_is_refused(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = make_mose(tmp_path / "data")
    argv = ["dataset", "run", "--layout", "mose", "--root", str(root), *flags]
    assert main([*argv, "--year", "2016"]) == 2
    assert "--year: has no effect with the layout mose" in capsys.readouterr().err
    argv[3] = "burst"
    assert main([*argv, "--output", "s3://bucket/x"]) == 2
    assert "--output: BURST's masks" in capsys.readouterr().err


def test_davis_is_another_name(capsys: pytest.CaptureFixture[str]) -> None:
    texts = []
    for group in ("dataset", "davis"):
        with pytest.raises(SystemExit):
            main([group, "run", "--help"])
        texts.append(capsys.readouterr().out.partition("options")[2])
    assert "--layout" in texts[0]
    assert texts[0] == texts[1]


def test_an_object_that_is_seen_before_it_is_given_is_not_tracked_before(
    flags: list[str], tmp_path: Path
) -> None:
    """The annotations show it from the first frame on, the metadata give it in a later one."""
    root, output = make_youtube_vos(tmp_path / "data"), tmp_path / "out"
    for frame in range(LATE):
        path = root / "valid" / "Annotations" / "goats" / f"{5 * frame:05}.png"
        write_label_map(path, labels_of("goats", frame, 0))
    argv = ["dataset", "run", "--layout", "youtube-vos", "--root", str(root), *flags]
    assert main([*argv, "--sequences", "goats", "--output", str(output)]) == 0
    masks = [read_label_map(path) for path in sorted((output / "goats").glob("*.png"))]
    assert [5 in mask for mask in masks[: LATE + 1]] == [False] * LATE + [True]


def test_a_video_whose_first_object_is_late_starts_there(flags: list[str], tmp_path: Path) -> None:
    root, output = make_youtube_vos(tmp_path / "data"), tmp_path / "out"
    meta = root / "valid" / "meta.json"
    data = json.loads(meta.read_text())
    found = data["videos"]["swan"]["objects"]["1"]
    found["frames"] = found["frames"][2:]
    meta.write_text(json.dumps(data))
    argv = ["dataset", "run", "--layout", "youtube-vos", "--root", str(root), *flags]
    assert main([*argv, "--sequences", "swan", "--output", str(output)]) == 0
    names = sorted(path.stem for path in (output / "swan").glob("*.png"))
    assert names == ["00010", "00015", "00020", "00025"]
    given = read_label_map(output / "swan" / "00010.png")
    assert np.array_equal(given == 1, labels_of("swan", 2) == 1)
    argv = ["eval", str(output), "--layout", "youtube-vos", "--root", str(root), "--quiet"]
    assert main([*argv, "--sequences", "swan"]) == 0


def test_only_ids_that_no_earlier_mask_had_are_new(tmp_path: Path) -> None:
    for number, labels in enumerate(([1, 0, 0], [2, 1, 255], [2, 0, 3], [3, 2, 1])):
        write_label_map(tmp_path / f"{number}.png", np.array([labels], np.uint8))
    job = Job(
        name="swan",
        frames=tuple(Path(f"{index}.jpg") for index in range(4)),
        first_mask=tmp_path / "0.png",
        output="out",
        later_masks=tuple((index, tmp_path / f"{index}.png") for index in (1, 2, 3)),
    )
    first = read_label_map(tmp_path / "0.png")
    found = {index: labels.tolist() for index, labels in given_masks(job, first).items()}
    assert found == {0: [[1, 0, 0]], 1: [[2, 0, 0]], 2: [[0, 0, 3]]}
    known = replace(job, starts=((1, 0), (2, 2), (3, 3)))
    found = {index: labels.tolist() for index, labels in given_masks(known, first).items()}
    assert found == {0: [[1, 0, 0]], 2: [[2, 0, 0]], 3: [[3, 0, 0]]}
    assert known.fingerprint != job.fingerprint
    write_label_map(tmp_path / "1.png", np.zeros((2, 2), np.uint8))
    with pytest.raises(InputError, match="is 2x2, expected 3x1"):
        given_masks(job, first)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """How many objects were to be proposed, each time; the proposal is a block with id 3.

    It works in this process only.
    """
    asked: list[object] = []

    def propose(source: FrameSource, *, objects: int | None, device: str) -> FirstMask:
        asked.append(objects)
        labels = np.zeros(source.size, np.uint8)
        labels[4:20, 4:20] = 3
        return FirstMask(labels, (3,), ("proposal",))

    monkeypatch.setattr("vostrack.runs.sequence.propose_first_mask", propose)
    return asked


def test_objects_are_proposed_without_looking_at_the_masks(
    flags: list[str], asked: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, output = make_mose(tmp_path / "data"), tmp_path / "out"
    argv = ["dataset", "run", "--layout", "mose", "--root", str(root), "--output", str(output)]
    argv += ["--first-mask", "auto", "--objects", "1"]
    assert main([*argv, *flags]) == 0
    assert set(asked) == {1}
    for folder in (path for path in output.iterdir() if path.is_dir()):
        files = sorted(folder.glob("*.png"))
        assert set(np.unique(read_label_map(files[0]))) == {0, 3}
    argv[argv.index("auto")] = "given"
    assert main([*argv, *flags]) == 2
    assert "--objects: only the first mask auto" in capsys.readouterr().err
    # What would fail in every sequence is refused before the first.
    for wrong, words in {
        ("--objects", "0"): "--objects: expected 1 to 254, got 0",
        ("--device", "cuda:9"): "--device: cuda:9 was requested",
        ("--weights", "none-such.pt"): "--weights: no file none-such.pt",
    }.items():
        assert main([*argv, *flags, *wrong]) == 2
        assert words in capsys.readouterr().err


def test_the_unsupervised_task_of_davis(
    flags: list[str], asked: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its test subsets are other videos, in lists of their own, without any mask."""
    root, output, packed = make_mose(tmp_path / "data"), tmp_path / "out", tmp_path / "s.zip"
    shutil.rmtree(root / "Annotations")
    (root / "JPEGImages").rename(root / "480p")
    (root / "JPEGImages").mkdir()
    (root / "480p").rename(root / "JPEGImages" / "480p")
    (root / "ImageSets" / "2019").mkdir(parents=True)
    (root / "ImageSets" / "2019" / "test-dev.txt").write_text("swan\n")
    data = ["--root", str(root), "--set", "test-dev", "--task", "unsupervised"]
    assert main(["davis", "run", *data, "--output", str(output), "--objects", "4", *flags]) == 0
    assert asked == [4]
    for path in (output / "swan").glob("*.png"):
        write_label_map(path, np.minimum(read_label_map(path) * np.uint8(6), 18))
    assert main(["davis", "submit", *data, "--results", str(output), "--zip", str(packed)]) == 0
    assert main(["davis", "check", *data, "--zip", str(packed)]) == 0
    capsys.readouterr()
    write_label_map(path, np.full((48, 64), 21, np.uint8))
    argv = ["davis", "submit", *data, "--results", str(output), "--zip", str(packed), "--overwrite"]
    assert main(argv) == 2
    assert "expected ids up to 20" in capsys.readouterr().err
    argv = ["dataset", "check", "--layout", "mose", "--root", str(root), "--task", "unsupervised"]
    assert main(argv) == 2
    assert "--task: has no effect with the layout mose" in capsys.readouterr().err


def test_what_is_guessed_is_printed_in_the_words_of_the_command_line(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = make_mose(tmp_path / "data")
    first = root / "Annotations" / "swan" / "00000.png"
    write_label_map(first, np.where(labels_of("swan", 0), 255, 0))
    argv = ["dataset", "run", "--layout", "mose", "--root", str(root), "--sequences", "swan"]
    argv += ["--output", str(tmp_path / "out"), *flags]
    argv.remove("--quiet")
    assert main(argv) == 0
    assert "  warning: swan: " in (said := capsys.readouterr().out)
    assert "255 is read as object 1; give --year 2016" in said
    assert "255 is read" in (tmp_path / "out" / "swan" / "done.json").read_text()


def test_a_submission_says_which_frames_come_before_the_first_mask(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = make_mose(tmp_path / "data")
    (root / "Annotations" / "swan" / "00000.png").unlink()
    argv = ["dataset", "submit", "--layout", "mose", "--root", str(root), "--sequences", "swan"]
    argv += ["--results", str(root / "Annotations"), "--zip", str(tmp_path / "s.zip")]
    assert main(argv) == 0
    note = "note: swan: frame 00000 comes before the first mask and gets none"
    assert capsys.readouterr().out.splitlines()[-1] == note
    assert main([*argv, "--overwrite", "--quiet"]) == 0
    assert capsys.readouterr().out == ""
