"""What helps between scores and labels when objects touch, cross, or are lost."""

from vostrack.tracking.support.config import SupportConfig
from vostrack.tracking.support.stage import ProposalSupport

__all__ = ["ProposalSupport", "SupportConfig"]
