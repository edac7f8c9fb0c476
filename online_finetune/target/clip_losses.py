"""What a target network gets wrong on a clip that it follows as the tracker does."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from vostrack.masks.palette import VOID
from vostrack.models.memory_cues import cover
from vostrack.models.target_net import TargetNet
from vostrack.online_finetune.mask_perturbation import perturb_mask
from vostrack.online_finetune.target.confirmation import trusted_presence
from vostrack.online_finetune.target.frame_pairs import mean_of_known, target_loss
from vostrack.online_finetune.target.frame_steps import (
    Finding,
    begin_objects,
    find_objects,
    learn_objects,
    spread_scores,
)
from vostrack.online_finetune.target.given_frames import void_in
from vostrack.online_finetune.target.memory import TargetModelConfig, TrackedObjects
from vostrack.online_finetune.target.places import Place, find_places
from vostrack.online_finetune.target.training_clip import TrainingClip
from vostrack.tracking.fusion import label_map

__all__ = ["clip_losses", "rivals_loss"]

# An object of fewer pixels of the window is as good as absent.
_PRESENT = 30


def clip_losses(
    network: TargetNet, clip: TrainingClip, config: TargetModelConfig, truth_share: float
) -> dict[str, Tensor]:
    """Follow all objects of a clip from its first frame, and compare with the truth.

    The loop is the tracker's: windows around the masks just found, one label map for all objects,
    memories and a classifier that learn from the network's own masks. No gradient goes back
    through a mask; it does through what is made of it. What the network says of void pixels does
    not matter.

    Args:
        network: in training.
        clip: on the network's device.
        config: how objects are followed.
        truth_share: share of frames from which a degraded truth is learned instead.

    Returns:
        Means over the later frames: ``mask`` (cross-entropy and Dice of each object), ``rivals``
        (see ``rivals_loss``), ``classifier``, ``presence``, and ``confirmed``: the presence that
        trusted memories tell.
    """
    images, labels = clip["images"].float() / 255, clip["labels"]
    void = [void_in(each) for each in labels]
    count = int(labels[0].masked_fill(labels[0] == VOID, 0).max())
    slots = torch.arange(1, count + 1, device=labels.device)
    truth = (labels[:, None] == slots[:, None, None]).float()
    generator = Generator().manual_seed(clip["seed"])
    with torch.autocast(images.device.type, enabled=False):
        now = begin_objects(network, images[0], truth[0], config, void[0])
        if clip["lost"]:
            now = replace(now, places=(Place(None, 0),) * len(slots))
        later = 1
        if clip["resumed"] and len(images) > 2:
            now, later = _resumed(network, images[1], truth[1], now, config), 2
        every = []
        for frame in range(later, len(images)):
            image, masks = images[frame], truth[frame]
            finding = find_objects(network, image, now, config)
            told = trusted_presence(network, finding, now, config)
            every.append(_frame_losses(finding, told, masks, void[frame]))
            with torch.no_grad():
                found = _found(finding, masks, now, config, generator, truth_share)
            now = learn_objects(network, finding, found, now, config)
    return {name: torch.stack([losses[name] for losses in every]).mean() for name in every[0]}


def _resumed(
    network: TargetNet,
    image: Tensor,
    masks: Tensor,
    now: TrackedObjects,
    config: TargetModelConfig,
) -> TrackedObjects:
    """Return the objects after a frame in which masks (N, h, w) were found, wherever they were."""
    there = replace(now, masks=masks, places=find_places(masks))
    finding = find_objects(network, image, there, config)
    return learn_objects(network, finding, (masks, label_map(masks)), there, config)


def _found(
    finding: Finding,
    truth: Tensor,
    now: TrackedObjects,
    config: TargetModelConfig,
    generator: Generator,
    truth_share: float,
) -> tuple[Tensor, Tensor]:
    """Return scores and label map to learn from: the network's own, or a degraded truth."""
    if float(torch.rand(1, generator=generator)) < truth_share:
        scores = torch.stack([perturb_mask(mask.cpu(), generator) for mask in truth])
        scores = scores.to(truth.device)
    else:
        scores = spread_scores(finding.drawn, now, truth.shape[1:], config)
    return scores, label_map(scores)


def _frame_losses(
    finding: Finding, told: Tensor, truth: Tensor, void: Tensor | None
) -> dict[str, Tensor]:
    """Compare what was found in the window with the truth (N, h, w) of the frame.

    The logits (N,) ``told`` are of the presence, from trusted memories; ``void`` (h, w) is bool,
    and None where there is none.
    """
    wanted = finding.window.crop(truth[:, None])
    found = finding.segmentation
    logits = F.interpolate(
        found.logits, size=wanted.shape[-2:], mode="bilinear", align_corners=False
    )
    size, weights, sure = found.classified.shape[-2:], None, None
    known = finding.window.known(void)
    if known is not None:
        wanted = wanted * known
        weights = cover(known, size)
    shares = cover(wanted, size)
    if weights is not None:
        shares = shares / weights.clamp(min=1e-6)
    present = (wanted.sum((1, 2, 3)) >= _PRESENT).float()
    if known is not None:
        # An object that is not seen may be in the void.
        sure = present.maximum(((1 - known).sum() < _PRESENT).float())
    classified = F.mse_loss(found.classified, shares * 2 - 1, reduction="none")
    presence, confirmed = (
        F.binary_cross_entropy_with_logits(said, present, reduction="none")
        for said in (found.presence, told)
    )
    return {
        "mask": target_loss(logits, wanted, known),
        "rivals": rivals_loss(logits, wanted, known),
        "classifier": mean_of_known(classified, weights),
        "presence": mean_of_known(presence, sure),
        "confirmed": mean_of_known(confirmed, sure),
    }


def rivals_loss(logits: Tensor, masks: Tensor, known: Tensor | None = None) -> Tensor:
    """Cross-entropy of the label map: background and N objects compete for each pixel.

    With the background's logit at 0, the largest of the N + 1 logits is what
    ``vostrack.tracking.fusion.label_map`` gives: the object of the highest score, where that is at
    least one half.

    Args:
        logits: (N, 1, h, w).
        masks: (N, 1, h, w) shares in [0, 1] of each pixel, their sum over N at most 1.
        known: (1, 1, h, w), 0 for the pixels that do not count, else 1; None counts all.

    Returns:
        A scalar, the mean over pixels; 0 for one object, which has no rival.
    """
    if len(logits) == 1:
        return logits.sum() * 0
    scores = torch.cat([torch.zeros_like(logits[:1]), logits])[:, 0]
    wanted = torch.cat([(1 - masks.sum(0, keepdim=True)).clamp(min=0), masks])[:, 0]
    entropy = -(wanted * scores.log_softmax(0)).sum(0)
    return mean_of_known(entropy, None if known is None else known[0, 0])
