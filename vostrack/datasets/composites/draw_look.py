"""Drawing how things look: colours, light, smoke, noise and coding."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from vostrack.datasets.composites.config import CompositeConfig
from vostrack.datasets.composites.draw_motion import log_uniform
from vostrack.datasets.composites.plan import Colour, Finish, Light, Smoke

__all__ = ["draw_colour", "draw_finish", "draw_light", "draw_smokes"]

FloatArray = NDArray[np.float64]


def draw_colour(rng: Generator, config: CompositeConfig) -> Colour:
    """Draw how an object's colours are changed."""
    harmony = float(rng.uniform(0.2, 0.8)) if rng.random() < config.harmony else 0.0
    return Colour(
        hue=float(rng.normal(0, 0.15)) if rng.random() < 0.3 else 0.0,
        saturation=float(rng.uniform(0.7, 1.25)),
        gain=float(rng.uniform(0.8, 1.2)),
        contrast=float(rng.uniform(0.8, 1.15)),
        harmony=harmony,
    )


def draw_smokes(
    rng: Generator, config: CompositeConfig, times: FloatArray, tags: set[str]
) -> tuple[Smoke, ...]:
    """Draw the veils in front of a scene.

    Smoke thickens or clears over the clip and is thin in the first frame, so that the masks given
    there show something.
    """
    smokes = []
    for tag, share in (("haze", config.haze), ("smoke", config.smoke)):
        if rng.random() >= share:
            continue
        tags.add(tag)
        even = tag == "haze"
        base = rng.uniform(120, 250) if even or rng.random() < 0.8 else rng.uniform(15, 70)
        tint = rng.normal(0, 6, 3) + base
        gray = np.clip(tint, 0, 255).astype(int).tolist()
        thickest = float(rng.uniform(0.2, 0.45) if even else rng.uniform(0.5, 0.92))
        first = float(rng.uniform(0.7, 1.0) if even else rng.uniform(0.15, 0.6))
        # It gathers until a moment of the clip and stays, or thins out by half afterwards.
        peak = float(rng.uniform(0.3, 1.0))
        last = float(rng.uniform(0.5, 1.0))
        shares = np.interp(times, [0.0, peak, 1.0 + 1e-9], [first, 1.0, last])
        densities = tuple((thickest * shares).tolist())
        drift = (float(rng.normal(0, 0.05)), float(rng.normal(-0.02, 0.03)))
        seed = int(rng.integers(2**32))
        smokes.append(Smoke(densities, (gray[0], gray[1], gray[2]), seed, drift, even))
    return tuple(smokes)


def draw_light(
    rng: Generator, config: CompositeConfig, times: FloatArray, tags: set[str]
) -> Light | None:
    """Draw how the light of a scene changes."""
    gains = np.ones((len(times), 3))
    gamma, uneven = 1.0, 0.0
    if rng.random() < config.light:
        tags.add("light")
        brighter = log_uniform(rng, 0.5, 1.4)
        colours = np.exp(rng.normal(0, 0.12, 3))
        flicker = rng.normal(0, 0.08, len(times)) if rng.random() < 0.3 else np.zeros(len(times))
        gains *= ((brighter * colours) ** times[:, None]) * np.exp(flicker)[:, None]
        uneven = float(rng.uniform(0.1, 0.6)) if rng.random() < 0.5 else 0.0
    if rng.random() < config.low_light:
        tags.add("low-light")
        # However the light changes, something is to be seen in every frame.
        gains = np.maximum(gains, 0.7) * float(rng.uniform(0.4, 0.7))
        gamma = float(rng.uniform(1.0, 1.3))
    elif not tags & {"light"}:
        return None
    rows = tuple((float(r), float(g), float(b)) for r, g, b in gains)
    return Light(rows, gamma, uneven, int(rng.integers(2**32)))


def draw_finish(rng: Generator, config: CompositeConfig, tags: set[str]) -> Finish:
    """Draw what camera and coding do."""
    noise = float(rng.uniform(*config.noise)) if rng.random() < 0.6 else 0.0
    if "low-light" in tags:
        noise = max(noise, config.noise[1] * float(rng.uniform(0.3, 1.0))) * 2
    blur = float(rng.uniform(0.4, 1.2)) if rng.random() < config.defocus / 2 else 0.0
    h264 = int(rng.integers(20, 38)) if rng.random() < config.h264 else None
    jpeg = int(rng.integers(35, 92)) if rng.random() < config.jpeg else None
    size = float(rng.uniform(0.4, 1.0)) if rng.random() < 0.5 else 0.0
    return Finish(noise, size, blur, h264, jpeg, int(rng.integers(2**32)))
