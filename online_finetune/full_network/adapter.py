"""Object models by fine-tuning a whole network per object (Cheng et al. 2017, section 3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Generator, Tensor

from vostrack.compute.precision import Precision
from vostrack.datasets.augmentation import IGNORE
from vostrack.errors import InputError
from vostrack.models.foreground import SegmentationNet
from vostrack.online_finetune.full_network.finetune import FinetuneConfig, finetune
from vostrack.online_finetune.full_network.networks import (
    copy_to_learn,
    probabilities,
    saved_weights,
    weights_or_place,
    with_classes,
    with_outputs,
    with_weights,
)
from vostrack.protocols import ObjectScores

__all__ = ["FullNetworkAdapter", "FullNetworkConfig"]

# Called with the name of the model being fine-tuned, the steps done and the total steps.
OnProgress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class FullNetworkConfig:
    """Which networks are fine-tuned on a video, and how.

    Attributes:
        foreground: fine-tuning of the generic network into this video's foreground model. Zero
            steps leave it unchanged (row "-FT" of the paper's ablation).
        objects: fine-tuning of the foreground model into an object model.
        per_video: one model with N + 1 outputs instead of N models (the paper's table 1).
        semantic: whether the networks also see the second backbone of the shipped target network,
            which never changes; the paper's do not.
        share_single: if there is one object, foreground and object are identical: fine-tune one
            network as in ``objects`` and use it for both.
        seed: seed of the augmentations.
        precision: see ``vostrack.compute.precision``.
    """

    foreground: FinetuneConfig = field(default_factory=FinetuneConfig)
    objects: FinetuneConfig = field(default_factory=FinetuneConfig)
    per_video: bool = False
    share_single: bool = False
    semantic: bool = False
    seed: int = 0
    precision: Precision = "auto"


@dataclass(frozen=True)
class _Fitted:
    """The models at one time; see the attributes of ``FullNetworkAdapter``."""

    foreground: SegmentationNet
    objects: tuple[SegmentationNet, ...]
    classes: tuple[int, ...]


class FullNetworkAdapter:
    """Fine-tuned foreground and object models of one video.

    Implements ``ObjectAdapter`` and ``EditsObjects``.
    """

    def __init__(
        self,
        generic: SegmentationNet,
        config: FullNetworkConfig | None = None,
        *,
        on_progress: OnProgress | None = None,
    ) -> None:
        """Create the adapter.

        Args:
            generic: a network with two outputs, on the device to use. It is copied, never changed.
            config: how to fine-tune it.
            on_progress: called after every fine-tuning step with the name of the model, the steps
                done and the total steps.

        Raises:
            InputError: the network does not have two outputs.
        """
        if generic.outputs != 2:
            raise InputError(
                "generic network: expected two outputs (background, foreground), "
                f"got {generic.outputs}; build it with outputs=2"
            )
        self.config = config or FullNetworkConfig()
        self.on_progress = on_progress
        self._generic = generic.eval()
        self._foreground: SegmentationNet | None = None
        self._objects: list[SegmentationNet] = []
        # Per-video: the class of each slot in the one network.
        self._classes: list[int] = []
        self._started: _Fitted | None = None

    def start(self, image: Tensor, labels: Tensor) -> None:
        """Fine-tune the models of a video.

        Args:
            image: (3, h, w) in [0, 1], on the device of the generic network.
            labels: (h, w) int64; 0 background, 1..N object slots, 255 void.
        """
        self._start(image, labels)
        self._begin()

    def _start(self, image: Tensor, labels: Tensor) -> None:
        count = int(labels[labels != IGNORE].max())
        self._classes = list(range(1, count + 1))
        if count == 1 and self.config.share_single and not self.config.per_video:
            network = self._fit(self._generic, image, labels, 1, "object 1", self.config.objects)
            self._foreground, self._objects = network, [network]
            return
        foreground = labels.where((labels == 0) | (labels == IGNORE), 1)
        self._foreground = self._fit(
            self._generic, image, foreground, 0, "foreground", self.config.foreground
        )
        if self.config.per_video:
            wide = with_outputs(self._foreground, count + 1)
            fitted = self._fit(wide, image, labels, 1, "all objects", self.config.objects)
            self._objects = [fitted]
            return
        self._objects = [
            self._fit_object(self._foreground, image, labels, slot, count)
            for slot in range(1, count + 1)
        ]

    def rehearse(self, image: Tensor, labels: Tensor) -> None:
        """Do what ``start`` does, without fine-tuning; see ``Rehearses``."""
        count = int(labels[labels != IGNORE].max())
        self._foreground, self._classes = self._generic, [1] * count
        self._objects = [self._generic] * (1 if self.config.per_video else count)
        self._begin()

    def add_objects(self, image: Tensor, labels: Tensor) -> None:
        """Take up further objects; see ``EditsObjects``.

        The foreground model is fine-tuned again on all objects of this frame, and a model is
        fine-tuned for each new object, or the one model of all objects with new outputs.
        """
        foreground = self._fit_foreground(image, labels)
        before, count = len(self._classes), int(labels[labels != IGNORE].max())
        if self.config.per_video:
            wide = with_classes(self._objects[0], self._classes, foreground, count)
            self._objects = [self._fit(wide, image, labels, 1, "all objects", self.config.objects)]
        else:
            fitted = [
                self._fit_object(foreground, image, labels, slot, count)
                for slot in range(before + 1, count + 1)
            ]
            self._objects = [*self._objects, *fitted]
        self._classes = list(range(1, count + 1))
        self._foreground = foreground

    def correct_objects(self, image: Tensor, labels: Tensor, slots: Sequence[int]) -> None:
        """Fine-tune the models of some objects further, on this frame; see ``EditsObjects``."""
        count = len(self._classes)
        if self.config.per_video:
            assert self._foreground is not None
            same = with_classes(self._objects[0], self._classes, self._foreground, count)
            self._objects = [self._fit(same, image, labels, 1, "all objects", self.config.objects)]
            self._classes = list(range(1, count + 1))
            self._foreground = self._fit_foreground(image, labels)
            return
        shared = self._objects[0] is self._foreground
        fitted = {
            slot - 1: self._fit_object(self._objects[slot - 1], image, labels, slot, count)
            for slot in slots
        }
        self._objects = [fitted.get(k, network) for k, network in enumerate(self._objects)]
        self._foreground = self._objects[0] if shared else self._fit_foreground(image, labels)

    def remove_objects(self, slots: Sequence[int]) -> None:
        """Forget the models of some objects; see ``EditsObjects``."""
        kept = [k for k in range(len(self._classes)) if k + 1 not in set(slots)]
        self._classes = [self._classes[k] for k in kept]
        if not self.config.per_video:
            self._objects = [self._objects[k] for k in kept]

    def _fit_foreground(self, image: Tensor, labels: Tensor) -> SegmentationNet:
        """Fine-tune the foreground model further, on all objects of a frame."""
        assert self._foreground is not None
        target = labels.where((labels == 0) | (labels == IGNORE), 1)
        return self._fit(self._foreground, image, target, 0, "foreground", self.config.foreground)

    def _fit_object(
        self, source: SegmentationNet, image: Tensor, labels: Tensor, slot: int, count: int
    ) -> SegmentationNet:
        target = (labels == slot).long().masked_fill(labels == IGNORE, IGNORE)
        name = f"object {slot} of {count}"
        return self._fit(source, image, target, slot, name, self.config.objects)

    def scores(self, image: Tensor) -> ObjectScores:
        """Compute the score maps of a frame.

        Args:
            image: (3, h, w) in [0, 1].

        Returns:
            Object scores (N, h, w) and foreground probability (h, w), both in [0, 1]. A per-video
            model scores each object against the background alone: above 0.5 the object is more
            likely than the background.

        Raises:
            RuntimeError: ``start`` has not been called.
        """
        if self._foreground is None:
            raise RuntimeError("FullNetworkAdapter.scores was called before start")
        if self._objects[0] is self._foreground:
            (foreground,) = probabilities([self._foreground], image, self.config.precision)
            return ObjectScores(foreground[1:], foreground[1])
        networks = [self._foreground, *self._objects]
        foreground, *maps = probabilities(networks, image, self.config.precision)
        if self.config.per_video:
            (every,) = maps
            objects = every[self._classes]
            return ObjectScores(objects / (objects + every[:1]).clamp(min=1e-12), foreground[1])
        return ObjectScores(torch.stack([scores[1] for scores in maps]), foreground[1])

    def presence(self) -> None:
        """Return None: these models do not estimate presence."""

    def commit(self, scores: Tensor, labels: Tensor) -> None:
        """Do nothing: these models learn from given masks only."""

    def _begin(self) -> None:
        assert self._foreground is not None
        self._started = _Fitted(self._foreground, tuple(self._objects), tuple(self._classes))

    def seek_start(self) -> None:
        """Return to the models that ``start`` fine-tuned."""
        if self._started is not None:
            self._foreground = self._started.foreground
            self._objects = list(self._started.objects)
            self._classes = list(self._started.classes)

    def running_state(self) -> dict[str, Any]:
        """Return the models that changed after the first frame; nothing if none did."""
        started = self._started
        if started is None or self._foreground is None:
            raise RuntimeError("FullNetworkAdapter.running_state was called before start")
        now = _Fitted(self._foreground, tuple(self._objects), tuple(self._classes))
        if now == started:
            return {}
        known = [started.foreground, *started.objects, self._foreground]
        return {
            "foreground": weights_or_place(self._foreground, known[:-1]),
            "objects": [weights_or_place(network, known) for network in self._objects],
            "classes": list(self._classes),
        }

    def load_running_state(self, state: Mapping[str, Any]) -> None:
        """Load the result of ``running_state``, after ``load_state_dict``."""
        self.seek_start()
        if not state:
            return
        assert self._started is not None
        known = [self._started.foreground, *self._started.objects]
        self._foreground = self._restored(state["foreground"], known)
        known.append(self._foreground)
        self._objects = [self._restored(saved, known) for saved in state["objects"]]
        self._classes = list(state["classes"])

    def _restored(
        self, saved: int | Mapping[str, Tensor], known: Sequence[SegmentationNet]
    ) -> SegmentationNet:
        return known[saved] if isinstance(saved, int) else with_weights(self._generic, saved)

    def _fit(
        self,
        source: SegmentationNet,
        image: Tensor,
        target: Tensor,
        stream: int,
        name: str,
        config: FinetuneConfig,
    ) -> SegmentationNet:
        """Fine-tune a copy of ``source``. Each ``stream`` has its own random numbers."""
        network = copy_to_learn(source, backbone=bool(config.learning_rate))
        generator = Generator().manual_seed(self.config.seed * 1009 + stream)
        report = self.on_progress

        def on_step(done: int, _loss: float) -> None:
            if report is not None:
                report(name, done, config.steps)

        finetune(
            network,
            image,
            target,
            config,
            generator,
            precision=self.config.precision,
            on_step=on_step,
        )
        return network

    def state_dict(self) -> dict[str, Any]:
        """Return the weights of every model that ``start`` fine-tuned."""
        started = self._started
        if started is None:
            raise RuntimeError("FullNetworkAdapter.state_dict was called before start")
        shared = started.objects[0] is started.foreground
        return {
            "foreground": saved_weights(started.foreground),
            "objects": [] if shared else [saved_weights(network) for network in started.objects],
            "classes": list(started.classes),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load the result of ``state_dict``, instead of calling ``start``."""
        self._foreground = with_weights(self._generic, state["foreground"])
        self._objects = [with_weights(self._generic, weights) for weights in state["objects"]]
        self._objects = self._objects or [self._foreground]
        self._classes = list(state["classes"])
        self._begin()
