"""``python -m vostrack``: the command ``vostrack``."""

import sys

from vostrack.cli import main

if __name__ == "__main__":
    sys.exit(main())
