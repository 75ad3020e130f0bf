"""Models that find objects in images, under torchvision's names."""

from __future__ import annotations

from flambeau.vision.models.detection import roi_heads, rpn, transform
from flambeau.vision.models.detection.faster_rcnn import *  # noqa: F403
from flambeau.vision.models.detection.fcos import *  # noqa: F403
from flambeau.vision.models.detection.keypoint_rcnn import *  # noqa: F403
from flambeau.vision.models.detection.mask_rcnn import *  # noqa: F403
from flambeau.vision.models.detection.retinanet import *  # noqa: F403
from flambeau.vision.models.detection.ssd import *  # noqa: F403
from flambeau.vision.models.detection.ssdlite import *  # noqa: F403
