"""Small target models over shared features: one backbone pass a frame, whatever the objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, replace
from typing import Any

import torch
from torch import Tensor

from vostrack.compute.optical_flow import gray_bytes
from vostrack.errors import InputError
from vostrack.models.shared_backbone import backbone_fingerprint
from vostrack.models.target_net import TargetNet
from vostrack.models.weights_digest import weights_digest
from vostrack.online_finetune.target.along_flow import AlongFlow
from vostrack.online_finetune.target.carried_frames import Steadiness
from vostrack.online_finetune.target.cohorts import gather, load_cohorts, save_cohorts
from vostrack.online_finetune.target.confirmation import confirmed_presence
from vostrack.online_finetune.target.doubt import (
    doubtful_objects,
    find_elsewhere,
    with_imagined,
    without_later,
)
from vostrack.online_finetune.target.due_frames import is_due
from vostrack.online_finetune.target.edited_objects import Started
from vostrack.online_finetune.target.finetune import OnProgress
from vostrack.online_finetune.target.fitted_network import FittedNetwork, fit_network
from vostrack.online_finetune.target.frame_pairs import LabelledFrame
from vostrack.online_finetune.target.frame_steps import (
    begin_objects,
    find_objects,
    learn_objects,
    spread_scores,
)
from vostrack.online_finetune.target.given_frames import load_given, slot_masks, void_in
from vostrack.online_finetune.target.imagined_frames import Origin
from vostrack.online_finetune.target.likeness import region_likeness
from vostrack.online_finetune.target.memory import TargetModelConfig, TrackedObjects
from vostrack.protocols import BackboneFeatures, ObjectScores

__all__ = ["TargetModelAdapter", "TargetModelConfig"]

# An object counts as visible from this presence on.
_VISIBLE = 0.5
# Stages that can be left out, and their shares of the time of scoring one object; of more objects
# the flow takes less.
_OPTIONAL = {"flow": 0.12, "mirror": 0.5}


class TargetModelAdapter(AlongFlow):
    """The objects of one video as memories of a target network.

    Implements ``ObjectAdapter``, ``FeatureProvider``, ``EditsObjects``, ``Refits`` and
    ``LearnsLaterFrames``. Memory is bounded: the frame in which an object was given,
    ``corrections`` frames in which it was corrected, ``memories`` later ones, and the one just
    before.

    Attributes:
        generic: the network that was given.
    """

    def __init__(
        self,
        generic: TargetNet,
        config: TargetModelConfig | None = None,
        *,
        on_progress: OnProgress | None = None,
    ) -> None:
        """Take the generic network; it is copied, never changed.

        Args:
            generic: on the device to work on.
            config: how it is used.
            on_progress: told of every fine-tuning step.
        """
        super().__init__(generic, config, on_progress=on_progress)
        self._presence: Tensor | None = None
        self._fingerprint: str | None = None

    def start(self, image: Tensor, labels: Tensor) -> None:
        """Learn the objects of a video.

        Args:
            image: (3, h, w) in [0, 1], on the device of the network.
            labels: (h, w) int64; 0 background, 1..N the slots, 255 void.
        """
        self.start_with(image, labels, ())

    def start_with(self, image: Tensor, labels: Tensor, later: Sequence[LabelledFrame]) -> None:
        """Learn the objects, and fine-tune on later frames, too; see ``LearnsLaterFrames``.

        The later frames are not kept: ``refit`` fine-tunes on given masks alone.
        """
        self._fitted = fit_network(
            self.generic, [(image, labels), *later], self.config, on_progress=self.on_progress
        )
        self._begin(image, labels)

    def rehearse(self, image: Tensor, labels: Tensor) -> None:
        """Do what ``start`` does, without fine-tuning; see ``Rehearses``."""
        self._fitted = fit_network(self.generic, [(image, labels)], self.config, steps=False)
        self._begin(image, labels)

    @torch.inference_mode()
    def _begin(self, image: Tensor, labels: Tensor) -> None:
        masks = slot_masks(labels)
        self._given = ()
        self._give(image, labels, range(1, len(masks) + 1))
        objects = begin_objects(self._fitted.network, image, masks, self.config, void_in(labels))
        objects = replace(objects, origin=Origin.of(image, masks, self.config.window))
        self._frame, self._unsure = gray_bytes(image), ()
        self._started = Started(self._fitted, self._given, objects, self._frame)
        self._now = objects

    def optional_stages(self) -> dict[str, float]:
        """Return what can be left out: the optical flow and the mirrored pass, where used."""
        used = {"flow": self.config.flow_share > 0, "mirror": self.config.mirror}
        return {name: share for name, share in _OPTIONAL.items() if used[name]}

    def seek_start(self) -> None:
        """Return to the state after the first frame; what was learned from it is kept."""
        self._pending, self._everywhere = None, False
        if self._started is not None:
            self._fitted, self._given = self._started.fitted, self._started.given
            self._now, self._frame = self._started.objects, self._started.frame
            self._unsure, self._steady = (), Steadiness()

    @torch.inference_mode()
    def scores(self, image: Tensor) -> ObjectScores:
        """Score a frame.

        Args:
            image: (3, h, w) in [0, 1].

        Returns:
            Object scores (N, h, w) and the probability (h, w) of any object, both in [0, 1].

        Raises:
            RuntimeError: ``start`` has not been called.
        """
        now = self._now
        if now is None:
            raise RuntimeError("TargetModelAdapter.scores was called before start")
        config = self.config
        if config.mirror and "mirror" in self._skipped:
            config = replace(config, mirror=False)
        network = self._fitted.network
        lost = [place.area < config.smallest for place in now.places]
        if any(lost):
            self._now = now = with_imagined(network, now, config)
        carried = self._carry(image, lost)
        if carried is not None:
            self._pending = None
            return _object_scores(spread_scores(carried, now, image.shape[1:], config))
        found = find_objects(network, image, now, config, everywhere=self._everywhere)
        self._everywhere = False
        found = self._with_flow(found, lost)
        scores = spread_scores(found.drawn, now, image.shape[1:], config)
        presence = confirmed_presence(network, found, now, config).sigmoid()
        if is_due(config.doubt_every, now.frames + 1, now.carried):
            doubtful = doubtful_objects(network, now, (found, scores), config)
            if doubtful:
                self._now = now = with_imagined(network, now, config)
                elsewhere = find_elsewhere(network, image, now, scores, doubtful, config)
                if elsewhere is not None:
                    found, scores, slots = elsewhere.finding, elsewhere.scores, elsewhere.slots
                    presence[list(slots)] = elsewhere.presence.sigmoid()
                    self._now = without_later(now, slots)
        self._pending, self._presence = found, presence
        if any(lost):
            # An object that was lost is found only where trusted memories confirm it.
            unseen = torch.tensor(lost, device=presence.device) & (presence < _VISIBLE)
            scores = scores.masked_fill(unseen[:, None, None], 0)
        return _object_scores(scores)

    def presence(self) -> Tensor | None:
        """Return (N,) the probability of each object's being in the frame scored last."""
        return self._presence

    def look_everywhere(self) -> None:
        """See the whole of the next frame; see ``LooksEverywhere``."""
        self._everywhere = True

    @torch.inference_mode()
    def likeness(self, regions: Tensor) -> Tensor | None:
        """Compare regions of the frame scored last with the given masks; see ``JudgesRegions``."""
        if self._pending is None or self._now is None:
            return None
        return region_likeness(self._fitted.network, self._pending, self._now, regions)

    def shared_features(self) -> BackboneFeatures | None:
        """Return the features of the window of the frame scored last; None after ``commit``.

        With ``mirror`` they are those of the frame as it is.
        """
        if self._pending is None or self._now is None:
            return None
        self._fingerprint = self._fingerprint or backbone_fingerprint(self.generic)
        features, window = self._pending.features, self._pending.window
        box = window.shares(self._now.masks.shape[1:])
        return BackboneFeatures(
            self._fingerprint, features.levels[2], features.levels[3], box, window.size
        )

    @torch.inference_mode()
    def commit(self, scores: Tensor, labels: Tensor) -> None:
        """Learn from a frame that is done.

        Args:
            scores: (N, h, w) in [0, 1], as they came out of the filters.
            labels: (h, w) uint8, the final label map, slots 1..N.
        """
        if self._now is not None and self._pending_drawn is not None:
            self._commit_carried(scores, labels)
            return
        if self._now is None or self._pending is None:
            raise RuntimeError("TargetModelAdapter.commit was called before scores")
        assert self._presence is not None
        sure = (self._presence >= _VISIBLE).tolist()
        self._now = learn_objects(
            self._fitted.network, self._pending, (scores, labels), self._now, self.config, sure
        )
        self._pending, self._frame = None, self._pending_frame
        self._steady = self._pending_steady
        self._unsure = tuple(slot for slot, one in enumerate(sure) if not one)

    def state_dict(self) -> dict[str, Any]:
        """Return the weights that ``start`` fitted, and the first frame with its memory."""
        started = self._started_or_raise("state_dict")
        return {
            "generic": weights_digest(self.generic),
            **started.fitted.state_dict(self.generic),
            "given": [frame.state_dict() for frame in started.given],
            "first": started.objects.state_dict(),
            "frame": started.frame,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what ``state_dict`` returned, in place of ``start``.

        Raises:
            InputError: it was saved with other weights of the network.
        """
        if state["generic"] != weights_digest(self.generic):
            raise InputError(
                "tracker state: saved with other weights of the target network; build the tracker "
                "with the `weights` of the tracker that was saved"
            )
        fitted = FittedNetwork.from_state(self.generic, state)
        first = TrackedObjects.from_state(state["first"], None)
        self._started = Started(fitted, load_given(state["given"]), first, state["frame"])
        self.seek_start()

    def running_state(self) -> dict[str, Any]:
        """Return what was learned since the first frame."""
        cohorts = self._cohorts("running_state")
        started = self._started_or_raise("running_state")
        state: dict[str, Any] = {
            "cohorts": save_cohorts(cohorts, started.objects),
            "everywhere": self._everywhere,
            "unsure": list(self._unsure),
            "steady": [*astuple(self._steady)],
        }
        if self._presence is not None:
            state["presence"] = self._presence
        if self._frame is not None and self._frame is not started.frame:
            state["frame"] = self._frame
        if self._given is not started.given:
            state["given"] = [frame.state_dict() for frame in self._given]
        if self._fitted is not started.fitted:
            state["fitted"] = self._fitted.state_dict(started.fitted.weights, changes=True)
        return state

    def load_running_state(self, state: Mapping[str, Any]) -> None:
        """Take up what ``running_state`` returned, after ``load_state_dict``."""
        started = self._started_or_raise("load_running_state")
        self._fitted, self._given = started.fitted, started.given
        if "fitted" in state:
            self._fitted = FittedNetwork.from_state(started.fitted.weights, state["fitted"])
        if "given" in state:
            self._given = load_given(state["given"])
        cohorts = load_cohorts(state["cohorts"], started.objects)
        self._now, self._pending = gather(cohorts, started.objects.masks.shape[1:]), None
        self._everywhere = bool(state["everywhere"])
        self._frame = state.get("frame", started.frame)
        self._unsure = tuple(state["unsure"])
        self._steady = Steadiness(*state["steady"])
        self._presence = state.get("presence")

    def _started_or_raise(self, call: str) -> Started:
        if self._started is None:
            raise RuntimeError(f"TargetModelAdapter.{call} was called before start")
        return self._started


def _object_scores(scores: Tensor) -> ObjectScores:
    """Return scores (N, h, w) with the foreground, which is what any of the objects covers."""
    foreground = scores[0]
    for other in scores[1:]:  # faster than one maximum over all of them
        foreground = torch.maximum(foreground, other)
    return ObjectScores(scores, foreground)
