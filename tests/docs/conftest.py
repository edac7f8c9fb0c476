"""A folder with small stand-ins for everything that the documentation names."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vostrack.masks import read_masks_json, write_label_map
from vostrack.video import VideoWriter, open_source

ROOT = Path(__file__).resolve().parents[2]
FRAMES = 4
PERSON = 15


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """On clips this small, threads cost more than they bring."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first frames of the bundled clip under every name and in every layout of the docs."""
    folder = tmp_path_factory.mktemp("stand_ins")
    shutil.copytree(ROOT / "examples", folder / "examples")
    with open_source(ROOT / "examples" / "crossing.mp4") as source:
        frames = list(islice(source, FRAMES))
        with VideoWriter(folder / "clip.mp4", source.frame_rate) as writer:
            for frame in frames:
                writer.add(frame.image, frame.time)
    shutil.copy(folder / "clip.mp4", folder / "examples" / "crossing.mp4")
    shutil.copy(folder / "examples" / "crossing_first_mask.png", folder / "mask.png")
    truth = read_masks_json(folder / "examples" / "crossing_truth.json")
    for number, frame in enumerate(frames):
        image, labels = Image.fromarray(frame.image), truth.labels(number)
        for name in ("frames", "DAVIS/JPEGImages/480p/crossing", "photos"):
            path = folder / name / f"{number:05d}.{'png' if name == 'frames' else 'jpg'}"
            path.parent.mkdir(parents=True, exist_ok=True)
            image.save(path)
        write_label_map(folder / f"DAVIS/Annotations/480p/crossing/{number:05d}.png", labels)
        classes = np.where(labels > 0, PERSON, 0)
        write_label_map(folder / "classes" / f"{number:05d}.png", classes)
    for path in sorted((folder / "photos").iterdir())[1:]:
        path.unlink()
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
