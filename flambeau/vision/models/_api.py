"""Where torchvision keeps its weights' enumerations and its models' builders, which packages import from here."""

from __future__ import annotations

from flambeau.vision.models._builders import get_model, get_model_builder, get_model_weights, list_models
from flambeau.vision.models._weights import Weights, WeightsEnum, get_weight

__all__ = [
    "Weights",
    "WeightsEnum",
    "get_model",
    "get_model_builder",
    "get_model_weights",
    "get_weight",
    "list_models",
]
