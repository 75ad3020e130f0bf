"""`torchvision.transforms.v2`: transforms of samples, in which images, masks and boxes (`tv_tensors`) change alike."""

from __future__ import annotations

from flambeau.vision.transforms._common import InterpolationMode
from flambeau.vision.transforms.autoaugment import AutoAugmentPolicy
from flambeau.vision.transforms.v2 import functional
from flambeau.vision.transforms.v2._autoaugment import *  # noqa: F403
from flambeau.vision.transforms.v2._boxes import *  # noqa: F403
from flambeau.vision.transforms.v2._colours import *  # noqa: F403
from flambeau.vision.transforms.v2._combining import *  # noqa: F403
from flambeau.vision.transforms.v2._conversion import *  # noqa: F403
from flambeau.vision.transforms.v2._from_images import *  # noqa: F403
from flambeau.vision.transforms.v2._joint import Transform, check_type, has_all, has_any, query_chw, query_size
from flambeau.vision.transforms.v2._keypoints import *  # noqa: F403
from flambeau.vision.transforms.v2._mixing import CutMix, MixUp
from flambeau.vision.transforms.v2._sizes import *  # noqa: F403
from flambeau.vision.transforms.v2._videos import *  # noqa: F403
