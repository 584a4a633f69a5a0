"""``python -m encore`` is the `encore` command."""

from __future__ import annotations

import sys

from encore.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
