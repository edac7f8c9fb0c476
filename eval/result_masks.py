"""The result masks of one sequence: found, matched with its frames, and read as ids."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from vostrack.arrays import UInt8Array
from vostrack.errors import InputError
from vostrack.eval.findings import Finding, listed
from vostrack.eval.frame_matching import FrameMatch, match_frames, shift_by_one
from vostrack.eval.result_folder import mask_files
from vostrack.eval.result_image import ResultImage, read_result_image
from vostrack.eval.result_values import ExpectedIds, MaskRule, choose_rule, survey

__all__ = ["ResultMasks", "open_result_masks"]


class ResultMasks:
    """Result masks of one sequence by the names of its frames."""

    def __init__(
        self, name: str, match: FrameMatch, rules: dict[str, MaskRule], findings: list[Finding]
    ) -> None:
        self.name = name
        self._findings = findings
        self._unclear: dict[str, None] = {}
        self._match = match
        self._rules = rules

    @property
    def findings(self) -> list[Finding]:
        """What was reinterpreted, and what could not be read so far."""
        if not self._unclear:
            return self._findings
        message = "masks with other colours than those of ids or one object"
        unclear = Finding("values", self.name, message, tuple(self._unclear), lost=True)
        return [*self._findings, unclear]

    @property
    def frames(self) -> frozenset[str]:
        """Names of the frames that have a file."""
        return frozenset(self._match.files)

    def read(self, frame: str) -> UInt8Array | None:
        """Read the mask of a frame.

        Returns:
            (H, W) uint8 ids; None if there is no mask, or none that can be read as ids.
        """
        path = self._match.files.get(frame)
        if path is None:
            return None
        try:
            image = read_result_image(path)
        except InputError:
            return None
        rule = self._rules[image.kind]
        if rule.labels is None:
            return None
        labels = rule.labels(image.values)
        if int(labels.min(initial=0)) < 0:
            self._unclear[frame] = None
            return None
        return np.minimum(labels, 255).astype(np.uint8)


def open_result_masks(
    name: str,
    folder: Path | None,
    frames: Sequence[str],
    expected: ExpectedIds,
    *,
    truth: Callable[[str], UInt8Array | None],
) -> ResultMasks:
    """Find the masks of a sequence and decide what their values mean.

    Args:
        name: name of the sequence.
        folder: folder of its results; None if there is none, of which the findings say nothing.
        frames: names of all frames of the sequence.
        expected: the ids that the masks may hold.
        truth: returns the true label map of a frame, None if it has none.

    Returns:
        The masks, with findings about names and values.
    """
    if folder is None:
        return ResultMasks(name, match_frames(frames, {}), {}, [])
    found, place = mask_files(folder)
    findings: list[Finding] = []
    match = match_frames(frames, found)
    if not match.files:
        there = sorted(p.name for p in folder.iterdir())
        findings.append(
            Finding(
                "missing", name,
                f"looked in {place} for {frames[0]}.png to {frames[-1]}.png; "
                + (f"there are {listed(there)}" if there else "the folder is empty"),
                lost=True,
            )
        )  # fmt: skip
        return ResultMasks(name, match, {}, findings)
    match, rules = _interpreted(name, match, frames, expected, truth, findings)
    if place != folder:
        findings.append(Finding("folder", name, f"the masks are in {place.name}/"))
    if match.note:
        findings.append(Finding("names", name, match.note))
    if match.surplus:
        message = "files that belong to no frame were left out"
        findings.append(Finding("surplus", name, message, match.surplus, lost=True))
    return ResultMasks(name, match, rules, findings)


def _interpreted(
    name: str, match: FrameMatch, frames: Sequence[str], expected: ExpectedIds,
    truth: Callable[[str], UInt8Array | None], findings: list[Finding],
) -> tuple[FrameMatch, dict[str, MaskRule]]:  # fmt: skip
    """Survey the values; return the matching, corrected by the first frame, and the rules."""
    damaged: list[str] = []
    unreadable: list[str] = []

    def images() -> Iterator[ResultImage]:
        for frame, path in match.files.items():
            try:
                yield read_result_image(path)
            except InputError as error:
                damaged.append(frame)
                unreadable.append(str(error))

    kinds = survey(images())
    rules = {kind: choose_rule(kind, seen, expected) for kind, seen in kinds.items()}
    if unreadable:
        message = f"masks that cannot be read ({unreadable[0]})"
        findings.append(Finding("unreadable", name, message, tuple(damaged), lost=True))
    for rule in rules.values():
        if rule.note:
            findings.append(Finding("values", name, rule.note, lost=rule.labels is None))
    masks = ResultMasks(name, match, rules, findings)
    if _counts_from_one(masks, match, frames, truth):
        match = shift_by_one(frames, match)
    return match, rules


def _counts_from_one(
    masks: ResultMasks,
    match: FrameMatch,
    frames: Sequence[str],
    truth: Callable[[str], UInt8Array | None],
) -> bool:
    """Tell whether names that look like those of the frames are one too high.

    That is so if only the first frame has no file, and the file of the second frame is exactly the
    first frame's truth, which the tracker was given, and not the second's.
    """
    if len(frames) < 3 or match.missing != (frames[0],) or match.surplus or match.note:
        return False
    given, guess, other = truth(frames[0]), masks.read(frames[1]), truth(frames[1])
    if given is None or guess is None or guess.shape != given.shape or not given.any():
        return False
    same = np.array_equal(guess, given) or np.array_equal(guess > 0, given > 0)
    return same and (other is None or not np.array_equal(guess > 0, other > 0))
