"""Measure the calibration of the presence probability of the target models.

Each sequence is followed as usual. After every frame the same frame is asked for again with the
objects painted out (the hole inpainted), which is the hardest way to be absent: nothing else has
changed. Reported are the Brier score, the expected calibration error over ten bins and the share
of right answers at 0.5; with --fit, Platt's two numbers too, fitted with each sequence judged by
the numbers of the others.

--apply writes the network with these two numbers in its weights.

    python benchmarks/presence.py --root DAVIS --year 2017 --set val [--fit] [--json FILE]
        [--weights FILE]
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from record import (
    add_davis_arguments,
    begin_record,
    benchmark_parser,
    finish_record,
    open_davis_arguments,
)

from vostrack.arrays import DoubleArray
from vostrack.build import build_tracker
from vostrack.datasets.annotated_frames import read_annotation
from vostrack.masks.palette import VOID
from vostrack.models.weights import load_target_net, save_target_net
from vostrack.presets import TrackerOptions
from vostrack.video import open_source


def collect(
    sequence: Any, preset: str, steps: int | None, weights: str
) -> tuple[DoubleArray, DoubleArray]:
    """Return the logits of a sequence's frames, and whether the object was there."""
    options = TrackerOptions(object_steps=steps)
    tracker = build_tracker(preset, weights=weights, options=options)
    logits: list[float] = []
    present: list[float] = []
    with open_source(sequence.frames[0].parent) as source:
        for frame, path in zip(source, sequence.annotations, strict=True):
            labels = read_annotation(path, sequence.semantics)
            labels[labels == VOID] = 0
            if not tracker.ids:
                tracker.start(frame.image, labels)
                continue
            state = tracker.state()
            hole = cv2.dilate((labels > 0).astype(np.uint8), np.ones((9, 9), np.uint8))
            empty = cv2.inpaint(frame.image, hole, 5, cv2.INPAINT_TELEA)
            absent = tracker.step(empty.astype(np.uint8)).presence
            tracker.load_state(tracker.start_state(), state)
            there = tracker.step(frame.image).presence
            for index, number in enumerate(tracker.ids):
                if (labels == number).any():
                    logits += [there[index], absent[index]]
                    present += [1.0, 0.0]
    probability = np.clip(np.array(logits), 1e-7, 1 - 1e-7)
    return np.log(probability / (1 - probability)), np.array(present)


def fit(logits: DoubleArray, present: DoubleArray) -> tuple[float, float]:
    """Return Platt's scale and shift, by maximum likelihood."""
    x, y = torch.from_numpy(logits), torch.from_numpy(present)
    scale, shift = torch.ones((), dtype=x.dtype), torch.zeros((), dtype=x.dtype)
    parameters = [scale.requires_grad_(), shift.requires_grad_()]
    optimizer = torch.optim.LBFGS(parameters, max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(scale * x + shift, y)
        loss = loss + 1e-3 * (scale - 1).square()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return scale.item(), shift.item()


def judge(logits: DoubleArray, present: DoubleArray) -> dict[str, float]:
    """Return Brier score, expected calibration error and accuracy."""
    probability = 1 / (1 + np.exp(-logits))
    bins = np.minimum((probability * 10).astype(int), 9)
    gaps = [
        (bins == b).mean() * abs(probability[bins == b].mean() - present[bins == b].mean())
        for b in range(10)
        if (bins == b).any()
    ]
    return {
        "brier": round(float(np.mean((probability - present) ** 2)), 4),
        "calibration_error": round(float(np.sum(gaps)), 4),
        "right_at_half": round(float(np.mean((probability > 0.5) == (present > 0.5))), 4),
        "samples": len(present),
    }


def main() -> None:
    """Collect, judge, and fit where asked."""
    parser = benchmark_parser(__doc__)
    add_davis_arguments(parser)
    parser.add_argument("--preset", default="balanced")
    parser.add_argument("--steps", type=int, default=None, help="fine-tuning steps")
    parser.add_argument("--weights", default="auto", help="target network; default the shipped one")
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--apply", type=Path, default=None, help="file for the fitted network")
    arguments = parser.parse_args()
    sequences = open_davis_arguments(arguments)
    record = begin_record("presence: calibration", ("torch", "numpy"))
    found = {
        s.name: collect(s, arguments.preset, arguments.steps, arguments.weights) for s in sequences
    }
    logits, present = (np.concatenate([pair[k] for pair in found.values()]) for k in (0, 1))
    record["as_is"] = judge(logits, present)
    if arguments.fit:
        crossed = []
        for name, (own, _) in found.items():
            rest = [pair for other, pair in found.items() if other != name]
            scale, shift = fit(*(np.concatenate([pair[k] for pair in rest]) for k in (0, 1)))
            crossed.append(scale * own + shift)
        record["fitted_on_the_others"] = judge(np.concatenate(crossed), present)
        scale, shift = fit(logits, present)
        record["platt"] = {"scale": scale, "shift": shift}
        if arguments.apply is not None:
            given = arguments.weights
            network = load_target_net(None if given == "auto" else Path(given))
            with torch.no_grad():
                network.decoder.presence.weight.mul_(scale)
                network.decoder.presence.bias.mul_(scale).add_(shift)
            save_target_net(network, arguments.apply, half=True)
    finish_record(record, arguments.json)


if __name__ == "__main__":
    main()
