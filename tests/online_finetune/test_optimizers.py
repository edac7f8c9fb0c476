"""The short optimizers against torch's."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from vostrack.online_finetune.optimizers import SGD, AdamW

RATES = 1e-2, 3e-2
KINDS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "adamw": (
        lambda groups, decay: AdamW(groups, decay),
        lambda groups, decay: torch.optim.AdamW(groups, weight_decay=decay),
    ),
    "sgd": (
        lambda groups, decay: SGD(groups, 0.9, decay),
        lambda groups, decay: torch.optim.SGD(groups, momentum=0.9, weight_decay=decay),
    ),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_steps_are_those_of_torch(kind: str, weight_decay: float) -> None:
    torch.manual_seed(0)
    ours = nn.ModuleList([nn.Linear(5, 7), nn.Linear(7, 3)])
    theirs = copy.deepcopy(ours)
    make, make_theirs = KINDS[kind]
    optimizer = make(
        [(part.parameters(), rate) for part, rate in zip(ours, RATES, strict=True)], weight_decay
    )
    groups = zip(theirs, RATES, strict=True)
    reference = make_theirs(
        [{"params": part.parameters(), "lr": rate} for part, rate in groups], weight_decay
    )
    for step in range(6):
        share = 1 - step / 6
        for group, rate in zip(reference.param_groups, RATES, strict=True):
            group["lr"] = rate * share
        x = torch.randn(4, 5)
        for network in (ours, theirs):
            network[1](network[0](x).relu()).square().sum().backward()
        optimizer.step(share)
        reference.step()
        reference.zero_grad()
        for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_dropped_and_parameters_without_one_stay(kind: str) -> None:
    used, unused = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    optimizer = KINDS[kind][0]([([used, unused], 0.1)], 0.5)
    used.sum().backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    assert used.grad is None
    assert torch.equal(unused, torch.ones(2))
    assert (used < 1).all()
