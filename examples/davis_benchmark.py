"""Track a DAVIS subset with several presets and compare their scores.

    python examples/davis_benchmark.py --root DAVIS --year 2016 --presets fast balanced

Without --root it makes a data set of one sequence out of the bundled clip, whose exact masks are
known, so that you can try the whole loop at once. It writes the masks, a JSON file of all scores
and one HTML report in which the presets stand side by side.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from PIL import Image

from vostrack import InputError, evaluate, open_source, write_label_map
from vostrack.batch import davis_jobs, run_jobs
from vostrack.datasets import open_davis
from vostrack.eval import format_table, write_html
from vostrack.eval.report_images import report_images
from vostrack.masks import read_masks_json

HERE = Path(__file__).parent
WORKER = "vostrack.runs.sequence:track_sequence"


def make_small_davis(root: Path, frames: int) -> None:
    """Lay the bundled clip out as DAVIS 2017 does: frames, masks and a list of sequences."""
    truth = read_masks_json(HERE / "crossing_truth.json")
    with open_source(HERE / "crossing.mp4", end=frames) as source:
        for number, frame in enumerate(source):
            picture = root / "JPEGImages" / "480p" / "crossing" / f"{number:05d}.jpg"
            picture.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(frame.image).save(picture, quality=95)
            mask = root / "Annotations" / "480p" / "crossing" / f"{number:05d}.png"
            write_label_map(mask, truth.labels(number))
    listing = root / "ImageSets" / "2017" / "val.txt"
    listing.parent.mkdir(parents=True, exist_ok=True)
    listing.write_text("crossing\n")


def main() -> None:
    """Read the arguments, track, score and compare."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--root", type=Path, help="DAVIS; a small one is made by default")
    parser.add_argument("--year", type=int, default=2017, help="2016 or 2017")
    parser.add_argument("--set", default="val", help="the list of sequences")
    parser.add_argument("--presets", nargs="+", default=["fast", "balanced"])
    parser.add_argument("--output", type=Path, default=Path("out/davis"))
    parser.add_argument("--frames", type=int, default=20, help="length of the small data set")
    arguments = parser.parse_args()
    root = arguments.root
    if root is None:
        root, arguments.year, arguments.set = arguments.output / "small_davis", 2017, "val"
        make_small_davis(root, arguments.frames)
    sequences = open_davis(root, year=arguments.year, subset=arguments.set)
    reports = []
    for preset in arguments.presets:
        results = arguments.output / preset
        run = run_jobs(davis_jobs(sequences, str(results), {"preset": preset}), WORKER)
        if run.failed:
            raise SystemExit(run.summary())
        report = evaluate(results, root, year=arguments.year, subset=arguments.set)
        report.write_json(arguments.output / f"{preset}.json")
        reports.append(report)
        print(f"{preset}\n{format_table(report)}\n")
    folders = [arguments.output / preset for preset in arguments.presets]
    write_html(arguments.output / "report.html", reports, report_images(sequences, folders))
    print(f"side by side: {arguments.output / 'report.html'}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except (InputError, OSError) as error:
        sys.exit(f"error: {error}")
