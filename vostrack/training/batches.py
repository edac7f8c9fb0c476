"""The batches of each step: which chance they come from, and drawing them ahead."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from collections.abc import Generator as Iterating
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from vostrack.training.loop_config import LoopConfig

__all__ = ["Batch", "draw_batches", "mix", "step_generator", "to_device"]

# Any nesting of dicts, lists and tuples with tensors in it.
Batch = Any


def step_generator(seed: int, step: int, rank: int) -> Generator:
    """Return the generator of one step of one process; another for each of the three numbers.

    A training that is resumed thereby sees what an uninterrupted one would have.
    """
    return Generator().manual_seed(mix(seed, step, rank, 0))


def draw_batches(
    draw_one: Callable[[Generator, int], Batch],
    config: LoopConfig,
    rank: int,
    steps: range,
) -> Iterating[list[Batch], None, None]:
    """Give the batches of each step; those of later steps are drawn by threads meanwhile.

    Args:
        draw_one: draws a batch by a generator, for a step.
        config: seed, batches per step, and how many steps ahead are drawn.
        rank: of this process.
        steps: to draw for.
    """
    parts = config.accumulate

    def draw(number: int) -> Batch:
        generator = step_generator(config.seed, number, rank)
        return draw_one(generator, number // parts)

    if config.ahead == 0:
        for step in steps:
            yield [draw(step * parts + part) for part in range(parts)]
        return
    with ThreadPoolExecutor(config.ahead) as pool:
        waiting: deque[Future[Batch]] = deque()
        try:
            for step in steps:
                wanted = min(steps.stop - step, config.ahead + 1) * parts
                begin = step * parts
                waiting.extend(pool.submit(draw, begin + k) for k in range(len(waiting), wanted))
                yield [waiting.popleft().result() for _ in range(parts)]
        finally:
            for future in waiting:
                future.cancel()


def mix(*numbers: int) -> int:
    """Return a seed of 32 bits that each of the numbers changes."""
    # Torch's CPU generator takes in 32 bits only: mix the numbers, do not add them.
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def to_device(batch: Batch, device: torch.device) -> Batch:
    """Move every tensor of a batch."""
    if isinstance(batch, Tensor):
        return batch.to(device)
    if isinstance(batch, Mapping):
        return {k: to_device(v, device) for k, v in batch.items()}
    if isinstance(batch, (list, tuple)):
        return type(batch)(to_device(v, device) for v in batch)
    return batch
