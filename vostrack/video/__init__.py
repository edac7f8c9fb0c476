"""Frames in from any source, overlays and mattes out."""
