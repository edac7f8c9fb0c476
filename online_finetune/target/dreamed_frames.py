"""Altered copies of the first frame, and what the fixed stages of the backbone make of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from torch import Generator, Tensor

from vostrack.arrays import FloatArray, UInt8Array
from vostrack.online_finetune.first_frame_augmentation import (
    FirstFrameAugmentationConfig,
    FirstFrameAugmenter,
    draw_first_frame_augmentation,
)
from vostrack.online_finetune.mask_perturbation import perturb_mask
from vostrack.online_finetune.target.fixed_part import FixedFeatures
from vostrack.online_finetune.target.given_frames import void_in
from vostrack.online_finetune.target.window import Window, WindowConfig, choose_window, mask_box

__all__ = ["DreamedFrame", "FrameDreamer"]

# Samples in which no object has this many pixels are not used.
_SMALLEST = 50


@dataclass(frozen=True)
class DreamedFrame:
    """A frame in a window.

    Attributes:
        early: feature maps of the fixed part of the backbone.
        masks: (N, H, W) uint8, 0 or 1, in the frame.
        window: what the network sees of the frame.
        objects: which objects the N masks are of, ascending.
        void: (H, W) bool, where the masks say nothing; None where that is nowhere.
    """

    early: FixedFeatures
    masks: Tensor
    window: Window
    objects: tuple[int, ...]
    void: Tensor | None = None

    def shared(self, other: DreamedFrame) -> tuple[int, ...]:
        """Return the objects that another frame has, too."""
        return tuple(number for number in self.objects if number in other.objects)

    def of(self, objects: tuple[int, ...]) -> DreamedFrame:
        """Return the frame with some of its objects."""
        if objects == self.objects:
            return self
        chosen = [self.objects.index(number) for number in objects]
        return replace(self, masks=self.masks[chosen], objects=objects)

    @cached_property
    def truth(self) -> Tensor:
        """The masks (N, 1, h, w) in [0, 1] in the window."""
        return self.window.crop(self.masks[:, None].float())

    @cached_property
    def known(self) -> Tensor | None:
        """In the window, (1, 1, h, w): 0 for void pixels, else 1; None where none is void."""
        return self.window.known(self.void)


class FrameDreamer:
    """Draws altered copies of one frame.

    Args:
        frame: (H, W, 3) uint8 RGB.
        labels: (H, W) uint8; 0 background, 1..N slots, 255 void.
        config: how strongly to alter.
        window: how windows are laid.
        early: computes the fixed part of the backbone on images (1, 3, h, w) in [0, 1].
        objects: which objects the slots stand for; by default 1..N.
    """

    def __init__(
        self,
        frame: UInt8Array,
        labels: UInt8Array,
        config: FirstFrameAugmentationConfig,
        window: WindowConfig,
        early: Callable[[Tensor], FixedFeatures],
        objects: Sequence[int] = (),
    ) -> None:
        self._augmenter = FirstFrameAugmenter(frame, labels)
        self._objects = tuple(objects) or tuple(range(1, len(self._augmenter.boxes) + 1))
        self._config, self._window, self._early = config, window, early
        self._labels = labels

    @property
    def count(self) -> int:
        """The number of objects."""
        return len(self._objects)

    def original(self) -> DreamedFrame:
        """Return the frame as it is."""
        sample = self._as_it_is()
        return self._seen(sample, self._around(sample.masks, self._window))

    def draw(self, generator: Generator, window: WindowConfig | None = None) -> DreamedFrame:
        """Draw an altered frame, in a window around a guess of where its objects are.

        Args:
            generator: of the random numbers.
            window: how this one's window is laid; None: as all others are.
        """
        sample = self._altered(generator)
        grow = 1.5 + 0.9 * float(torch.rand(1, generator=generator))
        guess = torch.stack([perturb_mask(mask, generator) for mask in sample.masks])
        laid = replace(window or self._window, grow=grow)
        return self._seen(sample, self._around(guess, laid))

    def _altered(self, generator: Generator) -> _Sample:
        """Draw a sample in which at least one object is visible."""
        size, boxes = self._labels.shape, self._augmenter.boxes
        for _ in range(10):
            params = draw_first_frame_augmentation(self._config, generator, boxes, size)
            image, labels = self._augmenter.apply(params)
            masks = self._masks(labels)
            if masks.sum() >= _SMALLEST:
                return _Sample(image, labels, masks)
        return self._as_it_is()

    def _as_it_is(self) -> _Sample:
        image = (self._augmenter.frame / 255).astype(np.float32)
        return _Sample(image, self._labels, self._masks(self._labels))

    def _masks(self, labels: UInt8Array) -> Tensor:
        """Return the masks (N, H, W) uint8 of all slots."""
        slots = torch.arange(1, len(self._augmenter.boxes) + 1, dtype=torch.uint8)
        return (torch.from_numpy(labels) == slots[:, None, None]).to(torch.uint8)

    def _around(self, masks: Tensor, config: WindowConfig) -> Window:
        return choose_window(mask_box(masks.amax(0) > 0), self._labels.shape, config)

    def _seen(self, sample: _Sample, window: Window) -> DreamedFrame:
        pixels = torch.from_numpy(sample.image).permute(2, 0, 1)[None]
        early = self._early(window.crop(pixels))
        device = early.entered.device
        void = void_in(torch.from_numpy(sample.labels), device)
        return DreamedFrame(early, sample.masks.to(device), window, self._objects, void)


class _Sample(NamedTuple):
    """A frame, as it is or altered.

    Attributes:
        image: (H, W, 3) in [0, 1].
        labels: (H, W); 0 background, 1..N slots, 255 void.
        masks: (N, H, W) uint8, 0 or 1.
    """

    image: FloatArray
    labels: UInt8Array
    masks: Tensor
