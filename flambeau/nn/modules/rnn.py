"""Recurrent networks."""

from __future__ import annotations

import math
import numbers
import warnings
from collections.abc import Iterable
from typing import Any

import flambeau as torch
import flambeau.nn.functional as F
from flambeau.nn import init
from flambeau.nn.parameter import Parameter
from flambeau.nn.utils.rnn import PackedSequence

from . import _recurrence
from .module import Module

__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNBase", "RNNCell", "RNNCellBase"]

_GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}


def _apply_permutation(tensor: Any, permutation: Any, dim: int = 1) -> Any:
    return tensor.index_select(dim, permutation)


def apply_permutation(tensor: Any, permutation: Any, dim: int = 1) -> Any:
    """Deprecated: ``tensor.index_select(dim, permutation)``."""
    warnings.warn(
        "`apply_permutation` is deprecated, please use `tensor.index_select(dim, permutation)` instead",
        FutureWarning,
        stacklevel=2,
    )
    return _apply_permutation(tensor, permutation, dim)


def _check_dropout(dropout: Any, num_layers: int) -> None:
    if not isinstance(dropout, numbers.Number) or isinstance(dropout, bool) or not 0 <= dropout <= 1:  # type: ignore[operator]
        raise ValueError(
            "dropout should be a number in range [0, 1] representing the probability of an element being zeroed"
        )
    if dropout > 0 and num_layers == 1:  # type: ignore[operator]
        warnings.warn(
            "dropout option adds dropout after all but last "
            "recurrent layer, so non-zero dropout expects "
            f"num_layers greater than 1, but got dropout={dropout} and "
            f"num_layers={num_layers}",
            stacklevel=4,
        )


def _check_sizes(input_size: Any, hidden_size: Any, num_layers: int, proj_size: int) -> None:
    for name, size in (("input_size", input_size), ("hidden_size", hidden_size)):
        if not isinstance(size, int):
            raise TypeError(f"{name} should be of type int, got: {type(size).__name__}")
        if size <= 0:
            raise ValueError(f"{name} must be greater than zero")
    if num_layers <= 0:
        raise ValueError("num_layers must be greater than zero")
    if proj_size < 0:
        raise ValueError("proj_size should be a positive integer or zero to disable projections")
    if proj_size >= hidden_size:
        raise ValueError("proj_size has to be smaller than hidden_size")


def _draw(weights: Iterable[Any], hidden_size: int) -> None:
    """Draws all parameters of recurrent modules alike."""
    bound = 1.0 / math.sqrt(hidden_size) if hidden_size > 0 else 0
    for weight in weights:
        init.uniform_(weight, -bound, bound)


class RNNBase(Module):
    """What the recurrent networks have in common.

    Args:
        mode: ``"LSTM"``, ``"GRU"``, ``"RNN_TANH"`` or ``"RNN_RELU"``.
        input_size: Size of the input of a step.
        hidden_size: Size of the state.
        num_layers: Number of networks on top of each other.
        bias: Whether there are biases.
        batch_first: The input is (N, T, input_size) rather than (T, N, input_size).
        dropout: Probability of zeroing outputs of all layers but the last, while training.
        bidirectional: Run from both ends; the outputs are put beside each other.
        proj_size: For an LSTM, the size of a projection of the state; 0: none.
        device: Where the parameters are.
        dtype: What the parameters are.

    Raises:
        TypeError: A size is no int or a flag no bool.
        ValueError: A size or probability is out of range.
    """

    __constants__ = [
        "mode",
        "input_size",
        "hidden_size",
        "num_layers",
        "bias",
        "batch_first",
        "dropout",
        "bidirectional",
        "proj_size",
    ]

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        _check_dropout(dropout, num_layers)
        for name, flag in (("bias", bias), ("batch_first", batch_first)):
            if not isinstance(flag, bool):
                raise TypeError(f"{name} should be of type bool, got: {type(flag).__name__}")
        _check_sizes(input_size, hidden_size, num_layers, proj_size)
        if mode not in _GATES:
            raise ValueError("Unrecognized RNN mode: " + mode)
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        self._all_weights: list[list[str]] = []
        for layer in range(num_layers):
            for suffix in self._suffixes():
                self._make_layer(layer, suffix, device, dtype)
        self.reset_parameters()

    def _suffixes(self) -> list[str]:
        return ["", "_reverse"] if self.bidirectional else [""]

    def _make_layer(self, layer: int, suffix: str, device: Any, dtype: Any) -> None:
        """Registers the parameters of one direction of one layer."""
        gates = _GATES[self.mode] * self.hidden_size
        output_size = self.proj_size or self.hidden_size
        input_size = self.input_size if layer == 0 else output_size * len(self._suffixes())
        shapes: dict[str, Any] = {"weight_ih": (gates, input_size), "weight_hh": (gates, output_size)}
        if self.bias:
            shapes.update(bias_ih=gates, bias_hh=gates)
        if self.proj_size:
            shapes["weight_hr"] = (self.proj_size, self.hidden_size)
        names = []
        for kind, shape in shapes.items():
            names.append(f"{kind}_l{layer}{suffix}")
            setattr(self, names[-1], Parameter(torch.empty(shape, device=device, dtype=dtype)))
        self._all_weights.append(names)

    @property
    def _flat_weights_names(self) -> list[str]:
        return [name for names in self._all_weights for name in names]

    @property
    def _flat_weights(self) -> list[Any]:
        return [getattr(self, name, None) for name in self._flat_weights_names]

    @property
    def all_weights(self) -> list[list[Any]]:
        """The parameters of each direction of each layer."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    def flatten_parameters(self) -> None:
        """Puts the parameters into one piece of memory on a GPU; on a CPU there is nothing to do."""

    def reset_parameters(self) -> None:
        """Draws the parameters anew, from U(-1/sqrt(hidden_size), 1/sqrt(hidden_size))."""
        _draw(self.parameters(), self.hidden_size)

    def __getstate__(self) -> dict[str, Any]:
        # With the lists that PyTorch keeps beside the parameters, so that saved modules load there.
        flat = {"_flat_weights": self._flat_weights, "_flat_weights_names": self._flat_weights_names}
        return {**super().__getstate__(), **flat}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = {k: v for k, v in state.items() if k not in ("_flat_weights", "_flat_weights_names")}
        super().__setstate__(state)
        self.__dict__.setdefault("proj_size", 0)

    def extra_repr(self) -> str:
        parts = [f"{self.input_size}, {self.hidden_size}"]
        for name, default in (
            ("proj_size", 0),
            ("num_layers", 1),
            ("bias", True),
            ("batch_first", False),
            ("dropout", 0),
            ("bidirectional", False),
        ):
            value = getattr(self, name)
            if value != default:
                parts.append(f"{name}={value}")
        return ", ".join(parts)

    # ---- checks ----------------------------------------------------------------

    def check_input(self, input: Any, batch_sizes: Any) -> None:
        """Raises if the input has another dtype than the weights or another shape than it should."""
        dtype = self._flat_weights[0].dtype
        if input.dtype != dtype and not torch.amp.autocast_mode.is_any_autocast_enabled():
            raise ValueError(
                f"RNN input dtype ({input.dtype}) does not match weight dtype ({dtype}). "
                f"Convert input: input.to({dtype}), or convert model: model.to({input.dtype})"
            )
        dims = 2 if batch_sizes is not None else 3
        if input.dim() != dims:
            raise RuntimeError(f"input must have {dims} dimensions, got {input.dim()}")
        if self.input_size != input.size(-1):
            raise RuntimeError(
                f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got {input.size(-1)}"
            )

    def _batch_size(self, input: Any, batch_sizes: Any) -> int:
        if batch_sizes is not None:
            return int(batch_sizes[0])
        return input.size(0 if self.batch_first else 1)

    def get_expected_hidden_size(self, input: Any, batch_sizes: Any) -> tuple[int, int, int]:
        """The shape that a hidden state must have."""
        count = self.num_layers * len(self._suffixes())
        return count, self._batch_size(input, batch_sizes), self.proj_size or self.hidden_size

    def check_hidden_size(
        self, hx: Any, expected_hidden_size: tuple[int, int, int], msg: str = "Expected hidden size {}, got {}"
    ) -> None:
        """Raises if a state has another shape."""
        if tuple(hx.size()) != tuple(expected_hidden_size):
            raise RuntimeError(msg.format(expected_hidden_size, list(hx.size())))

    def check_forward_args(self, input: Any, hidden: Any, batch_sizes: Any) -> None:
        """Raises if the input or the state do not fit."""
        self.check_input(input, batch_sizes)
        self.check_hidden_size(hidden, self.get_expected_hidden_size(input, batch_sizes))

    def permute_hidden(self, hx: Any, permutation: Any) -> Any:
        """The state with its batch in another order."""
        return hx if permutation is None else _apply_permutation(hx, permutation)

    # ---- forward ---------------------------------------------------------------

    def _zero_state(self, input: Any, batch_sizes: Any) -> Any:
        shape = self.get_expected_hidden_size(input, batch_sizes)
        return torch.zeros(shape, dtype=input.dtype, device=input.device)

    def _batched_state(self, hx: Any, batched: bool) -> Any:
        """The user's state with a batch dimension."""
        want, kind = (3, "batched 3-D") if batched else (2, "unbatched 2-D")
        if hx.dim() != want:
            raise RuntimeError(f"For {kind} input, hx should also be {want}-D but got {hx.dim()}-D tensor")
        return hx if batched else hx.unsqueeze(1)

    def _unbatched_state(self, state: Any) -> Any:
        return state.squeeze(1)

    def _from_tuple(self, state: tuple[Any, ...]) -> Any:
        return state[0]

    def _run(self, input: Any, hx: Any, batch_sizes: Any) -> tuple[Any, Any]:
        """Runs on checked arguments."""
        self.check_forward_args(input, hx, batch_sizes)
        run = getattr(torch, self.mode.lower())
        more = self._flat_weights, self.bias, self.num_layers, self.dropout, self.training, self.bidirectional
        if batch_sizes is None:
            output, *state = run(input, hx, *more, self.batch_first)
        else:
            output, *state = run(input, batch_sizes, hx, *more)
        return output, self._from_tuple(tuple(state))

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        """Runs the network.

        Args:
            input: (T, N, input_size), (T, input_size) or a packed sequence.
            hx: The state before. Default: zeros.

        Returns:
            The output of each step, in the form of the input, and the state after.
        """
        if isinstance(input, PackedSequence):
            return self._forward_packed(input, hx)
        if input.dim() not in (2, 3):
            name = "RNN" if self.mode.startswith("RNN") else self.mode
            got = f"{input.dim()}D tensor" if name == "RNN" else f"{input.dim()}D"
            raise ValueError(f"{name}: Expected input to be 2D or 3D, got {got} instead")
        batched = input.dim() == 3
        batch_dim = 0 if self.batch_first else 1
        if not batched:
            input = input.unsqueeze(batch_dim)
        hx = self._zero_state(input, None) if hx is None else self._batched_state(hx, batched)
        output, state = self._run(input, hx, None)
        return (output, state) if batched else (output.squeeze(batch_dim), self._unbatched_state(state))

    def _forward_packed(self, packed: Any, hx: Any) -> tuple[Any, Any]:
        data, batch_sizes, sorted_indices, unsorted_indices = packed
        hx = self._zero_state(data, batch_sizes) if hx is None else self.permute_hidden(hx, sorted_indices)
        output, state = self._run(data, hx, batch_sizes)
        packed = PackedSequence(output, batch_sizes, sorted_indices, unsorted_indices)
        return packed, self.permute_hidden(state, unsorted_indices)


class RNN(RNNBase):
    """``h_t = tanh(W_ih x_t + b_ih + W_hh h_(t-1) + b_hh)``.

    Args:
        *args: ``input_size``, ``hidden_size``, ``num_layers``, ``nonlinearity`` (``"tanh"`` or ``"relu"``), ``bias``,
            ``batch_first``, ``dropout``, ``bidirectional``, ``device``, ``dtype``; see :class:`RNNBase`.
        **kwargs: The same by name.

    Raises:
        ValueError: The nonlinearity is another one, or a ``proj_size`` is given.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _refuse_projection(kwargs)
        if len(args) > 3:
            nonlinearity = args[3]
            args = args[:3] + args[4:]
        else:
            nonlinearity = kwargs.pop("nonlinearity", "tanh")
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        super().__init__(f"RNN_{nonlinearity.upper()}", *args, **kwargs)
        self.nonlinearity = nonlinearity


def _refuse_projection(kwargs: dict[str, Any]) -> None:
    if "proj_size" in kwargs:
        raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")


class LSTM(RNNBase):
    """Long short-term memory; its state is a pair ``(h, c)``.

    ``i, f, g, o = W_ih x_t + b_ih + W_hh h_(t-1) + b_hh``, ``c_t = sigmoid(f) c_(t-1) + sigmoid(i) tanh(g)``,
    ``h_t = sigmoid(o) tanh(c_t)``.

    Args:
        *args: ``input_size``, ``hidden_size``, ``num_layers``, ``bias``, ``batch_first``, ``dropout``,
            ``bidirectional``, ``proj_size``, ``device``, ``dtype``; see :class:`RNNBase`.
        **kwargs: The same by name.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("LSTM", *args, **kwargs)

    def get_expected_cell_size(self, input: Any, batch_sizes: Any) -> tuple[int, int, int]:
        """The shape that a cell state must have."""
        count = self.num_layers * len(self._suffixes())
        return count, self._batch_size(input, batch_sizes), self.hidden_size

    def check_forward_args(self, input: Any, hidden: Any, batch_sizes: Any) -> None:
        self.check_input(input, batch_sizes)
        expected = self.get_expected_hidden_size(input, batch_sizes), self.get_expected_cell_size(input, batch_sizes)
        for i in range(2):
            self.check_hidden_size(hidden[i], expected[i], f"Expected hidden[{i}] size {{}}, got {{}}")

    def permute_hidden(self, hx: Any, permutation: Any) -> Any:
        if permutation is None:
            return hx
        return _apply_permutation(hx[0], permutation), _apply_permutation(hx[1], permutation)

    def _zero_state(self, input: Any, batch_sizes: Any) -> Any:
        h = super()._zero_state(input, batch_sizes)
        shape = self.get_expected_cell_size(input, batch_sizes)
        return h, torch.zeros(shape, dtype=input.dtype, device=input.device)

    def _batched_state(self, hx: Any, batched: bool) -> Any:
        want, kind = (3, "batched 3-D") if batched else (2, "unbatched 2-D")
        if hx[0].dim() != want or hx[1].dim() != want:
            raise RuntimeError(
                f"For {kind} input, hx and cx should also be {want}-D but got "
                f"({hx[0].dim()}-D, {hx[1].dim()}-D) tensors"
            )
        return hx if batched else (hx[0].unsqueeze(1), hx[1].unsqueeze(1))

    def _unbatched_state(self, state: Any) -> Any:
        return state[0].squeeze(1), state[1].squeeze(1)

    def _from_tuple(self, state: tuple[Any, ...]) -> Any:
        return state


class GRU(RNNBase):
    """Gated recurrent units.

    ``r, z = sigmoid(W_ih x_t + b_ih + W_hh h_(t-1) + b_hh)``, ``n = tanh(W_in x_t + b_in + r (W_hn h_(t-1) + b_hn))``,
    ``h_t = (1 - z) n + z h_(t-1)``.

    Args:
        *args: ``input_size``, ``hidden_size``, ``num_layers``, ``bias``, ``batch_first``, ``dropout``,
            ``bidirectional``, ``device``, ``dtype``; see :class:`RNNBase`.
        **kwargs: The same by name.

    Raises:
        ValueError: A ``proj_size`` is given.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _refuse_projection(kwargs)
        super().__init__("GRU", *args, **kwargs)


class RNNCellBase(Module):
    """What the cells, which do one step, have in common.

    Args:
        input_size: Size of the input.
        hidden_size: Size of the state.
        bias: Whether there are biases.
        num_chunks: Number of gates.
        device: Where the parameters are.
        dtype: What the parameters are.
    """

    __constants__ = ["input_size", "hidden_size", "bias"]
    bias_ih: Any
    bias_hh: Any

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool, num_chunks: int, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        gates = num_chunks * hidden_size
        self.weight_ih = Parameter(torch.empty((gates, input_size), device=device, dtype=dtype))
        self.weight_hh = Parameter(torch.empty((gates, hidden_size), device=device, dtype=dtype))
        for name in ("bias_ih", "bias_hh"):
            value = Parameter(torch.empty(gates, device=device, dtype=dtype)) if bias else None
            self.register_parameter(name, value)
        self.reset_parameters()

    def extra_repr(self) -> str:
        parts = [f"{self.input_size}, {self.hidden_size}"]
        if self.bias is not True:
            parts.append(f"bias={self.bias}")
        if getattr(self, "nonlinearity", "tanh") != "tanh":
            parts.append(f"nonlinearity={self.nonlinearity}")
        return ", ".join(parts)

    def reset_parameters(self) -> None:
        """Draws the parameters anew, from U(-1/sqrt(hidden_size), 1/sqrt(hidden_size))."""
        _draw(self.parameters(), self.hidden_size)

    def _check_dims(self, value: Any, what: str) -> None:
        if value.dim() not in (1, 2):
            raise ValueError(f"{type(self).__name__}: Expected {what} to be 1D or 2D, got {value.dim()}D instead")

    def _step(self, mode: str, input: Any, state: tuple[Any, ...] | None, states: int) -> tuple[Any, ...]:
        """One step of a batch or a single input; a state of None is zeros."""
        batched = input.dim() == 2
        if not batched:
            input = input.unsqueeze(0)
        if state is None:
            zeros = torch.zeros(input.size(0), self.hidden_size, dtype=input.dtype, device=input.device)
            state = (zeros,) * states
        elif not batched:
            state = tuple(s.unsqueeze(0) for s in state)
        self._check_fit(input, state)
        weights = {"weight_hh": self.weight_hh, "bias_hh": self.bias_hh}
        gates = F.linear(input, self.weight_ih, self.bias_ih)
        state = _recurrence.STEPS[mode](gates, state, weights)
        return state if batched else tuple(s.squeeze(0) for s in state)

    def _check_fit(self, input: Any, state: tuple[Any, ...]) -> None:
        if input.size(1) != self.input_size:
            raise RuntimeError(f"input has inconsistent input_size: got {input.size(1)} expected {self.input_size}")
        for i, s in enumerate(state):
            if input.size(0) != s.size(0):
                raise RuntimeError(f"Input batch size {input.size(0)} doesn't match hidden{i} batch size {s.size(0)}")
            if s.size(1) != self.hidden_size:
                raise RuntimeError(
                    f"hidden{i} has inconsistent hidden_size: got {s.size(1)}, expected {self.hidden_size}"
                )


class RNNCell(RNNCellBase):
    """One step of an :class:`RNN`.

    Args:
        input_size: Size of the input.
        hidden_size: Size of the state.
        bias: Whether there are biases.
        nonlinearity: ``"tanh"`` or ``"relu"``.
        device: Where the parameters are.
        dtype: What the parameters are.
    """

    __constants__ = ["input_size", "hidden_size", "bias", "nonlinearity"]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, num_chunks=1, device=device, dtype=dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Any, hx: Any = None) -> Any:
        self._check_dims(input, "input")
        if hx is not None:
            self._check_dims(hx, "hidden")
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        state = None if hx is None else (hx,)
        return self._step(f"RNN_{self.nonlinearity.upper()}", input, state, 1)[0]


class LSTMCell(RNNCellBase):
    """One step of an :class:`LSTM`; its state is a pair ``(h, c)``.

    Args:
        input_size: Size of the input.
        hidden_size: Size of the state.
        bias: Whether there are biases.
        device: Where the parameters are.
        dtype: What the parameters are.
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, num_chunks=4, device=device, dtype=dtype)

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        self._check_dims(input, "input")
        for i, value in enumerate(hx or ()):
            self._check_dims(value, f"hx[{i}]")
        h, c = self._step("LSTM", input, None if hx is None else tuple(hx), 2)
        return h, c


class GRUCell(RNNCellBase):
    """One step of a :class:`GRU`.

    Args:
        input_size: Size of the input.
        hidden_size: Size of the state.
        bias: Whether there are biases.
        device: Where the parameters are.
        dtype: What the parameters are.
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, num_chunks=3, device=device, dtype=dtype)

    def forward(self, input: Any, hx: Any = None) -> Any:
        self._check_dims(input, "input")
        if hx is not None:
            self._check_dims(hx, "hidden")
        return self._step("GRU", input, None if hx is None else (hx,), 1)[0]
