"""`torch.utils.benchmark`: times of statements, with their spread, and tables of them."""

from __future__ import annotations

from flambeau.utils.benchmark.utils.common import *  # noqa: F403
from flambeau.utils.benchmark.utils.compare import *  # noqa: F403
from flambeau.utils.benchmark.utils.timer import *  # noqa: F403
