"""How well a propagation network restores masks that it has not learned from."""

from __future__ import annotations

from collections.abc import Callable

from torch import Generator, nn

from vostrack.refine.spn.training import SpnTraining
from vostrack.training.held_out_images import mean_iou

__all__ = ["judge_refined"]

# Batches of crops; of eight crops each, the mean of 64 varies by a point from draw to draw.
_BATCHES = 8


def judge_refined(held_out: SpnTraining, seed: int) -> Callable[[nn.Module], dict[str, float]]:
    """Return a judge of propagation networks: the mean IoU of refined scores in fixed crops.

    Args:
        held_out: draws crops of the images that are held out, for the network that is trained.
        seed: of the crops, which are the same at each judgement.

    Returns:
        The judge, which gives ``J``, and ``coarse``: that of the scores before they are refined.
    """
    generator = Generator().manual_seed(seed)
    batches = [held_out.draw(generator, step) for step in range(_BATCHES)]

    def judge(network: nn.Module) -> dict[str, float]:
        device = next(network.parameters()).device
        before, after = [], []
        for drawn in batches:
            batch = {name: value.to(device) for name, value in drawn.items()}
            coarse = held_out.coarse(batch)
            refined = held_out.refine(batch["image"], coarse)
            before.append(mean_iou(coarse.float(), batch["truth"]))
            after.append(mean_iou(refined.float(), batch["truth"]))
        return {"J": sum(after) / _BATCHES, "coarse": sum(before) / _BATCHES}

    return judge
