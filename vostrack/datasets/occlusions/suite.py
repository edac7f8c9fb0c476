"""The clips of the benchmark of occlusions."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SuiteEntry", "occlusion_suite"]

# For how many frames the object is away in each clip of a kind. The first ones of each kind are
# drawn with painted objects, too: those are easier.
_PLAN: dict[str, tuple[tuple[int, ...], int]] = {
    "wall": ((50, 10, 200, 25, 50, 100), 3),
    "exit": ((50, 10, 200, 25, 50, 100, 500), 3),
    "hidden": ((10, 50, 25), 2),
    "crossing": ((1,) * 12, 6),
    "cut": ((1,) * 5, 3),
    "cut-away": ((50, 10, 50), 2),
    "late": ((50, 10, 50, 25), 2),
}


@dataclass(frozen=True)
class SuiteEntry:
    """A clip of the suite: arguments of ``draw_occlusion``, and what it is drawn with.

    Attributes:
        kind: what happens.
        away: frames out of sight.
        seed: of the clip.
        painted: with painted objects, else with photographs.
    """

    kind: str
    away: int
    seed: int
    painted: bool


def occlusion_suite(
    seed: int = 0, repeats: int = 1, *, photographs: bool = True
) -> tuple[SuiteEntry, ...]:
    """List the clips of the suite: 61 in each repeat.

    Args:
        seed: another one gives other clips of the same kinds.
        repeats: how often the list is drawn.
        photographs: False leaves out the 40 clips of each repeat that need photographs.
    """
    entries = []
    for repeat in range(repeats):
        for kind, (times, painted) in _PLAN.items():
            for k, away in enumerate(times):
                own = 1000 * seed + 100 * repeat + k
                if k < painted:
                    entries.append(SuiteEntry(kind, away, own, True))
                if photographs:
                    entries.append(SuiteEntry(kind, away, own, False))
    return tuple(entries)
