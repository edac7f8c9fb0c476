"""``run.json``: what the results of one clip were made from, and what is known of them."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vostrack.presets.named import Preset
from vostrack.presets.resolve import effective_preset, resolve_preset
from vostrack.proposers.registry import PROPOSERS
from vostrack.refine.registry import REFINERS
from vostrack.runs.content import input_digests, replaced
from vostrack.runs.given import GivenMasks
from vostrack.runs.request import ClipRequest, ClipSummary
from vostrack.runs.status import RunStatus
from vostrack.video import FrameNames, FrameSource

__all__ = ["RunRecord", "package_versions", "run_settings", "summary_of"]

# Options that change no mask.
_WITHOUT_EFFECT = (
    "output",
    "overlay",
    "export",
    "overwrite",
    "resume",
    "max_objects",
    "min_pixels",
)
# Stages of the first frame only.
_ONCE = ("fine-tuning", "first pass")
_VERSIONED = ("vostrack", "torch", "torchvision", "numpy", "opencv-python", "av")


@dataclass(frozen=True)
class RunRecord:
    """What is the same all through a run.

    Attributes:
        request: what was asked for.
        source: the frames.
        given: the masks.
        settings: from ``run_settings``.
        names: the names of the frames in the results.
        stamps: of the files of the frames when the run began; see ``video_stamps``.
    """

    request: ClipRequest
    source: FrameSource
    given: GivenMasks
    settings: dict[str, Any]
    names: FrameNames
    stamps: Mapping[Path, tuple[int, int]] = field(default_factory=dict)

    def replaced(self) -> str | None:
        """Return a sentence that frames were replaced since the run began; None if none was."""
        files = replaced(self.stamps)
        if not files:
            return None
        which = f"{files[0]}{f' and {len(files) - 1} more' if len(files) > 1 else ''}"
        return (
            f"{which} changed while the clip was tracked: masks may be of either content; track it "
            "again with `overwrite=True`"
        )

    def content(
        self,
        status: RunStatus,
        frames: list[dict[str, Any]],
        wall_seconds: float,
        error: str | None = None,
    ) -> dict[str, Any]:
        """Return the content of ``run.json``.

        Args:
            status: ``running``; ``interrupted`` by Ctrl-C, ``failed`` with an error; or how it came
                to its end: ``complete``, ``truncated`` or ``damaged``, as the source is.
            frames: the record of each finished frame, from ``ClipFolder.frames``.
            wall_seconds: since the start of this part of the run.
            error: the message of the error that ended the run, if one did.
        """
        return {
            "status": status,
            "error": error,
            "settings": self.settings,
            "versions": package_versions(),
            "frames": len(frames),
            "frames_in_source": self.source.length,
            "frame_names": _of_frames(self.names.names, frames),
            "frame_files": _of_frames(self.names.files, frames),
            "frame_positions": [record["index"] for record in frames],
            "frame_times": [record["time"] for record in frames],
            "frame_rate": self.source.frame_rate,
            "truncated": self.source.truncated,
            "damaged": list(self.source.damage),
            "value_range": self.source.value_range,
            "deinterlaced": self.source.deinterlaced,
            "warnings": [*self.given.mask.warnings, *filter(None, [self.replaced()])],
            "objects": [
                {"id": number, "name": name, "presence": self._presence(number, frames)}
                for number, name in zip(self.given.mask.ids, self.given.mask.names, strict=True)
            ],
            "seconds": {k: round(v, 4) for k, v in _mean_timings(frames).items()},
            "wall_seconds": round(wall_seconds, 2),
        }

    def _presence(self, number: int, frames: list[dict[str, Any]]) -> dict[int | str, float]:
        """Return the presence of an object by frame, from its first mask on."""
        return {
            self.names.key(record["index"]): record["presence"][record["ids"].index(number)]
            for record in frames
            if number in record["ids"]
        }


def _of_frames(every: Sequence[str] | None, frames: list[dict[str, Any]]) -> list[str] | None:
    """Return what is the finished frames' own; None where frames are counted from 0."""
    return None if every is None else [every[record["index"]] for record in frames]


def summary_of(root: Path, content: Mapping[str, Any]) -> ClipSummary:
    """Return what came of a run that has ended.

    Args:
        root: its folder.
        content: of its ``run.json``.
    """
    seconds = content["seconds"]
    return ClipSummary(
        output=root,
        frames=content["frames"],
        ids=tuple(entry["id"] for entry in content["objects"]),
        finetune_seconds=seconds.get("fine-tuning", 0.0),
        frame_seconds=sum(value for stage, value in seconds.items() if stage not in _ONCE),
        truncated=content["truncated"],
        damaged=bool(content["damaged"]),
        deinterlaced=content["deinterlaced"],
        names=tuple(entry["name"] for entry in content["objects"]),
    )


def run_settings(
    request: ClipRequest, source: FrameSource, given: GivenMasks, device: torch.device
) -> dict[str, Any]:
    """Return what the result depends on, as plain data: every option as it was resolved.

    ``preset`` and ``device`` are those in effect, and ``method`` is the whole configuration of the
    tracker, with the user's options in it.
    """
    preset = effective_preset(request.preset, request.weights)
    settings: dict[str, Any] = {
        entry.name: getattr(request, entry.name)
        for entry in fields(ClipRequest)
        if entry.name not in _WITHOUT_EFFECT and entry.name != "options"
    }
    settings.update(preset=preset, device=str(device))
    settings["method"] = _method(resolve_preset(preset, request.options))
    if request.first_mask_frame is None and not given.later:
        settings["first_mask_frame"] = given.mask.frame
    settings["mask_pixels"] = given.pixels()
    settings["frame_size"] = list(source.size)
    settings["frames"] = source.length
    settings["content"] = input_digests(request)
    return settings


def _method(preset: Preset) -> dict[str, Any]:
    """Return a preset as plain data, with the options of its parts in full."""
    method = asdict(preset)
    for part, settings in (
        ("refiner", REFINERS.settings(preset.refiner, preset.refiner_options)),
        ("proposer", PROPOSERS.settings(preset.proposer, preset.proposer_options)),
    ):
        values = {} if settings is None else asdict(settings)
        method[f"{part}_options"] = {
            key: str(value) if isinstance(value, Path) else value for key, value in values.items()
        }
    return method


def _mean_timings(frames: list[dict[str, Any]]) -> dict[str, float]:
    """Return the mean seconds of each stage over the frames that had it."""
    stages: dict[str, list[float]] = {}
    for record in frames:
        for stage, seconds in record["timings"].items():
            stages.setdefault(stage, []).append(seconds)
    return {stage: float(np.mean(seconds)) for stage, seconds in stages.items()}


def package_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that a result depends on."""
    found = {"python": platform.python_version()}
    for name in _VERSIONED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
