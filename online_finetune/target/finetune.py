"""Fine-tune a target network on pairs of augmented first frames (Lucid-style)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from vostrack.checks import check_fraction
from vostrack.compute.precision import Precision, autocast
from vostrack.datasets.augmentation import IGNORE
from vostrack.errors import InputError
from vostrack.models.memory_cues import Memory
from vostrack.models.target_net import Features, TargetNet
from vostrack.online_finetune.first_frame_augmentation import FirstFrameAugmentationConfig
from vostrack.online_finetune.mask_perturbation import perturb_mask
from vostrack.online_finetune.target.adamw import AdamW
from vostrack.online_finetune.target.dreamed_frames import DreamedFrame, FrameDreamer
from vostrack.online_finetune.target.window import WindowConfig

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
        single_rate: initial rate in its place for an object that is alone, if the network has a
            second backbone; None: ``learning_rate``.
        blocks: number of blocks of the backbone's last stage that are trained, from the end; those
            before it stay fixed, because all videos have their features in common.
        backbone_share: learning rate of these blocks, as a share of ``learning_rate``.
        follow_memories: whether these blocks also learn from what they made of the frame that the
            memory is of, and not only of the frame that is segmented.
        weight_decay: of AdamW.
        previous_known: share of the samples that include a mask of the previous frame, in [0, 1].
        later_share: share of the altered frames that are made from later frames of the video, where
            there are any, in [0, 1].
        pixels: maximum number of pixels of a training window.
        augmentation: how the samples are drawn.
    """

    steps: int = 28
    batch: int = 1
    frames: int | None = 8
    references: int = 4
    learning_rate: float = 4e-4
    single_rate: float | None = None
    blocks: int = 1
    backbone_share: float = 0.15
    follow_memories: bool = False
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
        counts = (self.batch, self.references, self.blocks)
        if self.steps < 0 or min(*counts, 1 if self.frames is None else self.frames) < 1:
            raise InputError(
                "fine-tuning: expected steps >= 0, and batch, frames, references and blocks >= 1, "
                f"got {self}"
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

    Every sample is a pair of altered frames: a memory is made from the first, and the second is
    segmented with it. The previous mask is missing, or has the errors of a tracker.

    Args:
        network: on its device.
        image: (3, H, W) in [0, 1], on the same device.
        labels: (H, W) int64; 0 background, 1..N the slots, 255 void.
        config: how to fine-tune.
        later: further frames of the video, in each of which every object has pixels. Memories are
            made from them, too, and ``later_share`` of the altered frames.
        seed: of every random choice.
        precision: see ``vostrack.compute.precision``.
        on_progress: called after every step.
    """
    generator = Generator().manual_seed(seed)
    backbone, head = _trainable(network, config.blocks)
    rate = config.learning_rate
    alone = int(labels[labels != IGNORE].max()) == 1
    if alone and network.semantic is not None and config.single_rate is not None:
        rate = config.single_rate
    groups = [(backbone, rate * config.backbone_share), (head, rate)]
    optimizer = AdamW(groups, config.weight_decay)
    pairs = _Pairs(network, config, precision)
    pairs.prepare((image, labels), later, generator)
    for step in range(config.steps):
        loss = pairs.loss(generator)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_([*backbone, *head], 2.0)
        optimizer.step(0.5 * (1 + math.cos(math.pi * step / config.steps)))
        if on_progress is not None:
            on_progress("objects", step + 1, config.steps)
    network.requires_grad_(True).eval()


def _trainable(network: TargetNet, blocks: int) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Freeze the backbone but for its last blocks; return what is trained of backbone and rest."""
    network.freeze_early_stages()
    network.backbone.requires_grad_(False)
    for block in _last_blocks(network, blocks)[1]:
        block.requires_grad_(True)
    inside = {id(p) for p in network.backbone.parameters()}
    trained = [p for p in network.parameters() if p.requires_grad]
    return (
        [p for p in trained if id(p) in inside],
        [p for p in trained if id(p) not in inside],
    )


def _last_blocks(network: TargetNet, count: int) -> tuple[list[nn.Module], list[nn.Module]]:
    """Return the blocks of the last stage before the last ``count``, and these."""
    blocks = list(network.backbone.last_stage.children())
    fixed = max(0, len(blocks) - count)
    return blocks[:fixed], blocks[fixed:]


class _Pairs:
    """Draws pairs of frames, and computes their losses.

    As in tracking, only the backbone may compute in bfloat16. With the decoder in it too, the
    result lost up to 0.004 of J&F.
    """

    def __init__(
        self, network: TargetNet, config: TargetFinetuneConfig, precision: Precision
    ) -> None:
        self.network, self.config, self.precision = network, config, precision
        self.device = network.mean.device
        self.fixed, self.trained = _last_blocks(network, config.blocks)
        self.frames: list[DreamedFrame] = []
        self.references: list[DreamedFrame] = []
        self.drawn = 0
        # Coarse steps: every sample has its own window, and a small number of shapes is faster.
        self.window = WindowConfig(pixels=config.pixels, step=64)

    def prepare(
        self, first: LabelledFrame, later: Sequence[LabelledFrame], generator: Generator
    ) -> None:
        """Draw the altered frames, and run the fixed part of the backbone on them."""
        self.dreamer = self._dreamer(*first)
        self.later = [self._dreamer(*frame) for frame in later]
        count = max(self.config.frames or 0, self.config.references - 1)
        drawn = [self._source(number).draw(generator) for number in range(count)]
        self.frames = [self.dreamer.original(), *drawn]
        known = [dreamer.original() for dreamer in self.later]
        self.references = [*self.frames[: self.config.references], *known]

    def _source(self, number: int) -> FrameDreamer:
        """Return what the altered frame of this number is made from."""
        share = self.config.later_share
        turn = int((number + 1) * share)
        if self.later and turn > int(number * share):
            return self.later[(turn - 1) % len(self.later)]
        return self.dreamer

    def _dreamer(self, image: Tensor, labels: Tensor) -> FrameDreamer:
        frame = (image * 255).round().byte().permute(1, 2, 0).cpu().numpy()
        slots = labels.byte().cpu().numpy()
        return FrameDreamer(frame, slots, self.config.augmentation, self.window, self._early)

    @torch.no_grad()
    def _early(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return what the trained blocks get of an image, and the early levels."""
        with autocast(self.device, self.precision):
            early = self.network.early_levels(image.to(self.device))
            entered = early[2]
            for block in self.fixed:
                entered = block(entered)
        # Half as many bytes: they are kept until the end.
        return entered, *(x.half() if x.dtype == torch.float32 else x for x in early)

    def _features(self, frame: DreamedFrame, *, gradients: bool) -> Features:
        """Run the rest of the backbone, with or without gradients in the trained blocks."""
        deep, *early = (x.float() for x in frame.early)
        with autocast(self.device, self.precision):
            with torch.set_grad_enabled(gradients):
                for block in self.trained:
                    deep = block(deep)
            return self.network.described(tuple(early), deep).float()

    def loss(self, generator: Generator) -> Tensor:
        """Draw a batch of frames, and one to make a memory of; return the mean loss."""
        batch = [self._next(generator) for _ in range(self.config.batch)]
        memory = self._memory(self._reference(generator, batch))
        losses = [self._segment(frame, memory, generator) for frame in batch]
        return torch.stack(losses).mean()

    def _next(self, generator: Generator) -> DreamedFrame:
        """Return the next frame to be segmented."""
        number, self.drawn = self.drawn, self.drawn + 1
        if self.config.frames is None:
            return self._source(number).draw(generator)
        return self.frames[1 + number % self.config.frames]

    def _reference(self, generator: Generator, others: Sequence[DreamedFrame]) -> DreamedFrame:
        """Draw a frame to make a memory of: one of the references that is not among the others."""
        u = float(torch.rand(1, generator=generator))
        # Half of the memories are the first frame itself, with which tracking starts.
        number = 0 if u < 0.5 else int((2 * u - 1) * len(self.references))
        chosen = self.references[number]
        return self.frames[0] if any(chosen is other for other in others) else chosen

    def _memory(self, frame: DreamedFrame) -> Memory:
        """Make a memory."""
        features = self._features(frame, gradients=self.config.follow_memories)
        return self.network.remember(features, frame.truth(), frame.window.positions(self.device))

    def _segment(self, frame: DreamedFrame, memory: Memory, generator: Generator) -> Tensor:
        """Segment a frame, and return the loss."""
        window = frame.window
        near = float(torch.rand(1, generator=generator)) < self.config.previous_known
        before = torch.stack([perturb_mask(mask, generator) for mask in frame.masks])
        unit = float(max(window.box[2] - window.box[0], window.box[3] - window.box[1]))
        places = window.positions(self.device) / unit
        # A pasted object may have come from anywhere: all memory cells are equally near.
        middle = places.mean((2, 3))[..., None].expand_as(memory.positions)
        found = self.network(
            self._features(frame, gradients=True),
            places,
            ([memory], [replace(memory, positions=middle)]),
            memory.statistics,
            window.crop(before[:, None].to(self.device)),
            torch.full((len(before),), float(near), device=self.device),
        )
        return target_loss(found.logits.float(), (frame.truth() > 0.5).float())
