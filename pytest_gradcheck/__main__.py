"""``python -m pytest_gradcheck package.module:object``: one check without a test."""

from __future__ import annotations

import sys

from .command_line import main

if __name__ == "__main__":
    sys.exit(main())
