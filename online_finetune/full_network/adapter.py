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
        share_single: if there is one object, foreground and object are identical: fine-tune one
            network as in ``objects`` and use it for both.
        seed: seed of the augmentations.
        precision: see ``vostrack.compute.precision``.
    """

    foreground: FinetuneConfig = field(default_factory=FinetuneConfig)
    objects: FinetuneConfig = field(default_factory=FinetuneConfig)
    per_video: bool = False
    share_single: bool = False
    seed: int = 0
    precision: Precision = "auto"


class FullNetworkAdapter:
    """Fine-tuned foreground and object models of one video. Implements ``ObjectAdapter``."""

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

    def start(self, image: Tensor, labels: Tensor) -> None:
        """Fine-tune the models of a video.

        Args:
            image: (3, h, w) in [0, 1], on the device of the generic network.
            labels: (h, w) int64; 0 background, 1..N object slots, 255 void.
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
        foreground = self._probabilities(self._foreground, image)
        if self.config.per_video:
            every = self._probabilities(self._objects[0], image)
            scores = every[1:] / (every[1:] + every[:1]).clamp(min=1e-12)
            return ObjectScores(scores, foreground[1])
        if self._objects[0] is self._foreground:
            return ObjectScores(foreground[1:], foreground[1])
        maps = [self._probabilities(network, image)[1] for network in self._objects]
        return ObjectScores(torch.stack(maps), foreground[1])

    def presence(self) -> None:
        """Return None: these models do not estimate presence."""

    def commit(self, scores: Tensor, labels: Tensor) -> None:
        """Do nothing: these models learn from the first frame only."""

    def seek_start(self) -> None:
        """Do nothing: nothing changes after the first frame."""

    def running_state(self) -> dict[str, Any]:
        """Return an empty state: nothing changes after the first frame."""
        return {}

    def load_running_state(self, state: Mapping[str, Any]) -> None:
        """Do nothing: the running state is empty."""

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
        """Fine-tune a copy of ``source``. Each ``stream`` has its own random numbers."""
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
        """Return the weights of every model that ``start`` fine-tuned."""
        if self._foreground is None:
            raise RuntimeError("FullNetworkAdapter.state_dict was called before start")
        shared = self._objects[0] is self._foreground
        return {
            "foreground": self._foreground.state_dict(),
            "objects": [] if shared else [network.state_dict() for network in self._objects],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load the result of ``state_dict``, instead of calling ``start``."""
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
    """Return a copy with ``outputs`` classes; each object class starts as the foreground."""
    wide = build_network(network.config, outputs)
    state = network.state_dict()
    for key in ("head.classify.weight", "head.classify.bias"):
        background, foreground = state[key][:1], state[key][1:2]
        state[key] = torch.cat([background, *[foreground] * (outputs - 1)])
    wide.load_state_dict(state)
    return wide.to(next(network.parameters()).device).eval()
