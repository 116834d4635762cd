"""`python -m oddframe`: the command line."""

import sys

from oddframe.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
