"""Mutated masks and JSON files are read or refused; nothing else may happen."""

from __future__ import annotations

import json
import random
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vostrack.errors import InputError
from vostrack.masks import FirstMask, VideoFrames, read_first_mask

CASES = Path(__file__).parent / "cases"
SIZE = (128, 192)
FEW, MANY = 60, 2000
_ODD: list[Any] = [
    None, True, -1, 0, 1, 255, 1 << 40, 10**300, 1e308, float("inf"), float("nan"), "", "x",
    "\ud800", [], [[]], {}, [1, 2], {"id": 1}, [None], "9" * 400, [[0, 0, 1, 1]], 0.5,
]  # fmt: skip


def _files() -> list[Path]:
    return sorted(p for p in CASES.rglob("*") if p.suffix in (".png", ".json"))


def _places(content: Any, found: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """List every container of a JSON document with each of its keys."""
    if isinstance(content, dict):
        items: list[tuple[Any, Any]] = list(content.items())
    elif isinstance(content, list):
        items = list(enumerate(content[:40]))
    else:
        return found
    for key, value in items:
        found.append((content, key))
        _places(value, found)
    return found


def _mutated_json(text: str, chance: random.Random) -> bytes:
    content = json.loads(text)
    for _ in range(chance.randint(1, 3)):
        places = _places(content, [])
        if not places:
            break
        # Keys near the root are few, so they are drawn as often as all the others.
        holder, key = chance.choice(places[:30] if chance.random() < 0.5 else places)
        action = chance.random()
        if action < 0.2 and isinstance(holder, dict):
            del holder[key]
        elif action < 0.3:
            other, name = chance.choice(places)
            holder[key] = json.loads(json.dumps(other[name]))
        else:
            holder[key] = deepcopy(chance.choice(_ODD))
    return json.dumps(content).encode()


def _mutated_bytes(data: bytes, chance: random.Random) -> bytes:
    damaged = bytearray(data)
    if chance.random() < 0.2:
        del damaged[chance.randrange(len(damaged)) :]
    for _ in range(chance.randint(1, 8)):
        if damaged:
            damaged[chance.randrange(min(len(damaged), 4000))] = chance.randrange(256)
    return bytes(damaged)


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
    try:
        mask = read_first_mask(path, size=size, frames=frames)
    except InputError as error:
        _one_line(str(error))
        return
    _sound(mask)


def _one_line(message: str) -> None:
    assert "\n" not in message
    assert len(message) < 1200, message


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
        path.write_bytes(_mutated_json(original.read_text(), chance))
    else:
        path.write_bytes(_mutated_bytes(original.read_bytes(), chance))
    try:
        _check(path, chance)
    except Exception as error:
        raise AssertionError(f"seed {seed}: {type(error).__name__}: {error}") from error


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_a_few_mutations(tmp_path: Path) -> None:
    for seed in range(FEW):
        _one(seed, tmp_path)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_many_mutations(tmp_path: Path) -> None:
    for seed in range(FEW, MANY):
        _one(seed, tmp_path)
