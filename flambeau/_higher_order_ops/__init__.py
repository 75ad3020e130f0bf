"""Operators that take functions, under PyTorch's private names; Python calls the functions and records what they do."""

from flambeau._control_flow import cond, while_loop

from .associative_scan import associative_scan
from .scan import scan

__all__ = ["associative_scan", "cond", "scan", "while_loop"]
