"""Small target models over shared features: one backbone pass a frame, whatever the objects."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from vostrack.compute.precision import autocast
from vostrack.datasets.augmentation import IGNORE
from vostrack.models.memory_cues import cover
from vostrack.models.shared_backbone import backbone_fingerprint
from vostrack.models.target_net import Features, Segmentation, TargetNet
from vostrack.online_finetune.target.detached_pieces import drop_detached_pieces
from vostrack.online_finetune.target.finetune import OnProgress, finetune_target_net
from vostrack.online_finetune.target.memory import TargetModelConfig, TrackedObjects, find_places
from vostrack.online_finetune.target.view import (
    View,
    next_window,
    object_regions,
    units_of_distance,
    window_around,
)
from vostrack.online_finetune.target.window import Window
from vostrack.protocols import BackboneFeatures, ObjectScores

__all__ = ["TargetModelAdapter", "TargetModelConfig"]

# Pixels that any object, however small, may move by between two frames.
_JITTER = 5


class TargetModelAdapter:
    """The objects of one video as memories of a target network.

    Implements ``ObjectAdapter`` and ``FeatureProvider``. Memory is bounded: the first frame,
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
        self._network = self.generic
        self._first: TrackedObjects | None = None
        self._now: TrackedObjects | None = None
        self._pending: tuple[Features, Window] | None = None
        self._presence: Tensor | None = None
        self._fingerprint: str | None = None

    def start(self, image: Tensor, labels: Tensor) -> None:
        """Learn the objects of a video.

        Args:
            image: (3, h, w) in [0, 1], on the device of the network.
            labels: (h, w) int64; 0 background, 1..N the slots, 255 void.
        """
        self._network = self.generic
        if self.config.finetune.steps:
            self._network = copy.deepcopy(self.generic)
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
        places = find_places(masks)
        window = window_around(places, 1, image.shape[1:], self.config.window)
        with autocast(image.device, self.config.precision):
            features = self._network.features(window.crop(image[None]))
        memory = self._network.remember(
            _floats(features), window.crop(masks[:, None]), window.positions(image.device)
        )
        self._first = TrackedObjects(masks, places, memory, [], memory, memory.statistics, None, 0)
        self._now = self._first

    def seek_start(self) -> None:
        """Go back to the first frame; what was learnt from it is kept."""
        self._now, self._pending = self._first, None

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
        near = now.masks.new_tensor(
            [float(place.area >= self.config.smallest) for place in now.places]
        )
        window = next_window(now, bool((near == 0).any()), image.shape[1:], self.config)
        view = View(
            window.crop(image[None]),
            window.positions(image.device),
            window.crop(now.masks[:, None], antialias=False),
            (
                object_regions(now.places, window, image.shape[1:], self.config.window)
                if bool(near.all())
                else None
            ),
        )
        features, logits, presence = self._look(view, now, near)
        if self.config.mirror:
            _, other, also = self._look(view.mirrored(), now, near)
            logits, presence = (logits + other.flip(-1)) / 2, (presence + also) / 2
        logits = self._continuous(logits, view.before, window, now)
        scores = window.paste(window.spread(logits).sigmoid_(), image.shape[1:])[:, 0]
        self._pending, self._presence = (features, window), presence.sigmoid()
        # There is no foreground model: the foreground is what any of the objects covers.
        return ObjectScores(scores, scores.amax(0))

    def _continuous(
        self, logits: Tensor, before: Tensor, window: Window, now: TrackedObjects
    ) -> Tensor:
        share = self.config.continuity
        if share is None:
            return logits
        per_pixel = logits.shape[-1] / (window.box[2] - window.box[0])
        reaches = [
            round((share * math.sqrt(place.area) + _JITTER) * per_pixel)
            if place.area >= self.config.smallest
            else -1
            for place in now.places
        ]
        return drop_detached_pieces(logits, cover(before, logits.shape[-2:]), reaches)

    def presence(self) -> Tensor | None:
        """Return (N,) the probability of each object's being in the frame scored last."""
        return self._presence

    def shared_features(self) -> BackboneFeatures | None:
        """Return the features of the window of the frame scored last; None after ``commit``.

        With ``mirror`` they are those of the frame as it is.
        """
        if self._pending is None or self._now is None:
            return None
        self._fingerprint = self._fingerprint or backbone_fingerprint(self.generic)
        features, window = self._pending
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
        now, pending, config = self._now, self._pending, self.config
        if now is None or pending is None:
            raise RuntimeError("TargetModelAdapter.commit was called before scores")
        features, window = pending
        slots = torch.arange(1, len(scores) + 1, dtype=labels.dtype, device=labels.device)
        # What another object won is not this one's, however high its own score.
        keep = (labels == slots[:, None, None]).logical_or_(labels == 0)
        masks = keep.view(torch.uint8).to(scores.dtype).mul_(scores)
        memory = self._network.remember(
            features,
            window.crop(masks[:, None], antialias=False),
            window.positions(scores.device),
            confident=config.adapt == "confident",
        )
        self._now = now.after(masks, memory, config)
        self._pending = None

    def _look(
        self, view: View, now: TrackedObjects, near: Tensor
    ) -> tuple[Features, Tensor, Tensor]:
        """Return the features of the window, the logits (N, 1, h2, w2) and of presence (N,)."""
        with autocast(view.image.device, self.config.precision):
            features = _floats(self._network.features(view.image))
        if bool((near == near[0]).all()):
            found = self._segment(features, view, now, near)
            return features, found.logits, found.presence
        logits = near.new_empty((len(near), 1, *features.levels[0].shape[-2:]))
        presence = torch.empty_like(near)
        # Objects that are lost have no place, and compare with the first frame only.
        for group in (near > 0).nonzero()[:, 0], (near == 0).nonzero()[:, 0]:
            part = replace(view, before=view.before[group])
            found = self._segment(features, part, now.part(group), near[group])
            logits[group], presence[group] = found.logits, found.presence
        return features, logits, presence

    def _segment(
        self, features: Features, view: View, objects: TrackedObjects, near: Tensor
    ) -> Segmentation:
        """Segment objects that are all near or all lost."""
        unit = units_of_distance(objects, self.config.window).view(-1, 1, 1)
        recent = objects.recent if bool(near[0]) else objects.first
        recent = replace(recent, positions=recent.positions / unit)
        found: Segmentation = self._network(
            features,
            view.places / unit[..., None],
            ([objects.first, *objects.kept], [recent]),
            objects.statistics(self.config.recent_share),
            view.before,
            near,
            view.regions,
        )
        return found

    def state_dict(self) -> dict[str, Any]:
        """Return the weights that ``start`` fitted, and the first frame's memory."""
        if self._first is None:
            raise RuntimeError("TargetModelAdapter.state_dict was called before start")
        fitted = self._network is not self.generic
        return {
            "network": self._network.state_dict() if fitted else {},
            "first": self._first.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what ``state_dict`` returned, in place of ``start``."""
        self._network = self.generic
        if state["network"]:
            self._network = copy.deepcopy(self.generic)
            self._network.load_state_dict(state["network"])
        self._first = TrackedObjects.from_state(state["first"], None)
        self.seek_start()

    def running_state(self) -> dict[str, Any]:
        """Return what was learnt since the first frame."""
        if self._now is None:
            raise RuntimeError("TargetModelAdapter.running_state was called before start")
        # The first frame's memory is in ``state_dict`` already.
        return {k: v for k, v in self._now.state_dict().items() if k != "first"}

    def load_running_state(self, state: Mapping[str, Any]) -> None:
        """Take up what ``running_state`` returned, after ``load_state_dict``."""
        self._now, self._pending = TrackedObjects.from_state(state, self._first), None


def _floats(features: Features) -> Features:
    """Return the features in float32: similarities and the solver need its precision."""
    f2, f4, f8, f16 = (level.float() for level in features.levels)
    return Features((f2, f4, f8, f16), features.key.float(), features.embedding.float())
