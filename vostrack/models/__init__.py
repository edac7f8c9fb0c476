"""Networks, which keep no state between frames, and their weights."""
