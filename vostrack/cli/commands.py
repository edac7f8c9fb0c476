"""The commands by name; a command's module is loaded when the command is used."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

__all__ = ["COMMANDS", "Command", "CommandEntry", "Commands"]


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


@dataclass(frozen=True)
class CommandEntry:
    """Where a command is found."""

    module: str
    """Its module in ``vostrack.cli``."""

    name: str
    """Its class."""

    grouped: bool = False
    """Whether its options come from dataclasses that know nothing of the command line."""

    def load(self) -> type[Command]:
        """Import the class."""
        loaded: type[Command] = getattr(import_module(f"vostrack.cli.{self.module}"), self.name)
        return loaded

    def summary(self) -> str:
        """Return the first line of the class's docstring, without importing it."""
        found = find_spec(f"vostrack.cli.{self.module}")
        assert found is not None
        assert found.origin is not None
        for node in ast.parse(Path(found.origin).read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and node.name == self.name:
                return (ast.get_docstring(node) or "").split("\n", 1)[0]
        raise AssertionError(f"no class {self.name} in {found.origin}")


Commands = Mapping[str, "CommandEntry | Mapping[str, CommandEntry]"]

_DATASET: Mapping[str, CommandEntry] = {
    "run": CommandEntry("dataset", "DatasetRunCommand", grouped=True),
    "submit": CommandEntry("dataset", "DatasetSubmitCommand"),
    "check": CommandEntry("dataset", "DatasetCheckCommand"),
}

COMMANDS: Commands = {
    "track": CommandEntry("track", "TrackCommand", grouped=True),
    "studio": CommandEntry("studio", "StudioCommand"),
    "propose": CommandEntry("propose", "ProposeCommand", grouped=True),
    "score-proposals": CommandEntry("score_proposals", "ScoreProposalsCommand"),
    "dataset": _DATASET,
    "davis": _DATASET,
    "convert": CommandEntry("convert", "ConvertCommand"),
    "eval": CommandEntry("evaluate", "EvalCommand"),
    "synthesize": CommandEntry("synthesize", "SynthesizeCommand"),
    "train": {
        "detection-crf": CommandEntry("train_detection_crf", "TrainDetectionCrfCommand"),
        "foreground": CommandEntry("train_foreground", "TrainForegroundCommand"),
        "target": CommandEntry("train_target", "TrainTargetCommand"),
        "spn": CommandEntry("train_spn", "TrainSpnCommand"),
        "siseg": CommandEntry("train_siseg", "TrainSisegCommand"),
        "fcrn": CommandEntry("train_fcrn", "TrainFcrnCommand"),
        "localizer": CommandEntry("train_localizer", "TrainLocalizerCommand"),
        "mask-localizer": CommandEntry("train_mask_localizer", "TrainMaskLocalizerCommand"),
    },
}
