"""Object models by fine-tuning a whole network per object (Cheng et al. 2017, section 3)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Generator, Tensor

from vostrack.compute.precision import Precision, autocast
from vostrack.datasets.augmentation import IGNORE
from vostrack.errors import InputError
from vostrack.models.foreground import SegmentationNet, build_network
from vostrack.online_finetune.full_network.finetune import FinetuneConfig, finetune

__all__ = ["FullNetworkAdapter", "FullNetworkConfig"]

# Told what is being fitted, the steps done and the steps in all.
OnProgress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class FullNetworkConfig:
    """Which networks are fitted to a video, and how.

    Attributes:
        foreground: how the generic network becomes this video's foreground model. Zero steps
            leave it as it is: the paper's row "-FT".
        objects: how an object model is made from the foreground model.
        per_video: one model with N + 1 outputs in place of N models (the paper's table 1).
        share_single: with one object, foreground and object are the same thing: fit one network,
            with the steps of ``objects``, and use it for both.
        seed: of the augmentations.
        precision: see ``vostrack.compute.precision``.
    """

    foreground: FinetuneConfig = field(default_factory=FinetuneConfig)
    objects: FinetuneConfig = field(default_factory=FinetuneConfig)
    per_video: bool = False
    share_single: bool = False
    seed: int = 0
    precision: Precision = "auto"


class FullNetworkAdapter:
    """A foreground model and the object models of one video. Implements ``ObjectAdapter``."""

    def __init__(
        self,
        generic: SegmentationNet,
        config: FullNetworkConfig | None = None,
        *,
        on_progress: OnProgress | None = None,
    ) -> None:
        """Take the generic network; it is copied, never changed.

        Args:
            generic: a network with two outputs, on the device to work on.
            config: how it is fitted.
            on_progress: told of every fine-tuning step.

        Raises:
            InputError: the network has another number of outputs.
        """
        if generic.outputs != 2:
            raise InputError(
                "the generic network needs two outputs (background, foreground), "
                f"got {generic.outputs}"
            )
        self.config = config or FullNetworkConfig()
        self.on_progress = on_progress
        self._generic = generic.eval()
        self._foreground: SegmentationNet | None = None
        self._objects: list[SegmentationNet] = []

    def start(self, image: Tensor, labels: Tensor) -> None:
        """Fit the models of a video.

        Args:
            image: (3, h, w) in [0, 1], on the device of the generic network.
            labels: (h, w) int64; 0 background, 1..N the slots, 255 void.
        """
        count = int(labels[labels != IGNORE].max())
        if count == 1 and self.config.share_single and not self.config.per_video:
            network = self._fit(self._generic, image, labels, 1, "object 1", self.config.objects)
            self._foreground, self._objects = network, [network]
            return
        foreground = labels.where((labels == 0) | (labels == IGNORE), 1)
        self._foreground = self._fit(
            self._generic, image, foreground, 0, "foreground", self.config.foreground
        )
        if self.config.per_video:
            wide = _with_outputs(self._foreground, count + 1)
            fitted = self._fit(wide, image, labels, 1, "all objects", self.config.objects)
            self._objects = [fitted]
            return
        self._objects = []
        for slot in range(1, count + 1):
            target = (labels == slot).long().masked_fill(labels == IGNORE, IGNORE)
            name = f"object {slot} of {count}"
            self._objects.append(
                self._fit(self._foreground, image, target, slot, name, self.config.objects)
            )

    def scores(self, image: Tensor) -> tuple[Tensor, Tensor | None]:
        """Score a frame.

        Args:
            image: (3, h, w) in [0, 1].

        Returns:
            Object scores (N, h, w) and the foreground probability (h, w), both in [0, 1]. The
            scores of a per-video model are each object's probability against the background's, so
            that 0.5 is where an object becomes likelier than the background.

        Raises:
            RuntimeError: ``start`` has not been called.
        """
        if self._foreground is None:
            raise RuntimeError("FullNetworkAdapter.scores was called before start")
        foreground = self._probabilities(self._foreground, image)
        if self.config.per_video:
            every = self._probabilities(self._objects[0], image)
            return every[1:] / (every[1:] + every[:1]).clamp(min=1e-12), foreground[1]
        if self._objects[0] is self._foreground:
            return foreground[1:], foreground[1]
        scores = [self._probabilities(network, image)[1] for network in self._objects]
        return torch.stack(scores), foreground[1]

    def presence(self) -> None:
        """Return None: the scores are all these models say."""

    def commit(self, scores: Tensor, labels: Tensor) -> None:
        """Do nothing: the paper's models learn from the first frame only."""

    def seek_start(self) -> None:
        """Do nothing: nothing changes after the first frame."""

    def running_state(self) -> dict[str, Any]:
        """Return nothing: nothing changes after the first frame."""
        return {}

    def load_running_state(self, state: Mapping[str, Any]) -> None:
        """Take up nothing."""

    @torch.inference_mode()
    def _probabilities(self, network: SegmentationNet, image: Tensor) -> Tensor:
        with autocast(image.device, self.config.precision):
            logits = network(image[None].contiguous(memory_format=torch.channels_last))
        probabilities: Tensor = logits[0].softmax(0)
        return probabilities

    def _fit(
        self,
        source: SegmentationNet,
        image: Tensor,
        target: Tensor,
        stream: int,
        name: str,
        config: FinetuneConfig,
    ) -> SegmentationNet:
        """Copy ``source`` and fit the copy; ``stream`` gives each model its own random numbers."""
        network = copy.deepcopy(source)
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
        """Return the weights of every model that ``start`` fitted."""
        if self._foreground is None:
            raise RuntimeError("FullNetworkAdapter.state_dict was called before start")
        shared = self._objects[0] is self._foreground
        return {
            "foreground": self._foreground.state_dict(),
            "objects": [] if shared else [network.state_dict() for network in self._objects],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what ``state_dict`` returned, in place of ``start``."""
        self._foreground = copy.deepcopy(self._generic)
        self._foreground.load_state_dict(state["foreground"])
        self._objects = [] if state["objects"] else [self._foreground]
        for weights in state["objects"]:
            outputs = len(weights["head.classify.bias"])
            network = copy.deepcopy(self._foreground)
            if outputs != network.outputs:
                network = _with_outputs(network, outputs)
            network.load_state_dict(weights)
            self._objects.append(network)


def _with_outputs(network: SegmentationNet, outputs: int) -> SegmentationNet:
    """Return a copy with ``outputs`` classes, each object starting as the foreground."""
    wide = build_network(network.config, outputs)
    state = network.state_dict()
    for key in ("head.classify.weight", "head.classify.bias"):
        background, foreground = state[key][:1], state[key][1:2]
        state[key] = torch.cat([background, *[foreground] * (outputs - 1)])
    wide.load_state_dict(state)
    return wide.to(next(network.parameters()).device).eval()
