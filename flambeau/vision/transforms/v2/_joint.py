"""Transforms of whole samples: images, masks and boxes in any nesting of dictionaries, lists and tuples.

Every part that a transform knows is changed alike; the rest passes through. Of plain tensors the first one counts as
the image, unless the sample has an explicit image (https://docs.pytorch.org/vision/stable/transforms.html).
"""

from __future__ import annotations

import enum
from typing import Any, ClassVar

import flambeau as torch
from flambeau.utils._pytree import tree_flatten, tree_unflatten
from flambeau.vision._pillow import is_image
from flambeau.vision.transforms._common import InterpolationMode
from flambeau.vision.transforms._kinds import COLOURLESS, get_dimensions
from flambeau.vision.tv_tensors import Image, TVTensor, Video, wrap


def is_pure_tensor(x: Any) -> bool:
    """Is this a tensor of no kind of `tv_tensors`?"""
    return isinstance(x, torch.Tensor) and not isinstance(x, TVTensor)


def packed(inputs: tuple[Any, ...]) -> Any:
    """The sample that was given as one argument or as several."""
    return inputs[0] if len(inputs) == 1 else inputs


def check_type(obj: Any, types_or_checks: tuple[Any, ...]) -> bool:
    """Is it of one of the classes, or does one of the predicates hold for it?"""
    return any(isinstance(obj, kind) if isinstance(kind, type) else kind(obj) for kind in types_or_checks)


def has_any(flat_inputs: list[Any], *types_or_checks: Any) -> bool:
    """Has a sample a part of one of the kinds?"""
    return any(check_type(x, types_or_checks) for x in flat_inputs)


def has_all(flat_inputs: list[Any], *types_or_checks: Any) -> bool:
    """Has a sample a part of each of the kinds?"""
    return all(any(check_type(x, (kind,)) for x in flat_inputs) for kind in types_or_checks)


def known(leaves: list[Any], kinds: tuple[Any, ...]) -> list[int]:
    """Which parts of a sample are to be transformed: those of the ``kinds``, classes or predicates."""
    first = not has_any(leaves, Image, Video, is_image)
    places = []
    for at, x in enumerate(leaves):
        if not check_type(x, kinds):
            continue
        if is_pure_tensor(x):
            if not first:
                continue
            first = False
        places.append(at)
    return places


def query_size(leaves: list[Any]) -> tuple[int, int]:
    """Height and width that all images, masks and boxes of a sample have.

    Raises:
        ValueError: they differ.
        TypeError: there is none.
    """
    shown = [x for x in leaves if isinstance(x, torch.Tensor) or is_image(x)]
    sizes = {(height, width) for _, height, width in map(get_dimensions, shown)}
    return _one_size(sizes, "HxW", "image, video, mask, bounding box or keypoint")


def query_chw(flat_inputs: list[Any]) -> tuple[int, int, int]:
    """Channels, height and width that all images of a sample have.

    Raises:
        ValueError: they differ.
        TypeError: there is none.
    """
    sizes = {(c, h, w) for c, h, w in map(get_dimensions, filter(has_colours, flat_inputs))}
    return _one_size(sizes, "CxHxW", "image or video")


def _one_size(sizes: set[Any], form: str, parts: str) -> Any:
    if not sizes:
        raise TypeError(f"No {parts} was found in the sample")
    if len(sizes) > 1:
        raise ValueError(f"Found multiple {form} dimensions in the sample: {sorted(sizes)}")
    return sizes.pop()


def first_of(kind: type, name: str, leaves: list[Any]) -> Any:
    """The first part of a sample that is of a kind.

    Raises:
        ValueError: there is none; ``name`` says of what.
    """
    found = next((x for x in leaves if isinstance(x, kind)), None)
    if found is None:
        raise ValueError(f"No {name} were found in the sample")
    return found


class Transform(torch.nn.Module):
    """The base of transforms of samples: a subclass writes `transform`, and `make_params` if it draws anything."""

    _transformed_types: ClassVar[tuple[Any, ...]] = (torch.Tensor, is_image)

    def check_inputs(self, flat_inputs: list[Any]) -> None:
        """Raises if the parts of a sample are not what the transform needs."""

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """What is the same for all parts of a sample, drawn for those that are transformed."""
        return {}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """One part of a sample, transformed."""
        raise NotImplementedError

    def forward(self, *inputs: Any) -> Any:
        """The sample, with every part that the transform knows transformed."""
        leaves, spec = tree_flatten(packed(inputs))
        self.check_inputs(leaves)
        places = known(leaves, self._transformed_types)
        params = self.make_params([leaves[at] for at in places])
        for at in places:
            leaves[at] = self.transform(leaves[at], params)
        return tree_unflatten(leaves, spec)

    def extra_repr(self) -> str:
        """The numbers, strings and sequences among the attributes."""
        shown = (bool, int, float, str, tuple, list, enum.Enum)
        attributes = [(k, v) for k, v in self.__dict__.items() if not k.startswith("_") and k != "training"]
        values = [(k, v.value if isinstance(v, InterpolationMode) else v) for k, v in attributes]
        return ", ".join(f"{k}={v}" for k, v in values if isinstance(v, shown))


class RandomTransform(Transform):
    """A transform that happens with probability p.

    Raises:
        ValueError: p is no probability.
    """

    def __init__(self, p: float = 0.5) -> None:
        if not 0.0 <= p <= 1.0:
            raise ValueError("`p` should be a floating point value in the interval [0.0, 1.0].")
        super().__init__()
        self.p = p

    def forward(self, *inputs: Any) -> Any:
        """The sample, transformed or not."""
        self.check_inputs(tree_flatten(packed(inputs))[0])
        return packed(inputs) if torch.rand(1) >= self.p else super().forward(*inputs)


class Joint(Transform):
    """Makes a transform of one image, the class behind it, one of samples.

    Each part is given to the image's transform with the generator as it was before the first one: they all have the
    same size, so the transform draws the same for each.
    """

    def forward(self, *inputs: Any) -> Any:
        """The sample, with images, masks and boxes transformed alike."""
        leaves, spec = tree_flatten(packed(inputs))
        self.check_inputs(leaves)
        places = known(leaves, self._transformed_types)
        if len(places) > 1:
            query_size([leaves[at] for at in places])
            before = torch.get_rng_state()
        for turn, at in enumerate(places):
            if turn:
                torch.set_rng_state(before)  # type: ignore[possibly-unbound]
            leaves[at] = self._one(leaves[at])
        return tree_unflatten(leaves, spec)

    def _one(self, x: Any) -> Any:
        """One part transformed, which keeps its kind; a plain tensor counts as an image meanwhile."""
        out = super(Transform, self).forward(x.as_subclass(Image) if is_pure_tensor(x) else x)  # type: ignore[misc]
        outs = out if isinstance(out, tuple) else (out,)
        outs = tuple(_of_kind(y, x) if isinstance(y, torch.Tensor) else y for y in outs)
        return outs if isinstance(out, tuple) else outs[0]

    def __repr__(self) -> str:
        return torch.nn.Module.__repr__(self)


def _of_kind(y: torch.Tensor, x: Any) -> torch.Tensor:
    return y.as_subclass(torch.Tensor) if not isinstance(x, TVTensor) else y if type(y) is type(x) else wrap(y, like=x)


def has_colours(x: Any) -> bool:
    """Is this an image or video, be it a plain tensor?"""
    return is_image(x) or (isinstance(x, torch.Tensor) and not isinstance(x, COLOURLESS))


class JointTones(Joint):
    """`Joint` for what changes colours: masks, boxes and key points pass through."""

    _transformed_types = (has_colours,)


class ImagesOnly(JointTones):
    """`JointTones` for what does something to images that masks and boxes could not follow."""

    def check_inputs(self, flat_inputs: list[Any]) -> None:
        """Raises TypeError if there are masks, boxes or key points."""
        if any(isinstance(x, COLOURLESS) for x in flat_inputs):
            raise TypeError(f"BoundingBoxes'es and Mask's are not supported by {type(self).__name__}()")
