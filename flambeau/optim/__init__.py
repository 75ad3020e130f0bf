"""Optimizers and learning rate schedules (`torch.optim`)."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .._later import finder, homes

if TYPE_CHECKING:
    from . import lr_scheduler, swa_utils
    from ._adafactor import Adafactor
    from ._muon import Muon
    from .adadelta import Adadelta
    from .adagrad import Adagrad
    from .adam import Adam
    from .adamax import Adamax
    from .adamw import AdamW
    from .asgd import ASGD
    from .lbfgs import LBFGS
    from .nadam import NAdam
    from .optimizer import Optimizer
    from .radam import RAdam
    from .rmsprop import RMSprop
    from .rprop import Rprop
    from .sgd import SGD
    from .sparse_adam import SparseAdam
    from .swapping import swap_in_optimizer_params_and_state

__all__ = [
    "ASGD",
    "LBFGS",
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Muon",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
    "SparseAdam",
    "lr_scheduler",
    "swa_utils",
    "swap_in_optimizer_params_and_state",
]

_HOMES = homes(
    _adafactor="Adafactor",
    _muon="Muon",
    adadelta="Adadelta",
    adagrad="Adagrad",
    adam="Adam",
    adamax="Adamax",
    adamw="AdamW",
    asgd="ASGD",
    lbfgs="LBFGS",
    lr_scheduler="lr_scheduler",
    nadam="NAdam",
    optimizer="Optimizer",
    radam="RAdam",
    rmsprop="RMSprop",
    rprop="Rprop",
    sgd="SGD",
    sparse_adam="SparseAdam",
    swapping="swap_in_optimizer_params_and_state",
)  # fmt: skip
_find = finder(__name__, _HOMES)


def __getattr__(name: str) -> Any:
    # swa_utils needs torch.nn, which a user of an optimizer may not have loaded yet.
    return importlib.import_module(f"{__name__}.swa_utils") if name == "swa_utils" else _find(name)
