"""Per-frame instance proposers: systems that find instances in one image."""

from vostrack.protocols import InstanceProposals, InstanceProposer

__all__ = ["InstanceProposals", "InstanceProposer"]
