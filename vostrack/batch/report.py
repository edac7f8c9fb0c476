"""What came of a batch, for people and for the exit status."""

from __future__ import annotations

from dataclasses import dataclass

from vostrack.batch.job import JobResult

__all__ = ["RunReport"]


@dataclass(frozen=True)
class RunReport:
    """The outcome of a run.

    Attributes:
        results: of every job that ended, in the order of the jobs.
        remaining: names of the jobs that did not end.
        interrupted: whether Ctrl-C stopped the run.
    """

    results: tuple[JobResult, ...]
    remaining: tuple[str, ...] = ()
    interrupted: bool = False

    @property
    def failed(self) -> tuple[JobResult, ...]:
        """The results that are failures."""
        return tuple(result for result in self.results if result.error is not None)

    @property
    def exit_status(self) -> int:
        """0 when every job has its result, 130 after Ctrl-C, otherwise 1."""
        if self.interrupted:
            return 130
        return 1 if self.failed or self.remaining else 0

    def summary(self) -> str:
        """Say in a few lines what was done, what failed and why, and how to go on."""
        done = [result for result in self.results if result.status == "done"]
        kept = sum(result.status == "kept" for result in self.results)
        frames = sum(result.frames for result in done)
        seconds = sum(result.seconds for result in done)
        lines = [
            f"{len(done)} sequences done ({frames} frames, {seconds:.1f} s of work), "
            f"{kept} kept from before, {len(self.failed)} failed"
        ]
        for result in self.failed:
            times = f" (after {result.attempts} attempts)" if result.attempts > 1 else ""
            lines.append(f"  {result.name}: {result.error}{times}")
        if self.interrupted:
            lines.append(
                f"interrupted: {len(self.remaining)} sequences remain; the same command goes on "
                "with them and keeps the finished ones"
            )
        elif self.failed:
            lines.append("the same command tries the failed ones again and keeps the others")
        return "\n".join(lines)
