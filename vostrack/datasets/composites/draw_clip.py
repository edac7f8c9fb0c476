"""A seed in, a clip out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vostrack.datasets.composites.clip import CompositeClip
from vostrack.datasets.composites.config import CompositeConfig
from vostrack.datasets.composites.draw_plan import draw_plan
from vostrack.datasets.composites.plan import CompositePlan, Layer
from vostrack.datasets.composites.render import Rendered, render_plan
from vostrack.datasets.composites.sources import CompositeSources
from vostrack.errors import InputError

__all__ = ["draw_clip"]

UInt8Array = NDArray[np.uint8]

# Of ordinary clips, one in some hundred has to be drawn again.
_ATTEMPTS = 40
# An object seen by less than this share in the first frame could not be told from its parts.
_LEAST_SHARE = 0.3
# An object under this share of the first frame is small.
_SMALL = 0.01
# Of fewer pixels than this it is not said that something hides them.
_LEAST_HIDDEN = 64


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
        labels, kept = _keep_visible(rendered, config)
        if not len(kept):
            continue
        tags = _tags(plan, labels, rendered.areas[:, kept], kept)
        if tags.issuperset(config.demanded):
            return CompositeClip(rendered.images, labels, tags, seed)
    raise InputError(
        f"composites: {_ATTEMPTS} clips of seed {seed} had no visible object or lacked "
        f"{', '.join(config.demanded) or 'one'}; raise the shares or areas of the settings"
    )


def _keep_visible(
    rendered: Rendered, config: CompositeConfig
) -> tuple[UInt8Array, NDArray[np.intp]]:
    """Take the masks of objects away that the first frame hardly shows, and renumber the others.

    Returns:
        Labels (T, H, W), and the former ids, (N,), of those kept, less 1.
    """
    shown = _pixels(rendered.labels[:1], rendered.areas.shape[1])[0]
    least = config.least_visible * rendered.labels[0].size
    kept = np.flatnonzero((shown >= least) & (shown >= _LEAST_SHARE * rendered.areas[0]))
    table = np.zeros(256, np.uint8)
    table[kept + 1] = np.arange(1, len(kept) + 1)
    return table[rendered.labels], kept


def _tags(
    plan: CompositePlan, labels: UInt8Array, areas: NDArray[np.int64], kept: NDArray[np.intp]
) -> frozenset[str]:
    """Say what happens; what concerns masks is read off them."""
    by_id = {layer.id: layer for layer in plan.layers}
    layers = [by_id[index + 1] for index in kept.tolist()]
    groups = [layer.group for layer in layers if layer.group]
    shown = _pixels(labels, len(layers))
    hidden = (areas >= _LEAST_HIDDEN) & (shown < 0.6 * areas)
    away = areas == 0
    returned = away[:-1].any(axis=0) & ~away[-1] if len(labels) > 2 else away.any(axis=0)
    edges = np.concatenate([labels[0, [0, -1]].ravel(), labels[0][:, [0, -1]].ravel()])
    found = {
        "small": (shown[0] < _SMALL * labels[0].size).any(),
        "growth": any(_grows(layer) for layer in layers),
        "occlusion": (hidden & ~hidden[0]).any(),
        "exit": returned.any(),
        "edge": edges.any(),
        "crossing": any(_touch(frame) for frame in labels[1:]),
        "look-alike": len(set(groups)) < len(groups),
        "bending": any(layer.bend is not None for layer in layers),
        "parts": any(layer.parts is not None for layer in layers),
        "shadow": any(layer.shadow is not None for layer in layers),
    }
    return frozenset(tag for tag in plan.tags if tag not in found) | frozenset(
        tag for tag, holds in found.items() if holds
    )


def _pixels(labels: UInt8Array, count: int) -> NDArray[np.int64]:
    """How many pixels of each id 1..count each frame shows, (T, count)."""
    rows = [np.bincount(frame.ravel(), minlength=count + 1)[1 : count + 1] for frame in labels]
    return np.stack(rows).astype(np.int64)


def _grows(layer: Layer) -> bool:
    factor = layer.poses[-1].scale / layer.poses[0].scale
    return not 0.5 < factor < 2


def _touch(labels: UInt8Array) -> bool:
    """Whether two objects lie side by side somewhere in a label map."""
    pairs = ((labels[:, 1:], labels[:, :-1]), (labels[1:], labels[:-1]))
    return any(bool(((a != b) & (a != 0) & (b != 0)).any()) for a, b in pairs)
