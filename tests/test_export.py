"""What is not there says so when it is called, not when it is imported."""

import re

import pytest

import flambeau as torch
from flambeau import nn
from flambeau.utils import collect_env, cpp_extension


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: torch.export.export(nn.Linear(2, 2), (torch.ones(1, 2),)), "torch.export.export()"),
        (lambda: torch.export.export_for_training(nn.Linear(2, 2), ()), "torch.export.export_for_training()"),
        (lambda: torch.export.load("model.pt2"), "torch.export.load()"),
        (lambda: torch.export.save(None, "model.pt2"), "torch.export.save()"),
        (lambda: torch.package.PackageImporter("model.pt"), "torch.package.PackageImporter"),
        (lambda: cpp_extension.load("mine", ["mine.cpp"]), "torch.utils.cpp_extension.load"),
        (lambda: cpp_extension.BuildExtension.with_options(), "torch.utils.cpp_extension.BuildExtension"),
    ],
)
def test_refused(call, name):
    with pytest.raises(NotImplementedError, match=re.escape(name) + " is not supported"):
        call()


def test_dimensions_can_be_made():
    batch, length = torch.export.dims("batch", "length", min=2, max=16)
    assert (batch.__name__, length.min, length.max) == ("batch", 2, 16)
    with pytest.raises(ValueError, match="valid identifiers"):
        torch.export.Dim("2d")
    with pytest.raises(ValueError, match="inconsistent min=3, max=2"):
        torch.export.Dim("x", min=3, max=2)


def test_environment(capsys):
    collect_env.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Collecting environment information..."
    assert f"PyTorch version: {torch.__version__}" in lines
    assert "Is CUDA available: False" in lines
