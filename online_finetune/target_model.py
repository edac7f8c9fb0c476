"""Small target models over shared features: one backbone pass a frame, whatever the objects."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from vostrack.datasets.augmentation import IGNORE
from vostrack.models.precision import autocast
from vostrack.models.target_net import Features, Segmentation, TargetNet
from vostrack.online_finetune.target_finetune import OnProgress, finetune_target_net
from vostrack.online_finetune.target_memory import TargetModelConfig, TrackedObjects
from vostrack.online_finetune.window import Box, Window, choose_window, mask_box

__all__ = ["TargetModelAdapter", "TargetModelConfig"]


class TargetModelAdapter:
    """The objects of one video as memories of a target network. Implements ``ObjectAdapter``.

    Memory is bounded: the first frame, ``memories`` later ones, and the one just before.
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
        self._generic = generic.eval()
        self._network = self._generic
        self._first: TrackedObjects | None = None
        self._now: TrackedObjects | None = None
        self._pending: tuple[Features, Window] | None = None
        self._presence: Tensor | None = None

    def start(self, image: Tensor, labels: Tensor) -> None:
        """Learn the objects of a video.

        Args:
            image: (3, h, w) in [0, 1], on the device of the network.
            labels: (h, w) int64; 0 background, 1..N the slots, 255 void.
        """
        self._network = self._generic
        if self.config.finetune.steps:
            self._network = copy.deepcopy(self._generic)
            finetune_target_net(
                self._network,
                image,
                labels,
                self.config.finetune,
                seed=self.config.seed,
                precision=self.config.precision,
                on_progress=self.on_progress,
            )
        count = int(labels[labels != IGNORE].max())
        slots = torch.arange(1, count + 1, device=labels.device)[:, None, None]
        self._begin(image, (labels == slots).float())

    @torch.inference_mode()
    def _begin(self, image: Tensor, masks: Tensor) -> None:
        window = choose_window(_union(masks, 1), image.shape[1:], self.config.window)
        with autocast(image.device, self.config.precision):
            features = self._network.features(window.crop(image[None]))
        memory = self._network.remember(
            _floats(features), window.crop(masks[:, None]), window.positions(image.device)
        )
        self._first = TrackedObjects(masks, memory, [], memory, memory.statistics, None, 0)
        self._now = self._first

    def rewind(self) -> None:
        """Go back to the first frame; what was learnt from it is kept."""
        self._now, self._pending = self._first, None

    @torch.inference_mode()
    def scores(self, image: Tensor) -> tuple[Tensor, Tensor | None]:
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
        masks = now.masks
        areas = (masks > 0.5).sum((1, 2))
        near = (areas >= self.config.smallest).float()
        window = self._window(masks, near, now.frames + 1, image.shape[1:])
        features, logits, presence = self._look(image, window, near, mirrored=False)
        if self.config.mirror:
            _, other, also = self._look(image, window, near, mirrored=True)
            logits, presence = (logits + other.flip(-1)) / 2, (presence + also) / 2
        logits = F.interpolate(logits, size=window.size, mode="bilinear", align_corners=False)
        scores = window.paste(logits.sigmoid(), image.shape[1:])[:, 0]
        self._pending, self._presence = (features, window), presence.sigmoid()
        # There is no foreground model: the foreground is what any of the objects covers.
        return scores, 1 - (1 - scores).prod(0)

    def presence(self) -> Tensor | None:
        """Return (N,) the probability of each object's being in the frame scored last."""
        return self._presence

    @torch.inference_mode()
    def commit(self, scores: Tensor, labels: Tensor) -> None:
        """Learn from a frame that is done.

        Args:
            scores: (N, h, w) in [0, 1], as they came out of the filters.
            labels: (h, w) uint8, the final label map, slots 1..N.
        """
        now, pending, config = self._now, self._pending, self.config
        if now is None or pending is None:
            raise RuntimeError("TargetModelAdapter.commit was called before scores")
        features, window = pending
        slots = torch.arange(1, len(scores) + 1, device=labels.device)[:, None, None]
        # What another object won is not this one's, however high its own score.
        masks = scores * ((labels == slots) | (labels == 0))
        masks = masks.half().float()  # so that a saved state is half as large and still exact
        memory = self._network.remember(
            features,
            window.crop(masks[:, None]),
            window.positions(scores.device),
            confident=config.adapt == "confident",
        )
        seen = (masks > 0.5).sum((1, 2)) >= config.smallest
        self._now = now.after(masks, memory, seen, config)
        self._pending = None

    def _look(
        self, image: Tensor, window: Window, near: Tensor, *, mirrored: bool
    ) -> tuple[Features, Tensor, Tensor]:
        """Return the features of the window, the logits (N, 1, h2, w2) and of presence (N,)."""
        now = self._now
        assert now is not None
        places, before = window.positions(image.device), window.crop(now.masks[:, None])
        seen = window.crop(image[None])
        if mirrored:
            seen, places, before = seen.flip(-1), places.flip(-1), before.flip(-1)
        with autocast(image.device, self.config.precision):
            features = self._network.features(seen)
        features = _floats(features)
        logits = before.new_empty((len(before), 1, *features.levels[0].shape[-2:]))
        presence = before.new_empty(len(before))
        # Objects that are lost have no place, and compare with the first frame only.
        for group in (near > 0).nonzero()[:, 0], (near == 0).nonzero()[:, 0]:
            if len(group):
                objects = now.part(group)
                found = self._segment(features, places, objects, before[group], near[group])
                logits[group], presence[group] = found.logits, found.presence
        return features, logits, presence

    def _segment(
        self,
        features: Features,
        places: Tensor,
        objects: TrackedObjects,
        before: Tensor,
        near: Tensor,
    ) -> Segmentation:
        """Segment objects that are all near or all lost."""
        unit = self._units(objects.masks).view(-1, 1, 1)
        recent = objects.recent if bool(near[0]) else objects.first
        recent = replace(recent, positions=recent.positions / unit)
        found: Segmentation = self._network(
            features,
            places / unit[..., None],
            ([objects.first, *objects.kept], [recent]),
            objects.statistics(self.config.recent_share),
            before,
            near,
        )
        return found

    def _window(self, masks: Tensor, near: Tensor, frame: int, size: torch.Size) -> Window:
        lost = bool((near == 0).any())
        if not bool(near.any()) or (lost and frame % self.config.search_every == 0):
            return choose_window(None, size, self.config.window)
        return choose_window(_union(masks, self.config.smallest), size, self.config.window)

    def _units(self, masks: Tensor) -> Tensor:
        """Return (N,) the unit of distance of each object: about the window it would have alone."""
        units = []
        for mask in masks:
            box = mask_box(mask > 0.5)
            side = max(box[2] - box[0], box[3] - box[1]) if box is not None else max(mask.shape)
            units.append(self.config.window.grow * side + self.config.window.margin)
        return masks.new_tensor(units)

    def state_dict(self) -> dict[str, Any]:
        """Return the weights that ``start`` fitted, and the first frame's memory."""
        if self._first is None:
            raise RuntimeError("TargetModelAdapter.state_dict was called before start")
        fitted = self._network is not self._generic
        return {
            "network": self._network.state_dict() if fitted else {},
            "first": self._first.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what ``state_dict`` returned, in place of ``start``."""
        self._network = self._generic
        if state["network"]:
            self._network = copy.deepcopy(self._generic)
            self._network.load_state_dict(state["network"])
        self._first = TrackedObjects.from_state(state["first"], None)
        self.rewind()

    def running_state(self) -> dict[str, Any]:
        """Return what was learnt since the first frame."""
        if self._now is None:
            raise RuntimeError("TargetModelAdapter.running_state was called before start")
        # The first frame's memory is in ``state_dict`` already.
        return {k: v for k, v in self._now.state_dict().items() if k != "first"}

    def load_running_state(self, state: Mapping[str, Any]) -> None:
        """Take up what ``running_state`` returned, after ``load_state_dict``."""
        self._now, self._pending = TrackedObjects.from_state(state, self._first), None


def _union(masks: Tensor, smallest: int) -> Box | None:
    """Return the box around all masks (N, h, w) of at least ``smallest`` pixels."""
    present = [mask > 0.5 for mask in masks if int((mask > 0.5).sum()) >= smallest]
    return mask_box(torch.stack(present).any(0)) if present else None


def _floats(features: Features) -> Features:
    """Return the features in float32: similarities and the solver need its precision."""
    f2, f4, f8, f16 = (level.float() for level in features.levels)
    return Features((f2, f4, f8, f16), features.key.float(), features.embedding.float())
