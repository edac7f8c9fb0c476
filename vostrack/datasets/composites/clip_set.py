"""A fixed list of clips: names, kinds and seeds, of which each clip can be drawn by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vostrack.datasets.composites.clip import CompositeClip
from vostrack.datasets.composites.config import CompositeConfig
from vostrack.datasets.composites.draw_clip import draw_clip
from vostrack.datasets.composites.kinds import VALIDATION_KINDS, config_of_kind
from vostrack.datasets.composites.sources import CompositeSources

__all__ = ["ListedClip", "list_clips", "validation_clips"]


@dataclass(frozen=True)
class ListedClip:
    """A clip that has yet to be drawn.

    Attributes:
        name: of its sequence, such as ``smoke-03``.
        kind: one of ``VALIDATION_KINDS``, or "mixed".
        config: ranges and shares.
        seed: of ``draw_clip``.
    """

    name: str
    kind: str
    config: CompositeConfig
    seed: int

    def draw(self, sources: CompositeSources) -> CompositeClip:
        """Draw and render it.

        Raises:
            InputError: see ``draw_clip``.
        """
        return draw_clip(sources, self.config, self.seed)


def list_clips(
    kinds: Sequence[str], clips: int, base: CompositeConfig, seed: int
) -> list[ListedClip]:
    """List the clips of a set, dealt out to the kinds in turn.

    Args:
        kinds: at least one.
        clips: how many in all.
        base: settings that the kinds change.
        seed: of the set; a longer set of the same seed begins with the same clips.

    Raises:
        InputError: there is no such kind.
    """
    configs = [config_of_kind(kind, base) for kind in kinds]
    listed = []
    for index in range(clips):
        which = index % len(kinds)
        state = np.random.SeedSequence([seed, index]).generate_state(1, np.uint64)
        name = f"{kinds[which]}-{index // len(kinds):02d}"
        listed.append(ListedClip(name, kinds[which], configs[which], int(state[0])))
    return listed


def validation_clips(
    per_kind: int = 5,
    *,
    size: tuple[int, int] = (480, 854),
    frames: tuple[int, int] = (10, 16),
    seed: int = 0,
) -> list[ListedClip]:
    """List the validation set: every kind, so many clips of each.

    Draw them from the sources of the split "validation", whose objects and backgrounds no training
    clip shows.

    Args:
        per_kind: clips of each kind.
        size: H and W, pixels.
        frames: lowest and highest T.
        seed: of the set.
    """
    base = CompositeConfig(size=size, frames=frames)
    return list_clips(tuple(VALIDATION_KINDS), per_kind * len(VALIDATION_KINDS), base, seed)
