"""Mutated files of every format are read or refused; nothing else may happen."""

from __future__ import annotations

import json
import random
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.masks.mutations import mutated_bytes, mutated_json, refused_at_most
from vostrack.masks import FORMATS, VideoFrames, VideoMasks, export_results, read_first_mask
from vostrack.masks import read_results as read_video

SIZE = (24, 36)
FEW, MANY, PIECES = 60, 2000, 10
_WORDS = [
    "", "-1", "0", "1", "7", "255", "1e400", "nan", "x", "ü\u2028", "9" * 40, "1,2", "0.5", "1 2",
]  # fmt: skip


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file or folder of each format that is read from files."""
    folder = tmp_path_factory.mktemp("originals")
    from vostrack.masks import MaskFrame, MaskObject

    def draw(position: int) -> Any:
        labels = np.zeros(SIZE, np.uint8)
        labels[3:15, 2 + position : 14 + position] = 3
        labels[6:9, 6 + position : 9 + position] = 0
        labels[12:22, 20 + position : 29 + position] = 7
        labels[:2, -4:] = 255
        return labels

    frames = tuple(MaskFrame(k, f"{k:05d}", k / 25) for k in range(3))
    objects = (MaskObject(3, "left", "person"), MaskObject(7, "süß", "horse"))
    masks = VideoMasks(SIZE, frames, objects, draw, "clip.mp4", 25.0)
    for name, entry in FORMATS.items():
        if not entry.in_python and (entry.reads or name == "label-studio-video"):
            export_results(masks, name, folder / f"{name}{entry.suffix}")
    polygons = (
        '<annotations><track id="1" label="a"><polygon frame="0" points="1,2;9,2;9,9"/>'
        '<polygon frame="3" outside="0" points="2,3;9,3;9,9"/>'
        '<ellipse frame="4" cx="9" cy="9" rx="3" ry="4" rotation="30"/></track></annotations>'
    )
    (folder / "polygons.xml").write_text(polygons)
    region = {"original_width": 36, "original_height": 24, "value": {
        "points": [[1, 2], [50, 2], [50, 80]], "polygonlabels": ["a"]}}  # fmt: skip
    task = {"data": {"image": "00000.png"}, "annotations": [{"result": [region]}]}
    (folder / "polygons.json").write_text(json.dumps([task]))
    shapes = [{"label": "a", "points": [[1, 2], [9, 2], [9, 9]], "shape_type": "polygon"},
              {"label": "b", "points": [[15, 9], [15, 14]], "shape_type": "circle"}]  # fmt: skip
    image = {"shapes": shapes, "imagePath": "0.png", "imageHeight": 24, "imageWidth": 36}
    (folder / "shapes.json").write_text(json.dumps(image))
    return folder


def _mutated_text(text: str, chance: random.Random) -> bytes:
    """Replace words: numbers, attributes and names."""
    words = list(re.finditer(r"[\w.,;%-]+", text))
    for match in sorted(chance.sample(words, min(len(words), chance.randint(1, 3))),
                        key=lambda m: -m.start()):  # fmt: skip
        word = chance.choice(_WORDS) if chance.random() < 0.7 else chance.choice(words)[0]
        text = text[: match.start()] + word + text[match.end() :]
    if chance.random() < 0.2:
        lines = text.splitlines(keepends=True)
        chance.shuffle(lines)
        text = "".join(lines)
    return text.encode("utf-8", "replace")


def _mutate(path: Path, chance: random.Random) -> None:
    data = path.read_bytes()
    if path.suffix == ".json" and chance.random() < 0.75:
        path.write_bytes(mutated_json(data.decode(), chance))
    elif path.suffix in (".xml", ".txt", ".yaml") and chance.random() < 0.75:
        path.write_bytes(_mutated_text(data.decode(), chance))
    else:
        path.write_bytes(mutated_bytes(data, chance))


def _one(seed: int, originals: Path, folder: Path) -> None:
    chance = random.Random(seed)
    original = chance.choice(sorted(originals.iterdir()))
    target = folder / original.name
    if original.is_dir():
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(original, target)
        files = sorted(p for p in target.rglob("*") if p.is_file())
        _mutate(chance.choice(files), chance)
    else:
        shutil.copy(original, target)
        _mutate(target, chance)
    size = chance.choice([None, SIZE, SIZE])
    frames = VideoFrames(range(8), asked=chance.choice([None, None, 0, 2]))
    try:
        with refused_at_most():
            mask = read_first_mask(target, size=size, frames=frames)
            assert sorted(set(np.unique(mask.labels)) - {0, 255}) == list(mask.ids)
            assert "".join(mask.names).encode()
        with refused_at_most():
            masks = read_video(target, size=size)
            ids = {0, 255, *(entry.id for entry in masks.objects)}
            for position in range(min(len(masks.frames), 8)):
                labels = masks.labels(position)
                assert labels.shape == masks.size
                assert set(np.unique(labels)) <= ids
            assert "".join(f.name for f in masks.frames).encode()
    except Exception as error:
        raise AssertionError(
            f"seed {seed}: {original.name}: {type(error).__name__}: {error}"
        ) from error


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_a_few_mutations(originals: Path, tmp_path: Path) -> None:
    for seed in range(FEW):
        _one(seed, originals, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("piece", range(PIECES))
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_many_mutations(piece: int, originals: Path, tmp_path: Path) -> None:
    for seed in range(FEW + piece, MANY, PIECES):
        _one(seed, originals, tmp_path)
