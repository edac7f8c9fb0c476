"""Which pieces of a mask are another object's."""

from __future__ import annotations

import torch
from torch import Tensor

from vostrack.online_finetune.target.detached_pieces import drop_detached_pieces


def draw(*boxes: tuple[int, int, int, int]) -> Tensor:
    """Return (1, 1, 30, 40), 1 in the boxes (top, bottom, left, right)."""
    mask = torch.zeros(1, 1, 30, 40)
    for top, bottom, left, right in boxes:
        mask[..., top:bottom, left:right] = 1
    return mask


WAS = (5, 15, 5, 15)
APART = (5, 9, 30, 35)


def kept(now: Tensor, before: Tensor, reach: int) -> Tensor:
    logits = 8 * now - 4
    found = drop_detached_pieces(logits, before, [reach])
    changed = found != logits
    assert (found[changed] == -10).all()
    return (found > 0).float()


def test_a_piece_away_from_where_the_object_was_is_dropped() -> None:
    assert torch.equal(kept(draw(WAS, APART), draw(WAS), 3), draw(WAS))


def test_pieces_where_the_object_was_are_kept() -> None:
    halves = draw((5, 9, 5, 15), (11, 15, 5, 15))
    assert torch.equal(kept(halves, draw(WAS), 0), halves)


def test_a_piece_that_touches_at_a_corner_is_the_same_piece() -> None:
    corner = draw(WAS, (15, 20, 15, 20), (25, 28, 30, 35))
    assert torch.equal(kept(corner, draw(WAS), 0), draw(WAS, (15, 20, 15, 20)))


def test_reach_is_how_far_a_piece_may_begin() -> None:
    # The second piece begins 4 cells beyond the last column of where the object was.
    pieces = draw(WAS, (5, 10, 18, 22))
    assert torch.equal(kept(pieces, draw(WAS), 4), pieces)
    assert torch.equal(kept(pieces, draw(WAS), 3), draw(WAS))
    assert torch.equal(kept(draw(WAS, APART), draw(WAS), -1), draw(WAS, APART))


def test_an_object_that_jumped_is_kept() -> None:
    moved = draw((20, 25, 20, 25), (20, 25, 30, 35))
    assert torch.equal(kept(moved, draw(WAS), 2), moved)
    assert torch.equal(kept(moved, draw(), 2), moved)


def test_each_object_by_its_own_past() -> None:
    now = torch.cat([draw(WAS, APART)] * 2)
    before = torch.cat([draw(WAS), draw(APART)])
    found = drop_detached_pieces(8 * now - 4, before, [2, 2])
    assert torch.equal((found > 0).float(), before)
    assert torch.equal(drop_detached_pieces(now, torch.cat([now[:1]] * 2), [0, 0]), now)
