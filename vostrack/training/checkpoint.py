"""The checkpoint of a training: written whole or not at all, continued by its own recipe only."""

from __future__ import annotations

import logging
import pickle
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vostrack.errors import InputError
from vostrack.files import atomic_path
from vostrack.training.averaging import WeightAverage

__all__ = ["Checkpoint"]

_log = logging.getLogger("vostrack.training")


class Checkpoint:
    """``checkpoint.pt`` in a folder: all that a training needs to go on where it stopped."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        """Name the place; nothing is read or written.

        Args:
            folder: made when first written to.
            settings: plain data; a checkpoint of other settings is refused.
        """
        self._path = folder / "checkpoint.pt"
        self._settings = dict(settings)

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
            InputError: it was written with other settings, or cannot be read.
        """
        if not self._path.is_file():
            return 0, []
        state = self._read(next(network.parameters()).device)
        theirs = state["settings"]
        different = sorted(
            k
            for k in theirs.keys() | self._settings.keys()
            if theirs.get(k) != self._settings.get(k)
        )
        if different:
            key = different[0]
            raise InputError(
                f"training: {self._path} was written by another recipe ({key} was "
                f"{theirs.get(key)!r}, is {self._settings.get(key)!r}); train into another folder, "
                "or delete it to start again"
            )
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        if average is not None:
            average.load_state_dict(state["average"])
        _log.info("training goes on from step %d of %s", state["step"], self._path)
        return int(state["step"]), list(state.get("validation", []))

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
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        partial = self._path.with_name(f".{self._path.name}.partial")
        state = {
            "step": step,
            "settings": self._settings,
            "network": network.state_dict(),
            "optimizer": optimizer.state_dict(),
            "validation": [dict(entry) for entry in validation],
        }
        if average is not None:
            state["average"] = average.state_dict()
        torch.save(state, partial)
        partial.replace(self._path)

    def keep(self, step: int) -> None:
        """Copy the checkpoint, of ``step`` steps, to a name of its own."""
        kept = self._path.with_name(f"checkpoint-{step:06d}.pt")
        with atomic_path(kept) as partial:
            shutil.copyfile(self._path, partial)

    def _read(self, device: torch.device) -> dict[str, Any]:
        try:
            state = torch.load(self._path, map_location=device, weights_only=True)
        except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
            raise InputError(
                f"training: {self._path} cannot be read ({type(error).__name__}); delete it to "
                "start again"
            ) from None
        if not isinstance(state, dict) or "settings" not in state:
            raise InputError(
                f"training: {self._path} is no checkpoint of this version; train into another "
                "folder, or delete it to start again"
            )
        return state
