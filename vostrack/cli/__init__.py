"""The ``vostrack`` command."""

from __future__ import annotations

import difflib
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

from vostrack.cli.davis import DavisCheckCommand, DavisRunCommand, DavisSubmitCommand
from vostrack.cli.evaluate import EvalCommand
from vostrack.cli.propose import ProposeCommand
from vostrack.cli.synthesize import SynthesizeCommand
from vostrack.cli.track import TrackCommand
from vostrack.cli.train_detection_crf import TrainDetectionCrfCommand
from vostrack.cli.train_fcrn import TrainFcrnCommand
from vostrack.cli.train_foreground import TrainForegroundCommand
from vostrack.cli.train_localizer import TrainLocalizerCommand
from vostrack.cli.train_mask_localizer import TrainMaskLocalizerCommand
from vostrack.cli.train_siseg import TrainSisegCommand
from vostrack.cli.train_spn import TrainSpnCommand
from vostrack.cli.train_target import TrainTargetCommand
from vostrack.errors import InputError

__all__ = ["main"]


class Command(Protocol):
    """What every command offers."""

    @property
    def verbose(self) -> bool:
        """Whether to log more."""
        ...

    @property
    def quiet(self) -> bool:
        """Whether to say nothing but errors."""
        ...

    def run(self) -> int:
        """Do the work and return the exit status."""
        ...


Commands = Mapping[str, "type[Command] | Mapping[str, type[Command]]"]

COMMANDS: Commands = {
    "track": TrackCommand,
    "propose": ProposeCommand,
    "davis": {
        "run": DavisRunCommand,
        "submit": DavisSubmitCommand,
        "check": DavisCheckCommand,
    },
    "eval": EvalCommand,
    "synthesize": SynthesizeCommand,
    "train": {
        "detection-crf": TrainDetectionCrfCommand,
        "foreground": TrainForegroundCommand,
        "target": TrainTargetCommand,
        "spn": TrainSpnCommand,
        "siseg": TrainSisegCommand,
        "fcrn": TrainFcrnCommand,
        "localizer": TrainLocalizerCommand,
        "mask-localizer": TrainMaskLocalizerCommand,
    },
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: the arguments; those of the process by default.

    Returns:
        0 on success; 1 where the result is partial, or a file could not be read or written; 2 where
        the input cannot be used; 130 after Ctrl-C.
    """
    try:
        command = _parse(argv)
        with _log_to_stderr(verbose=command.verbose, quiet=command.quiet):
            return command.run()
    except InputError as error:
        return _fail(f"error: {error}", 2)
    except BrokenPipeError:
        # Whoever read our output has gone, as `head` does.
        return 1
    except OSError as error:
        return _fail(f"error: {error}", 1)
    except KeyboardInterrupt as stop:
        return _fail(str(stop) or "stopped", 130)


def _parse(argv: Sequence[str] | None) -> Command:
    """Find the command in two steps, so that each help text shows one level."""
    import tyro

    arguments = list(sys.argv[1:] if argv is None else argv)
    prog, commands = "vostrack", COMMANDS
    if arguments and isinstance(group := commands.get(arguments[0]), Mapping):
        prog, commands = f"vostrack {arguments[0]}", group
        arguments = arguments[1:]
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_overview(prog, commands))
        raise SystemExit(0 if arguments else 2)
    if arguments[0] not in commands:
        near = difflib.get_close_matches(arguments[0], commands, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        expected = ", ".join(commands)
        raise InputError(f"command: expected one of {expected}, got {arguments[0]!r}{hint}")
    command = commands[arguments[0]]
    assert not isinstance(command, Mapping)
    return tyro.cli(command, prog=f"{prog} {arguments[0]}", args=arguments[1:])


def _overview(prog: str, commands: Commands) -> str:
    lines = [f"usage: {prog} COMMAND [OPTIONS]", ""]
    if prog == "vostrack":
        lines += ["A video and the masks of its first frame in, the mask of every object out.", ""]
    for name, command in commands.items():
        if isinstance(command, Mapping):
            lines.append(f"  {name:<12} {', '.join(command)}")
        else:
            lines.append(f"  {name:<12} {(command.__doc__ or '').splitlines()[0]}")
    return "\n".join([*lines, "", f"{prog} COMMAND --help tells the options of each."])


@contextmanager
def _log_to_stderr(*, verbose: bool, quiet: bool) -> Iterator[None]:
    """Send the package's own log, and no other, to standard error while a command runs."""
    logger = logging.getLogger("vostrack")
    level = logger.level
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    logger.setLevel(logging.DEBUG if verbose else logging.ERROR if quiet else logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def _fail(message: str, status: int) -> int:
    print(message, file=sys.stderr)
    return status
