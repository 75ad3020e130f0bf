"""The named tuples of functions with several results, such as ``torch.return_types.max``."""

from __future__ import annotations

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
    return globals()[name](items)


def result_type(name: str, *fields: str) -> type[Result]:
    """A new named result; PyTorch's attributes of such types included."""
    body: dict[str, Any] = {f: property(itemgetter(i), doc=f"Item {i}.") for i, f in enumerate(fields)}
    body |= {"__slots__": (), "__module__": "torch.return_types", "__match_args__": fields, "fields": fields,
             "n_fields": len(fields), "n_sequence_fields": len(fields), "n_unnamed_fields": 0}  # fmt: skip
    return type(name, (Result,), body)


max = result_type("max", "values", "indices")
min = result_type("min", "values", "indices")
aminmax = result_type("aminmax", "min", "max")
cummax = result_type("cummax", "values", "indices")
cummin = result_type("cummin", "values", "indices")
kthvalue = result_type("kthvalue", "values", "indices")
median = result_type("median", "values", "indices")
nanmedian = result_type("nanmedian", "values", "indices")
mode = result_type("mode", "values", "indices")
sort = result_type("sort", "values", "indices")
topk = result_type("topk", "values", "indices")
histogram = result_type("histogram", "hist", "bin_edges")
histogramdd = result_type("histogramdd", "hist", "bin_edges")
frexp = result_type("frexp", "mantissa", "exponent")
geqrf = result_type("geqrf", "a", "tau")
qr = result_type("qr", "Q", "R")
svd = result_type("svd", "U", "S", "V")
slogdet = result_type("slogdet", "sign", "logabsdet")
triangular_solve = result_type("triangular_solve", "solution", "cloned_coefficient")
linalg_cholesky_ex = result_type("linalg_cholesky_ex", "L", "info")
linalg_eig = result_type("linalg_eig", "eigenvalues", "eigenvectors")
linalg_eigh = result_type("linalg_eigh", "eigenvalues", "eigenvectors")
linalg_inv_ex = result_type("linalg_inv_ex", "inverse", "info")
linalg_ldl_factor = result_type("linalg_ldl_factor", "LD", "pivots")
linalg_ldl_factor_ex = result_type("linalg_ldl_factor_ex", "LD", "pivots", "info")
linalg_lstsq = result_type("linalg_lstsq", "solution", "residuals", "rank", "singular_values")
linalg_lu = result_type("linalg_lu", "P", "L", "U")
linalg_lu_factor = result_type("linalg_lu_factor", "LU", "pivots")
linalg_lu_factor_ex = result_type("linalg_lu_factor_ex", "LU", "pivots", "info")
linalg_qr = result_type("linalg_qr", "Q", "R")
linalg_slogdet = result_type("linalg_slogdet", "sign", "logabsdet")
linalg_solve_ex = result_type("linalg_solve_ex", "result", "info")
linalg_svd = result_type("linalg_svd", "U", "S", "Vh")
lu_unpack = result_type("lu_unpack", "P", "L", "U")
_lu_with_info = result_type("_lu_with_info", "LU", "pivots", "info")
