"""The short AdamW against torch's."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from vostrack.online_finetune.target.adamw import AdamW


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_steps_are_those_of_torch(weight_decay: float) -> None:
    torch.manual_seed(0)
    ours = nn.ModuleList([nn.Linear(5, 7), nn.Linear(7, 3)])
    theirs = copy.deepcopy(ours)
    optimizer = AdamW([(ours[0].parameters(), 1e-2), (ours[1].parameters(), 3e-2)], weight_decay)
    reference = torch.optim.AdamW(
        [
            {"params": theirs[0].parameters(), "lr": 1e-2},
            {"params": theirs[1].parameters(), "lr": 3e-2},
        ],
        weight_decay=weight_decay,
    )
    for step in range(6):
        share = 1 - step / 6
        for group, rate in zip(reference.param_groups, (1e-2, 3e-2), strict=True):
            group["lr"] = rate * share
        x = torch.randn(4, 5)
        for network in (ours, theirs):
            network[1](network[0](x).relu()).square().sum().backward()
        optimizer.step(share)
        reference.step()
        reference.zero_grad()
        for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)


def test_gradients_are_dropped_and_parameters_without_one_stay() -> None:
    used, unused = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    optimizer = AdamW([([used, unused], 0.1)], 0.5)
    used.sum().backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    assert used.grad is None
    assert torch.equal(unused, torch.ones(2))
    assert (used < 1).all()
