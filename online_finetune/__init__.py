"""Learning the objects of one video from their first masks."""
