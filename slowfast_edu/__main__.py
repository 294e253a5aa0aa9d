"""``python -m slowfast_edu`` is the command ``slowfast-edu``; ``torchrun`` needs it."""

import sys

from slowfast_edu.cli import main

if __name__ == "__main__":
    sys.exit(main())
