"""What a proposer answers is checked wherever it is asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.stranger import stranger
from tests.tracking.conftest import ColourAdapter
from vostrack.arrays import FloatArray, UInt8Array
from vostrack.cli import main
from vostrack.errors import InputError
from vostrack.proposers.first_mask import rank_candidates
from vostrack.proposers.registry import build_proposer
from vostrack.protocols import InstanceProposals
from vostrack.tracking.proposal_checks import asked
from vostrack.tracking.proposed_regions import proposed_regions
from vostrack.tracking.support.asking import ask_proposer

FRAME = np.zeros((12, 20, 3), np.uint8)
NAN = float("nan")
PLUGIN = """
from dataclasses import dataclass
from vostrack.proposers.registry import ProposerEntry
from vostrack.protocols import InstanceProposals

@dataclass(frozen=True)
class Options:
    level: int = 3

    def __post_init__(self):
        if self.level < 0:
            raise ValueError("below")

class Part:
    def __init__(self, options, sources):
        self.level = options.level

    def follow(self, labels):
        if self.level == 1:
            raise ValueError("follows not")

    def propose(self, frame, foreground):
        if self.level == 2:
            return None
        raise ValueError("boom in\\nthe plug-in")

PART = ProposerEntry(Options, Part)
"""
POINTS = "[vostrack.proposers]\npart = stranger_plugin:PART\n"


def answer(**changes: Any) -> InstanceProposals:
    masks = np.zeros((2, 12, 20), bool)
    masks[0, :5], masks[1, 7:] = True, True
    boxes = np.array([(0, 0, 20, 5), (0, 7, 20, 12)], np.float32)
    scores = np.array([0.9, 0.5], np.float32)
    return replace(InstanceProposals(masks, scores, np.array([1, 2]), boxes), **changes)


class Fixed:
    """Gives one answer."""

    def __init__(self, found: Any) -> None:
        self.found = found

    def propose(self, frame: UInt8Array, foreground: FloatArray | None) -> InstanceProposals:
        found: InstanceProposals = self.found
        return found


UNFIT: dict[str, tuple[Callable[[], Any], str]] = {
    "none": (lambda: None, "an object of the type NoneType; expected InstanceProposals"),
    "size": (
        lambda: answer(masks=np.zeros((2, 6, 10), bool)),
        "masks of 10 x 6 pixels; expected 20 x 12 pixels, the size of the frame",
    ),
    "nan": (lambda: answer(scores=np.array([0.9, NAN])), r"scores from nan to nan; .* \[0, 1\]"),
    "range": (lambda: answer(scores=np.array([5.0, 0.1])), r"scores from 0.1 to 5; expected num"),
    "boxes": (lambda: answer(boxes=np.full((2, 4), NAN)), "boxes with NaN or infinite values; ex"),
    "labels": (lambda: answer(labels=np.array([NAN, 1])), "labels of float64; expected whole"),
}


@pytest.mark.parametrize("case", UNFIT)
def test_an_unfit_answer_is_refused_wherever_one_is_asked(case: str) -> None:
    make, words = UNFIT[case]
    proposer, slots = Fixed(make()), np.zeros((6, 10), np.uint8)
    where: list[Callable[[], object]] = [
        lambda: ask_proposer(proposer, None, FRAME, slots, None),
        lambda: proposed_regions(proposer, ColourAdapter(), FRAME, None, slots),
    ]
    for ask in where:
        with pytest.raises(InputError, match=f"proposer: .*Fixed gave {words}"):
            ask()


def test_the_first_mask_refuses_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = np.zeros((12, 20), np.float32)
    module = "vostrack.proposers.first_mask.foreground_probability"
    monkeypatch.setattr(module, lambda *_: chance)
    with pytest.raises(InputError, match=r"Fixed gave an object of the type NoneType"):
        rank_candidates([FRAME], None, Fixed(None))  # type: ignore[arg-type]


def test_proposals_are_put_into_order() -> None:
    unordered = answer(
        scores=np.array([0.2, 0.7], np.float32),
        soft=np.stack([np.zeros((12, 20), np.float32), np.ones((12, 20), np.float32)]),
        names=("first", "second"),
    )
    found = asked(None, FRAME, lambda _: unordered)
    assert found.names == ("second", "first")
    assert found.scores.tolist() == pytest.approx([0.7, 0.2])
    assert found.masks[0, 11].all()
    assert (found.labels.tolist(), found.boxes[0, 1], found.soft[0].min()) == ([2, 1], 7, 1)  # type: ignore[index]
    ordered = answer()
    assert asked(None, FRAME, lambda _: ordered) is ordered


def test_none_at_all_are_an_answer() -> None:
    boxes = np.zeros((0, 4), np.float32)
    nothing = InstanceProposals(np.zeros((0, 12, 20), bool), boxes[:, 0], np.zeros(0, int), boxes)
    assert len(asked(None, FRAME, lambda _: nothing)) == 0


def test_errors_of_a_plug_in_name_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whose = r"proposer: the plug-in 'part' \(stranger_plugin:PART\)"
    image, out = tmp_path / "images" / "a.png", tmp_path / "out"
    image.parent.mkdir()
    Image.fromarray(FRAME).save(image)
    command = ["propose", "--method", "part", "--images", str(image), "--output", str(out)]
    with stranger(tmp_path, PLUGIN, POINTS):
        for level, words in ((1, "ValueError: follows not"), (3, "ValueError: boom in the plug")):
            proposer: Any = build_proposer("part", options={"level": level})
            with pytest.raises(InputError, match=f"{whose} failed: {words}"):
                ask_proposer(proposer, None, FRAME, FRAME[..., 0], None)
        for level, words in (
            (-1, "cannot take its options: ValueError: below; give it other options"),
            (2, "gave an object of the type NoneType; expected InstanceProposals"),
            (3, "failed: ValueError: boom in the plug-in; repair or uninstall"),
        ):
            assert main([*command, "--part-level", str(level)]) == 2
            error = capsys.readouterr().err
            assert error.startswith("error: proposer: the plug-in 'part' (stranger_plugin:PART) ")
            assert words in error
            assert error.count("\n") == 1
    assert not out.exists() or not list(out.iterdir())
