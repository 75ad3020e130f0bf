"""Names for the types of sizes: a number, or one for each dimension."""

from __future__ import annotations

from typing import TypeAlias, Union

from flambeau import Tensor

_size_any_t: TypeAlias = Union[int, tuple[int, ...]]
_size_1_t: TypeAlias = Union[int, tuple[int]]
_size_2_t: TypeAlias = Union[int, tuple[int, int]]
_size_3_t: TypeAlias = Union[int, tuple[int, int, int]]
_size_4_t: TypeAlias = Union[int, tuple[int, int, int, int]]
_size_5_t: TypeAlias = Union[int, tuple[int, int, int, int, int]]
_size_6_t: TypeAlias = Union[int, tuple[int, int, int, int, int, int]]
_size_any_opt_t: TypeAlias = Union[int, tuple[Union[int, None], ...], None]
_size_2_opt_t: TypeAlias = Union[int, tuple[Union[int, None], Union[int, None]], None]
_size_3_opt_t: TypeAlias = Union[int, tuple[Union[int, None], Union[int, None], Union[int, None]], None]
_ratio_2_t: TypeAlias = Union[float, tuple[float, float]]
_ratio_3_t: TypeAlias = Union[float, tuple[float, float, float]]
_ratio_any_t: TypeAlias = Union[float, tuple[float, ...]]
_tensor_list_t: TypeAlias = Union[Tensor, tuple[Tensor, ...]]
_maybe_indices_t: TypeAlias = Union[Tensor, tuple[Tensor, Tensor]]
