"""The stage between scores and labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vostrack.arrays import BoolArray, FloatArray, UInt8Array
from vostrack.protocols import ObjectAdapter
from vostrack.tracking.fusion import label_map
from vostrack.tracking.parts import JudgesRegions, LooksEverywhere
from vostrack.tracking.pixel_sums import label_areas
from vostrack.tracking.support.assignment import load_assignment
from vostrack.tracking.support.config import SupportConfig
from vostrack.tracking.support.identity import IdentityKeeper
from vostrack.tracking.support.lost import Look, Sight, kept_in_sight, watched
from vostrack.tracking.support.matching import (
    accepted_proposals,
    moved_to_proposals,
    unsure_pixels,
)

__all__ = ["Ask", "Box", "Foreground", "ProposalSupport"]

Box = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels at the working size, the end exclusive."""

Ask = Callable[[Box | None], FloatArray]
"""Returns the proposals (K, h, w) in [0, 1] inside a box, or in the whole frame."""

Foreground = Callable[[UInt8Array], FloatArray]
"""Returns the foreground probability (H, W) of a frame (H, W, 3) uint8 RGB."""

# An object with fewer pixels, or a lower presence, is out of sight.
_SMALLEST, _VISIBLE = 30, 0.5
# The proposer looks at this many pixels around what is unsure, and not at fewer unsure pixels.
_AROUND, _FEWEST = 16, 30
# The score of the pixels of an object that was found again.
_FOUND = 0.9


@dataclass(frozen=True)
class _Frame:
    """What is known of a frame: scores (N, h, w), their label map, and how regions are judged."""

    scores: FloatArray
    labels: UInt8Array
    judge: Callable[[Sequence[BoolArray]], FloatArray | None]

    def match(self, masks: Sequence[BoolArray]) -> FloatArray | None:
        told = self.judge(masks)
        return None if told is None else told[0]


class ProposalSupport:
    """Supports identities between the scores of a frame and its label map.

    It needs no preset and no filter; see ``SupportConfig`` for its parts.

    Attributes:
        config: which parts are on.
        foreground: gives the proposer a foreground that does not come from the objects' scores.
        identity: keeps objects apart that touch or cross; it has a state of its own.
    """

    def __init__(
        self, config: SupportConfig | None = None, foreground: Foreground | None = None
    ) -> None:
        self.config = config or SupportConfig()
        self.foreground = foreground
        self.identity = IdentityKeeper()
        self._looks: tuple[Look, ...] = ()
        self._sights: tuple[Sight, ...] = ()
        self._waited = 0
        self._everywhere = False

    def start(self, labels: UInt8Array, count: int) -> None:
        """Start from a label map (h, w) uint8 of slots 1..count."""
        if count > 1:
            load_assignment()
        self.identity.start(labels, count)
        self._looks, self._waited, self._everywhere = (Look(),) * count, 0, False
        self._sights = tuple(Sight(float((labels == k).sum())) for k in range(1, count + 1))

    def forget_places(self) -> None:
        """Forget where the objects were: a new shot begins with the next frame."""
        self.identity.forget_places()

    def change_objects(self, labels: UInt8Array, before: Sequence[int | None]) -> None:
        """Go on with other objects; see ``vostrack.tracking.parts.FollowsEdits``."""
        if len(before) > 1:
            load_assignment()
        self.identity.change_objects(labels, before)
        self._looks = tuple(Look() if old is None else self._looks[old - 1] for old in before)
        self._sights = tuple(
            Sight(float((labels == slot).sum())) if old is None else self._sights[old - 1]
            for slot, old in enumerate(before, start=1)
        )

    def __call__(
        self, adapter: ObjectAdapter, scores: Tensor, threshold: float, ask: Ask | None = None
    ) -> Tensor:
        """Return the scores (N, h, w) of a frame after the parts that are needed.

        Args:
            adapter: the object models, which have scored the frame.
            scores: (N, h, w) in [0, 1].
            threshold: of the label map.
            ask: asks the proposer; None without one.
        """
        over = [k for k, sight in enumerate(self._sights) if sight.over]
        if over:
            # Where nothing is left of them, the adapter searches them in the whole next frame.
            scores = scores.clone()
            scores[over] = 0
            self._sights = tuple(
                Sight(sight.usual) if sight.over else sight for sight in self._sights
            )
        asks = self.config.asks and ask is not None
        if not (self.config.identity and self.identity.busy) and not asks:
            return scores
        on_host = scores.float().cpu()  # once: the host waits for the device
        labels, given = label_map(on_host, threshold=threshold).numpy(), on_host.numpy()

        def judge(masks: Sequence[BoolArray]) -> FloatArray | None:
            if not isinstance(adapter, JudgesRegions):
                return None
            told = adapter.likeness(torch.from_numpy(np.stack(masks)).to(scores.device))
            return None if told is None else told.float().cpu().numpy()

        frame = _Frame(given, labels, judge)
        changed = given
        if asks:
            assert ask is not None
            changed = self._asked(adapter, frame, ask)
        if self.config.identity and self.identity.busy:
            changed = self.identity.keep(changed, labels, frame.match)
        return scores if changed is given else torch.from_numpy(changed).to(scores.device)

    def _asked(self, adapter: ObjectAdapter, frame: _Frame, ask: Ask) -> FloatArray:
        """Ask the proposer where that is needed and due; return the scores after its answer."""
        self._waited += 1
        wanted = self._wanted(adapter, frame) if self.config.reacquire else []
        if wanted and self._everywhere:
            # The adapter has seen the whole frame, so proposals can be judged anywhere.
            self._everywhere, self._waited = False, 0
            return self._reacquired(frame, wanted, ask(None))
        self._everywhere = False
        if self._waited < self.config.every:
            return frame.scores
        if wanted and isinstance(adapter, LooksEverywhere):
            adapter.look_everywhere()
            self._everywhere = True
        elif self.config.support:
            self._waited = 0
            return self._supported(frame, ask)
        return frame.scores

    def _wanted(self, adapter: ObjectAdapter, frame: _Frame) -> list[int]:
        """Return the slots of the objects to search for."""
        count = len(frame.scores)
        masks = [frame.labels == slot for slot in range(1, count + 1)]
        told = frame.match(masks)
        match = np.zeros(count, np.float32) if told is None else np.diagonal(told).copy()
        presence = adapter.presence()
        for k, mask in enumerate(masks):
            if mask.sum() < _SMALLEST or (presence is not None and float(presence[k]) < _VISIBLE):
                match[k] = np.nan
        self._looks = watched(self._looks, match)
        return [slot for slot, look in enumerate(self._looks, start=1) if look.doubtful]

    def _reacquired(
        self, frame: _Frame, wanted: Sequence[int], proposals: FloatArray
    ) -> FloatArray:
        if not len(proposals):
            return frame.scores
        told = frame.judge(list(proposals >= 0.5))
        if told is None:
            return frame.scores
        present = frame.match([frame.labels == slot + 1 for slot in range(len(frame.scores))])
        now = np.full(len(frame.scores), np.nan) if present is None else np.diagonal(present)
        found = accepted_proposals(wanted, frame.labels, proposals, told, np.asarray(now))
        scores = frame.scores.copy() if found else frame.scores
        for slot, index in found.items():
            region = proposals[index] >= 0.5
            scores[:, region] = np.minimum(scores[:, region], 1 - _FOUND)
            scores[slot - 1] = np.where(region, _FOUND * proposals[index], 0)
        return scores

    def _supported(self, frame: _Frame, ask: Ask) -> FloatArray:
        unsure: BoolArray = np.logical_or.reduce(unsure_pixels(frame.scores))
        box = _around(unsure)
        if box is None:
            return frame.scores
        proposals = ask(box)
        if not len(proposals):
            return frame.scores
        match = frame.match(list(proposals >= 0.5))
        if match is None:
            match = np.zeros((len(proposals), len(frame.scores)), np.float32)
        return moved_to_proposals(frame.scores, frame.labels, proposals, match)

    def commit(self, labels: UInt8Array, presence: Tensor | None) -> None:
        """Learn from the final label map (h, w) uint8 of the frame.

        Args:
            labels: (h, w) uint8, slots.
            presence: (N,) of the objects, in [0, 1]; None if unknown.
        """
        if self.config.let_go and presence is not None:
            areas = label_areas(labels, len(self._sights))[1:]
            self._sights = kept_in_sight(self._sights, areas.tolist(), presence.tolist())
        if self.config.identity:
            self.identity.commit(labels)

    def state_dict(self) -> dict[str, Any]:
        """Return what changes between frames."""
        return {
            "identity": self.identity.state_dict(),
            "sights": [sight.state_dict() for sight in self._sights],
            "looks": [look.state_dict() for look in self._looks],
            "waited": self._waited,
            "everywhere": self._everywhere,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the result of ``state_dict``."""
        self.identity.load_state_dict(state["identity"])
        self._looks = tuple(Look(**each) for each in state["looks"])
        self._sights = tuple(Sight(**each) for each in state["sights"])
        self._waited, self._everywhere = state["waited"], state["everywhere"]


def _around(unsure: BoolArray) -> Box | None:
    """Return the box to look at around unsure pixels (h, w); None for too few."""
    if unsure.sum() < _FEWEST:
        return None
    height, width = unsure.shape
    rows, columns = np.flatnonzero(unsure.any(1)), np.flatnonzero(unsure.any(0))
    return (
        max(0, int(columns[0]) - _AROUND),
        max(0, int(rows[0]) - _AROUND),
        min(width, int(columns[-1]) + 1 + _AROUND),
        min(height, int(rows[-1]) + 1 + _AROUND),
    )
