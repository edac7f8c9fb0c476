"""Scores of a frame are computed where objects can be, and are the same as everywhere."""

from __future__ import annotations

import torch

from vostrack.models.target_decoder import NOWHERE
from vostrack.online_finetune.target.frame_scores import own_scores, spread_logits
from vostrack.online_finetune.target.places import find_places
from vostrack.online_finetune.target.window import Window


def test_logits_are_spread_as_if_everywhere() -> None:
    logits = torch.full((3, 1, 16, 24), NOWHERE)
    generator = torch.Generator().manual_seed(0)
    logits[0, :, 3:9, 15:] = 4 * torch.randn(1, 6, 9, generator=generator)
    logits[1] = torch.randn(1, 16, 24, generator=generator)
    window = Window((7, 2, 60, 45), (32, 48))
    found = spread_logits(logits, window, (50, 70))
    wanted = window.paste(window.spread(logits).sigmoid(), (50, 70))[:, 0]
    torch.testing.assert_close(found, wanted, atol=1e-6, rtol=1e-5)
    # Rounding may raise what is nowhere, by the tiniest amount.
    assert (found[2] < 5e-5).all()


def test_what_another_object_won_is_not_its_own() -> None:
    generator = torch.Generator().manual_seed(1)
    scores = torch.rand(3, 6, 8, generator=generator)
    labels = torch.randint(0, 4, (6, 8), generator=generator).to(torch.uint8)
    found = own_scores(scores, labels)
    for slot in (1, 2, 3):
        other = (labels != slot) & (labels != 0)
        assert torch.equal(found[slot - 1], scores[slot - 1].masked_fill(other, 0))
    followed = own_scores(scores.requires_grad_(), labels)
    assert followed.requires_grad
    assert torch.equal(followed.detach(), found)


def test_a_place_is_the_box_and_the_area_above_one_half() -> None:
    masks = torch.zeros(3, 9, 12)
    masks[0, 2:5, 3:10], masks[0, 8, 11], masks[1, 4] = 0.6, 0.5, 0.4
    masks[2, 8, 11] = 1
    first, second, third = find_places(masks)
    assert (first.box, first.area) == ((3, 2, 10, 5), 21)
    assert (second.box, second.area) == (None, 0)
    assert (third.box, third.area) == ((11, 8, 12, 9), 1)
