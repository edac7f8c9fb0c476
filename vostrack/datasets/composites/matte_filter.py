"""Which mattes are clean enough to cut an object out, and what is wrong with the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vostrack.checks import check_at_least, check_fraction
from vostrack.errors import InputError

if TYPE_CHECKING:
    from vostrack.datasets.composites.matted_photos import MattedPhoto

__all__ = ["MatteFilter", "matte_fault", "passes_filter"]


@dataclass(frozen=True)
class MatteFilter:
    """Which mattes are clean enough to cut an object out.

    Attributes:
        soft: largest share of pixels whose alpha lies between 0.1 and 0.9. Failed mattes and
            groups have 0.1 and more.
        area: lowest and highest share of the photograph that the object covers.
        largest_piece: lowest share of the object that hangs together.
        side: lowest width and height of the object, pixels.
    """

    soft: float = 0.06
    area: tuple[float, float] = (0.01, 0.80)
    largest_piece: float = 0.7
    side: int = 8

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: a value is out of its range.
        """
        check_fraction(self, "soft", "largest_piece")
        check_at_least(self, {"side": 1})
        if not 0 <= self.area[0] < self.area[1] <= 1:
            raise InputError(f"area: expected 0 <= lowest < highest <= 1, got {self.area}")


def passes_filter(photo: MattedPhoto, limits: MatteFilter) -> bool:
    """Whether a photograph shows one clean object."""
    return matte_fault(photo, limits) is None


def matte_fault(photo: MattedPhoto, limits: MatteFilter) -> str | None:
    """Return what a matte is that does not show one clean object; None for one that does."""
    if not photo.area:
        return "with 0 and 1 alone" if photo.peak == 1 else "empty"
    if photo.soft >= limits.soft:
        return "soft"
    if photo.area > limits.area[1]:
        return "covering nearly all"
    x0, y0, x1, y1 = photo.box
    if photo.area < limits.area[0] or min(x1 - x0, y1 - y0) < limits.side:
        return "too small"
    return "in pieces" if photo.largest_piece < limits.largest_piece else None
