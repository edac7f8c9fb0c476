"""Options of plug-ins whose flags would be those of the command, or of another part."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from vostrack.cli import main
from vostrack.cli.flag_clashes import without_clashes
from vostrack.cli.form import parse_form
from vostrack.cli.form_flags import flags_of
from vostrack.cli.propose import ProposeCommand
from vostrack.cli.track import TrackCommand
from vostrack.errors import InputError
from vostrack.proposers.registry import PROPOSERS, ProposerEntry
from vostrack.refine.registry import REFINERS, RefinerEntry

NEEDED = ["--video", "v", "--first-mask", "m.png"]


@dataclass(frozen=True)
class Options:
    """Options."""

    mask: str = "soft"
    """With ``first`` as the name of the part: --first-mask."""

    steps: int = 1
    """With ``object``: --object-steps."""

    overlay: int = 1
    """With ``no``: --no-overlay."""

    b_c: int = 1
    """With ``a``: --a-b-c."""

    c: int = 1
    """With ``a-b``: --a-b-c, too."""


def unused(*_: object) -> Any:
    raise AssertionError("no part is built here")


@pytest.fixture
def parts(request: pytest.FixtureRequest) -> Iterator[None]:
    for name in request.param:
        REFINERS.register(name, RefinerEntry(Options, unused))
    PROPOSERS.register("a", ProposerEntry(Options, unused))
    yield
    for name in request.param:
        REFINERS.unregister(name)
    PROPOSERS.unregister("a")


@pytest.mark.parametrize("parts", [["first", "object", "no", "a-b", "a"]], indirect=True)
@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        (("refiner", "first"), "'mask' of first .* --first-mask, which the command itself has"),
        (("refiner", "object"), "'steps' of object .* --object-steps, which the command itself"),
        (("refiner", "no"), "'overlay' of no .* --no-overlay, which the command itself has"),
        (("refiner", "a"), "'b_c' of a .* --a-b-c, which the refiner a-b has already"),
        (("proposer", "a"), "'mask' of a .* --a-mask, which the refiner a has already"),
    ],
)
def test_a_part_whose_flag_is_taken_is_refused(
    parts: None, chosen: tuple[str, str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    kind, part = chosen
    given = [*NEEDED, f"--{kind}", part]
    with pytest.raises(InputError, match=f"{kind}: the option {words}.*choose another {kind}"):
        parse_form(TrackCommand, given, "vostrack")
    assert main(["track", *given]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: --{kind}: the option")
    assert said.count("\n") == 1


@pytest.mark.parametrize("parts", [["first", "no", "a"]], indirect=True)
def test_the_command_and_other_parts_keep_their_flags(parts: None) -> None:
    given = [*NEEDED, "--no-overlay", "--refiner", "a", "--a-mask", "hard"]
    command = parse_form(TrackCommand, given, "vostrack")
    assert command.first_mask == ("m.png",)
    assert not command.overlay
    assert command.options.refiner_options == {"mask": "hard"}
    # The same proposer has its flags where there is no refiner to have them.
    chosen = ["--output", "o", "--method", "a", "--a-mask", "hard"]
    options: Any = parse_form(ProposeCommand, chosen, "vostrack").method_options
    assert options == {"mask": "hard"}


@pytest.mark.parametrize("command", [TrackCommand, ProposeCommand])
def test_the_parts_of_the_package_do_not_clash(command: type[object]) -> None:
    assert without_clashes(flags_of(command))[1] == []
