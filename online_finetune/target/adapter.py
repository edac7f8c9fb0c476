"""Small target models over shared features: one backbone pass a frame, whatever the objects."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from vostrack.datasets.augmentation import IGNORE
from vostrack.models.byte_convolution import has_fast_int8
from vostrack.models.eight_bit import Ranges
from vostrack.models.shared_backbone import backbone_fingerprint
from vostrack.models.target_net import TargetNet
from vostrack.online_finetune.target.cohorts import (
    Cohort,
    Cohorts,
    cohorts_of,
    correct_members,
    gather,
    load_cohorts,
    save_cohorts,
    without,
    without_pixels,
)
from vostrack.online_finetune.target.eight_bit_stages import (
    EARLY,
    WHOLE,
    measured,
    ranges_of,
    uses_eight_bits,
    with_eight_bits,
)
from vostrack.online_finetune.target.finetune import (
    LabelledFrame,
    OnProgress,
    finetune_target_net,
)
from vostrack.online_finetune.target.frame_steps import (
    Finding,
    begin_objects,
    find_objects,
    learn_objects,
    spread_scores,
)
from vostrack.online_finetune.target.likeness import region_likeness
from vostrack.online_finetune.target.memory import (
    Place,
    TargetModelConfig,
    TrackedObjects,
    find_places,
)
from vostrack.online_finetune.target.view import window_around
from vostrack.protocols import BackboneFeatures, ObjectScores

__all__ = ["TargetModelAdapter", "TargetModelConfig"]


class TargetModelAdapter:
    """The objects of one video as memories of a target network.

    Implements ``ObjectAdapter``, ``FeatureProvider``, ``EditsObjects`` and ``LearnsLaterFrames``.
    Memory is bounded: the
    frame in which an object was given, ``corrections`` frames in which it was corrected,
    ``memories`` later ones, and the one just before.

    Attributes:
        generic: the network that was given.
    """

    def __init__(
        self,
        generic: TargetNet,
        config: TargetModelConfig | None = None,
        *,
        on_progress: OnProgress | None = None,
    ) -> None:
        """Take the generic network; it is copied, never changed.

        Args:
            generic: on the device to work on.
            config: how it is used.
            on_progress: told of every fine-tuning step.
        """
        self.config = config or TargetModelConfig()
        self.on_progress = on_progress
        self.generic = generic.eval()
        self._fitted = self.generic
        self._network = self.generic
        self._first: TrackedObjects | None = None
        self._now: TrackedObjects | Cohorts | None = None
        self._mirror = self.config.mirror
        self._pending: Finding | None = None
        self._presence: Tensor | None = None
        self._fingerprint: str | None = None
        self._everywhere = False

    def start(self, image: Tensor, labels: Tensor) -> None:
        """Learn the objects of a video.

        Args:
            image: (3, h, w) in [0, 1], on the device of the network.
            labels: (h, w) int64; 0 background, 1..N the slots, 255 void.
        """
        self.start_with(image, labels, ())

    def start_with(self, image: Tensor, labels: Tensor, later: Sequence[LabelledFrame]) -> None:
        """Learn the objects, and fine-tune on later frames, too; see ``LearnsLaterFrames``."""
        count = int(labels[labels != IGNORE].max())
        slots = torch.arange(1, count + 1, device=labels.device)[:, None, None]
        masks = (labels == slots).float()
        self._fitted = self.generic
        if self.config.finetune.steps:
            self._fitted = copy.deepcopy(self.generic)
            finetune_target_net(
                with_eight_bits(self._fitted, self._measured(image, masks, EARLY)),
                image,
                labels,
                self.config.finetune,
                later=later,
                seed=self.config.seed,
                precision=self.config.precision,
                on_progress=self.on_progress,
            )
        self._network = with_eight_bits(self._fitted, self._measured(image, masks, WHOLE))
        self._begin(image, masks)

    def _measured(self, image: Tensor, masks: Tensor, strides: Sequence[int]) -> Ranges:
        """Return the ranges of the stages to compute in 8 bits, none if there are none."""
        if not uses_eight_bits(self._fitted, image.device, self.config.precision):
            return {}
        window = window_around(find_places(masks), 1, image.shape[1:], self.config.window)
        return measured(self._fitted, window.crop(image[None]), strides)

    @torch.inference_mode()
    def _begin(self, image: Tensor, masks: Tensor) -> None:
        self._first = begin_objects(self._network, image, masks, self.config)
        self._now = self._first

    def rehearse(self, image: Tensor, labels: Tensor) -> None:
        """Do what ``start`` does, without fine-tuning; see ``Rehearses``."""
        self._fitted = self.generic
        slots = torch.arange(1, int(labels[labels != IGNORE].max()) + 1, device=labels.device)
        masks = (labels == slots[:, None, None]).float()
        self._network = with_eight_bits(self._fitted, self._measured(image, masks, WHOLE))
        self._begin(image, masks)

    def optional_stages(self) -> tuple[str, ...]:
        """Return what can be left out: the mirrored pass, where there is one."""
        return ("mirror",) if self.config.mirror else ()

    def skip_stages(self, names: Collection[str]) -> None:
        """Leave out the mirrored pass in the next frame if it is among ``names``."""
        self._mirror = self.config.mirror and "mirror" not in names

    def forget_places(self) -> None:
        """Search all objects in the whole next frame, with the given masks alone."""
        cohorts = []
        for slots, objects in self._cohorts("forget_places"):
            nowhere = (Place(None, 0),) * len(slots)
            cohorts.append((slots, replace(objects, places=nowhere)))
        assert self._now is not None
        self._now = gather(cohorts, self._now.masks.shape[1:])

    @torch.inference_mode()
    def add_objects(self, image: Tensor, labels: Tensor) -> None:
        """Take up further objects; see ``EditsObjects``. The network is not fine-tuned again."""
        cohorts = self._cohorts("add_objects")
        count = sum(len(slots) for slots, _ in cohorts)
        new = torch.arange(count + 1, int(labels[labels != IGNORE].max()) + 1, device=labels.device)
        masks = (labels == new[:, None, None]).float()
        begun = begin_objects(self._network, image, masks, self.config)
        kept = without_pixels(cohorts, masks.amax(0) > 0)
        slots = tuple(range(count, count + len(new)))
        self._edited([*kept, (slots, begun)], image)

    @torch.inference_mode()
    def correct_objects(self, image: Tensor, labels: Tensor, slots: Sequence[int]) -> None:
        """Learn the right masks of some objects; see ``EditsObjects``.

        The corrected frame stays in memory like the first one, its statistics enter the classifier
        with the weight of the first frame's, and what was learned since the last given mask is
        dropped.
        """
        numbers = sorted(slot - 1 for slot in slots)
        wanted = torch.tensor(numbers, device=labels.device)[:, None, None] + 1
        masks = (labels == wanted).float()
        seen = begin_objects(self._network, image, masks, self.config)
        cohorts = without_pixels(self._cohorts("correct_objects"), masks.amax(0) > 0)
        self._edited(correct_members(cohorts, numbers, seen, self.config.corrections), image)

    @torch.inference_mode()
    def remove_objects(self, slots: Sequence[int]) -> None:
        """Forget some objects; see ``EditsObjects``."""
        cohorts = self._cohorts("remove_objects")
        left = without(cohorts, [slot - 1 for slot in slots])
        assert self._now is not None
        self._now, self._pending = gather(left, self._now.masks.shape[1:]), None

    def _cohorts(self, call: str) -> tuple[Cohort, ...]:
        if self._now is None:
            raise RuntimeError(f"TargetModelAdapter.{call} was called before start")
        return cohorts_of(self._now)

    def _edited(self, cohorts: Sequence[Cohort], image: Tensor) -> None:
        self._now, self._pending = gather(cohorts, image.shape[1:]), None

    def seek_start(self) -> None:
        """Return to the state after the first frame; what was learned from it is kept."""
        self._now, self._pending, self._everywhere = self._first, None, False

    @torch.inference_mode()
    def scores(self, image: Tensor) -> ObjectScores:
        """Score a frame.

        Args:
            image: (3, h, w) in [0, 1].

        Returns:
            Object scores (N, h, w) and the probability (h, w) of any object, both in [0, 1].

        Raises:
            RuntimeError: ``start`` has not been called.
        """
        now = self._now
        if now is None:
            raise RuntimeError("TargetModelAdapter.scores was called before start")
        config = self.config
        if config.mirror != self._mirror:
            config = replace(config, mirror=self._mirror)
        found = find_objects(self._network, image, now, config, everywhere=self._everywhere)
        self._everywhere = False
        scores = spread_scores(found, now, image.shape[1:], self.config)
        self._pending, self._presence = found, found.segmentation.presence.sigmoid()
        # There is no foreground model: the foreground is what any of the objects covers.
        return ObjectScores(scores, scores.amax(0))

    def presence(self) -> Tensor | None:
        """Return (N,) the probability of each object's being in the frame scored last."""
        return self._presence

    def look_everywhere(self) -> None:
        """See the whole of the next frame; see ``LooksEverywhere``."""
        self._everywhere = True

    @torch.inference_mode()
    def likeness(self, regions: Tensor) -> Tensor | None:
        """Compare regions of the frame scored last with the given masks; see ``JudgesRegions``."""
        if self._pending is None or self._now is None:
            return None
        return region_likeness(self._network, self._pending, self._now, regions)

    def shared_features(self) -> BackboneFeatures | None:
        """Return the features of the window of the frame scored last; None after ``commit``.

        With ``mirror`` they are those of the frame as it is.
        """
        if self._pending is None or self._now is None:
            return None
        self._fingerprint = self._fingerprint or backbone_fingerprint(self.generic)
        features, window = self._pending.features, self._pending.window
        box = window.shares(self._now.masks.shape[1:])
        return BackboneFeatures(
            self._fingerprint, features.levels[2], features.levels[3], box, window.size
        )

    @torch.inference_mode()
    def commit(self, scores: Tensor, labels: Tensor) -> None:
        """Learn from a frame that is done.

        Args:
            scores: (N, h, w) in [0, 1], as they came out of the filters.
            labels: (h, w) uint8, the final label map, slots 1..N.
        """
        if self._now is None or self._pending is None:
            raise RuntimeError("TargetModelAdapter.commit was called before scores")
        self._now = learn_objects(
            self._network, self._pending, (scores, labels), self._now, self.config
        )
        self._pending = None

    def state_dict(self) -> dict[str, Any]:
        """Return the weights that ``start`` fitted, and the first frame's memory."""
        if self._first is None:
            raise RuntimeError("TargetModelAdapter.state_dict was called before start")
        fitted = self._fitted is not self.generic
        return {
            "network": self._fitted.state_dict() if fitted else {},
            "ranges": ranges_of(self._network),
            "first": self._first.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what ``state_dict`` returned, in place of ``start``."""
        self._fitted = self.generic
        if state["network"]:
            self._fitted = copy.deepcopy(self.generic)
            self._fitted.load_state_dict(state["network"])
        # A machine without fast bytes goes on in floats.
        ranges = state["ranges"] if has_fast_int8() else {}
        self._network = with_eight_bits(self._fitted, ranges)
        self._first = TrackedObjects.from_state(state["first"], None)
        self.seek_start()

    def running_state(self) -> dict[str, Any]:
        """Return what was learned since the first frame."""
        cohorts = self._cohorts("running_state")
        assert self._first is not None
        return {"cohorts": save_cohorts(cohorts, self._first), "everywhere": self._everywhere}

    def load_running_state(self, state: Mapping[str, Any]) -> None:
        """Take up what ``running_state`` returned, after ``load_state_dict``."""
        assert self._first is not None
        cohorts = load_cohorts(state["cohorts"], self._first)
        self._now, self._pending = gather(cohorts, self._first.masks.shape[1:]), None
        self._everywhere = bool(state["everywhere"])
