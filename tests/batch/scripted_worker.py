"""A worker that does as the options of its job tell it; imported by name in other processes."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from pathlib import Path

from vostrack.batch import Job, JobResult
from vostrack.errors import InputError


def track(job: Job) -> JobResult:
    log = Path(str(job.options["log"]))
    log.mkdir(parents=True, exist_ok=True)
    with (log / job.name).open("a") as calls:
        calls.write(f"{os.getpid()} {os.environ.get('OMP_NUM_THREADS')}\n")
    if job.options.get("fail") == job.name:
        raise ZeroDivisionError("scripted failure")
    if job.options.get("refuse") == job.name:
        raise InputError("scripted refusal")
    if job.options.get("stumble") == job.name and len((log / job.name).read_text().split()) <= 2:
        raise OSError("scripted stumble")
    frames = job.frames[:-1] if job.options.get("forget") == job.name else job.frames
    for index, frame in enumerate(frames):
        killed = log / f"{job.name}.killed"
        victim = job.options.get("kill") == job.name and (
            job.options.get("always") or not killed.exists()
        )
        if victim and index == len(frames) // 2:
            killed.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        pause = job.options.get("pause")
        time.sleep(float(pause) if isinstance(pause, int | float) else 0)
        content = f"{job.name} {frame.stem} {job.options.get('seed')}"
        (job.folder / f"{frame.stem}.png").write_bytes(hashlib.sha256(content.encode()).digest())
    return JobResult(job.name, frames=len(job.frames))
