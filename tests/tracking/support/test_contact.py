"""The connected pieces of masks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from vostrack.tracking.support.contact import pieces_of


@pytest.mark.parametrize("share", [0.1, 0.3, 0.6])
def test_pieces_are_those_of_scipy(share: float) -> None:
    mask = np.zeros((40, 57), bool)
    mask[9:31, 13:50] = np.random.default_rng(0).random((22, 37)) < share
    numbered, count = ndimage.label(mask, np.ones((3, 3)))
    wanted = [numbered == k for k in range(1, count + 1) if (numbered == k).sum() >= 3]
    found = sorted(pieces_of(mask, 3), key=lambda piece: int(piece.mask.ravel().argmax()))
    assert len(found) == len(wanted) > 0
    for piece, own in zip(found, wanted, strict=True):
        rows, columns = np.nonzero(own)
        assert np.array_equal(piece.mask, own)
        assert piece.area == own.sum()
        assert piece.center == pytest.approx((columns.mean(), rows.mean()))
        assert piece.box == (
            slice(rows.min(), rows.max() + 1),
            slice(columns.min(), columns.max() + 1),
        )


def test_an_empty_mask_has_no_piece() -> None:
    assert pieces_of(np.zeros((8, 9), bool), 1) == []
