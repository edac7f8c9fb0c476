"""Track one clip: ``python scripts/track.py --video clip.mp4 --first-mask m.png``.

The same as ``vostrack track``; see ``--help``.
"""

import sys

from vostrack.cli import main

if __name__ == "__main__":
    sys.exit(main(["track", *sys.argv[1:]]))
