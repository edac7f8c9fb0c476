"""The short optimizers against torch's."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from vostrack.online_finetune.optimizers import SGD, AdamW, _Entry

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


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_weights_of_convolutions_are_stepped_in_any_layout(layout: torch.memory_format) -> None:
    torch.manual_seed(0)
    weight = torch.randn(5, 3, 3, 3)
    ours = nn.Parameter(weight.to(memory_format=layout))
    theirs = nn.Parameter(weight.clone())
    optimizer = AdamW([([ours], 0.01)], 0.1)
    reference = torch.optim.AdamW([theirs], lr=0.01, weight_decay=0.1)
    for _ in range(3):
        gradient = torch.randn(5, 3, 3, 3)
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        optimizer.step()
        reference.step()
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)


def test_one_pass_over_all_is_the_same_as_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for lies_alike in (_Entry.lies_alike, lambda _: False):
        monkeypatch.setattr(_Entry, "lies_alike", lies_alike)
        torch.manual_seed(0)
        parameters = [nn.Parameter(torch.randn(size)) for size in (3, 70, 1)]
        optimizer = AdamW([(parameters[:2], 0.01), (parameters[2:], 0.1)], 0.1)
        for step in range(4):
            for parameter in parameters:
                parameter.grad = torch.randn(parameter.shape)
            optimizer.step(1 - step / 4)
        found.append(torch.cat([parameter.detach() for parameter in parameters]))
    torch.testing.assert_close(*found, atol=1e-6, rtol=1e-5)
