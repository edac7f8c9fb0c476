"""One frame's way: from a frame and the first mask to a label map."""
