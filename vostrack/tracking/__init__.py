"""Tracking: from the first mask, and then frame by frame, to label maps."""
