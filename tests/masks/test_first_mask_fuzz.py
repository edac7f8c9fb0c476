"""Mutated masks and JSON files are read or refused; nothing else may happen."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from tests.masks.mutations import mutated_bytes, mutated_json, refused_at_most
from vostrack.masks import FirstMask, VideoFrames, read_first_mask

CASES = Path(__file__).parent / "cases"
SIZE = (128, 192)
FEW, MANY, PIECES = 60, 2000, 10


def _files() -> list[Path]:
    return sorted(p for p in CASES.rglob("*") if p.suffix in (".png", ".json"))


def _mutated_pixels(chance: random.Random, path: Path) -> None:
    from PIL import Image

    draw = np.random.default_rng(chance.randrange(1 << 30))
    shape = (chance.choice([1, 2, 3, 40]), chance.choice([1, 2, 5, 60]))
    mode = chance.choice(["L", "RGB", "RGBA", "LA", "P", "1", "I;16"])
    top = chance.choice([1, 2, 4, 256])
    step = chance.choice([1, 16, 85, 255])
    channels = {"RGB": (3,), "RGBA": (4,), "LA": (2,)}.get(mode, ())
    values = draw.integers(0, top, (*shape, *channels)) * step % 256
    if chance.random() < 0.5:
        values[shape[0] // 3 :, shape[1] // 3 :] = chance.choice([0, 1, 16, 235, 255])
    array = values.astype(np.uint16 if mode == "I;16" else np.uint8)
    image = Image.fromarray(array)
    image.convert(mode).save(path) if mode in ("1", "P") else image.save(path)


def _check(path: Path, chance: random.Random) -> None:
    frames = VideoFrames(range(8), asked=chance.choice([None, None, 0, 4]))
    size = chance.choice([None, SIZE])
    with refused_at_most():
        _sound(read_first_mask(path, size=size, frames=frames))


def _sound(mask: FirstMask) -> None:
    assert mask.labels.dtype == np.uint8
    found = np.setdiff1d(mask.labels, (0, 255)).tolist()
    assert found == list(mask.ids)
    assert found
    assert len(mask.names) == len(mask.ids)
    assert "".join(mask.names).encode()
    if mask.alpha is not None:
        assert mask.alpha.shape == (len(found), *mask.labels.shape)
        assert mask.alpha.min() >= 0
        assert mask.alpha.max() <= 1


def _one(seed: int, folder: Path) -> None:
    chance = random.Random(seed)
    kind = chance.random()
    original = chance.choice(_files())
    path = folder / f"m{original.suffix}"
    if kind < 0.25:
        path = folder / "m.png"
        _mutated_pixels(chance, path)
    elif original.suffix == ".json" and kind < 0.8:
        path.write_bytes(mutated_json(original.read_text(), chance))
    else:
        path.write_bytes(mutated_bytes(original.read_bytes(), chance))
    try:
        _check(path, chance)
    except Exception as error:
        raise AssertionError(f"seed {seed}: {type(error).__name__}: {error}") from error


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_a_few_mutations(tmp_path: Path) -> None:
    for seed in range(FEW):
        _one(seed, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("piece", range(PIECES))
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_many_mutations(piece: int, tmp_path: Path) -> None:
    for seed in range(FEW + piece, MANY, PIECES):
        _one(seed, tmp_path)
