"""vostrack: a video and the masks of its first frame in, the mask of every object in every frame out."""
