"""The named tuples of functions with several results, such as ``torch.return_types.max``."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from operator import itemgetter
from typing import Any


class Result(tuple):
    """A tuple whose items also have names; made from an iterable, printed one item a line."""

    __slots__ = ()
    fields: tuple[str, ...] = ()

    def __new__(cls, items: Iterable[Any], attributes: dict[str, Any] | None = None) -> Result:
        items = tuple(items)
        if len(items) != len(cls.fields):
            raise TypeError(
                f"torch.return_types.{cls.__name__}() takes a {len(cls.fields)}-sequence ({len(items)}-sequence given)"
            )
        return tuple.__new__(cls, items)

    def __repr__(self) -> str:
        items = ",\n".join(f"{name}={item!r}" for name, item in zip(self.fields, self))
        return f"torch.return_types.{type(self).__name__}(\n{items})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (type(self).__name__, tuple(self))


def _rebuilt(name: str, items: tuple[Any, ...]) -> Result:
    """The inverse of pickling."""
    return getattr(sys.modules[__name__], name)(items)


def result_type(name: str, *fields: str) -> type[Result]:
    """A new named result; PyTorch's attributes of such types included."""
    body: dict[str, Any] = {f: property(itemgetter(i), doc=f"Item {i}.") for i, f in enumerate(fields)}
    body |= {"__slots__": (), "__module__": "torch.return_types", "__match_args__": fields, "fields": fields,
             "n_fields": len(fields), "n_sequence_fields": len(fields), "n_unnamed_fields": 0}  # fmt: skip
    return type(name, (Result,), body)


_FIELDS = {
    "max": "values indices",
    "min": "values indices",
    "aminmax": "min max",
    "cummax": "values indices",
    "cummin": "values indices",
    "kthvalue": "values indices",
    "median": "values indices",
    "nanmedian": "values indices",
    "mode": "values indices",
    "sort": "values indices",
    "topk": "values indices",
    "histogram": "hist bin_edges",
    "histogramdd": "hist bin_edges",
    "frexp": "mantissa exponent",
    "geqrf": "a tau",
    "qr": "Q R",
    "svd": "U S V",
    "slogdet": "sign logabsdet",
    "triangular_solve": "solution cloned_coefficient",
    "linalg_cholesky_ex": "L info",
    "linalg_eig": "eigenvalues eigenvectors",
    "linalg_eigh": "eigenvalues eigenvectors",
    "linalg_inv_ex": "inverse info",
    "linalg_ldl_factor": "LD pivots",
    "linalg_ldl_factor_ex": "LD pivots info",
    "linalg_lstsq": "solution residuals rank singular_values",
    "linalg_lu": "P L U",
    "linalg_lu_factor": "LU pivots",
    "linalg_lu_factor_ex": "LU pivots info",
    "linalg_qr": "Q R",
    "linalg_slogdet": "sign logabsdet",
    "linalg_solve_ex": "result info",
    "linalg_svd": "U S Vh",
    "lu_unpack": "P L U",
    "_lu_with_info": "LU pivots info",
}


def __getattr__(name: str) -> Any:
    """A type, made when it is first asked for: of so many a program uses few."""
    if name not in _FIELDS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = result_type(name, *_FIELDS[name].split())
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_FIELDS})
