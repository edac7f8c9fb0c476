"""Compare the speed and the memory of this version with those of an older one, step by step.

    git worktree add ../before 29e500b
    python benchmarks/speed_table.py --before ../before [--parts steps] [--markdown FILE]

Each version runs in processes of its own. A step of the one is followed by the same step of the
other. Seconds are those of the processor with one thread, where not called seconds of the clock.
The parts ``busy``, ``workers`` and ``track`` measure the clock: they need a quiet machine. All
parts take about eight minutes on two quiet cores.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from record import begin_record, benchmark_parser, finish_record

HERE = Path(__file__).resolve().parent
PARTS = ("steps", "same_network", "large", "growth", "busy", "workers", "track")
# Pixels of a window in version 0.2.0.
_WINDOWS_BEFORE = {"balanced": 320 * 320, "fast": 256 * 256}
CASES = (("balanced", 1), ("balanced", 4), ("fast", 1))
SIZES = {240: (240, 427), 480: (480, 854), 1080: (1080, 1920), 2160: (2160, 3840)}
_STEPS = 16
_SETTLING = 3


class Version:
    """A checkout, and a process that works with it."""

    def __init__(self, root: Path, **environment: str) -> None:
        self.root = root
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "speed_worker.py")],
            env={**os.environ, "PYTHONPATH": str(root), **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, name: str, **options: Any) -> Any:
        """Let the process do something, and return its answer."""
        self.tell(name, **options)
        return self.answer()

    def tell(self, name: str, **options: Any) -> None:
        """Let the process do something; ``answer`` waits for it."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([name, options]) + "\n")
        self.process.stdin.flush()

    def answer(self) -> Any:
        """Wait for the answer."""
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def begin(
        self,
        preset: str,
        *,
        height: int = 480,
        objects: int = 1,
        threads: int = 1,
        steps: int = -1,
        **network: Any,
    ) -> Any:
        """Build a tracker and start it; ``steps`` of fine-tuning, -1 for those of the preset."""
        # Large frames take long to draw.
        clip = {"size": SIZES[height], "objects": objects, "frames": 5 if height > 1000 else 12}
        return self.ask("begin", preset=preset, threads=threads, steps=steps, **clip, **network)


@contextmanager
def versions(roots: Sequence[Path], **environment: str) -> Iterator[list[Version]]:
    """Run a process for each checkout."""
    running = [Version(root, **environment) for root in roots]
    try:
        yield running
    finally:
        for version in running:
            version.process.kill()
            version.process.wait()


def quartiles(values: Sequence[float]) -> dict[str, float]:
    """Return median and quartiles."""
    low, median, high = statistics.quantiles(values, n=4)
    return {"median": round(median, 4), "low": round(low, 4), "high": round(high, 4)}


def in_turn(running: Sequence[Version], count: int, clock: str = "cpu") -> list[dict[str, float]]:
    """Let each version do a step, one after the other, and so on; return the seconds of each."""
    seconds: list[list[float]] = [[] for _ in running]
    for turn in range(count + _SETTLING):
        for version, own in zip(running, seconds, strict=True):
            found = version.ask("step")[clock]
            if turn >= _SETTLING:
                own.append(found)
    return [quartiles(own) for own in seconds]


def measure_steps(roots: Sequence[Path]) -> Any:
    """Fine-tuning, first step, steps and memory of each case, at 480 x 854."""
    return _measure_cases(roots, [{} for _ in roots])


def measure_same_network(roots: Sequence[Path]) -> Any:
    """The same with the older version's network and windows in both, and without optical flow."""
    weights = roots[0] / "vostrack" / "models" / "weights" / "target.safetensors"
    return _measure_cases(roots, [{}, {"weights": str(weights)}])


def _measure_cases(roots: Sequence[Path], networks: Sequence[dict[str, Any]]) -> Any:
    rows = {}
    for preset, objects in CASES:
        window = {"window": _WINDOWS_BEFORE[preset]}
        with versions(roots) as running:
            begun = [
                version.begin(preset, objects=objects, **(network and network | window))
                for version, network in zip(running, networks, strict=True)
            ]
            steps = in_turn(running, _STEPS)
            peaks = [round(version.ask("peak")) for version in running]
        rows[f"{preset}, {objects}"] = [
            {
                "start": round(own["start"]["cpu"], 3),
                "first": round(own["first"]["cpu"], 4),
                "step": step,
                "peak_mb": peak,
            }
            for own, step, peak in zip(begun, steps, peaks, strict=True)
        ]
    return rows


def measure_large(roots: Sequence[Path]) -> Any:
    """Ten objects in a frame of 4K, without fine-tuning."""
    with versions(roots) as running:
        for version in running:
            version.begin("fast", height=2160, objects=10)
        steps = in_turn(running, 4)
        peaks = [round(version.ask("peak")) for version in running]
    return [{"step": s, "peak_mb": p} for s, p in zip(steps, peaks, strict=True)]


def measure_growth(roots: Sequence[Path]) -> Any:
    """The seconds of a step by size, by objects and by the number of frames, of this version."""

    def step(height: int, objects: int) -> float:
        with versions(roots[-1:]) as running:
            running[0].begin("fast", height=height, objects=objects)
            return in_turn(running, 6)[0]["median"]

    by_size = {height: step(height, 1) for height in SIZES}
    by_objects = {objects: step(480, objects) for objects in (1, 4, 10, 32)}
    with versions(roots[-1:]) as running:
        running[0].begin("fast", height=240)
        seconds = [step["cpu"] for step in running[0].ask("steps", count=240)]
    pixels = {SIZES[height][0] * SIZES[height][1]: found for height, found in by_size.items()}
    return {
        "by_size": by_size,
        "exponent_of_pixels": exponent(pixels),
        "by_objects": by_objects,
        "exponent_of_objects": exponent(by_objects),
        "frames_20_to_80": quartiles(seconds[20:80]),
        "frames_180_to_240": quartiles(seconds[180:]),
    }


def exponent(points: dict[int, float]) -> float:
    """Return the slope of the line through the logarithms."""
    x, y = [math.log(key) for key in points], [math.log(value) for value in points.values()]
    return round(statistics.linear_regression(x, y).slope, 3)


@contextmanager
def one_core_busy() -> Iterator[None]:
    """Run another program that always computes."""
    other = subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"])
    try:
        yield
    finally:
        other.kill()
        other.wait()


def measure_busy(roots: Sequence[Path]) -> Any:
    """Seconds of the clock with all threads, on a quiet machine and with one core busy.

    Waiting threads do what the command line lets them do: in older versions they spin.
    """
    rows = []
    for number, root in enumerate(roots):
        waiting = {"OMP_WAIT_POLICY": "PASSIVE"} if number == len(roots) - 1 else {}
        with versions([root], **waiting) as (version,):
            quiet = version.begin("balanced", threads=0, steps=8)["start"]["wall"]
            step = in_turn([version], 9, "wall")[0]
            with one_core_busy():
                begun = version.begin("balanced", threads=0, steps=8)["start"]["wall"]
                busy = in_turn([version], 9, "wall")[0]
        rows.append({"start_of_8_steps": [round(quiet, 3), round(begun, 3)], "step": [step, busy]})
    return rows


def measure_workers(roots: Sequence[Path]) -> Any:
    """Frames per second of the clock of one process and of two, with one thread each."""
    rows = []
    for root in roots:
        with versions([root, root]) as running:
            for version in running:
                version.begin("fast")
            rates = []
            for group in (running[:1], running):
                began = time.perf_counter()
                for version in group:
                    version.tell("steps", count=24)
                for version in group:
                    version.answer()
                rates.append(24 * len(group) / (time.perf_counter() - began))
        rows.append([round(rate, 2) for rate in rates])
    return rows


def measure_track(roots: Sequence[Path]) -> Any:
    """``vostrack track`` with ``fast``: seconds to the first mask, and of all beside the steps.

    Two rounds in turn; the better one counts.
    """
    found: list[list[dict[str, float]]] = [[] for _ in roots]
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder)
        write_clip(roots[-1], clip)
        for turn in range(2):
            for number, root in enumerate(roots):
                found[number].append(track(root, clip, clip / f"out{number}{turn}"))
    return [min(own, key=lambda one: one["first_mask"]) for own in found]


def write_clip(root: Path, folder: Path) -> None:
    """Write the frames of a clip and its first mask."""
    script = (
        "import sys; from pathlib import Path; from PIL import Image\n"
        "from vostrack.datasets.synthetic import SyntheticScene, render_clip\n"
        "from vostrack.masks import write_label_map\n"
        "folder = Path(sys.argv[1]); (folder / 'frames').mkdir()\n"
        "scene = SyntheticScene(size=(480, 854), frames=50, objects=1, seed=3)\n"
        "frames, labels = render_clip(scene)\n"
        "for k, frame in enumerate(frames):\n"
        "    Image.fromarray(frame).save(folder / 'frames' / f'{k:05d}.jpg', quality=95)\n"
        "write_label_map(folder / 'mask.png', labels[0])\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(root)}
    subprocess.run([sys.executable, "-c", script, str(folder)], env=environment, check=True)


def track(root: Path, clip: Path, output: Path) -> dict[str, float]:
    """Run the command once; return seconds of the clock, the first step left out of the ratio."""
    command = [sys.executable, "-m", "vostrack", "track", "--preset", "fast", "--no-overlay"]
    command += ["--video", str(clip / "frames"), "--first-mask", str(clip / "mask.png")]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    # Installed packages are compiled. A checkout is, from the first run on, unless this is set.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    began = time.perf_counter()
    process = subprocess.Popen(
        [*command, "--output", str(output), "--quiet"], env=environment, cwd=root
    )
    written: list[float] = []
    while process.poll() is None:
        masks = len(list((output / "masks").glob("*.png")))
        written += [time.perf_counter() - began] * (masks - len(written))
        time.sleep(0.004)
    content = json.loads((output / "run.json").read_text())
    frames = content["frames"]
    seconds = sum(value for key, value in content["seconds"].items() if key != "fine-tuning")
    return {
        "first_mask": round(written[0], 3),
        "total": round(time.perf_counter() - began, 3),
        "frames_over_steps": round((written[-1] - written[0]) / (seconds * (frames - 1)), 3),
    }


def table(found: dict[str, Any]) -> str:
    """Return the figures of the part ``steps`` as a table in Markdown: before, after and ratio."""
    lines = ["| | before | after | ratio |", "|---|---|---|---|"]
    for case, (before, after) in found.items():
        preset, objects = case.split(", ")
        name = f"`{preset}`, {objects} object" + ("s" if objects != "1" else "")
        for key, label in (("start", "start"), ("first", "first step")):
            lines.append(row(f"{name}: {label}, CPU s", before[key], after[key]))
        old, new = before["step"], after["step"]
        shown = [f"{s['median']} ({s['low']} to {s['high']})" for s in (old, new)]
        ratio = round(new["median"] / old["median"], 2)
        lines.append(f"| {name}: step, CPU s | {shown[0]} | {shown[1]} | {ratio} |")
        lines.append(row(f"{name}: peak, MB", before["peak_mb"], after["peak_mb"]))
    return "\n".join(lines)


def row(name: str, before: float, after: float) -> str:
    """Return a line of the table."""
    return f"| {name} | {before} | {after} | {round(after / before, 2)} |"


def main() -> None:
    """Measure what the arguments ask for."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--before", type=Path, required=True, help="checkout of the older version")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--markdown", type=Path, help="write the tables of the steps here")
    arguments = parser.parse_args()
    roots = [arguments.before.resolve(), HERE.parent]
    record = begin_record("this version and an older one", ("torch", "numpy"))
    for part in arguments.parts:
        began = time.perf_counter()
        record[part] = globals()[f"measure_{part}"](roots)
        print(part, f"{time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    tables = [
        f"{part}\n\n{table(record[part])}\n"
        for part in arguments.parts
        if part in ("steps", "same_network")
    ]
    print("\n".join(tables), file=sys.stderr)
    if arguments.markdown is not None:
        arguments.markdown.write_text("\n".join(tables), encoding="utf-8")
    finish_record(record, arguments.json)


if __name__ == "__main__":
    main()
