"""Which parts of the support of identities are on."""

from __future__ import annotations

from dataclasses import dataclass

from vostrack.errors import InputError

__all__ = ["SupportConfig"]


@dataclass(frozen=True)
class SupportConfig:
    """What is done between scores and labels when objects touch, cross, or are lost.

    Attributes:
        identity: whether the pieces of objects that touched are matched to them by how they moved
            and what they look like.
        let_go: whether an object of which only a remnant with a low presence has been left for some
            frames counts as lost, so that it is searched in the whole frame. It needs an adapter
            that estimates presence.
        reacquire: whether an object that is lost, or that looks unlike its given masks, is searched
            for among the proposals of a proposer in the whole frame.
        support: whether the unsure pixels of an object follow the proposal that matches it.
        every: frames from one question to the proposer to the next, at least 1.
    """

    identity: bool = True
    let_go: bool = True
    reacquire: bool = False
    support: bool = False
    every: int = 5

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            InputError: a value is out of its range.
        """
        if self.every < 1:
            raise InputError(f"every: expected at least 1 frame, got {self.every}")

    @property
    def asks(self) -> bool:
        """Whether a part needs a proposer."""
        return self.reacquire or self.support
