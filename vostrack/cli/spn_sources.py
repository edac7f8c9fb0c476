"""The images that ``vostrack train spn`` draws from, each kind with its share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vostrack.errors import InputError

if TYPE_CHECKING:
    from vostrack.refine.spn.training import Source
    from vostrack.refine.spn.training_images import TrainingImages

__all__ = ["weighed_sources"]


def weighed_sources(
    alike: Sequence[TrainingImages], shared: Sequence[tuple[float, TrainingImages]]
) -> list[Source]:
    """Return images with the weights that they are drawn with.

    Args:
        alike: of these, each image is as likely.
        shared: further ones, with their share of all crops that come before them; of all where
            there is nothing else.

    Raises:
        InputError: there is nothing at all.
    """
    sources: list[Source] = [(float(len(images)), images) for images in alike]
    for share, images in shared:
        others = sum(weight for weight, _ in sources)
        if not others:
            sources = [(1.0, images)]
            continue
        rest = ((weight / others * (1 - share), kind) for weight, kind in sources)
        sources = [*rest, (share, images)]
    if not sources:
        raise InputError(
            "training: no images; give --davis DIR, --voc DIR, --photos DIR or --synthetic N, or "
            "several"
        )
    return sources
