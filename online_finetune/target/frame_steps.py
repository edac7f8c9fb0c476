"""The two steps of a frame: segment the objects, then update their memory.

Tracking and training call the same functions, so a network is trained in the loop in which it is
used.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from vostrack.models.memory_cues import cover
from vostrack.models.target_net import Features, Segmentation, TargetNet
from vostrack.online_finetune.target.cohorts import Cohorts
from vostrack.online_finetune.target.detached_pieces import drop_detached_pieces
from vostrack.online_finetune.target.eight_bit_stages import tracking_autocast
from vostrack.online_finetune.target.frame_scores import own_scores, spread_logits
from vostrack.online_finetune.target.memory import TargetModelConfig, TrackedObjects
from vostrack.online_finetune.target.places import find_places
from vostrack.online_finetune.target.view import (
    View,
    mirrored_window,
    next_window,
    object_regions,
    units_of_distance,
    window_around,
)
from vostrack.online_finetune.target.window import Window, choose_window

__all__ = ["Drawn", "Finding", "begin_objects", "find_objects", "learn_objects", "spread_scores"]

_Tracked = TypeVar("_Tracked", TrackedObjects, Cohorts, TrackedObjects | Cohorts)

# Pixels that any object, however small, may move by between two frames.
_JITTER = 5


class Drawn(NamedTuple):
    """The masks of N objects in a window of a frame.

    Attributes:
        logits: (N, 1, H/2, W/2).
        before: (N, 1, H, W) in [0, 1], masks of the previous frame in the window.
        window: of the frame.
    """

    logits: Tensor
    before: Tensor
    window: Window


@dataclass(frozen=True)
class Finding:
    """The segmentation of N objects in a frame, before the memory is updated.

    Attributes:
        features: of the window.
        window: the window of the frame that the network saw.
        before: (N, 1, H, W) in [0, 1], masks of the previous frame in the window.
        segmentation: logits of masks, presence and classifier, in the window.
    """

    features: Features
    window: Window
    before: Tensor
    segmentation: Segmentation

    @property
    def drawn(self) -> Drawn:
        """The masks."""
        return Drawn(self.segmentation.logits, self.before, self.window)


def begin_objects(
    network: TargetNet,
    image: Tensor,
    masks: Tensor,
    config: TargetModelConfig,
    void: Tensor | None = None,
) -> TrackedObjects:
    """Make the memory of the first frame.

    Args:
        network: on its device.
        image: (3, h, w) in [0, 1].
        masks: (N, h, w) 0 or 1.
        config: how objects are tracked.
        void: (h, w) bool, pixels of which nothing is known; None: there are none.
    """
    places = find_places(masks)
    window = window_around(places, 1, image.shape[1:], config.window)
    with tracking_autocast(network, image.device, config.precision):
        features = network.features(_seen(network, window, image))
    memory = network.remember(
        features.float(),
        window.crop(masks[:, None]),
        window.positions(image.device),
        known=window.known(void),
    )
    return TrackedObjects(masks, places, memory, [], memory, memory.statistics, None, 0)


def find_objects(
    network: TargetNet,
    image: Tensor,
    now: TrackedObjects | Cohorts,
    config: TargetModelConfig,
    *,
    everywhere: bool = False,
) -> Finding:
    """Segment the objects of a frame.

    Args:
        network: on its device.
        image: (3, h, w) in [0, 1].
        now: the objects after the previous frame.
        config: how objects are tracked.
        everywhere: look at the whole frame, whether an object is lost or not.
    """
    near = [place.area >= config.smallest for place in now.places]
    window = (
        choose_window(None, image.shape[1:], config.window)
        if everywhere
        else next_window(now, not all(near), image.shape[1:], config)
    )
    view = _view(network, window, image, now, near, config)
    features, found = _look(network, view, now, near, config)
    if config.mirror:
        second = mirrored_window(window, now.places, config)
        other = view if second is window else _view(network, second, image, now, near, config)
        _, mirrored = _look(network, other.mirrored(), now, near, config)
        found = _mean(found, mirrored)
    return Finding(features, window, view.before, found)


def _seen(network: TargetNet, window: Window, image: Tensor) -> Tensor:
    """Cut an image (3, h, w) in [0, 1] for a network: (1, 3, H, W)."""
    return (window.crop_bytes if network.reads_bytes else window.crop)(image[None])


def _view(
    network: TargetNet,
    window: Window,
    image: Tensor,
    now: TrackedObjects | Cohorts,
    near: Sequence[bool],
    config: TargetModelConfig,
) -> View:
    regions = None
    if all(near):
        regions = object_regions(now.places, window, image.shape[1:], config.window)
    return View(
        _seen(network, window, image),
        window.positions(image.device),
        window.crop(now.masks[:, None], antialias=False),
        regions,
    )


def _mean(found: Segmentation, mirrored: Segmentation) -> Segmentation:
    """Average with what was found in the mirrored window, which may have another size."""
    logits = mirrored.logits.flip(-1)
    if logits.shape != found.logits.shape:
        size = found.logits.shape[-2:]
        logits = F.interpolate(logits, size=size, mode="bilinear", align_corners=False)
    return Segmentation(
        (found.logits + logits) / 2,
        (found.presence + mirrored.presence) / 2,
        found.classified,
        found.read,
    )


def spread_scores(
    drawn: Drawn, now: TrackedObjects | Cohorts, size: Sequence[int], config: TargetModelConfig
) -> Tensor:
    """Return scores (N, h, w) in [0, 1] for a frame of ``size`` = h and w; not differentiable."""
    logits, window = drawn.logits.detach(), drawn.window
    if config.continuity is not None:
        per_pixel = logits.shape[-1] / (window.box[2] - window.box[0])
        reaches = [
            round((config.continuity * math.sqrt(place.area) + _JITTER) * per_pixel)
            if place.area >= config.smallest
            else -1
            for place in now.places
        ]
        before = cover(drawn.before, logits.shape[-2:])
        logits = drop_detached_pieces(logits, before, reaches)
    return spread_logits(logits, window, size)


def learn_objects(
    network: TargetNet,
    finding: Finding,
    masks: tuple[Tensor, Tensor],
    now: _Tracked,
    config: TargetModelConfig,
    sure: Sequence[bool] | None = None,
) -> _Tracked:
    """Return the objects after a finished frame.

    Args:
        network: on its device.
        finding: of the frame.
        masks: scores (N, h, w) in [0, 1], and the label map (h, w) uint8 of slots 1..N.
        now: the objects before the frame.
        config: how objects are tracked.
        sure: see ``TrackedObjects.after``.
    """
    scores, labels = masks
    own = own_scores(scores, labels)
    memory = network.remember(
        finding.features,
        finding.window.crop(own[:, None], antialias=False),
        finding.window.positions(scores.device),
        confident=config.adapt == "confident",
    )
    return now.after(own, memory, config, sure)


def _look(
    network: TargetNet,
    view: View,
    now: TrackedObjects | Cohorts,
    near: Sequence[bool],
    config: TargetModelConfig,
) -> tuple[Features, Segmentation]:
    """Return the features of the window, and what is found in it of all objects.

    Which objects are near is known on the host: the device is not waited for.
    """
    with tracking_autocast(network, view.image.device, config.precision):
        features = network.features(view.image).float()
    groups = now.groups(near)
    if len(groups) == 1:
        return features, _segment(network, features, view, groups[0].objects, near[0], config)
    deep = features.levels[3].shape[-2:]
    logits = now.masks.new_empty((len(near), 1, *features.levels[0].shape[-2:]))
    classified = now.masks.new_empty((len(near), 1, *deep))
    presence = now.masks.new_empty(len(near))
    reads: list[tuple[tuple[int, ...], Tensor]] = []
    for members, objects, kind in groups:
        index = torch.tensor(members, device=now.masks.device)
        regions = view.regions.part(members) if view.regions is not None else None
        part = replace(view, before=view.before[index], regions=regions)
        found = _segment(network, features, part, objects, kind, config)
        logits[index], presence[index] = found.logits, found.presence
        classified[index] = found.classified
        assert found.read is not None
        reads.append((members, found.read))
    read = reads[0][1].new_empty((len(near), *reads[0][1].shape[1:]))
    for members, own in reads:
        read[list(members)] = own
    return features, Segmentation(logits, presence, classified, read)


def _segment(
    network: TargetNet,
    features: Features,
    view: View,
    objects: TrackedObjects,
    near: bool,
    config: TargetModelConfig,
) -> Segmentation:
    """Segment objects that are all near or all lost."""
    unit = units_of_distance(objects, config.window).view(-1, 1, 1)
    # Objects that are lost have no place, and nothing that was learned without a sure presence.
    recent = objects.recent if near else objects.given[-1]
    recent = replace(recent, positions=recent.positions / unit)
    imagined = () if near else objects.imagined
    trusted = [*objects.given, *imagined, *objects.kept]
    statistics = objects.anywhere() if imagined else objects.statistics(config.recent_share)
    found: Segmentation = network(
        features,
        view.places / unit[..., None],
        (trusted, [recent]),
        statistics,
        view.before,
        objects.masks.new_ones(len(objects.masks)) if near else None,
        view.regions,
        only_present=_only_present(near, view, config),
    )
    return found


def _only_present(near: bool, view: View, config: TargetModelConfig) -> bool:
    """Tell whether only objects that are in sight are drawn: what is lost and absent is nowhere.

    With a mirrored view both have to be known before. On a GPU the host would wait.
    """
    on_host = view.before.device.type == "cpu"
    return on_host and not (near or config.mirror or torch.is_grad_enabled())
