"""Both versions of MobileNet."""

from __future__ import annotations

from flambeau.vision.models.mobilenetv2 import *  # noqa: F403
from flambeau.vision.models.mobilenetv3 import *  # noqa: F403
