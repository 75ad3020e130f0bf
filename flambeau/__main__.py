"""`python -m flambeau` is the command `flambeau`."""

from __future__ import annotations

import sys

from flambeau.tools.cli import main

sys.exit(main())
