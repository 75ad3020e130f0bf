"""torchvision's models: names in state_dicts, sizes, initialisation and results, and their weights by name."""

from __future__ import annotations

import functools
import json
import urllib.error
from pathlib import Path
from typing import Any

import numpy
import pytest
from _thorough import thorough
from model_cases import PATTERNED, RUN, named, numbers_of, patterned, shape_of

import flambeau as torch
from flambeau import nn
from flambeau.vision import models, ops
from flambeau.vision.models import _utils
from flambeau.vision.models.maxvit import RelativePositionalMultiHeadAttention
from flambeau.vision.models.regnet import BlockParams
from flambeau.vision.models.swin_transformer import ShiftedWindowAttention

GOLDEN = json.loads((Path(__file__).parent / "golden" / "models.json").read_text())
LARGE = ("alexnet",)  # of 61 million parameters


@pytest.fixture
def no_numbers_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large models are built at once: nothing is drawn, and memory that nobody writes costs nothing."""
    for name in ("uniform_", "normal_", "kaiming_uniform_", "kaiming_normal_", "xavier_uniform_", "trunc_normal_"):
        monkeypatch.setattr(nn.init, name, lambda tensor, *args, **kwargs: tensor)


@pytest.mark.parametrize("name", models.list_models())
def test_names_and_sizes_are_torchvisions(name: str, no_numbers_drawn: None) -> None:
    assert shape_of(named(models, name)) == GOLDEN["shapes"][name]


def close(found: Any, expected: Any) -> None:
    numpy.testing.assert_allclose(found, expected, rtol=5e-4, atol=1e-4)


@pytest.mark.parametrize("name", RUN)
def test_a_seed_gives_torchvisions_weights_and_results(name: str) -> None:
    found, expected = numbers_of(torch, models, *RUN[name]), GOLDEN["numbers"][name]
    assert (found["after"], found["next"]) == (expected["after"], expected["next"])
    numpy.testing.assert_allclose(found["weights"], expected["weights"], rtol=1e-6, atol=1e-12)
    close(found["training"], expected["training"])
    close(found["evaluation"], expected["evaluation"])


@pytest.mark.parametrize("name", [*[n for n in PATTERNED if n not in LARGE], *thorough(LARGE)])
def test_large_models_give_torchvisions_results(name: str, no_numbers_drawn: None) -> None:
    close(patterned(torch, models, *PATTERNED[name]), GOLDEN["patterned"][name])


def test_weights_are_torchvisions() -> None:
    found = {
        f"{enum.__name__}.{name}": [w.url, w.meta["num_params"], list(w.meta["min_size"]), repr(w.transforms())]
        for enum in map(models.get_model_weights, models.list_models())
        for name, w in enum.__members__.items()
    }
    assert found == GOLDEN["weights"]


def test_facts_about_weights() -> None:
    segmenting = models.segmentation.FCN_ResNet50_Weights.DEFAULT
    assert len(segmenting.meta["categories"]) == 21 and segmenting.meta["categories"][15] == "person"
    assert segmenting.transforms()(torch.zeros(3, 30, 60, dtype=torch.uint8)).shape == (3, 520, 1040)
    watching = models.video.S3D_Weights.DEFAULT
    assert len(watching.meta["categories"]) == 400 and watching.meta["min_temporal_size"] == 14
    assert watching.transforms()(torch.zeros(2, 3, 30, 40, dtype=torch.uint8)).shape == (3, 2, 224, 224)
    assert models.detection.KeypointRCNN_ResNet50_FPN_Weights.COCO_V1.meta["keypoint_names"][0] == "nose"
    assert models.maxvit_t.weights.DEFAULT.transforms().crop_size == [224]
    assert set(models.list_models(models.segmentation)) == {
        "deeplabv3_mobilenet_v3_large", "deeplabv3_resnet50", "deeplabv3_resnet101", "fcn_resnet50", "fcn_resnet101",
        "lraspp_mobilenet_v3_large",
    }  # fmt: skip


def test_weights_by_name() -> None:
    best = models.ResNet50_Weights.DEFAULT
    assert repr(best) == "ResNet50_Weights.IMAGENET1K_V2"
    assert models.get_weight("ResNet50_Weights.DEFAULT") is best
    assert models.get_model_weights("resnet50") is models.ResNet50_Weights
    assert models.ResNet50_Weights.verify("IMAGENET1K_V2") is best and models.ResNet50_Weights.verify(None) is None
    assert len(best.meta["categories"]) == 1000 and best.meta["categories"][-1] == "toilet tissue"
    assert best.transforms()(torch.zeros(3, 300, 260, dtype=torch.uint8)).shape == (3, 224, 224)
    with pytest.raises(TypeError, match="expected ResNet50_Weights but received ResNet18_Weights"):
        models.resnet50(weights=models.ResNet18_Weights.DEFAULT)
    with pytest.raises(ValueError, match="The weight enum 'No_Weights' for the specific method couldn't be retrieved"):
        models.get_weight("No_Weights.DEFAULT")
    with pytest.raises(ValueError, match="Unknown model no"):
        models.get_model("no")
    assert models.list_models(include="vgg1*", exclude="*_bn") == ["vgg11", "vgg13", "vgg16", "vgg19"]


@pytest.fixture
def fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder in which weights may lie; nothing else is to be had."""
    monkeypatch.setattr(torch.hub, "_chosen_dir", str(tmp_path))

    def refuse(url: str, *args: Any, **kwargs: Any) -> None:
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    (tmp_path / "checkpoints").mkdir()
    return tmp_path / "checkpoints"


def test_trained_weights_are_loaded_from_the_cache(fetched: Path) -> None:
    source = models.squeezenet1_1()
    torch.save(source.state_dict(), fetched / "squeezenet1_1-b8a52dc0.pth")
    found = models.squeezenet1_1(weights="DEFAULT", progress=False)
    assert torch.equal(found.features[0].weight, source.features[0].weight)
    with pytest.warns(UserWarning) as warned:
        assert torch.equal(models.squeezenet1_1(pretrained=True).features[0].weight, source.features[0].weight)
    first, second = (str(warning.message) for warning in warned)
    assert first.startswith("The parameter 'pretrained' is deprecated since 0.13")
    assert second.endswith("`weights=SqueezeNet1_1_Weights.DEFAULT` to get the most up-to-date weights.")
    with pytest.raises(ValueError, match="The parameter 'num_classes' expected value 1000 but got 3 instead"):
        models.squeezenet1_1(weights="DEFAULT", num_classes=3)


@pytest.mark.parametrize("name", ["googlenet", "densenet121"])
def test_old_files(name: str, fetched: Path, no_numbers_drawn: None) -> None:
    source = named(models, name)
    state = {key.replace("norm1", "norm.1").replace("conv2", "conv.2"): v for key, v in source.state_dict().items()}
    weights = models.get_model_weights(name).DEFAULT
    torch.save(state if name == "densenet121" else source.state_dict(), fetched / weights.url.rpartition("/")[2])
    found = models.get_model(name, weights=weights, progress=False)
    assert torch.equal(found.state_dict()[next(iter(source.state_dict()))], next(iter(source.state_dict().values())))
    if name == "googlenet":
        assert found.aux1 is None and found.transform_input


def test_weights_that_cannot_be_fetched(fetched: Path) -> None:
    with pytest.raises(urllib.error.URLError, match=r"no network.* by hand.* without AlexNet_Weights\.IMAGENET1K_V1"):
        models.alexnet(weights=models.AlexNet_Weights.IMAGENET1K_V1)


def test_first_version_of_vision_transformers_files(no_numbers_drawn: None) -> None:
    model = models.VisionTransformer(16, 8, 1, 2, 16, 32, num_classes=3)
    old = {
        key.replace("mlp.0.", "mlp.linear_1.").replace("mlp.3.", "mlp.linear_2."): value
        for key, value in model.state_dict().items()
    }
    assert sum("linear_" in key for key in old) == 4
    model.load_state_dict(old)


def test_first_version_of_mnasnets_files(no_numbers_drawn: None) -> None:
    model = models.MNASNet(0.5)
    state = model.state_dict()
    state._metadata[""]["version"] = 1  # type: ignore[attr-defined]
    state["layers.0.weight"] = torch.ones(32, 3, 3, 3)
    with (
        pytest.warns(UserWarning, match="A new version of MNASNet"),
        pytest.raises(RuntimeError, match="size mismatch"),
    ):
        model.load_state_dict(state)
    assert model.layers[0].weight.shape[0] == 32 and model._version == 1
    state._metadata[""]["version"] = 3  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="version should be set to 1 or 2 instead of 3"):
        model.load_state_dict(state)


def test_trained_features_and_trained_models(fetched: Path) -> None:
    build = models.segmentation.lraspp_mobilenet_v3_large
    features = models.mobilenet_v3_large()
    torch.save(features.state_dict(), fetched / "mobilenet_v3_large-8738ca79.pth")
    found = build(num_classes=2, progress=False)
    assert torch.equal(found.backbone["0"][0].weight, features.features[0][0].weight)
    with pytest.warns(UserWarning) as warned:
        source = build(pretrained_backbone=False)
    assert str(warned[1].message).endswith("The current behavior is equivalent to passing `weights_backbone=None`.")
    torch.save(source.state_dict(), fetched / "lraspp_mobilenet_v3_large-d234d4ea.pth")
    found = build(weights="DEFAULT", progress=False)
    assert torch.equal(found.classifier.cbr[0].weight, source.classifier.cbr[0].weight)
    with pytest.raises(ValueError, match="The parameter 'num_classes' expected value 21 but got 3 instead"):
        build(weights="DEFAULT", num_classes=3)


def test_flows() -> None:
    torch.manual_seed(3)
    model = models.optical_flow.raft_small().eval()
    image = torch.arange(3 * 128 * 128).reshape(1, 3, 128, 128).remainder(97) / 50.0 - 1
    with torch.no_grad():
        flows = model(image, image.roll(3, 3), num_flow_updates=2)
    expected = GOLDEN["flows"]
    close([flow.mean((2, 3)).tolist() for flow in flows], expected)
    with pytest.raises(ValueError, match="input image H and W should be divisible by 8, instead got 9"):
        model(torch.zeros(1, 3, 9, 8), torch.zeros(1, 3, 9, 8))
    with pytest.raises(ValueError, match="Feature maps are too small to be down-sampled"):
        model(torch.zeros(1, 3, 64, 64), torch.zeros(1, 3, 64, 64))
    first, second = models.optical_flow.Raft_Small_Weights.DEFAULT.transforms()(image + 1, image)
    assert first.shape == image.shape and second.min().item() == pytest.approx(-3)


WRONG: list[tuple[Any, type[Exception], str]] = [
    (lambda: _utils.IntermediateLayerGetter(nn.Sequential(), {"0": "a"}), ValueError, "return_layers are not present"),
    (lambda: models.MaxVit((32, 32), 8, 3, [8], [1], 4, 0.1), ValueError, "not divisible by partition size 3"),
    (lambda: RelativePositionalMultiHeadAttention(9, 2, 4), ValueError, "must be divisible by head_dim"),
    (lambda: models.MNASNet(0.0), ValueError, "alpha should be greater than 0.0"),
    (lambda: BlockParams.from_init_params(3, 7, 1, 2, 8), ValueError, "Invalid RegNet settings"),
    (lambda: ShiftedWindowAttention(8, [3], [1], 2), ValueError, "must be of length 2"),
    (lambda: models.SqueezeNet("2"), ValueError, "Unsupported SqueezeNet version 2: 1_0 or 1_1 expected"),
    (lambda: models.EfficientNet([], 0.1), ValueError, "The inverted_residual_setting should not be empty"),
    (lambda: models.EfficientNet([1], 0.1), TypeError, "The inverted_residual_setting should be List"),
    (lambda: models.MobileNetV2(inverted_residual_setting=[[1]]), ValueError, "non-empty or a 4-element list"),
    (lambda: models.VisionTransformer(30, 8, 1, 1, 8, 8), AssertionError, "Input shape indivisible by patch size!"),
    (lambda: models.GoogLeNet(blocks=[], init_weights=False), ValueError, "blocks length should be 3 instead of 0"),
    (lambda: ops.stochastic_depth(torch.ones(1), 2, "row"), ValueError, "drop probability has to be between 0 and 1"),
    (lambda: ops.stochastic_depth(torch.ones(1), 0.5, "x"), ValueError, "mode has to be either 'batch' or 'row'"),
]


@pytest.mark.parametrize(("call", "error", "message"), WRONG)
def test_wrong_arguments_are_refused(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_memory_efficient_blocks_give_the_same_gradients() -> None:
    grads = []
    for efficient in (False, True):
        torch.manual_seed(0)
        model = models.DenseNet(4, (2, 2), 8, num_classes=3, memory_efficient=efficient)
        model(torch.ones(2, 3, 32, 32)).sum().backward()
        grads.append([p.grad.clone() for p in model.parameters()])
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b)


def test_boxes() -> None:
    boxes = torch.tensor([[0.0, 0, 4, 4], [1, 1, 5, 5], [0, 0, 4, 5], [10, 10, 12, 11]])
    assert ops.box_area(boxes).tolist() == [16, 16, 20, 2]
    assert ops.box_iou(boxes[:1], boxes).tolist()[0] == pytest.approx([1, 9 / 23, 0.8, 0])
    assert ops.generalized_box_iou(boxes[:1], boxes[3:]).item() == pytest.approx(-(132 - 18) / 132)
    scores = torch.tensor([0.5, 0.9, 0.8, 0.1])
    assert ops.nms(boxes, scores, 0.5).tolist() == [1, 2, 3]
    assert ops.nms(boxes, scores, 0.3).tolist() == [1, 3]
    assert ops.batched_nms(boxes, scores, torch.tensor([0, 1, 0, 1]), 0.3).tolist() == [1, 2, 3]
    assert ops.remove_small_boxes(boxes, 2).tolist() == [0, 1, 2]
    assert ops.clip_boxes_to_image(boxes, (4, 11)).tolist()[3] == [10, 4, 11, 4]
    for form in ("xywh", "cxcywh"):
        assert torch.equal(ops.box_convert(ops.box_convert(boxes, "xyxy", form), form, "xyxy"), boxes)
    with pytest.raises(ValueError, match="Unsupported Bounding Box Conversions"):
        ops.box_convert(boxes, "xyxy", "x")


def test_focal_loss_and_frozen_norm() -> None:
    x, y = torch.tensor([0.3, -1.0, 2.0]), torch.tensor([1.0, 0.0, 0.0])
    p = torch.sigmoid(x)
    expected = torch.where(y > 0, -0.25 * (1 - p) ** 2 * p.log(), -0.75 * p**2 * (1 - p).log())
    torch.testing.assert_close(ops.sigmoid_focal_loss(x, y), expected)
    torch.testing.assert_close(ops.sigmoid_focal_loss(x, y, reduction="mean"), expected.mean())
    norm, frozen = nn.BatchNorm2d(3).eval(), ops.FrozenBatchNorm2d(3)
    norm.running_mean.add_(2)
    frozen.load_state_dict(norm.state_dict())
    torch.testing.assert_close(frozen(torch.ones(1, 3, 2, 2)), norm(torch.ones(1, 3, 2, 2)))
    assert list(frozen.parameters()) == []


def test_blocks_of_layers() -> None:
    block = functools.partial(ops.Conv2dNormActivation, 3, 4, dilation=2)
    assert block(kernel_size=5)(torch.ones(1, 3, 9, 9)).shape == (1, 4, 9, 9)
    assert block(kernel_size=(3, 5))(torch.ones(1, 3, 9, 9)).shape == (1, 4, 9, 9)
    assert [type(m).__name__ for m in block(norm_layer=None)] == ["Conv2d", "ReLU"]
    assert [type(m).__name__ for m in ops.MLP(3, [4, 5], norm_layer=nn.LayerNorm)] == [
        "Linear", "LayerNorm", "ReLU", "Dropout", "Linear", "Dropout",
    ]  # fmt: skip
    assert ops.Permute([0, 2, 1])(torch.ones(1, 2, 3)).shape == (1, 3, 2)
