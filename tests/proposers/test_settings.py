"""The named sets of options of the proposers: the papers' own, and the fast ones."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, get_args

import numpy as np
import pytest

from vostrack.checks import checked_options
from vostrack.cli.form import parse_form
from vostrack.cli.track import TrackCommand
from vostrack.errors import InputError
from vostrack.proposers.registry import PROPOSERS, build_proposer
from vostrack.proposers.settings import Setting

NAMES = ("detection-crf", "displacement", "hough")


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_has_known_options_that_differ(name: str) -> None:
    kind = PROPOSERS[name].options
    assert tuple(kind.SETTINGS) == get_args(Setting)
    default = checked_options(kind, {}, name)
    for setting, values in kind.SETTINGS.items():
        made = checked_options(kind, {"setting": setting}, name)
        changed = {
            f.name: getattr(made, f.name)
            for f in fields(kind)
            if getattr(made, f.name) != getattr(default, f.name)
        }
        assert changed == {**values, **({"setting": setting} if values else {})}
    with pytest.raises(InputError, match="setting: expected default, paper, fast, got 'best'"):
        checked_options(kind, {"setting": "best"}, name)


@pytest.mark.parametrize("setting", ["paper", "fast"])
@pytest.mark.parametrize("name", NAMES)
def test_every_setting_proposes_an_object_of_the_foreground(name: str, setting: str) -> None:
    frame = np.random.default_rng(0).integers(0, 120, (96, 128, 3)).astype(np.uint8)
    foreground = np.zeros((96, 128), np.float32)
    foreground[20:76, 30:80] = 0.9
    frame[20:76, 30:80] += 100
    proposer: Any = build_proposer(name, options={"setting": setting})
    found = proposer.propose(frame, foreground)
    truth = foreground > 0.5
    overlaps = [(truth & m).sum() / (truth | m).sum() for m in found.masks]
    assert max(overlaps) > 0.6


def test_an_option_that_is_given_replaces_the_setting_s_even_at_its_default() -> None:
    words = ["--video", "v.mp4", "--first-mask", "m.png", "--proposer", "hough"]
    words += ["--hough-setting", "paper", "--hough-overlap", "0.35", "--no-hough-multi-view"]
    given = parse_form(TrackCommand, words, "vostrack track").options.proposer_options
    made: Any = checked_options(PROPOSERS["hough"].options, given, "hough")
    assert (made.overlap, made.multi_view, made.min_cells) == (0.35, False, 20)
