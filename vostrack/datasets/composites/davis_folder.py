"""Writing composed clips as a data set in the layout of DAVIS 2017."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import cv2

from vostrack.datasets.composites.clip import CompositeClip
from vostrack.datasets.composites.clip_set import ListedClip
from vostrack.datasets.composites.sources import CompositeSources
from vostrack.errors import InputError
from vostrack.files import atomic_path, check_inputs_apart, real_path
from vostrack.masks.palette import write_label_map

__all__ = ["CompositeFolder", "Subset"]

Subset = Literal["train", "val"]

_RECORD = "composites.json"
# The layout's name of the folder, whatever the size of the frames.
_RESOLUTION = "480p"
_QUALITY = 95


class CompositeFolder:
    """A data set in the layout of DAVIS 2017, and ``composites.json``.

    That file records the kind, seed and tags of every clip.
    """

    def __init__(self, root: Path, subset: Subset) -> None:
        self.root = root
        self._list = root / "ImageSets" / "2017" / f"{subset}.txt"
        self._record = root / _RECORD
        self._frames = root / "JPEGImages" / _RESOLUTION
        self._masks = root / "Annotations" / _RESOLUTION

    def prepare(self, *, overwrite: bool, inputs: Sequence[tuple[str, Path]] = ()) -> None:
        """Make sure that nothing else is in the folder.

        Args:
            overwrite: delete the ``ImageSets``, ``JPEGImages`` and ``Annotations`` of an earlier
                run, which is known by its ``composites.json``; other folders are never touched.
            inputs: the files and folders that the clips are composed of, each with the parameter
                that names it; none of them may lie in the folder, nor the folder in one of them.

        Raises:
            InputError: it is a file, or not empty, or it and an input do not lie apart; nothing is
                deleted then.
        """
        self._check_apart(inputs)
        if self.root.exists() and not self.root.is_dir():
            raise InputError(f"output: {self.root} is a file; give the name of a folder")
        if not self.root.is_dir() or not any(self.root.iterdir()):
            return
        if not overwrite:
            raise InputError(
                f"output: {self.root} is not empty; expected a new or empty folder: give another "
                "`output`, or `overwrite=True` to replace an earlier run"
            )
        if not self._record.is_file():
            raise InputError(
                f"output: {self.root} holds no {_RECORD}, so its files are not those of an earlier "
                "run; give another `output`"
            )
        for folder in ("ImageSets", "JPEGImages", "Annotations"):
            shutil.rmtree(self.root / folder, ignore_errors=True)

    def _check_apart(self, inputs: Sequence[tuple[str, Path]]) -> None:
        root = real_path(self.root)
        for parameter, path in inputs:
            if real_path(path) in (root, *root.parents):
                raise InputError(
                    f"output: {self.root} lies in {path}, which `{parameter}` reads; give another "
                    "folder as `output`"
                )
        check_inputs_apart(root, (".",), inputs)

    def write(
        self, listed: Sequence[ListedClip], sources: CompositeSources
    ) -> Iterable[CompositeClip]:
        """Draw and write clip after clip; the list of sequences comes last.

        Args:
            listed: what to write.
            sources: what to draw it from.

        Yields:
            Each clip once it is written.

        Raises:
            InputError: a clip cannot be drawn.
        """
        records: list[dict[str, object]] = []
        self._write_record(records)
        for entry in listed:
            clip = entry.draw(sources)
            self._write_clip(entry.name, clip)
            records.append(
                {
                    "name": entry.name,
                    "kind": entry.kind,
                    "seed": entry.seed,
                    "objects": clip.objects,
                    "frames": len(clip.images),
                    "tags": sorted(clip.tags),
                }
            )
            yield clip
        self._write_record(records)
        with atomic_path(self._list) as temporary:
            temporary.write_text("".join(f"{entry.name}\n" for entry in listed), encoding="utf-8")

    def _write_clip(self, name: str, clip: CompositeClip) -> None:
        for index, (image, labels) in enumerate(zip(clip.images, clip.labels, strict=True)):
            bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
            data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1]
            with atomic_path(self._frames / name / f"{index:05d}.jpg") as temporary:
                temporary.write_bytes(data.tobytes())
            write_label_map(self._masks / name / f"{index:05d}.png", labels)

    def _write_record(self, records: list[dict[str, object]]) -> None:
        with atomic_path(self._record) as temporary:
            temporary.write_text(json.dumps({"clips": records}, indent=1), encoding="utf-8")
