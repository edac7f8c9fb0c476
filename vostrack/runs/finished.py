"""Resuming a run that has come to its end: nothing is left to do."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vostrack.errors import InputError
from vostrack.masks.formats.registry import find_format
from vostrack.runs.ownership import EXPORTS, OVERLAY
from vostrack.runs.record import package_versions, summary_of
from vostrack.runs.request import ClipRequest, ClipSummary
from vostrack.runs.saved_settings import check_same_settings

__all__ = ["nothing_left"]

_log = logging.getLogger("vostrack")


def nothing_left(
    request: ClipRequest, content: Mapping[str, Any], settings: Mapping[str, Any]
) -> ClipSummary:
    """Return what came of a run that has ended, if it is the one that is asked for.

    Args:
        request: what is asked for.
        content: ``run.json`` of the run.
        settings: of the request; see ``run_settings``.

    Raises:
        InputError: another version of vostrack wrote it, its settings or its inputs were others, or
            a result that is asked for is not there.
    """
    root = request.output
    try:
        _check_version(root, content["versions"])
        check_same_settings(content["settings"], settings, "complete")
        _check_results(request, content["files"])
        summary = summary_of(root, content)
    except (AttributeError, KeyError, TypeError) as error:
        raise InputError(
            f"resume: {root / 'run.json'} is damaged ({type(error).__name__}: {error}); "
            "`overwrite=True` tracks the clip again"
        ) from error
    _log.info("%s is %s; nothing is left to do", root, content["status"])
    return summary


def _check_version(root: Path, versions: Mapping[str, str]) -> None:
    wrote, now = versions.get("vostrack"), package_versions()["vostrack"]
    if wrote != now:
        raise InputError(
            f"resume: {root} is complete, but vostrack {wrote} wrote it and this is {now}; "
            "`overwrite=True` tracks it again"
        )


def _check_results(request: ClipRequest, files: Sequence[str]) -> None:
    root = request.output
    gone = [name for name in files if not (root / name).is_file()]
    if request.overlay and OVERLAY not in files:
        gone.append(OVERLAY)
    if gone:
        raise InputError(
            f"resume: {root} is complete, but {gone[0]} is missing; `overwrite=True` tracks it "
            "again"
        )
    for name in request.export:
        place = f"{EXPORTS}/{find_format(name).name}"
        if not any(file.startswith((f"{place}.", f"{place}/")) for file in files):
            raise InputError(
                f"resume: {root} is complete, but without the export {name}; make it with "
                f"`vostrack convert {root} --to {name}`, and leave it out here"
            )
