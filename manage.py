#!/usr/bin/env python
"""Run a command of the product: ``python manage.py …`` equals ``pool …``."""

from __future__ import annotations

import sys

from poolsite.cli import main

if __name__ == "__main__":
    sys.exit(main())
