"""Build the wheel through the sdist, and compare what is in it with the tree.

A package left off the list in pyproject.toml vanishes from the wheel without a word, and a stale
build folder puts deleted modules back: both show here.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SUFFIXES = {".py", ".typed", ".safetensors", ".cu", ".html", ".css", ".js"}
FOLDERS = {
    "vostrack": "vostrack",
    "eval": "vostrack/eval",
    "online_finetune": "vostrack/online_finetune",
    "refine": "vostrack/refine",
}


def modules_of_tree() -> set[str]:
    """Return every module and typing marker, by its path in the installed package."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *FOLDERS],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    found = set()
    for line in listed.stdout.splitlines():
        top, _, rest = line.partition("/")
        if Path(line).suffix in SUFFIXES and (ROOT / line).is_file():
            found.add(f"{FOLDERS[top]}/{rest}")
    return found


def main() -> int:
    """Return 0 when the wheel is right."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, "-m", "build", "--outdir", folder, str(ROOT)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        wheel = next(Path(folder).glob("*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            names = [n for n in archive.namelist() if ".dist-info/" not in n]
    tops = {name.split("/")[0] for name in names}
    wheel_modules = {n for n in names if Path(n).suffix in SUFFIXES}
    tree = modules_of_tree()
    troubles = [f"missing from the wheel: {n}" for n in sorted(tree - wheel_modules)]
    troubles += [f"only in the wheel: {n}" for n in sorted(wheel_modules - tree)]
    if tops != {"vostrack"}:
        troubles.append(f"expected vostrack as the only top-level name, got {sorted(tops)}")
    print("\n".join(troubles) or f"wheel: {len(wheel_modules)} files, as in the tree")
    return 1 if troubles else 0


if __name__ == "__main__":
    sys.exit(main())
