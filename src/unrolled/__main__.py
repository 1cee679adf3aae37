"""`python -m unrolled`: the command line."""

import sys

from unrolled.cli import main

if __name__ == "__main__":
    sys.exit(main())
