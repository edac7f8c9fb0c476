"""Compare what keeps identities: each part of the support by itself, for each proposer.

The clips are those of benchmarks/occlusions.py, and so is what counts as right. Every clip is drawn
once and tracked with each column: off (no part), identity (part c), and for each proposer NAME-a
(re-acquisition), NAME-b (support of unsure pixels), and NAME-abc (all parts). The clips come in an
order that mixes the kinds, so a run that --minutes ends early is a fair part of the whole. The
table on standard error is complete after every clip. --found keeps every outcome in a file; the
same command with the same file goes on from there, so that a long table can be made in parts.

    python benchmarks/occlusion_table.py --objects DIR --backgrounds DIR ... [--minutes 20]
        [--proposers components displacement hough detection-crf] [--columns off identity ...]
        [--clips 60] [--longest 100] [--found FILE] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from occlusions import add_suite_arguments, follow, suite_clips, summarize
from record import begin_record, benchmark_parser, finish_record

from vostrack.build import build_tracker
from vostrack.presets import TrackerOptions

PROPOSERS = ("components", "displacement", "hough", "detection-crf")
Outcomes = dict[str, dict[str, dict[str, Any]]]
"""What ``follow`` returned, by column and by the number and name of the clip."""

PARTS = {"a": (True, False, False), "b": (False, True, False), "abc": (True, True, True)}


def options_of(column: str) -> TrackerOptions:
    """Return the parts of a column."""
    if column in ("off", "identity"):
        return TrackerOptions(identity=column == "identity")
    proposer, _, parts = column.rpartition("-")
    reacquire, support, identity = PARTS[parts]
    # Proposals of small objects must count, too; see the option's text.
    more = {"half_score": 0.0} if proposer == "displacement" else {}
    return TrackerOptions(
        identity=identity,
        reacquire=reacquire,
        support=support,
        proposer=proposer,
        proposer_options=more,
    )


def chosen_columns(arguments: argparse.Namespace) -> list[str]:
    """Return the columns to fill."""
    every = [
        "off",
        "identity",
        *(f"{name}-{part}" for name in arguments.proposers for part in PARTS),
    ]
    return arguments.columns or every


def table(found: Outcomes) -> str:
    """Return right objects of all, and milliseconds a frame, of each column."""
    lines = []
    for column, outcomes in found.items():
        clips = outcomes.values()
        if clips:
            right = [row["right"] for clip in clips for row in clip["judged"]]
            ms = 1000 * sum(c["seconds"] for c in clips) / max(1, sum(c["frames"] for c in clips))
            lines.append(f"{column:20} {sum(right):3} of {len(right):3} right, {ms:6.1f} ms")
    return "\n".join(lines)


def found_before(path: Path | None, columns: Iterable[str]) -> Outcomes:
    """Return the outcomes of earlier runs, with room for those of some columns."""
    before = json.loads(path.read_text()) if path is not None and path.exists() else {}
    return {**{column: {} for column in columns}, **before}


def main() -> None:
    """Fill the table clip by clip."""
    parser = benchmark_parser(__doc__, threads=1)
    add_suite_arguments(parser)
    parser.set_defaults(longest=100)
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--proposers", nargs="+", default=PROPOSERS, choices=PROPOSERS)
    parser.add_argument("--columns", nargs="+", help="only these, such as off hough-a")
    parser.add_argument("--clips", type=int, default=10_000, help="at most so many")
    parser.add_argument("--minutes", type=float, default=20, help="no clip is begun after so long")
    parser.add_argument("--found", type=Path, help="keep outcomes there, and go on from them")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    record = begin_record("occlusions: parts and proposers", ("torch", "numpy"))
    trackers = {
        column: build_tracker(arguments.preset, options=options_of(column))
        for column in chosen_columns(arguments)
    }
    clips = list(suite_clips(arguments))
    random.Random(0).shuffle(clips)
    clips = clips[: arguments.clips]
    found = found_before(arguments.found, trackers)
    begin = time.monotonic()
    for number, clip in enumerate(clips):
        minutes = (time.monotonic() - begin) / 60
        missing = [column for column in trackers if f"{number} {clip.name}" not in found[column]]
        if number and missing and minutes >= arguments.minutes:
            print(f"stopped before clip {number + 1} of {len(clips)}", file=sys.stderr)
            break
        for column in missing:
            found[column][f"{number} {clip.name}"] = follow(trackers[column], clip)
        if arguments.found is not None:
            arguments.found.write_text(json.dumps(found))
        minutes = (time.monotonic() - begin) / 60
        print(f"{clip.name}: {number + 1} of {len(clips)}, {minutes:.1f} min", file=sys.stderr)
        print(f"{table(found)}\n", file=sys.stderr, flush=True)
    record["clips"] = max(len(outcomes) for outcomes in found.values())
    record["columns"] = {
        column: summarize(list(outcomes.values())) for column, outcomes in found.items()
    }
    finish_record(record, arguments.json)


if __name__ == "__main__":
    main()
