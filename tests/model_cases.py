"""What `test_vision_models.py` compares with torchvision 0.28 (`golden/models.json`), told of either package alike."""

from __future__ import annotations

import hashlib
import math
import warnings
from typing import Any

SEED = 5

# Models small enough to be built and run with the same weights: M is torchvision.models, and the side of an image or
# the sides of a video.
RUN: dict[str, tuple[str, Any]] = {
    "squeezenet1_1": ("M.squeezenet1_1(num_classes=10)", 40),
    "mobilenet_v2": ("M.mobilenet_v2(num_classes=10, width_mult=0.5)", 40),
    "mobilenet_v3_small": ("M.mobilenet_v3_small(num_classes=10)", 40),
    "mobilenet_v3_tail": ("M.mobilenet_v3_small(num_classes=3, reduced_tail=True, dilated=True)", 40),
    "efficientnet_b0": ("M.efficientnet_b0(num_classes=10)", 40),
    "efficientnet_v2": (
        "M.EfficientNet([M.efficientnet.FusedMBConvConfig(1, 3, 1, 8, 8, 2), "
        "M.efficientnet.FusedMBConvConfig(4, 3, 2, 8, 16, 2), M.efficientnet.MBConvConfig(4, 3, 2, 16, 24, 2)], "
        "0.3, num_classes=4, last_channel=32)",
        32,
    ),
    "densenet": ("M.DenseNet(8, (2, 3), 16, drop_rate=0.1, num_classes=7)", 32),
    "resnet": ("M.ResNet(M.resnet.Bottleneck, [1, 1, 1, 1], 9, True, groups=2, width_per_group=8)", 33),
    "convnext": (
        "M.ConvNeXt([M.convnext.CNBlockConfig(8, 12, 2), M.convnext.CNBlockConfig(12, None, 2)], 0.3, 0.1, 5)",
        32,
    ),
    "shufflenet": ("M.ShuffleNetV2([2, 2, 2], [8, 12, 16, 24, 32], num_classes=5)", 40),
    "googlenet": ("M.googlenet(num_classes=10, init_weights=True)", 64),
    "vit": ("M.VisionTransformer(32, 8, 2, 2, 16, 32, dropout=0.1, num_classes=6, representation_size=12)", 32),
    "lraspp": ("M.segmentation.lraspp_mobilenet_v3_large(weights_backbone=None, num_classes=3)", 64),
    "deeplabv3": (
        "M.segmentation.DeepLabV3(M._utils.IntermediateLayerGetter(M.ResNet(M.resnet.BasicBlock, [1, 1, 1, 1]), "
        "{'layer2': 'aux', 'layer4': 'out'}), M.segmentation.deeplabv3.DeepLabHead(512, 3, (2, 3)), "
        "M.segmentation.fcn.FCNHead(128, 3))",
        48,
    ),
    "swin": (
        "M.SwinTransformer([4, 4], 8, [2, 2], [2, 4], [3, 3], dropout=0.1, attention_dropout=0.1, "
        "stochastic_depth_prob=0.3, num_classes=5)",
        42,
    ),
    "swin_v2": (
        "M.SwinTransformer([4, 4], 8, [2, 2], [2, 4], [4, 4], num_classes=5, "
        "block=M.swin_transformer.SwinTransformerBlockV2, downsample_layer=M.swin_transformer.PatchMergingV2)",
        40,
    ),
    "regnet": (
        "M.RegNet(M.regnet.BlockParams.from_init_params(6, 16, 9.5, 2.1, 8, se_ratio=0.25), num_classes=4)",
        40,
    ),
    "mnasnet": ("M.MNASNet(0.3, num_classes=4)", 40),
    "maxvit": (
        "M.MaxVit((32, 32), 8, 2, [8, 16], [2, 1], 4, 0.3, attention_dropout=0.1, mlp_dropout=0.2, num_classes=5)",
        32,
    ),
    "video_resnet": (
        "M.video.VideoResNet(M.video.resnet.BasicBlock, [M.video.resnet.Conv2Plus1D, M.video.resnet.Conv3DNoTemporal, "
        "M.video.resnet.Conv3DSimple, M.video.resnet.Conv3DSimple], [1, 1, 1, 1], M.video.resnet.R2Plus1dStem, 5)",
        (5, 24, 24),
    ),
    "swin3d": (
        "M.video.SwinTransformer3d([2, 4, 4], 8, [2, 2], [2, 4], [4, 3, 3], dropout=0.1, num_classes=5)",
        (11, 30, 26),
    ),
    "mvit": (
        "M.video.MViT((32, 32), 4, [M.video.mvit.MSBlockConfig(1, 8, 16, [], [3] * 3, [], [1, 2, 2]), "
        "M.video.mvit.MSBlockConfig(2, 16, 16, [3] * 3, [3] * 3, [1, 2, 2], [1, 1, 1])], False, False, False, False, "
        "attention_dropout=0.1, stochastic_depth_prob=0.2, num_classes=5)",
        (4, 32, 32),
    ),
    "mvit_v2": (
        "M.video.MViT((32, 32), 8, [M.video.mvit.MSBlockConfig(1, 8, 8, [3] * 3, [3] * 3, [1, 1, 1], [1, 2, 2]), "
        "M.video.mvit.MSBlockConfig(2, 8, 16, [3] * 3, [3] * 3, [1, 2, 2], [1, 1, 1])], True, False, True, True, "
        "num_classes=5)",
        (8, 32, 32),
    ),
    "vit_stem": (
        "M.VisionTransformer(16, 8, 1, 2, 16, 32, num_classes=6, conv_stem_configs=["
        "M.vision_transformer.ConvStemConfig(4, 3, 8)])",
        16,
    ),
}


# Models too large to be drawn: what they make of an image with weights that follow a pattern.
PATTERNED: dict[str, tuple[str, int]] = {
    "inception": ("M.inception_v3(num_classes=4, init_weights=False, aux_logits=False, transform_input=True)", 80),
    "alexnet": ("M.alexnet(num_classes=4)", 63),
}

# Parts of the names of models whose features may be trained.
ON_BACKBONES = ("fcn", "deeplab", "lraspp", "rcnn", "retinanet", "ssd", "fcos")


def built(models: Any, expression: str) -> Any:
    """The model of an expression."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return eval(expression, {"M": models})


def named(models: Any, name: str) -> Any:
    """A model of `list_models` in full size, without any trained weights."""
    options = {"weights_backbone": None} if any(part in name for part in ON_BACKBONES) else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return models.get_model(name, **options)


def shape_of(model: Any) -> dict[str, Any]:
    """How many numbers a model has, and the checksums of its state_dict's names and shapes and of its printed form."""
    lines = [f"{key} {tuple(value.shape)} {value.dtype}" for key, value in model.state_dict().items()]
    return {
        "count": sum(p.numel() for p in model.parameters()),
        "state": hashlib.sha256("\n".join(lines).encode()).hexdigest(),
        "printed": hashlib.sha256(repr(model).encode()).hexdigest(),
    }


def patterned(torch: Any, models: Any, expression: str, side: int) -> list[Any]:
    """Scores in evaluation of a model whose weights follow a pattern."""
    model = built(models, expression).eval()
    with torch.no_grad():
        for k, p in enumerate(model.parameters()):
            row = p.numel() // p.shape[0]
            values = torch.arange(p.numel()).add(k).remainder(11).sub(4.75).reshape(p.shape)
            p.copy_(values / (4 * row**0.5) if p.dim() > 1 else 1 + values / 50)
        images = torch.arange(3 * side * side).reshape(1, 3, side, side).remainder(17) / 8.0 - 1
        return _scores(model(images))


def _scores(output: Any) -> list[Any]:
    if isinstance(output, dict):
        return [value.detach().mean((2, 3)).tolist() for value in output.values()]
    return (output[0] if isinstance(output, tuple) else output).detach().tolist()


def numbers_of(torch: Any, models: Any, expression: str, side: Any) -> dict[str, Any]:
    """What a seeded model is and gives: in evaluation, in training, and the random number that comes next."""
    torch.manual_seed(SEED)
    model = built(models, expression)
    found: dict[str, Any] = {"after": torch.rand(1).item()}
    found["weights"] = [float(p.detach().double().abs().sum()) for p in model.parameters()]
    shape = 2, 3, *((side, side) if isinstance(side, int) else side)
    images = torch.arange(math.prod(shape)).reshape(shape).remainder(17) / 8.0 - 1
    model.train()
    found["training"] = _scores(model(images))
    found["next"] = torch.rand(1).item()
    model.eval()
    with torch.no_grad():
        found["evaluation"] = _scores(model(images))
    return found
