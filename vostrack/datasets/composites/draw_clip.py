"""A seed in, a clip out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vostrack.datasets.composites.clip import CompositeClip
from vostrack.datasets.composites.config import CompositeConfig
from vostrack.datasets.composites.draw_plan import draw_plan
from vostrack.datasets.composites.plan import CompositePlan
from vostrack.datasets.composites.render import Rendered, render_plan
from vostrack.datasets.composites.sources import CompositeSources
from vostrack.errors import InputError

__all__ = ["draw_clip"]

UInt8Array = NDArray[np.uint8]

# Of ordinary clips, one in some hundred has to be drawn again.
_ATTEMPTS = 40
# An object seen by less than this share in the first frame could not be told from its parts.
_LEAST_SHARE = 0.3


def draw_clip(sources: CompositeSources, config: CompositeConfig, seed: int) -> CompositeClip:
    """Draw and render a clip.

    Args:
        sources: objects and backgrounds.
        config: ranges and shares.
        seed: at least 0; the same seed, sources and config give the same bytes.

    Raises:
        InputError: no clip of such a config was found that shows an object in its first frame and
            has the tags demanded.
    """
    for attempt in range(_ATTEMPTS):
        plan = draw_plan(sources, config, np.random.default_rng([seed, attempt]))
        rendered = render_plan(plan, sources)
        labels, areas, layers = _keep_visible(rendered, plan, config)
        if not areas.shape[1]:
            continue
        tags = _tags(plan, labels, areas, layers)
        if tags.issuperset(config.demanded):
            return CompositeClip(rendered.images, labels, tags, seed)
    raise InputError(
        f"composites: {_ATTEMPTS} clips of seed {seed} had no visible object or lacked "
        f"{', '.join(config.demanded) or 'one'}; raise the shares or areas of the settings"
    )


def _keep_visible(
    rendered: Rendered, plan: CompositePlan, config: CompositeConfig
) -> tuple[UInt8Array, NDArray[np.int64], list[int]]:
    """Take the masks of objects that the first frame hardly shows away; renumber the others."""
    first = np.bincount(rendered.labels[0].ravel(), minlength=rendered.areas.shape[1] + 1)[1:]
    least = config.least_visible * rendered.labels[0].size
    seen = (first >= least) & (first >= _LEAST_SHARE * rendered.areas[0])
    table = np.zeros(256, np.uint8)
    table[1 : len(seen) + 1][seen] = np.arange(1, int(seen.sum()) + 1)
    wanted = [index for index, layer in enumerate(plan.layers) if layer.wanted]
    layers = [index for index, kept in zip(wanted, seen, strict=True) if kept]
    return table[rendered.labels], rendered.areas[:, seen], layers


def _tags(
    plan: CompositePlan,
    labels: UInt8Array,
    areas: NDArray[np.int64],
    layers: list[int],
) -> frozenset[str]:
    """Say what happens; what concerns masks is read off them."""
    tags = set(plan.tags) - {"crossing", "look-alike", "bending", "parts"}
    count = areas.shape[1]
    shown = np.stack(
        [np.bincount(frame.ravel(), minlength=count + 1)[1 : count + 1] for frame in labels]
    )
    lengths = np.sqrt(np.maximum(areas, 1))
    present = areas >= 16
    if (shown[0] < 0.01 * labels[0].size).any():
        tags.add("small")
    if ((lengths.max(axis=0) >= 2 * lengths[0]) | (lengths[0] >= 2 * lengths[-1])).any():
        tags.add("growth")
    hidden = present & (shown < 0.6 * areas)
    if (hidden[1:] & ~hidden[0]).any():
        tags.add("occlusion")
    left = areas == 0
    returned = [(left[:-1, k] & ~left[-1, k]).any() for k in range(count)]
    if any(returned) or (len(labels) < 3 and left.any()):
        tags.add("exit")
    border = np.concatenate([labels[0][[0, -1]].ravel(), labels[0][:, [0, -1]].ravel()])
    if border.any():
        tags.add("edge")
    kept = [plan.layers[index] for index in layers]
    if "crossing" in plan.tags and count > 1:
        tags.add("crossing")
    if "look-alike" in plan.tags and count > 1:
        tags.add("look-alike")
    if any(layer.bend is not None for layer in kept):
        tags.add("bending")
    if any(layer.parts is not None for layer in kept):
        tags.add("parts")
    return frozenset(tags)
