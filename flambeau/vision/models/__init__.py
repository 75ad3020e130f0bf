"""Image models, under torchvision's names, with its names in state_dicts and its initialisation."""

from __future__ import annotations

from flambeau.vision.models import detection, mobilenet, optical_flow, segmentation, video
from flambeau.vision.models._builders import get_model, get_model_builder, get_model_weights, list_models
from flambeau.vision.models._weights import Weights, WeightsEnum, get_weight
from flambeau.vision.models.alexnet import *  # noqa: F403
from flambeau.vision.models.convnext import *  # noqa: F403
from flambeau.vision.models.densenet import *  # noqa: F403
from flambeau.vision.models.efficientnet import *  # noqa: F403
from flambeau.vision.models.googlenet import *  # noqa: F403
from flambeau.vision.models.inception import *  # noqa: F403
from flambeau.vision.models.maxvit import *  # noqa: F403
from flambeau.vision.models.mnasnet import *  # noqa: F403
from flambeau.vision.models.mobilenetv2 import *  # noqa: F403
from flambeau.vision.models.mobilenetv3 import *  # noqa: F403
from flambeau.vision.models.regnet import *  # noqa: F403
from flambeau.vision.models.resnet import *  # noqa: F403
from flambeau.vision.models.shufflenetv2 import *  # noqa: F403
from flambeau.vision.models.squeezenet import *  # noqa: F403
from flambeau.vision.models.swin_transformer import *  # noqa: F403
from flambeau.vision.models.vgg import *  # noqa: F403
from flambeau.vision.models.vision_transformer import *  # noqa: F403
