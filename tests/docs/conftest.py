"""A folder with small stand-ins for everything that the documentation names."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vostrack.arrays import UInt8Array
from vostrack.masks import read_masks_json, write_label_map, write_masks_json
from vostrack.video import VideoWriter, open_source

ROOT = Path(__file__).resolve().parents[2]
FRAMES = 3
SIZE = (128, 80)  # a third of the clip's own
PERSON = 15


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """On clips this small, threads cost more than they bring."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def one_reading_of_the_network(shipped_network_read_once: None) -> None:
    """Build trackers faster."""


def _small(array: UInt8Array, method: Image.Resampling) -> UInt8Array:
    return np.asarray(Image.fromarray(array).resize(SIZE, method))


@pytest.fixture(scope="session")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first frames of the bundled clip, smaller, under every name and layout of the docs."""
    folder = tmp_path_factory.mktemp("stand_ins")
    shutil.copytree(ROOT / "examples", folder / "examples")
    truth = read_masks_json(ROOT / "examples" / "crossing_truth.json")
    labels = [_small(truth.labels(k), Image.Resampling.NEAREST) for k in range(FRAMES)]
    with open_source(ROOT / "examples" / "crossing.mp4", end=FRAMES) as source:
        frames = [(f.time, _small(f.image, Image.Resampling.BOX)) for f in source]
        with VideoWriter(folder / "clip.mp4", source.frame_rate) as writer:
            for time, image in frames:
                writer.add(image, time)
    for name in ("mask.png", "examples/crossing_first_mask.png"):
        write_label_map(folder / name, labels[0])
    shutil.copy(folder / "clip.mp4", folder / "examples" / "crossing.mp4")
    write_masks_json(
        folder / "examples" / "crossing_truth.json", enumerate(labels), (1, 2), SIZE[::-1]
    )
    davis = folder / "DAVIS"
    for number, (_, image) in enumerate(frames):
        path = davis / f"JPEGImages/480p/crossing/{number:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
        write_label_map(davis / f"Annotations/480p/crossing/{number:05d}.png", labels[number])
    (folder / "photos").mkdir()
    Image.fromarray(frames[0][1]).save(folder / "photos" / "00000.jpg")
    write_label_map(folder / "classes" / "00000.png", np.where(labels[0] > 0, PERSON, 0))
    for year in (2016, 2017):
        lists = folder / "DAVIS" / "ImageSets" / str(year)
        lists.mkdir(parents=True)
        for name in ("train", "val", "test-dev"):
            (lists / f"{name}.txt").write_text("crossing\n")
    return folder


@pytest.fixture
def workplace(stand_ins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the stand-ins, as the current directory."""
    folder = tmp_path / "work"
    shutil.copytree(stand_ins, folder)
    monkeypatch.chdir(folder)
    return folder
