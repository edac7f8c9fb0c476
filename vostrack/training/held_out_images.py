"""How well a network marks what is held out, image by image."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from vostrack.checks import check_not_empty
from vostrack.datasets.augmentation import IGNORE

__all__ = ["judge_foreground", "mean_iou"]


def mean_iou(scores: Tensor, truth: Tensor) -> float:
    """Return the mean IoU (J) of masks with their truth, over the labelled pixels.

    Args:
        scores: (B, H, W) in [0, 1]; a mask is where they are over one half.
        truth: (B, H, W) of 0, 1 and 255, which does not count. A mask without truth and without
            pixels has an IoU of 1.
    """
    known = truth != IGNORE
    found, right = (scores > 0.5) & known, truth == 1
    both = (found & right).sum((1, 2)).double()
    either = (found | right).sum((1, 2)).double()
    return float(torch.where(either > 0, both / either.clamp(min=1), 1.0).mean())


def judge_foreground(
    samples: Sequence[tuple[Tensor, Tensor]],
) -> Callable[[nn.Module], dict[str, float]]:
    """Return a judge of foreground networks: the mean IoU over whole images.

    Args:
        samples: images (3, H, W) uint8 with labels (H, W) of 0, 1 and 255.

    Raises:
        InputError: there is none.
    """
    check_not_empty(samples, "image that is held out")

    def judge(network: nn.Module) -> dict[str, float]:
        device = next(network.parameters()).device
        values = []
        for image, labels in samples:
            logits = network(image[None].to(device).float() / 255)
            values.append(mean_iou(logits.float().softmax(1)[:, 1].cpu(), labels[None]))
        return {"J": sum(values) / len(values)}

    return judge
