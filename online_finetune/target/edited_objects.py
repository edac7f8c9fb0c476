"""What an adapter of target models holds of a video's objects, and how these are edited."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from vostrack.compute.optical_flow import gray_bytes
from vostrack.models.target_net import TargetNet
from vostrack.online_finetune.target.carried_frames import Steadiness
from vostrack.online_finetune.target.cohorts import (
    Cohort,
    Cohorts,
    cohorts_of,
    correct_members,
    gather,
    without,
    without_pixels,
)
from vostrack.online_finetune.target.finetune import OnProgress
from vostrack.online_finetune.target.fitted_network import FittedNetwork, fit_network
from vostrack.online_finetune.target.frame_steps import Finding, begin_objects
from vostrack.online_finetune.target.given_frames import (
    GivenFrame,
    slot_masks,
    void_in,
    with_given,
    without_given,
)
from vostrack.online_finetune.target.imagined_frames import Origin
from vostrack.online_finetune.target.memory import TargetModelConfig, TrackedObjects
from vostrack.online_finetune.target.places import Place
from vostrack.online_finetune.target.relearning import relearned

__all__ = ["EditedObjects", "Started"]


@dataclass(frozen=True)
class Started:
    """What ``start`` made, to return to.

    Attributes:
        fitted: the network.
        given: the frame, for ``refit``; empty without fine-tuning.
        objects: what is known of the objects.
        frame: gray bytes (h, w) of the frame, on the CPU.
    """

    fitted: FittedNetwork
    given: tuple[GivenFrame, ...]
    objects: TrackedObjects
    frame: Tensor


class EditedObjects:
    """The objects of a video, and the network that was fine-tuned on them.

    Args:
        generic: the network, on the device to work on; it is copied, never changed.
        config: how it is used.
        on_progress: told of every fine-tuning step.
    """

    def __init__(
        self,
        generic: TargetNet,
        config: TargetModelConfig | None = None,
        *,
        on_progress: OnProgress | None = None,
    ) -> None:
        self.config = config or TargetModelConfig()
        self.on_progress = on_progress
        self.generic = generic.eval()
        self._fitted = FittedNetwork(self.generic, self.generic)
        # Frames to fine-tune on; none without fine-tuning.
        self._given: tuple[GivenFrame, ...] = ()
        self._started: Started | None = None
        self._now: TrackedObjects | Cohorts | None = None
        self._pending: Finding | None = None
        # Gray bytes of the frame that the masks are of, and the positions, from 0, of objects that
        # were not in sight there.
        self._frame: Tensor | None = None
        self._unsure: tuple[int, ...] = ()
        self._everywhere = False
        self._steady = Steadiness()

    @torch.inference_mode()
    def add_objects(self, image: Tensor, labels: Tensor) -> None:
        """Take up further objects; see ``EditsObjects``. ``refit`` fine-tunes on them."""
        cohorts = self._cohorts("add_objects")
        count = sum(len(slots) for slots, _ in cohorts)
        masks = slot_masks(labels)[count:]
        void = void_in(labels)
        begun = begin_objects(self._fitted.network, image, masks, self.config, void)
        begun = replace(begun, origin=Origin.of(image, masks, self.config.window))
        kept = without_pixels(cohorts, masks.amax(0) > 0)
        slots = tuple(range(count, count + len(masks)))
        self._edited([*kept, (slots, begun)], image)
        self._give(image, labels, [slot + 1 for slot in slots])

    @torch.inference_mode()
    def correct_objects(self, image: Tensor, labels: Tensor, slots: Sequence[int]) -> None:
        """Learn the right masks of some objects; see ``EditsObjects``.

        The corrected frame stays in memory like the first one, its statistics enter the classifier
        with the weight of the first frame's, and what was learned since the last given mask is
        dropped. ``refit`` fine-tunes on it.
        """
        numbers = sorted(slot - 1 for slot in slots)
        wanted = torch.tensor(numbers, device=labels.device)[:, None, None] + 1
        masks = (labels == wanted).float()
        void = void_in(labels)
        seen = begin_objects(self._fitted.network, image, masks, self.config, void)
        cohorts = without_pixels(self._cohorts("correct_objects"), masks.amax(0) > 0)
        self._edited(correct_members(cohorts, numbers, seen, self.config.corrections), image)
        self._give(image, labels, slots)

    @torch.inference_mode()
    def remove_objects(self, slots: Sequence[int]) -> None:
        """Forget some objects; see ``EditsObjects``. The network stays as it is."""
        cohorts = self._cohorts("remove_objects")
        count = sum(len(members) for members, _ in cohorts)
        left = without(cohorts, [slot - 1 for slot in slots])
        assert self._now is not None
        self._now, self._pending = gather(left, self._now.masks.shape[1:]), None
        self._unsure, self._steady = (), Steadiness()
        self._given = without_given(self._given, slots, count)

    def can_refit(self) -> bool:
        """Tell whether the network is fine-tuned on given masks at all; see ``Refits``."""
        return bool(self.config.finetune.steps)

    def refit(self, image: Tensor) -> None:
        """Fine-tune on all masks that were given so far; see ``Refits``.

        It begins from the generic network, as ``start`` does, so the result does not depend on when
        the masks were given. Memories of given frames are made anew. Those of other frames are
        dropped, because the network that made them is gone.
        """
        cohorts, device = self._cohorts("refit"), image.device
        learnable = [frame for frame in self._given if frame.visible]
        self._fitted = fit_network(
            self.generic,
            [frame.learnable(device) for frame in learnable],
            self.config,
            slots=[frame.visible for frame in learnable],
            on_progress=self.on_progress,
        )
        with torch.inference_mode():
            again = relearned(self._fitted.network, cohorts, self._given, image, self.config)
            self._edited(again, image)

    def forget_places(self) -> None:
        """Search all objects in the whole next frame, with the given masks alone."""
        cohorts = []
        for slots, objects in self._cohorts("forget_places"):
            nowhere = (Place(None, 0),) * len(slots)
            cohorts.append((slots, replace(objects, places=nowhere)))
        assert self._now is not None
        self._now = gather(cohorts, self._now.masks.shape[1:])

    def _cohorts(self, call: str) -> tuple[Cohort, ...]:
        if self._now is None:
            raise RuntimeError(f"TargetModelAdapter.{call} was called before start")
        return cohorts_of(self._now)

    def _edited(self, cohorts: Sequence[Cohort], image: Tensor) -> None:
        self._now, self._pending = gather(cohorts, image.shape[1:]), None
        self._frame, self._unsure = gray_bytes(image), ()
        self._steady = Steadiness()

    def _give(self, image: Tensor, labels: Tensor, slots: Sequence[int]) -> None:
        """Keep a frame with given masks for ``refit``."""
        if self.can_refit():
            new = GivenFrame.of(image, labels, slots)
            self._given = with_given(self._given, new, self.config.corrections)
