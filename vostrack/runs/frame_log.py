"""The record of each finished frame, one line of JSON a frame, that survives a kill at any byte."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vostrack.errors import InputError
from vostrack.files import atomic_path, is_whole_image, parse_json

__all__ = ["FrameLog", "checksum"]


class FrameLog:
    """``frames.jsonl``: what is known of each finished frame.

    A record counts only if its line has the checksum at its end, and every file that it names is on
    disk with the checksum noted in it.
    """

    def __init__(self, path: Path, root: Path) -> None:
        """Open the log; nothing is read.

        Args:
            path: the file.
            root: the folder that the names of files in the records start from.
        """
        self.path = path
        self.root = root

    def append(self, record: dict[str, Any], files: Iterable[Path]) -> None:
        """Note a frame whose files are complete."""
        sums = {str(path.relative_to(self.root).as_posix()): checksum(path) for path in files}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(_line({**record, "files": sums}))

    def read(self) -> list[dict[str, Any]]:
        """Return the records that count, by ascending index; the last one of an index wins."""
        return [r for r in self._records() if self._holds(r)]

    def files(self) -> set[str]:
        """Return the names of all files that any record mentions, whole or not."""
        return {name for record in self._records() for name in record.get("files", {})}

    def refuse_edited(self) -> None:
        """Refuse to go on where somebody changed a result, such as a mask: it would be replaced.

        Raises:
            InputError: names it. Damaged files are not meant.
        """
        for record in self._records():
            for name, found in record["files"].items():
                path = self.root / name
                if checksum(path) not in (None, found) and is_whole_image(path):
                    raise InputError(
                        f"resume: {path} was changed after the run wrote it; move it away to keep "
                        "it, and the clip is tracked from the first frame again"
                    )

    def repair(self, keep: Iterable[int]) -> set[str]:
        """Write the log again with the records of some frames; a broken line goes.

        Args:
            keep: the indices to keep, where a record counts.

        Returns:
            The names of the files that no record mentions any more.
        """
        wanted, before = set(keep), self.files()
        lines = [_line(r) for r in self.read() if r["index"] in wanted]
        with atomic_path(self.path) as temporary:
            temporary.write_text("".join(lines), encoding="utf-8")
        return before - self.files()

    def _records(self) -> list[dict[str, Any]]:
        try:
            text = self.path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return []
        records: dict[int, dict[str, Any]] = {}
        for line in text.splitlines():
            record = _record(line)
            if record is not None:
                records[record["index"]] = record
        return [records[index] for index in sorted(records)]

    def _holds(self, record: dict[str, Any]) -> bool:
        return all(checksum(self.root / name) == value for name, value in record["files"].items())


def _line(record: dict[str, Any]) -> str:
    """Return the line of a record, with the checksum of all else in it."""
    text = json.dumps(record)
    return json.dumps({**record, "sum": zlib.crc32(text.encode())}) + "\n"


def _record(line: str) -> dict[str, Any] | None:
    """Return the record in a line; None if the line is damaged or holds something else."""
    try:
        record = parse_json(line)
    except ValueError:
        return None
    if not isinstance(record, dict):
        return None
    found = record.pop("sum", None)
    return record if found == zlib.crc32(json.dumps(record).encode()) else None


def checksum(path: Path) -> int | None:
    """Return the CRC-32 of a file; None where there is no such file."""
    try:
        return zlib.crc32(path.read_bytes())
    except OSError:
        return None
