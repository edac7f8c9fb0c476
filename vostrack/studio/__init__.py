"""A page in the browser: make the first mask, watch the tracking, correct it, and export.

``vostrack studio clip.mp4`` starts a server on this computer and opens its page.

A *project* is a folder. ``project.json`` is its journal: the video, the objects, and every edit
that was ever made, with a mark of how many of them hold. ``edits/`` has the label map after each
edit, ``masks/`` what the tracker found. Each file is replaced in one step, as soon as something
happens, so a crash loses at most what was in flight. Undo and redo move the mark. The label map of
a frame is that of its last edit, else the tracker's: what a person drew is never overwritten.

The server holds one project. Requests change it under one lock, and every change is announced to
all open pages as a server-sent event, so that two tabs show the same. One thread tracks: it goes
through the frames of a plan with ``Tracker.start``, ``step``, ``correct``, ``add_objects`` and
``remove_objects``, and hands each label map to the project. Painting happens in the page; a stroke
is sent when it is finished, with the tag of the label map it was drawn on, and refused if another
tab was faster; the page then draws it again on what that tab made of the frame.

Who does not know the token of the address gets nothing, nor do pages of other origins. Requests
name frames by number and exports by the name of a format, never files by path: only the video
and the folder of the project are read and written.
"""

from vostrack.studio.project import Project, StudioObject

__all__ = ["Project", "StudioObject"]
