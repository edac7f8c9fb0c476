"""Sharpening score maps in space, and keeping them consistent in time."""
