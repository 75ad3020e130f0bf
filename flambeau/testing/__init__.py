"""``torch.testing``: comparing results, and tensors to try things with."""

from ._comparison import assert_close
from ._creation import make_tensor
from ._old import assert_allclose

__all__ = ["assert_allclose", "assert_close", "make_tensor"]
