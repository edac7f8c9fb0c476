"""Fine-tune a target network on pairs of augmented first frames (Lucid-style)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from vostrack.arrays import FloatArray, UInt8Array
from vostrack.checks import check_fraction
from vostrack.compute.precision import Precision, autocast
from vostrack.errors import InputError
from vostrack.models.memory_cues import Memory
from vostrack.models.target_net import TargetNet
from vostrack.online_finetune.first_frame_augmentation import (
    FirstFrameAugmentationConfig,
    FirstFrameAugmenter,
    draw_first_frame_augmentation,
)
from vostrack.online_finetune.mask_perturbation import perturb_mask
from vostrack.online_finetune.target.adamw import AdamW
from vostrack.online_finetune.target.window import Window, WindowConfig, choose_window, mask_box

__all__ = [
    "LabelledFrame",
    "OnProgress",
    "TargetFinetuneConfig",
    "finetune_target_net",
    "target_loss",
]

# An image (3, H, W) in [0, 1], and its labels (H, W) int64: 0 background, 1..N slots, 255 void.
LabelledFrame = tuple[Tensor, Tensor]

# Called with what is fine-tuned, the steps done and the total number of steps.
OnProgress = Callable[[str, int, int], None]

# Samples in which no object has this many pixels are not used.
_SMALLEST = 50


@dataclass(frozen=True)
class TargetFinetuneConfig:
    """How the network is fine-tuned on the first frame.

    Attributes:
        steps: optimisation steps; 0 leaves the network unchanged.
        batch: samples per step.
        references: number of frames that memories are made from, including the first frame. The
            frozen stages of the backbone are computed for them once.
        learning_rate: initial rate of the decoder and the cues; it decays to 0 along a cosine.
        backbone_share: learning rate of the last backbone stage, as a share of ``learning_rate``.
            Earlier stages stay frozen, because all videos have their features in common.
        weight_decay: of AdamW.
        previous_known: share of the samples that include a mask of the previous frame, in [0, 1].
        later_share: share of the samples that are made from later frames, where there are any, in
            [0, 1].
        pixels: maximum number of pixels of a training window.
        augmentation: how the samples are drawn.
    """

    steps: int = 28
    batch: int = 1
    references: int = 4
    learning_rate: float = 4e-4
    backbone_share: float = 0.15
    weight_decay: float = 1e-3
    previous_known: float = 0.7
    later_share: float = 0.5
    pixels: int = 320 * 320
    augmentation: FirstFrameAugmentationConfig = field(default_factory=FirstFrameAugmentationConfig)

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            InputError: a number is out of its range.
        """
        if self.steps < 0 or self.batch < 1 or self.references < 1:
            raise InputError(
                f"fine-tuning: expected steps >= 0, batch >= 1 and references >= 1, got {self}"
            )
        check_fraction(self, "previous_known", "later_share")


def target_loss(logits: Tensor, mask: Tensor) -> Tensor:
    """Cross-entropy plus soft Dice of each object.

    Args:
        logits: (N, 1, h, w), at any size.
        mask: (N, 1, H, W) in [0, 1].

    Returns:
        A scalar.
    """
    if logits.shape != mask.shape:
        logits = F.interpolate(logits, size=mask.shape[-2:], mode="bilinear", align_corners=False)
    probability = logits.sigmoid()
    overlap = (probability * mask).sum((1, 2, 3))
    # The 50 pixels keep an absent object from asking for Dice 1 and small ones from jumping.
    total = probability.sum((1, 2, 3)) + mask.sum((1, 2, 3))
    dice = 1 - (2 * overlap + 50) / (total + 50)
    return F.binary_cross_entropy_with_logits(logits, mask) + dice.mean()


def finetune_target_net(
    network: TargetNet,
    image: Tensor,
    labels: Tensor,
    config: TargetFinetuneConfig,
    *,
    later: Sequence[LabelledFrame] = (),
    seed: int = 0,
    precision: Precision = "auto",
    on_progress: OnProgress | None = None,
) -> None:
    """Fine-tune ``network`` on one frame, in place, and leave it in evaluation mode.

    Every sample is a pair of augmented frames: a memory is made from the first, and the second is
    segmented with it. The previous mask is missing, or has the errors of a tracker.

    Args:
        network: on its device.
        image: (3, H, W) in [0, 1], on the same device.
        labels: (H, W) int64; 0 background, 1..N the slots, 255 void.
        config: how to fine-tune.
        later: further frames of the video, in each of which every object has pixels. Memories are
            made from them, too, and ``later_share`` of the samples.
        seed: of every random choice.
        precision: see ``vostrack.compute.precision``.
        on_progress: called after every step.
    """
    augmenters = [_augmenter(*frame) for frame in ((image, labels), *later)]
    pairs = _Pairs(augmenters, config, image.device, precision)
    generator = Generator().manual_seed(seed)
    backbone, head = _trainable(network)
    groups = [
        (backbone, config.learning_rate * config.backbone_share),
        (head, config.learning_rate),
    ]
    optimizer = AdamW(groups, config.weight_decay)
    pairs.prepare(network, generator)
    for step in range(config.steps):
        loss = pairs.loss(network, generator)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_([*backbone, *head], 2.0)
        optimizer.step(0.5 * (1 + math.cos(math.pi * step / config.steps)))
        if on_progress is not None:
            on_progress("objects", step + 1, config.steps)
    network.requires_grad_(True).eval()


def _augmenter(image: Tensor, labels: Tensor) -> FirstFrameAugmenter:
    frame = (image * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    return FirstFrameAugmenter(frame, labels.byte().cpu().numpy())


def _trainable(network: TargetNet) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Freeze the backbone but for its last stage; return what is trained of backbone and rest."""
    network.freeze_early_stages()
    inside = {id(p) for p in network.backbone.parameters()}
    trained = [p for p in network.parameters() if p.requires_grad]
    return (
        [p for p in trained if id(p) in inside],
        [p for p in trained if id(p) not in inside],
    )


_Sample = tuple[Tensor, Tensor]
# Early feature maps, masks (N, 1, h, w) in the window, positions of its cells.
_Reference = tuple[tuple[Tensor, ...], Tensor, Tensor]


class _Pairs:
    """Draws the samples of the first frame and of later ones.

    As in tracking, only the backbone may compute in bfloat16. With the decoder in it too, the
    result lost up to 0.004 of J&F.
    """

    def __init__(
        self,
        augmenters: Sequence[FirstFrameAugmenter],
        config: TargetFinetuneConfig,
        device: torch.device,
        precision: Precision,
    ) -> None:
        self.augmenters, self.config, self.device = augmenters, config, device
        self.precision = precision
        self.frame = augmenters[0].labels.shape
        self.count = len(augmenters[0].boxes)
        self.references: list[_Reference] = []
        # Coarse steps: every sample has its own window, and a small number of shapes is faster.
        self.window = WindowConfig(pixels=config.pixels, step=64)

    def prepare(self, network: TargetNet, generator: Generator) -> None:
        """Draw the references, and run the frozen part of the backbone on them."""
        plain = [self._unchanged(augmenter) for augmenter in self.augmenters]
        first = self.augmenters[0]
        drawn = [self._augmented(first, generator) for _ in range(self.config.references - 1)]
        for image, masks in [*plain, *drawn]:
            window = self._window(masks.amax(0), self.window)
            with torch.no_grad(), autocast(self.device, self.precision):
                early = network.early_levels(window.crop(image))
            places = window.positions(self.device)
            self.references.append((early, window.crop(masks[:, None]), places))

    def loss(self, network: TargetNet, generator: Generator) -> Tensor:
        """Draw a reference, and a batch to be segmented from it; return their mean loss."""
        u = float(torch.rand(1, generator=generator))
        # Half of the memories are the first frame itself, with which tracking starts.
        index = 0 if u < 0.5 else int((2 * u - 1) * len(self.references))
        early, masks, places = self.references[index]
        with autocast(self.device, self.precision):
            features = network.complete(early).float()
        memory = network.remember(features, masks, places)
        losses = [self._segment(network, memory, generator) for _ in range(self.config.batch)]
        return torch.stack(losses).mean()

    def _segment(self, network: TargetNet, memory: Memory, generator: Generator) -> Tensor:
        """Draw a frame to be segmented, and return its loss."""
        query, truth = self._augmented(self._drawn(generator), generator)
        u = torch.rand(3, generator=generator).tolist()
        near = torch.full((self.count,), float(u[0] < self.config.previous_known))
        before = torch.stack([perturb_mask(mask, generator) for mask in truth])
        window = self._window(before.amax(0), replace(self.window, grow=1.5 + 0.9 * u[1]))
        unit = float(max(window.box[2] - window.box[0], window.box[3] - window.box[1]))
        places = window.positions(self.device) / unit
        # A pasted object may have come from anywhere: all memory cells are equally near.
        middle = places.mean((2, 3))[..., None].expand_as(memory.positions)
        with autocast(self.device, self.precision):
            features = network.features(window.crop(query)).float()
        found = network(
            features,
            places,
            ([memory], [replace(memory, positions=middle)]),
            memory.statistics,
            window.crop(before[:, None]).to(self.device),
            near.to(self.device),
        )
        return target_loss(found.logits.float(), (window.crop(truth[:, None]) > 0.5).float())

    def _drawn(self, generator: Generator) -> FirstFrameAugmenter:
        """Draw the frame that a sample is made from."""
        later = len(self.augmenters) - 1
        if not later or float(torch.rand(1, generator=generator)) >= self.config.later_share:
            return self.augmenters[0]
        return self.augmenters[1 + int(torch.randint(later, (1,), generator=generator))]

    def _augmented(self, augmenter: FirstFrameAugmenter, generator: Generator) -> _Sample:
        """Draw a sample in which at least one object is visible."""
        for _ in range(10):
            params = draw_first_frame_augmentation(
                self.config.augmentation, generator, augmenter.boxes, self.frame
            )
            image, labels = augmenter.apply(params)
            if ((labels > 0) & (labels <= self.count)).sum() >= _SMALLEST:
                return self._sample(image, labels)
        return self._unchanged(augmenter)

    def _unchanged(self, augmenter: FirstFrameAugmenter) -> _Sample:
        return self._sample((augmenter.frame / 255).astype(np.float32), augmenter.labels)

    def _sample(self, image: FloatArray, labels: UInt8Array) -> _Sample:
        """Return the image (1, 3, H, W) and the masks (N, H, W)."""
        pixels = torch.from_numpy(image).permute(2, 0, 1)[None].to(self.device)
        slots = torch.arange(1, self.count + 1)[:, None, None]
        return pixels, (torch.from_numpy(labels) == slots).float().to(self.device)

    def _window(self, mask: Tensor, config: WindowConfig) -> Window:
        return choose_window(mask_box(mask > 0.5), self.frame, config)
