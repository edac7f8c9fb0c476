"""Pairs of altered frames: a memory is made from one, and the other is segmented with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from vostrack.compute.doubling import doubled
from vostrack.compute.precision import Precision, autocast
from vostrack.models.memory_cues import Memory
from vostrack.models.reader_gradients import read_twice
from vostrack.models.target_net import Features, TargetNet
from vostrack.online_finetune.mask_perturbation import perturb_mask
from vostrack.online_finetune.target.dreamed_frames import DreamedFrame, FrameDreamer
from vostrack.online_finetune.target.fixed_part import FixedPart
from vostrack.online_finetune.target.window import Window, WindowConfig

if TYPE_CHECKING:
    from vostrack.online_finetune.target.finetune import TargetFinetuneConfig

__all__ = ["FramePairs", "LabelledFrame", "last_blocks", "target_loss"]

# An image (3, H, W) in [0, 1], and its labels (H, W) int64: 0 background, 1..N slots, 255 void.
LabelledFrame = tuple[Tensor, Tensor]


def target_loss(logits: Tensor, mask: Tensor, known: Tensor | None = None) -> Tensor:
    """Cross-entropy plus soft Dice of each object.

    Args:
        logits: (N, 1, h, w), at any size.
        mask: (N, 1, H, W) in [0, 1].
        known: (1, 1, H, W), 0 for the pixels that do not count, else 1; None counts all.

    Returns:
        A scalar.
    """
    if mask.shape[-2:] == tuple(2 * side for side in logits.shape[-2:]):
        logits = doubled(logits)
    elif logits.shape != mask.shape:
        logits = F.interpolate(logits, size=mask.shape[-2:], mode="bilinear", align_corners=False)
    probability = logits.sigmoid()
    if known is not None:
        probability, mask = probability * known, mask * known
    overlap = (probability * mask).sum((1, 2, 3))
    # The 50 pixels keep an absent object from asking for Dice 1 and small ones from jumping.
    total = probability.sum((1, 2, 3)) + mask.sum((1, 2, 3))
    dice = 1 - (2 * overlap + 50) / (total + 50)
    entropy = F.binary_cross_entropy_with_logits(logits, mask, reduction="none")
    return mean_of_known(entropy, known) + dice.mean()


def mean_of_known(values: Tensor, known: Tensor | None) -> Tensor:
    """Return the mean of values by the weights ``known`` in [0, 1], which broadcast; None: of all.

    Where nothing is known, it is 0.
    """
    if known is None:
        return values.mean()
    weights = known.expand_as(values)
    return (values * weights).sum() / weights.sum().clamp(min=1e-6)


def last_blocks(network: TargetNet, count: int) -> tuple[list[nn.Module], list[nn.Module]]:
    """Return the blocks of the last stage before the last ``count``, and these."""
    blocks = list(network.backbone.last_stage.children())
    fixed = max(0, len(blocks) - count)
    return blocks[:fixed], blocks[fixed:]


class FramePairs:
    """Draws pairs of frames, and computes their losses.

    As in tracking, only the backbone may compute in bfloat16. With the decoder in it too, the
    result lost up to 0.004 of J&F.

    Args:
        network: on its device.
        config: how to fine-tune it.
        precision: see ``vostrack.compute.precision``.
    """

    def __init__(
        self, network: TargetNet, config: TargetFinetuneConfig, precision: Precision
    ) -> None:
        self.network, self.config, self.precision = network, config, precision
        self.device = network.mean.device
        fixed, self.trained = last_blocks(network, config.trained_blocks(network))
        # It knows nothing of this object, so that all frames are freed when this one is.
        self.fixed_part = FixedPart(network, fixed if self.trained else None, precision)
        self.frames: list[DreamedFrame] = []
        self.references: list[DreamedFrame] = []
        self.drawn = 0
        # Coarse steps: every sample has its own window, and a small number of shapes is faster.
        self.window = WindowConfig(pixels=config.pixels, step=64)
        self.smaller = replace(self.window, pixels=config.second_pixels or config.pixels)

    def prepare(
        self,
        frames: Sequence[LabelledFrame],
        slots: Sequence[Sequence[int]] | None,
        generator: Generator,
    ) -> None:
        """Draw the altered frames, and run the fixed part of the backbone on them.

        Args:
            frames: of the video, the first one first; all slots of each have pixels.
            slots: the objects of each frame; see ``finetune_target_net``.
            generator: of the random numbers.
        """
        every = slots or [()] * len(frames)
        self.dreamer, *self.later = (
            self._dreamer(*frame, objects) for frame, objects in zip(frames, every, strict=True)
        )
        count = max(self.config.frames or 0, self.config.references - 1)
        drawn = [self._draw(number, generator) for number in range(count)]
        self.frames = [self.dreamer.original(), *drawn]
        known = [dreamer.original() for dreamer in self.later]
        self.originals = [self.frames[0], *known]
        self.references = [*self.frames[: self.config.references], *known]

    def _draw(self, number: int, generator: Generator) -> DreamedFrame:
        """Draw the altered frame of this number."""
        source = self._source(number)
        window = self.smaller if number % 2 and source.count == 1 else self.window
        return source.draw(generator, window)

    def _source(self, number: int) -> FrameDreamer:
        """Return what the altered frame of this number is made from."""
        share = self.config.later_share
        turn = int((number + 1) * share)
        if self.later and turn > int(number * share):
            return self.later[(turn - 1) % len(self.later)]
        return self.dreamer

    def _dreamer(self, image: Tensor, labels: Tensor, objects: Sequence[int]) -> FrameDreamer:
        frame = (image * 255).round().byte().permute(1, 2, 0).cpu().numpy()
        slots = labels.byte().cpu().numpy()
        return FrameDreamer(
            frame, slots, self.config.augmentation, self.window, self.fixed_part, objects
        )

    def _features(self, frame: DreamedFrame, *, gradients: bool) -> Features:
        """Run the rest of the backbone, with or without gradients in the trained blocks."""
        deep, early = frame.early.entered.float(), frame.early.levels
        with autocast(self.device, self.precision):
            with torch.set_grad_enabled(gradients):
                for block in self.trained:
                    deep = block(deep)
            return self.network.described(early, deep).float()

    def loss(self, generator: Generator) -> Tensor:
        """Draw a batch of frames, and one to make a memory of; return the mean loss."""
        batch = [self._next(generator) for _ in range(self.config.batch)]
        drawn = self._reference(generator, batch)
        memories: dict[tuple[int, tuple[int, ...]], Memory] = {}
        losses = []
        for frame in batch:
            reference, objects = self._comparable(frame, drawn)
            key = id(reference), objects
            if key not in memories:
                memories[key] = self._memory(reference, objects)
            losses.append(self._segment(frame, memories[key], objects, generator))
        return torch.stack(losses).mean()

    def _comparable(
        self, frame: DreamedFrame, reference: DreamedFrame
    ) -> tuple[DreamedFrame, tuple[int, ...]]:
        """Return a reference that has objects of the frame, the one given if possible, and these.

        Every frame has at least one: that which it was made from.
        """
        shared = [frame.shared(other) for other in (reference, *self.originals)]
        best = 0 if shared[0] else max(range(len(shared)), key=lambda k: len(shared[k]))
        return (reference, *self.originals)[best], shared[best]

    def _next(self, generator: Generator) -> DreamedFrame:
        """Return the next frame to be segmented."""
        number, self.drawn = self.drawn, self.drawn + 1
        if self.config.frames is None:
            return self._draw(number, generator)
        return self.frames[1 + number % self.config.frames]

    def _reference(self, generator: Generator, others: Sequence[DreamedFrame]) -> DreamedFrame:
        """Draw a frame to make a memory of: one of the references that is not among the others."""
        u = float(torch.rand(1, generator=generator))
        # Half of the memories are the first frame itself, with which tracking starts.
        number = 0 if u < 0.5 else int((2 * u - 1) * len(self.references))
        chosen = self.references[number]
        return self.frames[0] if any(chosen is other for other in others) else chosen

    def _memory(self, frame: DreamedFrame, objects: tuple[int, ...]) -> Memory:
        """Make a memory of some objects."""
        features = self._features(frame, gradients=self.config.follow_memories)
        truth = frame.of(objects).truth
        positions = frame.window.positions(self.device)
        return self.network.remember(features, truth, positions, known=frame.known)

    def _segment(
        self,
        frame: DreamedFrame,
        memory: Memory,
        objects: tuple[int, ...],
        generator: Generator,
    ) -> Tensor:
        """Segment some objects of a frame, and return the loss."""
        frame, window = frame.of(objects), frame.window
        near = (torch.rand(1, generator=generator) < self.config.previous_known).float()
        near = near.to(self.device)
        before = torch.stack([perturb_mask(mask, generator) for mask in frame.masks])
        features, known = self._features(frame, gradients=True), near.expand(len(before))
        reads = self._reads(features, window, memory, known)
        seen = window.crop(before[:, None].to(self.device), antialias=False)
        found = self.network.decoded(features, reads, memory.statistics, (seen, known))
        return target_loss(found.logits.float(), (frame.truth > 0.5).float(), frame.known)

    def _reads(
        self, features: Features, window: Window, memory: Memory, near: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return what both readers make of a memory."""
        unit = float(max(window.box[2] - window.box[0], window.box[3] - window.box[1]))
        places = window.positions(self.device) / unit
        # A pasted object may have come from anywhere: all memory cells are equally near.
        middle = places.mean((2, 3))[..., None].expand_as(memory.positions)
        readers = self.network.first_reader, self.network.recent_reader
        return read_twice(readers, features.key, places, replace(memory, positions=middle), near)
