"""The state of the tracked objects between two frames, and how it is updated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from vostrack.checks import check_fraction, check_positive
from vostrack.compute.precision import Precision
from vostrack.errors import InputError
from vostrack.models.memory_cues import Memory, Statistics
from vostrack.online_finetune.target.due_frames import is_due
from vostrack.online_finetune.target.finetune import TargetFinetuneConfig
from vostrack.online_finetune.target.imagined_frames import Origin
from vostrack.online_finetune.target.places import Place, find_places
from vostrack.online_finetune.target.window import WindowConfig

__all__ = ["Group", "TargetModelConfig", "TrackedObjects"]


@dataclass(frozen=True)
class TargetModelConfig:
    """How objects are tracked with a target network.

    Attributes:
        window: the window of the frame that the network sees.
        finetune: how the network is fine-tuned on the first frame; zero steps leave it unchanged.
        mirror: whether to segment every frame mirrored too, and average the two results.
        mirror_scale: size of the mirrored window relative to the other, above 0. Objects are seen
            at two sizes where it is not 1 and none of them is small in the window.
        remember_every: number of frames between memories; 0 keeps only the first frame.
        memories: maximum number of memories besides the first frame, which is always kept.
        corrections: maximum number of corrected frames that each object keeps as memories besides
            the first frame; a further one replaces the oldest. At least 1.
        adapt: which cells of later frames update the closed-form classifier: ``all``,
            ``confident`` ones only (inside, or well outside of the mask), or none (``off``).
        recent_share: weight of all later frames in the closed-form classifier, in [0, 1]; the
            first frame keeps the rest.
        forgetting: weight of the newest frame among the later ones, in [0, 1].
        smallest: an object with fewer pixels is lost. It updates no memory, and the search for it
            ignores its last position.
        search_every: while some but not all objects are lost, the whole frame is searched every
            ``search_every`` frames.
        imagined: number of frames that are imagined to search an object; see ``Origin``.
        doubt_every: every so many frames an object is compared with its given masks. If it looks
            unlike them it is searched in the whole frame. 0 never does.
        flow_share: share of the previous frame's masks, moved along the optical flow, in the logits
            of a mask, in [0, 1], where the flow can be trusted; 0 leaves the flow out.
        carry: most frames in a row whose masks only follow the optical flow, while all objects move
            so steadily that the network would change little; 0: it sees each frame. Without
            ``flow_share`` it does, too.
        continuity: pieces of an object farther from its last position than this share of the
            square root of its area are dropped; None keeps all.
        seed: of the fine-tuning.
        precision: see ``vostrack.compute.precision``.
    """

    window: WindowConfig = field(default_factory=WindowConfig)
    finetune: TargetFinetuneConfig = field(default_factory=TargetFinetuneConfig)
    mirror: bool = False
    mirror_scale: float = 1.0
    remember_every: int = 5
    memories: int = 2
    corrections: int = 8
    adapt: Literal["all", "confident", "off"] = "confident"
    recent_share: float = 0.23
    forgetting: float = 0.3
    smallest: int = 30
    search_every: int = 3
    imagined: int = 4
    doubt_every: int = 3
    flow_share: float = 0.9
    carry: int = 0
    continuity: float | None = 0.4
    seed: int = 0
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            InputError: a number is out of its range.
        """
        if self.corrections < 1:
            raise InputError(f"corrections: expected at least 1, got {self.corrections}")
        if self.carry < 0:
            raise InputError(f"carry: expected 0 or more frames, got {self.carry}")
        check_positive(self, "mirror_scale")
        check_fraction(self, "flow_share")


@dataclass(frozen=True)
class TrackedObjects:
    """All tracked objects between two frames.

    Attributes:
        masks: (N, h, w) in [0, 1], in the previous frame.
        places: box and area of each object.
        first: memory of the first frame.
        kept: memories of later frames, oldest first.
        recent: memory of the previous frame.
        base: statistics of the first frame and of the corrected ones, all with the same weight.
        later: statistics of all later frames; None before the first of them.
        frames: number of frames after the first.
        corrected: memories of corrected frames, oldest first.
        corrections: number of corrections so far.
        origin: the frame in which the objects were given; None where they are not searched.
        carried: number of frames since the network saw one.
    """

    masks: Tensor
    places: tuple[Place, ...]
    first: Memory
    kept: list[Memory]
    recent: Memory
    base: Statistics
    later: Statistics | None
    frames: int
    corrected: tuple[Memory, ...] = ()
    corrections: int = 0
    origin: Origin | None = None
    carried: int = 0

    def part(self, index: Tensor, numbers: Sequence[int]) -> TrackedObjects:
        """Return some of the objects.

        Args:
            index: which, on the device of the masks.
            numbers: the same on the host.
        """
        later = self.later
        return replace(
            self,
            masks=self.masks[index],
            places=tuple(self.places[k] for k in numbers),
            first=self.first.part(index),
            kept=[memory.part(index) for memory in self.kept],
            recent=self.recent.part(index),
            base=self.base.part(index),
            later=None if later is None else later.part(index),
            corrected=tuple(memory.part(index) for memory in self.corrected),
            origin=self.origin and self.origin.part(index, numbers),
        )

    def groups(self, near: Sequence[bool]) -> list[Group]:
        """Return the objects that are near and those that are lost; see ``Group``."""
        everyone = tuple(range(len(near)))
        if len(set(near)) == 1:
            return [Group(everyone, self, near[0])]
        found = []
        for kind in (True, False):
            members = tuple(k for k in everyone if near[k] == kind)
            index = torch.tensor(members, device=self.masks.device)
            found.append(Group(members, self.part(index, members), kind))
        return found

    @property
    def given(self) -> list[Memory]:
        """The memories of frames whose masks a user gave."""
        return [self.first, *self.corrected]

    @property
    def imagined(self) -> tuple[Memory, ...]:
        """The imagined memories, as far as they were needed; see ``Origin``."""
        return (self.origin and self.origin.imagined) or ()

    def anywhere(self) -> Statistics:
        """Return the statistics that the classifier is fitted to where an object is searched."""
        found = self.base
        for count, memory in enumerate(self.imagined, start=2):
            found = found.mixed(memory.statistics, 1 / count)
        return found

    def statistics(self, share: float) -> Statistics:
        """Return the statistics that the classifier is fitted to."""
        return self.base if self.later is None else self.base.mixed(self.later, share)

    def correct(self, masks: Tensor, memory: Memory, most: int) -> TrackedObjects:
        """Return the objects after a correction of all of them in the previous frame.

        The memories of frames since the last given mask are dropped: they may hold the mistake.

        Args:
            masks: (N, h, w) 0 or 1, the right masks of the previous frame.
            memory: of that frame, with these masks.
            most: number of corrections to keep as memories.
        """
        count = self.corrections + 1
        return replace(
            self,
            masks=masks,
            places=find_places(masks),
            kept=[],
            recent=memory,
            base=self.base.mixed(memory.statistics, 1 / (count + 1)),
            later=None,
            corrected=(*self.corrected, memory)[-most:],
            corrections=count,
        )

    def after(
        self,
        masks: Tensor,
        memory: Memory,
        config: TargetModelConfig,
        sure: Sequence[bool] | None = None,
    ) -> TrackedObjects:
        """Return the objects after a frame; objects that are not visible are not updated.

        Args:
            masks: (N, h, w) in [0, 1], in the frame.
            memory: of the frame.
            config: how objects are tracked.
            sure: whether each mask can be learned from; None: all can. Of the others only the place
                is kept.
        """
        places = find_places(masks)
        visible = [place.area >= config.smallest for place in places]
        present = visible if sure is None else [a and b for a, b in zip(visible, sure, strict=True)]
        seen = torch.tensor(present, device=masks.device)
        # Memories of two frames differ in their number of cells, so objects cannot be mixed.
        recent = memory if any(visible) else self.recent
        frames = self.frames + 1
        kept = self.kept
        if all(present) and is_due(config.remember_every, frames, self.carried):
            kept = [*kept, memory][-config.memories :] if config.memories else []
        if config.adapt == "off":
            seen = torch.zeros_like(seen)
        before = self.later or self.base
        weight = torch.where(seen, config.forgetting if self.later is not None else 1.0, 0.0)
        weight = weight.view(-1, 1, 1)
        later = Statistics(
            torch.lerp(before.gram, memory.statistics.gram, weight),
            torch.lerp(before.moment, memory.statistics.moment, weight),
        )
        return replace(
            self,
            masks=masks,
            places=places,
            kept=kept,
            recent=recent,
            later=later,
            frames=frames,
            carried=0,
        )

    def carry(self, masks: Tensor) -> TrackedObjects:
        """Return the objects after a frame whose masks (N, h, w) in [0, 1] followed the flow."""
        frames, carried = self.frames + 1, self.carried + 1
        return replace(self, masks=masks, places=find_places(masks), frames=frames, carried=carried)

    def state_dict(self) -> dict[str, Any]:
        """Return tensors and numbers by name."""
        later = self.later
        return {
            "masks": self.masks,
            "first": self.first.state_dict(),
            "kept": [memory.state_dict() for memory in self.kept],
            "recent": self.recent.state_dict(),
            "later": [] if later is None else [later.gram, later.moment],
            "frames": self.frames,
            "carried": self.carried,
            "corrected": [memory.state_dict() for memory in self.corrected],
            "corrections": self.corrections,
            "base": [self.base.gram, self.base.moment] if self.corrections else [],
            "origin": self.origin.state_dict() if self.origin is not None else {},
        }

    @staticmethod
    def from_state(state: Mapping[str, Any], first: TrackedObjects | None) -> TrackedObjects:
        """Restore the result of ``state_dict``."""
        memory = first.first if first is not None else Memory.from_state(state["first"])
        origin = Origin.from_state(state["origin"]) if state.get("origin") else None
        masks = state["masks"]
        return TrackedObjects(
            masks=masks,
            places=find_places(masks),
            first=memory,
            kept=[Memory.from_state(kept) for kept in state["kept"]],
            recent=Memory.from_state(state["recent"]),
            base=Statistics(*state["base"]) if state["base"] else memory.statistics,
            later=Statistics(*state["later"]) if state["later"] else None,
            frames=int(state["frames"]),
            carried=int(state["carried"]),
            corrected=tuple(Memory.from_state(each) for each in state["corrected"]),
            corrections=int(state["corrections"]),
            origin=first.origin if first is not None else origin,
        )


class Group(NamedTuple):
    """Objects that can be segmented together: all near or all lost, with memories of one origin.

    Attributes:
        members: their positions among all objects, from 0.
        objects: what is known of them.
        near: whether their places in the previous frame are known.
    """

    members: tuple[int, ...]
    objects: TrackedObjects
    near: bool
