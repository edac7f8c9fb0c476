"""What the edges of mattes are made of."""

from __future__ import annotations

from typing import Literal

__all__ = ["MatteEdges"]

MatteEdges = Literal["plain", "hair"]
"""plain: as soft as in the picture, close to the mask. hair: strands outside of it, too."""
