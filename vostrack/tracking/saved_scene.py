"""The state of a tracker, to be saved and taken up by another one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

import numpy as np

from vostrack.errors import InputError
from vostrack.tracking.frame_input import VOID, working_frame
from vostrack.tracking.object_history import ObjectHistory, ObjectState
from vostrack.tracking.object_table import ObjectTable
from vostrack.tracking.parts import warm_up_parts
from vostrack.tracking.saved_options import check_same_options, noted_options
from vostrack.tracking.state import (
    as_array,
    as_tensor,
    check_part,
    check_state,
    damage_named,
    on_device,
    stamp,
)
from vostrack.tracking.tracked_scene import TrackedScene

__all__ = ["SavedScene"]


class SavedScene(TrackedScene):
    """What a tracker knows, as plain data; see ``Tracker``."""

    def start_state(self) -> dict[str, Any]:
        """Return what ``start`` computed, for ``load_state``: tensors, numbers and strings.

        Label maps are copies. Tensors under ``adapter`` may be the tracker's own: do not write into
        them.

        Raises:
            RuntimeError: ``start`` has not been called, or a call is running.
        """
        self._check_started("start_state")
        assert self._first_objects is not None
        with self._calls.hold("Tracker.start_state"):
            return {
                **stamp("start", self.adapter, self._first_digest),
                "options": self._options(),
                "ids": list(self._first_objects.ids),
                "first_slots": as_tensor(self._first_slots),
                "first_labels": as_tensor(self._first_labels),
                "first_thumbnail": as_tensor(self._first_thumbnail),
                "adapter": dict(self.adapter.state_dict()),
            }

    def _options(self) -> dict[str, dict[str, str]]:
        return noted_options(
            {
                "tracker": self.config,
                "object models": self.adapter,
                "filter": self.temporal_filter,
                "support": self.support,
                "refiner": self.refiner,
                "proposer": self.proposer,
            }
        )

    def state(self) -> dict[str, Any]:
        """Return what changes between frames, for ``load_state``. Its size is bounded.

        Copied is what ``start_state`` copies.

        Raises:
            RuntimeError: ``start`` has not been called, or a call is running.
        """
        self._check_started("state")
        with self._calls.hold("Tracker.state"):
            return self._state()

    def _state(self) -> dict[str, Any]:
        temporal_filter = self.temporal_filter
        return {
            **stamp("running", self.adapter, self._first_digest),
            "adapter": dict(self.adapter.running_state()),
            "filter": dict(temporal_filter.state_dict()) if temporal_filter is not None else {},
            "support": self.support.state_dict() if self.support is not None else {},
            "ids": list(self.ids),
            "removed": sorted(self._removed),
            "last_slots": as_tensor(self._last_slots),
            "last_labels": as_tensor(self._last_labels),
            "presence": list(self._presence),
            "histories": [history.state_dict() for history in self._histories],
            "thumbnail": as_tensor(self._thumbnail),
            "missing": self._missing,
        }

    def load_state(
        self,
        start_state: Mapping[str, Any],
        state: Mapping[str, Any] | None,
        *,
        other_options: bool = False,
    ) -> None:
        """Resume the position of another tracker with the same configuration.

        The device, the number of threads and the precision may be others.

        Args:
            start_state: result of its ``start_state``.
            state: result of its ``state``; None for the position after the first frame.
            other_options: take up the state of a tracker whose options were others. From here on,
                those of this tracker count; the results are those of neither.

        Raises:
            InputError: another version of vostrack, another method, other options or other weights
                saved them, they are damaged or exchanged, or belong to two starts. This tracker is
                then unchanged.
        """
        check_state(start_state, "start", self.adapter)
        if state is not None:
            check_state(state, "running", self.adapter)
            if state.get("first") != start_state.get("first"):
                raise InputError(
                    "tracker state: the two parts belong to different starts; call "
                    "load_state(start_state, state) with the results of one tracker"
                )
        with self._call("Tracker.load_state"), damage_named():
            self._load_state(start_state, state)
            self._check_loaded(start_state)
            if not other_options:
                check_same_options(start_state["options"], self._options())

    def _load_state(self, start: Mapping[str, Any], state: Mapping[str, Any] | None) -> None:
        warm_up_parts(self.device, self.refiner, self.temporal_filter, self.proposer)
        self._first_objects = ObjectTable(tuple(start["ids"]))
        self._first_slots = as_array(start["first_slots"])
        self._first_labels = as_array(start["first_labels"])
        self._first_thumbnail = as_array(start["first_thumbnail"])
        self._take_first_frame()
        self.adapter.load_state_dict(on_device(start["adapter"], self.device))
        self._seek_start()
        if state is None:
            return
        if state["adapter"]:
            self.adapter.load_running_state(on_device(state["adapter"], self.device))
        self._objects = ObjectTable(tuple(state["ids"]))
        self._removed = frozenset(state["removed"])
        self._last_slots = as_array(state["last_slots"])
        self._last_labels = as_array(state["last_labels"])
        self._presence = tuple(state["presence"])
        self._histories = tuple(ObjectHistory.from_state(each) for each in state["histories"])
        self._thumbnail, self._missing = as_array(state["thumbnail"]), int(state["missing"])
        for name, part in (("filter", self.temporal_filter), ("support", self.support)):
            check_part(name, state[name], part)
            if part is not None:
                part.load_state_dict(state[name])

    def _check_loaded(self, start: Mapping[str, Any]) -> None:
        """Check that what was loaded fits together, and fits this tracker's working size."""
        labels, count = self._last_labels, len(self.ids)
        frame = np.broadcast_to(np.uint8(0), (*self._first_labels.shape, 3))
        size = working_frame(frame, self.config.max_size).shape[:2]
        if self._first_slots.shape != size:
            height, width = self._first_slots.shape
            raise InputError(
                f"tracker state: saved at the working size of {width} x {height}, but this tracker "
                f"works at {size[1]} x {size[0]}; build it with the `max_size` of the tracker that "
                "was saved"
            )
        arrays = (self._first_slots, self._last_slots, self._first_labels, labels)
        whole = (
            labels.shape == self._first_labels.shape
            and self._last_slots.shape == size
            and self._thumbnail.shape == self._first_thumbnail.shape
            and all(array.dtype == np.uint8 for array in arrays)
            and int(self._last_slots.max()) <= count == len(self._presence) == len(self._histories)
            and all(type(number) is int and 0 < number < VOID for number in self._removed)
            and self._removed.isdisjoint(self.ids)
            and all(isinstance(value, float | int) for value in self._presence)
            and all(history.state in get_args(ObjectState) for history in self._histories)
            and self._missing >= 0
            and {0, *np.unique(labels).tolist()} <= {0, *self.ids}
            and {0, *np.unique(self._first_labels).tolist()} == {0, *start["ids"]}
        )
        if not whole:
            raise ValueError("its parts do not fit together")
