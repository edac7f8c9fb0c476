"""The checkpoint of a training: written whole or not at all, continued by its own recipe only."""

from __future__ import annotations

import logging
import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vostrack.errors import InputError
from vostrack.files import atomic_path
from vostrack.training.agreement import check_agreement, lacks_record, start_again
from vostrack.training.averaging import WeightAverage
from vostrack.training.folder import CHECKPOINT, check_folder_unused
from vostrack.training.loop_config import LoopConfig
from vostrack.training.processes import Processes, join_processes

__all__ = ["Checkpoint", "check_folder", "open_checkpoint"]

_log = logging.getLogger("vostrack.training")
# What may differ between the parts of one training without changing its result.
_FREE = ("checkpoint_every", "tensorboard", "ahead", "keep_every")
# What every checkpoint holds, and of which type.
_PARTS = {"step": int, "settings": dict, "network": dict, "optimizer": dict, "validation": list}


def open_checkpoint(
    folder: Path, config: LoopConfig, settings: Mapping[str, Any], processes: Processes
) -> Checkpoint:
    """Name the checkpoint of a training; see ``vostrack.training.loop.train``."""
    agreed = {k: v for k, v in vars(config).items() if k not in _FREE}
    agreed |= {f"recipe.{k}": v for k, v in settings.items()}
    return Checkpoint(folder, {**agreed, "processes": processes.count})


def check_folder(
    folder: Path, config: LoopConfig, settings: Mapping[str, Any], device: torch.device
) -> None:
    """Refuse a checkpoint that ``train`` would refuse, before much is prepared for it.

    Args:
        folder: of the training.
        config: how the loop runs.
        settings: as for ``train``.
        device: of this process.

    Raises:
        InputError: the checkpoint is of another recipe, is damaged, or cannot be read.
    """
    open_checkpoint(folder, config, settings, join_processes(device)).read(device)


class Checkpoint:
    """``checkpoint.pt`` in a folder: all that a training needs to go on where it stopped."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        """Name the place; nothing is read or written.

        Args:
            folder: made when first written to.
            settings: plain data; a checkpoint of other settings is refused.
        """
        self._path = folder / CHECKPOINT
        self._settings = dict(settings)
        self._remedy = start_again(folder)

    def read(self, device: torch.device) -> dict[str, Any] | None:
        """Read the checkpoint, if there is one.

        Args:
            device: that its tensors go to.

        Raises:
            InputError: it was written with other settings, is damaged, or cannot be read; or there
                is none, and a training from the beginning would replace what lies there.
        """
        check_folder_unused(self._path.parent)
        if not self._path.is_file():
            return None
        state = self._parse(device)
        check_agreement(self._path, state["settings"], self._settings)
        last = self._settings.get("steps", math.inf)
        if not 0 <= state["step"] <= last:
            raise self._damaged(f"0 to {last} steps", state["step"])
        return state

    def load(
        self,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        average: WeightAverage | None = None,
    ) -> tuple[int, list[dict[str, Any]]]:
        """Fill all of them from the checkpoint.

        Args:
            network: of the training.
            optimizer: of its weights.
            average: of its weights, where one is kept.

        Returns:
            The steps done and the figures of the validations so far; 0 and none where there is no
            checkpoint.

        Raises:
            InputError: as ``read`` raises it, or the checkpoint is of another network.
        """
        state = self.read(next(network.parameters()).device)
        if state is None:
            return 0, []
        if lacks_record(state["settings"], self._settings):
            _log.warning(
                "%s was written by an earlier version, which did not record the data and all "
                "options; make sure that they are the same",
                self._path,
            )
        try:
            network.load_state_dict(state["network"])
            optimizer.load_state_dict(state["optimizer"])
            if average is not None:
                average.load_state_dict(state["average"])
        # Torch says in many ways that what it reads is of something else.
        except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError):
            raise InputError(
                f"training: the weights in {self._path} are not those of this network and "
                f"optimizer; {self._remedy}"
            ) from None
        _log.info("training goes on from step %d of %s", state["step"], self._path)
        return state["step"], state["validation"]

    def save(
        self,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        step: int,
        average: WeightAverage | None = None,
        validation: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """Replace the checkpoint.

        Args:
            network: of the training.
            optimizer: of its weights.
            step: steps done.
            average: of its weights, where one is kept.
            validation: figures so far.

        Raises:
            OSError: it cannot be written, for want of room or otherwise. The one before is kept.
        """
        state = {
            "step": step,
            "settings": self._settings,
            "network": network.state_dict(),
            "optimizer": optimizer.state_dict(),
            "validation": [dict(entry) for entry in validation],
        }
        if average is not None:
            state["average"] = average.state_dict()
        with atomic_path(self._path) as partial:
            try:
                # To an open file: by a path, torch would not say why it failed.
                with partial.open("wb") as file:
                    torch.save(state, file)
            except (OSError, RuntimeError) as error:
                cause = error.__context__ if isinstance(error.__context__, OSError) else error
                reason = str(cause).partition("\n")[0]
                again = "go on from the checkpoint before" if self._path.exists() else "begin anew"
                raise OSError(
                    f"{self._path} cannot be written ({reason}); make room, and give the same "
                    f"command to {again}"
                ) from None

    def keep(self, step: int) -> None:
        """Copy the checkpoint, of ``step`` steps, to a name of its own."""
        kept = self._path.with_name(f"checkpoint-{step:06d}.pt")
        with atomic_path(kept) as partial:
            shutil.copyfile(self._path, partial)

    def _parse(self, device: torch.device) -> dict[str, Any]:
        try:
            state = torch.load(self._path, map_location=device, weights_only=True)
        except (PermissionError, MemoryError, torch.OutOfMemoryError):
            raise
        # What is no such file makes torch raise errors of nearly every kind.
        except Exception as error:
            raise InputError(
                f"training: {self._path} cannot be read ({type(error).__name__}); {self._remedy}"
            ) from None
        if not isinstance(state, dict) or "settings" not in state:
            raise InputError(
                f"training: {self._path} is no checkpoint of this version; {self._remedy}"
            )
        state.setdefault("validation", [])
        for name, kind in _PARTS.items():
            if not isinstance(state.get(name), kind):
                raise self._damaged(f"{name!r} to be of type {kind.__name__}", state.get(name))
        return state

    def _damaged(self, expected: str, got: object) -> InputError:
        shown = got if isinstance(got, int) else f"an object of type {type(got).__name__}"
        return InputError(
            f"training: {self._path} is damaged: expected {expected}, got {shown}; {self._remedy}"
        )
