"""Spatial refinement of score maps, and filtering for consistency over time."""
