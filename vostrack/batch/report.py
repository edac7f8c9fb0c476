"""The outcome of a batch: a summary and an exit status."""

from __future__ import annotations

from dataclasses import dataclass

from vostrack.batch.job import JobResult
from vostrack.wording import counted

__all__ = ["RunReport"]

_SHOWN = 20


@dataclass(frozen=True)
class RunReport:
    """The outcome of a run.

    Attributes:
        results: results of all finished jobs, in the order of the jobs.
        remaining: names of the unfinished jobs.
        interrupted: whether Ctrl-C stopped the run.
    """

    results: tuple[JobResult, ...]
    remaining: tuple[str, ...] = ()
    interrupted: bool = False

    @property
    def failed(self) -> tuple[JobResult, ...]:
        """The results of failed jobs."""
        return tuple(result for result in self.results if result.error is not None)

    @property
    def exit_status(self) -> int:
        """0 if every job has a result, 130 after Ctrl-C, otherwise 1."""
        if self.interrupted:
            return 130
        return 1 if self.failed or self.remaining else 0

    def summary(self) -> str:
        """Summarize what was done, what failed and why, and how to continue.

        Of many warnings only the first are listed; ``done.json`` keeps all of them.
        """
        done = [result for result in self.results if result.status == "done"]
        kept = sum(result.status == "kept" for result in self.results)
        frames = sum(result.frames for result in done)
        seconds = sum(result.seconds for result in done)
        lines = [
            f"{counted(len(done), 'sequence')} done ({counted(frames, 'frame')}, {seconds:.1f} s "
            f"of work), {kept} kept from an earlier run, {len(self.failed)} failed"
        ]
        for result in self.failed:
            times = f" (after {result.attempts} attempts)" if result.attempts > 1 else ""
            lines.append(f"  {result.name}: {result.error}{times}")
        said = [f"  warning: {result.name}: {text}" for result in done for text in result.warnings]
        lines += said[:_SHOWN]
        if len(said) > _SHOWN:
            more = counted(len(said) - _SHOWN, "more warning")
            lines.append(f"  and {more}; see done.json of the results")
        if self.interrupted:
            lines.append(
                f"interrupted: {counted(len(self.remaining), 'sequence')} left to do; run the same "
                "command again to continue and keep the finished ones"
            )
        elif self.failed:
            lines.append("run the same command again to retry the failed ones and keep the others")
        return "\n".join(lines)
