"""A clip, its mask, and a command that tracks it in a second."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.cli.bright_method import Bright, BrightOptions, Named, picture
from tests.drawn_weights import draw_by_torch
from vostrack.cli.track import TrackCommand
from vostrack.datasets.synthetic import render_clip
from vostrack.datasets.synthetic_scene import SyntheticScene
from vostrack.masks import read_label_map, write_label_map
from vostrack.models.foreground import NetworkConfig
from vostrack.models.weights import initialise, save_network
from vostrack.presets.options import TrackerOptions
from vostrack.proposers.registry import PROPOSERS, ProposerEntry
from vostrack.proposers.sources import ProposerSources

Run = Callable[..., Path]


def command_of(**settings: Any) -> TrackCommand:
    """Make a command of settings by name, those of the tracker among them."""
    options = {f.name: settings.pop(f.name) for f in fields(TrackerOptions) if f.name in settings}
    return TrackCommand(**settings, options=TrackerOptions(**options))


@pytest.fixture
def command() -> Callable[..., TrackCommand]:
    """Make a command of settings by name."""
    return command_of


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """On maps this small, threads cost more than they bring."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def one_reading_of_the_network(shipped_network_read_once: None) -> None:
    """Build trackers faster."""


@pytest.fixture(scope="session")
def tiny_network(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A network that fits in milliseconds; torch's random weights happen to learn well."""
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    config = NetworkConfig("resnet18", (2, 4), "topdown", 4, "folded")
    with pytest.MonkeyPatch.context() as patch:
        draw_by_torch(patch)
        save_network(initialise(config, "none"), path)
    return str(path)


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """frames/00000.png ... 00005.png (96 x 48) and mask.png, two objects."""
    folder = tmp_path_factory.mktemp("clip")
    frames, labels = render_clip(SyntheticScene(size=(48, 96), frames=6, objects=2, seed=3))
    (folder / "frames").mkdir()
    for index, image in enumerate(frames):
        Image.fromarray(image).save(folder / "frames" / f"{index:05d}.png")
    for index, label_map in enumerate(labels):
        write_label_map(folder / "truth" / f"{index:05d}.png", label_map)
    write_label_map(folder / "mask.png", labels[0])
    assert set(np.unique(labels[0])) == {0, 1, 2}
    return folder


@pytest.fixture
def settings(clip_folder: Path, tiny_network: str) -> dict[str, Any]:
    """A command that needs no download and little time; quiet."""
    return {
        "video": str(clip_folder / "frames"),
        "first_mask": (str(clip_folder / "mask.png"),),
        "weights": tiny_network,
        "foreground_steps": 1,
        "object_steps": 2,
        "refiner": "none",
        "overlay": False,
        "quiet": True,
    }


@pytest.fixture
def run(settings: dict[str, Any], tmp_path: Path) -> Run:
    """Run the command with changed settings and return its output folder."""
    count = 0

    def run(**changes: Any) -> Path:
        nonlocal count
        count += 1
        output = tmp_path / f"run{count}"
        command = command_of(**{**settings, "output": output, **changes})
        assert command.run() == 0
        return command.output

    return run


@pytest.fixture
def built() -> Iterator[list[Bright]]:
    """The proposers made by the methods ``bright`` and ``named``."""
    proposers: list[Bright] = []

    def make(kind: type[Bright]) -> ProposerEntry:
        def build(options: BrightOptions, sources: ProposerSources) -> Bright:
            proposers.append(kind(options, sources))
            return proposers[-1]

        return ProposerEntry(BrightOptions, build)

    PROPOSERS.register("bright", make(Bright))
    PROPOSERS.register("is-named", make(Named))
    yield proposers
    PROPOSERS.unregister("bright")
    PROPOSERS.unregister("is-named")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two images of different sizes, in the order that counts: p2, then p10."""
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.fromarray(picture((12, 20))).save(folder / "p10.png")
    Image.fromarray(picture((16, 14), 150)).save(folder / "p2.png")
    return folder


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


@pytest.fixture
def matted_photos(tmp_path: Path) -> Path:
    """Two photographs with mattes: a red disk and a green one."""
    root = tmp_path / "photos"
    for folder in ("JPEGImages", "Mattes"):
        (root / folder).mkdir(parents=True)
    y, x = np.mgrid[:96, :96]
    disk = (x - 48) ** 2 + (y - 48) ** 2 < 30**2
    for name, colour in (("a", (200, 30, 30)), ("b", (30, 200, 30))):
        picture = np.where(disk[..., None], np.array(colour), 90).astype(np.uint8)
        Image.fromarray(picture).save(root / "JPEGImages" / f"{name}.jpg")
        Image.fromarray((255 * disk).astype(np.uint8)).save(root / "Mattes" / f"{name}.png")
    return root
