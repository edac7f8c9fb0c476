"""The ``vostrack`` command."""

from __future__ import annotations

import difflib
import io
import logging
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from copy import copy
from pathlib import Path

from vostrack.cli.commands import COMMANDS, Command, CommandEntry, Commands
from vostrack.cli.sigterm import INTERRUPTED, termination_as_interrupt
from vostrack.cli.unread_output import STANDARD_OUTPUT, unread_output_dropped
from vostrack.cli.width import wide_enough
from vostrack.disk_room import no_room
from vostrack.errors import InputError

__all__ = ["COMMANDS", "main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: the arguments; those of the process by default.

    Returns:
        0 on success; 1 where the result is partial, or a file could not be read or written; 2 where
        the input cannot be used; 130 after Ctrl-C. That nobody reads what is printed, as after
        ``| head``, changes nothing: the work is done to its end.
    """
    if argv is None:
        _print_any_name()
    with unread_output_dropped(ends_process=argv is None), termination_as_interrupt() as ended:
        return ended.status(_run(argv))


def _run(argv: Sequence[str] | None) -> int:
    entry: CommandEntry | None = None
    try:
        _check_current_folder()
        entry, prog, arguments = _find(argv)
        with wide_enough():
            command = _parse(entry, prog, arguments)
        with _log_to_stderr(entry, verbose=command.verbose, quiet=command.quiet):
            status = command.run()
        if sys.stdout is not None:
            sys.stdout.flush()
        return status
    except InputError as error:
        return _fail(f"error: {_spoken(str(error), entry)}", 2)
    except OSError as error:
        return _fail(f"error: {_spoken(_disk_words(error), entry)}", 1)
    except KeyboardInterrupt as stop:
        if argv is None:
            _ignore_further_interrupts()
        return _fail(_spoken(str(stop), entry) or "stopped", INTERRUPTED)


def _print_any_name() -> None:
    """Let names that the terminal cannot show be printed with escapes instead of ending the run."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _check_current_folder() -> None:
    """Refuse to work in a folder that is gone: some libraries end the process there.

    Raises:
        InputError: the current folder was removed.
    """
    try:
        Path.cwd()
    except FileNotFoundError:
        raise InputError(
            "the current folder was removed; change to another one, for example with `cd`"
        ) from None


def _disk_words(error: OSError) -> str:
    """Return what went wrong with a file or standard output; for want of room, what helps, too."""
    reason = no_room(error)
    if reason is None:
        if error.filename is None or error.strerror is None:
            return str(error)
        if error.filename == STANDARD_OUTPUT:
            return f"{STANDARD_OUTPUT}: {error.strerror}"
        return f"{error.filename}: {error.strerror}; check the path, and that you may use it"
    if error.strerror != os.strerror(error.errno or 0):
        return str(error.strerror)  # it has been said in words
    place = f"{error.filename}: " if error.filename else ""
    return f"{place}{reason.problem}; {reason.remedy}"


def _ignore_further_interrupts() -> None:
    """Let the process, which is about to end, end without a traceback."""
    with suppress(ValueError):  # outside the main thread
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _find(argv: Sequence[str] | None) -> tuple[CommandEntry, str, list[str]]:
    """Find the command in two steps, so that each help text shows one level."""
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
    entry = commands[arguments[0]]
    assert isinstance(entry, CommandEntry)
    return entry, f"{prog} {arguments[0]}", arguments[1:]


def _parse(entry: CommandEntry, prog: str, arguments: list[str]) -> Command:
    kind = entry.load()
    if entry.grouped:
        from vostrack.cli.form import parse_form
        from vostrack.cli.retired_flags import refuse_retired_flags

        refuse_retired_flags(arguments)
        return parse_form(kind, arguments, prog)
    from vostrack.cli.form import parse_plain
    from vostrack.cli.renamed_flags import refuse_renamed_flags

    refuse_renamed_flags(arguments, getattr(kind, "renamed", {}))
    return parse_plain(kind, arguments, prog)


def _spoken(message: str, entry: CommandEntry | None) -> str:
    """Return a message of the library in the words of the command line."""
    if entry is None:
        return message
    from vostrack.cli.error_text import to_flags
    from vostrack.cli.form import spelling_of

    return to_flags(message, spelling_of(entry.load(), grouped=entry.grouped))


def _overview(prog: str, commands: Commands) -> str:
    lines = [f"usage: {prog} COMMAND [OPTIONS]", ""]
    if prog == "vostrack":
        lines += [
            "Give a video and the masks of its first frame; get the masks of every frame.",
            "",
            "Start with: vostrack track --video clip.mp4 --first-mask mask.png --output out",
            "",
        ]
    width = max(map(len, commands)) + 2
    for name, entry in commands.items():
        if isinstance(entry, Mapping):
            lines.append(f"  {name:<{width}}{', '.join(entry)}")
        else:
            lines.append(f"  {name:<{width}}{entry.summary()}")
    return "\n".join([*lines, "", f"{prog} COMMAND --help shows the options of a command."])


@contextmanager
def _log_to_stderr(entry: CommandEntry, *, verbose: bool, quiet: bool) -> Iterator[None]:
    """Send the package's own log, and no other, to standard error while a command runs."""

    class InFlags(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            spoken = copy(record)
            spoken.msg, spoken.args = _spoken(record.getMessage(), entry), None
            return super().format(spoken)

    logger = logging.getLogger("vostrack")
    level = logger.level
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(InFlags("%(levelname)s: %(message)s"))
    logger.setLevel(logging.DEBUG if verbose else logging.ERROR if quiet else logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def _fail(message: str, status: int) -> int:
    with suppress(OSError):  # whoever read it has gone
        print(message, file=sys.stderr)
    return status
