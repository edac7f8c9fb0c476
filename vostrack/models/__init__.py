"""Networks without state between frames, and their weights."""
