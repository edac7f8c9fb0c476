"""Damage to files, by chance but with a seed."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

from vostrack.errors import InputError

_ODD: list[Any] = [
    None, True, -1, 0, 1, 255, 1 << 40, 10**300, 1e308, float("inf"), float("nan"), "", "x", "12",
    "\ud800", [], [[]], {}, [1, 2], {"id": 1}, [None], "9" * 400, [[0, 0, 1, 1]], 0.5, {"size": {}},
]  # fmt: skip


def _places(content: Any, found: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """List every container of a JSON document with each of its keys."""
    items: list[tuple[Any, Any]] = []
    if isinstance(content, dict):
        items = list(content.items())
    elif isinstance(content, list):
        items = list(enumerate(content[:40]))
    for key, value in items:
        found.append((content, key))
        _places(value, found)
    return found


def mutated_json(text: str, chance: random.Random) -> bytes:
    """Remove, exchange or replace a few values."""
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
        elif action < 0.35:
            other, name = chance.choice(places)
            holder[key] = json.loads(json.dumps(other[name]))
        else:
            holder[key] = deepcopy(chance.choice(_ODD))
    return json.dumps(content).encode()


def mutated_bytes(data: bytes, chance: random.Random) -> bytes:
    """Cut the file or change a few bytes."""
    damaged = bytearray(data)
    if chance.random() < 0.2 and damaged:
        del damaged[chance.randrange(len(damaged)) :]
    for _ in range(chance.randint(1, 8)):
        if damaged:
            damaged[chance.randrange(min(len(damaged), 4000))] = chance.randrange(256)
    return bytes(damaged)


@contextmanager
def refused_at_most() -> Iterator[None]:
    """Let errors of one short line pass."""
    try:
        yield
    except InputError as error:
        message = str(error)
        assert "\n" not in message
        assert len(message) < 1200, message
