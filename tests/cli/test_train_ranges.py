"""Impossible numbers are refused before any file is looked for."""

from __future__ import annotations

import pytest

from vostrack.cli import COMMANDS, main

ROOTS = {
    "foreground": "--root",
    "target": "--data",
    "spn": "--davis",
    "siseg": "--masks",
    "fcrn": "--root",
    "localizer": "--root",
    "mask-localizer": "--masks",
    "detection-crf": "--root",
}
NOWHERE = dict.fromkeys(ROOTS, "/nowhere") | {"target": "davis:/nowhere"}
# Per command: a flag, and values that are refused.
REFUSED = {
    "foreground": ["--batch 0 -1", "--side 0 31", "--width 0"],
    "target": [
        "--batch 0",
        "--accumulate 0",
        "--learning-rate 0 -1 nan inf",
        "--average 1 -0.5",
        "--keep-every -1",
        "--ahead -1",
        "--validate-every -1",
    ],
    "spn": [
        "--batch 0",
        "--side 31",
        "--learning-rate 0 inf",
        "--ahead -1",
        "--synthetic -1",
        "--synthetic-share -1 2 nan",
        "--coarse-share 2",
        "--photo-share 2",
    ],
    "siseg": [
        "--batch 0",
        "--side 0 40",
        "--learning-rate 0 nan inf",
        "--drawn -1",
        "--pieces -1",
        "--offsets 0 153",
    ],
    "fcrn": [
        "--batch 0",
        "--side 7",
        "--learning-rate 0 -1 nan inf",
        "--size-exponent nan",
        "--ahead -1",
        "--power -1 inf",
        "--keep -1",
        "--threshold 2",
        "--kernel 2",
        "--dilation 0",
        "--hidden -1",
    ],
    "localizer": [
        "--batch 0",
        "--learning-rate 0 nan inf",
        "--side 0 40",
        "--pool 0",
        "--synthetic -1 2",
        "--size-exponent inf",
        "--keep -1",
    ],
    "mask-localizer": [
        "--batch 0",
        "--learning-rate 0 nan inf",
        "--pool 0",
        "--size-exponent -1 inf",
        "--keep -1",
        "--steps 0",
    ],
    "detection-crf": [
        "--batch 0",
        "--max-side 31",
        "--learning-rate -1 inf",
        "--potential-learning-rate -1 nan",
        "--instance-weight -1 inf",
    ],
}
CASES = [
    (command, flag, value)
    for command, lines in REFUSED.items()
    for line in ["--steps 0 -3", "--seed -1", *lines]
    for flag, *values in [line.split()]
    for value in values
]


def test_every_training_is_tried() -> None:
    commands = COMMANDS["train"]
    assert isinstance(commands, dict)
    assert set(REFUSED) == set(ROOTS) == set(commands)


@pytest.mark.parametrize(("command", "flag", "value"), CASES)
def test_it_is_refused_at_the_door(
    command: str, flag: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["train", command, ROOTS[command], NOWHERE[command], "--output", "/nowhere/run"]
    assert main([*argv, "--quiet", flag, value]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {flag}: ")
    assert "nowhere" not in said


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["fcrn", "--dropout", "0", "1"], "--dropout: expected values in [0, 1), got (0.0, 1.0)"),
        (["fcrn", "--keep", "0"], "--keep: expected at least 1 where --threshold is 0, got 0"),
        (["siseg", "--offsets", "999"], "--offsets: expected at most 152, which are all there are"),
        (
            ["siseg", "--weights", "x", "--drawn", "1"],
            "--weights: expected none with the light",
        ),
    ],
)
def test_the_message_names_the_flags(
    argv: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    root = [] if "--drawn" in argv else [ROOTS[argv[0]], "/nowhere"]
    assert main(["train", *argv, *root, "--output", "/nowhere/run", "--quiet"]) == 2
    assert f"error: {words}" in capsys.readouterr().err


@pytest.mark.parametrize("command", ROOTS)
def test_with_its_own_numbers_it_looks_for_the_files(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["train", command, ROOTS[command], NOWHERE[command], "--output", "/nowhere/run"]
    assert main([*argv, "--quiet"]) == 2
    assert "nowhere" in capsys.readouterr().err
