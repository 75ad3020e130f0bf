"""Features from within models, by names of nodes: numbers beside those of hooks, names beside torchvision's."""

from __future__ import annotations

import copy
from typing import Any

import pytest

import flambeau as torch
from flambeau import nn
from flambeau.vision import models, ops
from flambeau.vision.models.feature_extraction import create_feature_extractor, get_graph_node_names
from flambeau.vision.models.resnet import BasicBlock


class Small(nn.Module):
    """Modules, functions, and an operator of torchvision's."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Sequential(nn.Conv2d(4, 4, 1)))
        self.norm = nn.BatchNorm2d(4)
        self.depth = ops.StochasticDepth(0.5, "row")

    def forward(self, x: torch.Tensor, boxes: Any) -> Any:
        x = self.body(x)
        x = self.depth(self.norm(x) + x) + x
        if self.training:
            x = torch.relu(x)
        return ops.roi_align(x, boxes, 2).flatten(1)


NAMES = ["x", "boxes", "body.0", "body.1", "body.2.0", "norm", "add", "depth", "add_1", "roi_align", "flatten"]


def test_names_of_nodes() -> None:
    with pytest.warns(UserWarning, match="in eval mode are a subsequence of those obtained in train mode"):
        training, evaluation = get_graph_node_names(Small())
    assert evaluation == NAMES
    assert training == [*NAMES[:9], "relu", *NAMES[9:]]


def test_names_of_a_residual_network() -> None:
    names, _ = get_graph_node_names(models.ResNet(BasicBlock, [1, 1, 1, 1]))
    assert names[:5] == ["x", "conv1", "bn1", "relu", "maxpool"]
    assert names[5:11] == [f"layer1.0.{name}" for name in ("conv1", "bn1", "relu", "conv2", "bn2", "add")]
    assert names[-4:] == ["layer4.0.relu_1", "avgpool", "flatten", "fc"]


def test_features_are_those_of_hooks() -> None:
    torch.manual_seed(0)
    model = models.ResNet(BasicBlock, [1, 1, 1, 1]).eval()
    expected: dict[str, torch.Tensor] = {}
    parts = [("layer1", model.layer1), ("layer3", model.layer3)]
    hooks = [part.register_forward_hook(lambda m, i, o, name=name: expected.update({name: o})) for name, part in parts]
    x = torch.rand(1, 3, 64, 64)
    model(x)
    for hook in hooks:
        hook.remove()
    extractor = create_feature_extractor(model, {"layer1": "a", "layer3.0.relu_1": "b"})
    found = extractor(x)
    assert list(found) == ["a", "b"] and not extractor.training
    assert torch.equal(found["a"], expected["layer1"]) and torch.equal(found["b"], expected["layer3"])
    assert not hasattr(extractor, "layer4") and extractor.conv1 is model.conv1
    extractor.train()
    assert not torch.equal(extractor(x)["a"], expected["layer1"])


def test_nodes_that_differ_between_training_and_evaluation() -> None:
    torch.manual_seed(0)
    wanted: Any = {"train_return_nodes": ["relu"], "eval_return_nodes": {"norm": "normed", "add_1": "sum"}}
    extractor = create_feature_extractor(Small(), **wanted, suppress_diff_warning=True)
    inputs = torch.rand(1, 3, 8, 8), [torch.tensor([[0.0, 0, 4, 4]])]
    assert list(extractor(*inputs)) == ["relu"]
    copied = copy.deepcopy(extractor.eval())
    found, again = extractor(*inputs), copied(*inputs)
    assert list(found) == ["normed", "sum"] and torch.equal(found["sum"], again["sum"])
    assert copied.norm.weight is not extractor.norm.weight


@pytest.mark.parametrize(
    ("name", "node"),
    [("maxvit_t", "blocks.0"), ("swin_t", "features.1"), ("swin_v2_t", "features.1"), ("regnet_x_400mf", "stem")],
)
def test_models_that_can_be_traced(name: str, node: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for draw in ("normal_", "kaiming_uniform_", "kaiming_normal_", "xavier_uniform_", "trunc_normal_"):
        monkeypatch.setattr(nn.init, draw, lambda tensor, *args, **kwargs: tensor)
    assert any(found.startswith(node) for found in get_graph_node_names(models.get_model(name))[1])


WRONG: list[tuple[dict[str, Any], str]] = [
    ({}, "Either `return_nodes` or"),
    ({"train_return_nodes": ["x"]}, "then both should be specified"),
    ({"return_nodes": ["x"], "train_return_nodes": ["x"], "eval_return_nodes": ["x"]}, "then both should be specified"),
    ({"return_nodes": ["bod"]}, "node: 'bod' is not present in model. Hint: use `get_graph_node_names`"),
]


@pytest.mark.parametrize(("wanted", "message"), WRONG)
def test_wrong_names_are_refused(wanted: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        create_feature_extractor(Small(), **wanted, suppress_diff_warning=True)
