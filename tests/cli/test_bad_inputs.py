"""What is answered to input that cannot be used: one line, a status, and no half result."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from vostrack.cli import main
from vostrack.masks import read_label_map, write_label_map

Case = Callable[[Path, Path], list[str]]


def video(clip: Path, *flags: str) -> list[str]:
    return ["--video", str(clip / "frames"), *flags]


def mask(clip: Path, *flags: str) -> list[str]:
    return ["--first-mask", str(clip / "mask.png"), *flags]


def image(path: Path, array: Any) -> str:
    Image.fromarray(array).save(path)
    return str(path)


def text(path: Path, content: str) -> str:
    path.write_text(content)
    return str(path)


def audio_only(path: Path) -> str:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 4096), np.float32), format="fltp", layout="mono"
        )
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return str(path)


def photograph(path: Path) -> str:
    return image(path, np.random.default_rng(0).integers(0, 256, (48, 96), dtype=np.uint8))


def jpeg_ids(clip: Path, path: Path) -> str:
    labels = read_label_map(clip / "mask.png")
    Image.fromarray(labels * 60).save(path, quality=50)
    return str(path)


def mixed_sizes(path: Path) -> str:
    path.mkdir()
    for index, width in enumerate((96, 96, 60)):
        image(path / f"{index}.png", np.zeros((48, width, 3), np.uint8))
    return str(path)


def labelled(path: Path, labels: Any) -> str:
    write_label_map(path, labels)
    return str(path)


# name: (arguments, what the message must hold: the trouble and the remedy)
CASES: dict[str, tuple[Case, tuple[str, ...]]] = {
    "no such video": (lambda c, t: ["--video", str(t / "no.mp4"), *mask(c)], ("no.mp4",)),
    "video is text": (lambda c, t: ["--video", text(t / "v.mp4", "hello"), *mask(c)], ("v.mp4",)),
    "video is empty": (lambda c, t: ["--video", text(t / "v.mp4", ""), *mask(c)], ("v.mp4",)),
    "sound only": (lambda c, t: ["--video", audio_only(t / "s.m4a"), *mask(c)], ("s.m4a",)),
    "folder without images": (lambda c, t: ["--video", str(t), *mask(c)], ("image",)),
    "pattern without match": (lambda c, t: ["--video", str(t / "*.png"), *mask(c)], ("*.png",)),
    "frames of two sizes": (
        lambda c, t: ["--video", mixed_sizes(t / "m"), *mask(c)],
        ("60", "96"),
    ),
    "start beyond the end": (lambda c, t: [*video(c, "--start", "9"), *mask(c)], ("9", "6 frames")),
    "negative start": (lambda c, t: [*video(c, "--start", "-1"), *mask(c)], ("0 or more",)),
    "end before start": (
        lambda c, t: [*video(c, "--start", "3", "--end", "2"), *mask(c)],
        ("above the start",),
    ),
    "stride of zero": (lambda c, t: [*video(c, "--stride", "0"), *mask(c)], ("1 (every frame)",)),
    "reader for images": (lambda c, t: [*video(c, "--reader", "decord"), *mask(c)], ("auto",)),
    "no such mask": (lambda c, t: [*video(c), "--first-mask", str(t / "no.png")], ("no.png",)),
    "mask is no image": (
        lambda c, t: [*video(c), "--first-mask", text(t / "m.png", "no")],
        ("m.png",),
    ),
    "mask of another size": (
        lambda c, t: [
            *video(c),
            "--first-mask",
            labelled(t / "m.png", np.eye(50, 80, dtype=np.uint8)),
        ],
        ("80", "50", "96", "48"),
    ),
    "mask is empty": (
        lambda c, t: [
            *video(c),
            "--first-mask",
            labelled(t / "m.png", np.zeros((48, 96), np.uint8)),
        ],
        ("empty", "at least one object"),
    ),
    "a photograph in place of a mask": (
        lambda c, t: [*video(c), "--first-mask", photograph(t / "m.png")],
        ("photograph",),
    ),
    "mask as JPEG of ids": (
        lambda c, t: [*video(c), "--first-mask", jpeg_ids(c, t / "m.jpg")],
        ("PNG",),
    ),
    "too many objects": (
        lambda c, t: [*video(c), *mask(c, "--max-objects", "1")],
        ("--max-objects",),
    ),
    "broken JSON mask": (
        lambda c, t: [*video(c), "--first-mask", text(t / "m.json", "{")],
        ("m.json",),
    ),
    "JSON without masks": (
        lambda c, t: [*video(c), "--first-mask", text(t / "m.json", json.dumps({"a": 1}))],
        ("m.json",),
    ),
    "empty folder of masks": (
        lambda c, t: [*video(c), "--first-mask", str(_made(t / "masks"))],
        ("masks",),
    ),
    "mask of a frame that is not there": (
        lambda c, t: [*video(c), *mask(c, "--first-mask-frame", "17")],
        ("17", "0 to 5"),
    ),
    "unknown preset": (lambda c, t: [*video(c), *mask(c, "--preset", "quick")], ("fast",)),
    "unknown device": (lambda c, t: [*video(c), *mask(c, "--device", "gpu")], ("cuda",)),
    "no such CUDA device": (
        lambda c, t: [*video(c), *mask(c, "--device", "cuda:97")],
        ("cuda:97", "--device cpu"),
    ),
    "no such weights": (
        lambda c, t: [*video(c), *mask(c, "--weights", str(t / "no.pt"))],
        ("no.pt", "shipped"),
    ),
    "weights are text": (
        lambda c, t: [*video(c), *mask(c, "--weights", text(t / "w.pt", "x"))],
        ("w.pt", "state dict"),
    ),
    "proposer without filter": (
        lambda c, t: [*video(c), *mask(c, "--proposer", "components", "--craf", "off")],
        ("--craf on",),
    ),
    "option of another part": (
        lambda c, t: [*video(c), *mask(c, "--hough-localizer", "none")],
        ("--proposer hough",),
    ),
    "option of a part out of range": (
        lambda c, t: [
            *video(c),
            *mask(c, "--refiner", "sampled-crf", "--sampled-crf-iterations", "-1"),
        ],
        ("error: --sampled-crf-iterations: expected at least 0",),
    ),
    "no effect in the preset": (
        lambda c, t: [*video(c), *mask(c, "--adapt", "on")],
        ("--adapt: has no effect in the preset finetune",),
    ),
    "working size too small": (lambda c, t: [*video(c), *mask(c, "--max-size", "8")], ("32",)),
    "negative steps": (lambda c, t: [*video(c), *mask(c, "--object-steps", "-1")], ("at least 0",)),
    "no threads": (lambda c, t: [*video(c), *mask(c, "--threads", "0")], ("at least 1",)),
    "threads without end": (lambda c, t: [*video(c), *mask(c, "--threads", "99999")], ("1024",)),
    "a variable that is not set": (lambda c, t: ["--video", "", *mask(c)], ("an empty text",)),
    "no such home": (lambda c, t: ["--video", "~nobody-here/a", *mask(c)], ("does not exist",)),
    "nothing to resume": (lambda c, t: [*video(c), *mask(c, "--resume")], ("--resume",)),
}


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


@pytest.mark.parametrize("name", CASES)
def test_bad_input(
    name: str,
    clip_folder: Path,
    tiny_network: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    build, words = CASES[name]
    arguments = build(clip_folder, tmp_path)
    if "--weights" not in arguments:
        arguments += ["--weights", tiny_network]
    output = tmp_path / "output"
    steps = [] if "--object-steps" in arguments else ["--object-steps", "1"]
    status = main(
        ["track", *arguments, *steps, "--foreground-steps", "0", "--output", str(output), "--quiet"]
    )
    message = capsys.readouterr().err
    assert status == 2, message
    assert message.startswith("error: ")
    assert "Traceback" not in message
    for word in words:
        assert word in message, message
    assert not output.exists()


def test_output_is_a_file(
    clip_folder: Path, tiny_network: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = text(tmp_path / "file", "mine")
    arguments = [*video(clip_folder), *mask(clip_folder), "--weights", tiny_network]
    assert main(["track", *arguments, "--output", output]) == 2
    assert "is a file" in capsys.readouterr().err
    assert Path(output).read_text() == "mine"


def test_output_holds_something(
    clip_folder: Path, tiny_network: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text(tmp_path / "notes.txt", "mine")
    arguments = [*video(clip_folder), *mask(clip_folder), "--weights", tiny_network]
    assert main(["track", *arguments, "--output", str(tmp_path)]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["trakc"], "did you mean track"),
        (["davis", "rum"], "did you mean run"),
    ],
)
def test_unknown_commands(argv: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--spn", "x.pt"], "--refiner spn --spn-weights x.pt"),
        (["--spn=none"], "--refiner none"),
        (["--spn", "shipped"], "--refiner spn"),
        (["--sharpen", "off"], "--refiner none"),
        (["--sharpen=on"], "--refiner sampled-crf"),
        (["--dense-crf", "--quiet"], "--refiner dense-crf"),
    ],
)
def test_flags_of_version_0_1_are_refused_with_the_new_spelling(
    argv: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["track", "--video", "v", "--first-mask", "m", *argv]) == 2
    message = capsys.readouterr().err.strip()
    assert message.startswith(f"error: {argv[0].split('=')[0]}")
    assert message.split("now spelled ")[1] == words


@pytest.mark.parametrize("flag", ["--proposer", "--refiner", "--gate", "--craf"])
def test_a_wrong_choice_is_answered_with_the_right_ones(
    flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["track", "--video", "v", "--first-mask", "m", flag, "x"])
    assert stop.value.code == 2
    assert "preset" in capsys.readouterr().err


def test_a_misspelt_flag_is_corrected(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["track", "--video", "x", "--first-mask", "y", "--refinr", "none"])
    assert stop.value.code == 2
    assert "--refiner" in capsys.readouterr().err


def test_the_current_folder_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert main(["track", "--help"]) == 2
    assert "the current folder was removed; change to another" in capsys.readouterr().err


def test_names_that_the_terminal_cannot_show(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(shown, "ascii", write_through=True))
    monkeypatch.setattr("sys.argv", ["vostrack", "--help"])
    with pytest.raises(SystemExit):
        main()
    print("results in é\udcff")
    assert shown.getvalue().endswith(b"results in \\xe9\\udcff\n")
