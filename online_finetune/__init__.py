"""Object models that learn the objects of one video from the first mask."""
