"""Names of packages that are imported when they are first used are there as if they had been imported."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType

import pytest

import flambeau as torch

PACKAGES = [torch.nn.modules, torch.nn, torch.optim]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_all_names_are_found(package: ModuleType) -> None:
    homes = package._HOMES
    names = set(getattr(package, "__all__", homes)) - {"swa_utils"}
    assert set(homes) == names
    for name in names:
        assert vars(package)[name] is getattr(package, name)
    assert names <= set(dir(package))


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_other_names_are_not(package: ModuleType) -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        package.Nothing  # noqa: B018


def test_what_is_not_used_is_not_imported() -> None:
    program = """
import sys
import flambeau as torch
net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU())
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
print([name for name in ("nn.modules.rnn", "nn.modules.transformer", "nn.utils", "optim.adam", "optim.lr_scheduler")
       if f"flambeau.{name}" in sys.modules])
from flambeau.nn import *
from flambeau.optim import *
print(Transformer is torch.nn.modules.transformer.Transformer, Adam is vars(torch.optim)["Adam"], lr_scheduler.StepLR)
print(torch.nn.modules.conv.Conv2d is Conv2d, torch.optim.adamw.AdamW is AdamW)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "[]",
        "True True <class 'flambeau.optim.lr_scheduler.StepLR'>",
        "True True",
    ]


def test_twins_import_nothing() -> None:
    program = """
import sys
import flambeau as torch
from flambeau import _twins
torch.nn.Linear(2, 3)
before = set(sys.modules)
_twins.put({})
print(set(sys.modules) - before)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_nothing_more_is_imported_under_the_name_of_torch() -> None:
    program = """
import sys
import torch.optim as optim
from torch import nn
from torch.nn.parameter import Parameter
net = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
optimizer = optim.SGD(net.parameters(), lr=0.1)
print([name for name in ("nn.modules.rnn", "nn.modules.sparse", "optim.adam") if f"flambeau.{name}" in sys.modules])
print(nn.Linear.__module__, nn.GRU.__module__)
"""
    found = subprocess.run(
        [sys.executable, "-m", "flambeau", "run", "-c", program], capture_output=True, text=True, check=True
    )
    assert found.stdout.split("\n")[:2] == ["[]", "torch.nn.modules.linear torch.nn.modules.rnn"]
