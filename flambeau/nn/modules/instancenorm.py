"""Instance normalisation."""

from __future__ import annotations

import warnings
from typing import Any

import flambeau.nn.functional as F

from ._arguments import with_arguments
from .batchnorm import _LazyNormBase, _NormBase

__all__ = [
    "InstanceNorm1d",
    "InstanceNorm2d",
    "InstanceNorm3d",
    "LazyInstanceNorm1d",
    "LazyInstanceNorm2d",
    "LazyInstanceNorm3d",
]

_OLD_STATISTICS = (
    "Unexpected running stats buffer(s) {names} for {klass} "
    "with track_running_stats=False. If state_dict is a "
    "checkpoint saved before 0.4.0, this may be expected "
    "because {klass} does not track running stats by default "
    "since 0.4.0. Please remove these keys from state_dict. If "
    "the running stats are actually needed, instead set "
    "track_running_stats=True in {klass} to enable them. See "
    "the documentation of {klass} for details."
)


class _InstanceNorm(_NormBase):
    """What the instance norms of all dimensions have in common.

    Args:
        num_features: Number of channels.
        eps: Added to the variance.
        momentum: Weight of the newest input in the running averages.
        affine: Whether there are a ``weight`` (ones) and a ``bias`` (zeros).
        track_running_stats: Whether running averages are kept and used in evaluation.
        device: Where the parameters are.
        dtype: What the parameters are.
        bias: With ``affine``, whether there is a ``bias``.
    """

    unbatched_dims = 0

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    def _check_input_dim(self, input: Any) -> None:
        n = self._get_no_batch_dim()
        if input.dim() not in (n, n + 1):
            raise ValueError(f"expected {n}D or {n + 1}D input (got {input.dim()}D input)")

    def _get_no_batch_dim(self) -> int:
        return self.unbatched_dims

    def _apply_instance_norm(self, input: Any) -> Any:
        return F.instance_norm(
            input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            self.momentum if self.momentum is not None else 0.0,
            self.eps,
        )

    def _load_from_state_dict(
        self,
        state_dict: Any,
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        if local_metadata.get("version") is None and not self.track_running_stats:
            # Before 0.4 every instance norm had statistics.
            old = [prefix + k for k in ("running_mean", "running_var") if prefix + k in state_dict]
            if old:
                names = " and ".join(f'"{k}"' for k in old)
                error_msgs.append(_OLD_STATISTICS.format(names=names, klass=type(self).__name__))
            for key in old:
                state_dict.pop(key)
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )

    def forward(self, input: Any) -> Any:
        self._check_input_dim(input)
        channel_dim = input.dim() - self._get_no_batch_dim()
        channels = input.size(channel_dim)
        if channels != self.num_features:
            if self.affine:
                raise ValueError(
                    f"expected input's size at dim={channel_dim} to match num_features"
                    f" ({self.num_features}), but got: {channels}."
                )
            warnings.warn(
                f"input's size at dim={channel_dim} does not match num_features. "
                "You can silence this warning by not passing in num_features, "
                "which is not used because affine=False",
                stacklevel=2,
            )
        if channel_dim == 0:
            return self._apply_instance_norm(input.unsqueeze(0)).squeeze(0)
        return self._apply_instance_norm(input)


@with_arguments
class InstanceNorm1d(_InstanceNorm):
    """Instance normalisation of inputs (N, C, L) or (C, L)."""

    unbatched_dims = 2


class LazyInstanceNorm1d(_LazyNormBase, _InstanceNorm):
    """An :class:`InstanceNorm1d` that takes ``num_features`` from its first input."""

    cls_to_become = InstanceNorm1d
    unbatched_dims = 2


@with_arguments
class InstanceNorm2d(_InstanceNorm):
    """Instance normalisation of inputs (N, C, H, W) or (C, H, W)."""

    unbatched_dims = 3


class LazyInstanceNorm2d(_LazyNormBase, _InstanceNorm):
    """An :class:`InstanceNorm2d` that takes ``num_features`` from its first input."""

    cls_to_become = InstanceNorm2d
    unbatched_dims = 3


@with_arguments
class InstanceNorm3d(_InstanceNorm):
    """Instance normalisation of inputs (N, C, D, H, W) or (C, D, H, W)."""

    unbatched_dims = 4


class LazyInstanceNorm3d(_LazyNormBase, _InstanceNorm):
    """An :class:`InstanceNorm3d` that takes ``num_features`` from its first input."""

    cls_to_become = InstanceNorm3d
    unbatched_dims = 4
