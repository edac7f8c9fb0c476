"""Exports for video editors: mattes, and cut-out objects as videos with alpha."""
