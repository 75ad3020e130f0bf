"""How modules convert and load their parameters (``torch.__future__``): switches that are off at the start."""

from __future__ import annotations

_overwrite = False
_swap = False


def set_overwrite_module_params_on_conversion(value: bool) -> None:
    """Lets ``module.to(dtype)`` and its like put new parameters into the module, rather than change the old ones."""
    global _overwrite
    _overwrite = value


def get_overwrite_module_params_on_conversion() -> bool:
    """Whether conversions put new parameters into a module."""
    return _overwrite


def set_swap_module_params_on_conversion(value: bool) -> None:
    """Lets conversions and ``load_state_dict`` exchange parameters' content by ``torch.utils.swap_tensors``.

    The parameters stay the same objects, and their old memory is left as it is. This goes before
    :func:`set_overwrite_module_params_on_conversion`.
    """
    global _swap
    _swap = value


def get_swap_module_params_on_conversion() -> bool:
    """Whether conversions and ``load_state_dict`` exchange the content of tensors."""
    return _swap
