"""Fine-tune a target network on pairs of augmented first frames (Lucid-style)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Generator, Tensor, nn

from vostrack.checks import check_fraction
from vostrack.compute.precision import Precision
from vostrack.errors import InputError
from vostrack.models.target_net import TargetNet
from vostrack.online_finetune.first_frame_augmentation import FirstFrameAugmentationConfig
from vostrack.online_finetune.optimizers import AdamW
from vostrack.online_finetune.target.frame_pairs import (
    FramePairs,
    LabelledFrame,
    last_blocks,
    target_loss,
)

__all__ = [
    "LabelledFrame",
    "OnProgress",
    "TargetFinetuneConfig",
    "finetune_target_net",
    "target_loss",
]

# Called with what is fine-tuned, the steps done and the total number of steps.
OnProgress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class TargetFinetuneConfig:
    """How the network is fine-tuned on the first frame.

    Attributes:
        steps: optimisation steps; 0 leaves the network unchanged.
        batch: samples per step.
        frames: number of altered frames that are segmented, in turn. Their previous masks are drawn
            anew every time. The fixed part of the backbone is computed for each once. None: a new
            frame for every sample.
        references: number of frames that memories are made from: the first frame, and altered ones.
        learning_rate: initial rate of the decoder and the cues; it decays to 0 along a cosine.
        blocks: number of blocks of the backbone's last stage that are trained, from the end; those
            before it stay fixed, because all videos have their features in common. 0: the backbone
            stays as it is, so it runs only once on each altered frame. None: 1, and 0 beside a
            second backbone.
        backbone_share: learning rate of these blocks, as a share of ``learning_rate``.
        follow_memories: whether these blocks also learn from what they made of the frame that the
            memory is of, and not only of the frame that is segmented.
        tuned_share: share of the fine-tuned weights in those that are used beside a second
            backbone, in [0, 1]; the rest is the generic network's. Their mean keeps what the first
            frame does not show (Wortsman et al., CVPR 2022, section 3). A network with one backbone
            uses the fine-tuned weights alone.
        weight_decay: of AdamW.
        previous_known: share of the samples that include a mask of the previous frame, in [0, 1].
        later_share: share of the altered frames that are made from later frames of the video, where
            there are any, in [0, 1].
        pixels: maximum number of pixels of a training window.
        second_pixels: of the window of every second altered frame, where there is one object; None:
            as many. It is then learned at two sizes, in less time.
        augmentation: how the samples are drawn.
    """

    steps: int = 28
    batch: int = 1
    frames: int | None = 8
    references: int = 4
    learning_rate: float = 4e-4
    blocks: int | None = None
    backbone_share: float = 0.15
    follow_memories: bool = False
    tuned_share: float = 0.6
    weight_decay: float = 1e-3
    previous_known: float = 0.7
    later_share: float = 0.5
    pixels: int = 320 * 320
    second_pixels: int | None = None
    augmentation: FirstFrameAugmentationConfig = field(default_factory=FirstFrameAugmentationConfig)

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            InputError: a number is out of its range.
        """
        counts = (self.batch, self.references, 1 if self.frames is None else self.frames)
        if min(self.steps, self.blocks or 0) < 0 or min(counts) < 1:
            raise InputError(
                "fine-tuning: expected steps and blocks >= 0, and batch, frames and references >= "
                f"1, got {self}"
            )
        check_fraction(self, "previous_known", "later_share", "tuned_share")

    def trained_blocks(self, network: TargetNet) -> int:
        """Return how many blocks of a network are trained at most."""
        if self.blocks is None:
            return 1 if network.semantic is None else 0
        return self.blocks


def finetune_target_net(
    network: TargetNet,
    image: Tensor,
    labels: Tensor,
    config: TargetFinetuneConfig,
    *,
    later: Sequence[LabelledFrame] = (),
    slots: Sequence[Sequence[int]] | None = None,
    seed: int = 0,
    precision: Precision = "auto",
    on_progress: OnProgress | None = None,
) -> None:
    """Fine-tune ``network`` on one frame, in place, and leave it in evaluation mode.

    Every sample is a pair of altered frames: a memory is made from the first, and the second is
    segmented with it. The previous mask is missing, or has the errors of a tracker.

    Args:
        network: on its device.
        image: (3, H, W) in [0, 1], on the same device.
        labels: (H, W) int64; 0 background, 1..N the slots, 255 void.
        config: how to fine-tune.
        later: further frames of the video, in each of which all of its slots have pixels. Memories
            are made from them, too, and ``later_share`` of the altered frames.
        slots: for each frame, the objects that its slots 1..N stand for; by default the same in all
            frames. An object is learned from pairs of frames that both have it.
        seed: of every random choice.
        precision: see ``vostrack.compute.precision``.
        on_progress: called after every step.
    """
    generator = Generator().manual_seed(seed)
    backbone, head = _trainable(network, config.trained_blocks(network))
    rate = config.learning_rate
    trained = [*backbone, *head]
    generic = [parameter.detach().clone() for parameter in trained]
    groups = [(backbone, rate * config.backbone_share), (head, rate)]
    optimizer = AdamW(groups, config.weight_decay)
    pairs = FramePairs(network, config, precision)
    pairs.prepare([(image, labels), *later], slots, generator)
    for step in range(config.steps):
        loss = pairs.loss(generator)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(trained, 2.0)
        optimizer.step(0.5 * (1 + math.cos(math.pi * step / config.steps)))
        if on_progress is not None:
            on_progress("objects", step + 1, config.steps)
    if network.semantic is not None:
        with torch.no_grad():
            for parameter, before in zip(trained, generic, strict=True):
                parameter.lerp_(before, 1 - config.tuned_share)
    network.requires_grad_(True).eval()


def _trainable(network: TargetNet, blocks: int) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Freeze the backbone but for its last blocks; return what is trained of backbone and rest."""
    network.freeze_early_stages()
    # They only see what is fixed, and so they give the same in every step (see ``FixedPart``).
    for lateral in network.decoder.outline_laterals():
        lateral.requires_grad_(False)
    network.backbone.requires_grad_(False)
    for block in last_blocks(network, blocks)[1]:
        block.requires_grad_(True)
    inside = {id(p) for p in network.backbone.parameters()}
    trained = [p for p in network.parameters() if p.requires_grad]
    return (
        [p for p in trained if id(p) in inside],
        [p for p in trained if id(p) not in inside],
    )
