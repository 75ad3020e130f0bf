"""``SummaryWriter`` and ``FileWriter``, on the package tensorboardX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flambeau as torch

try:
    import tensorboardX
except ImportError as error:
    raise ImportError(
        "torch.utils.tensorboard writes through the package tensorboardX: pip install 'flambeau[tensorboard]'"
    ) from error

__all__ = ["FileWriter", "SummaryWriter"]

FileWriter = tensorboardX.FileWriter


def _plain(x: Any) -> Any:
    """``x`` with NumPy arrays in place of tensors, also inside lists, tuples and dictionaries."""
    if isinstance(x, torch.Tensor):
        return x.detach().float().numpy() if x.dtype is torch.bfloat16 else x.detach().numpy()
    if type(x) in (list, tuple):
        return type(x)(_plain(item) for item in x)
    if type(x) is dict:
        return {key: _plain(item) for key, item in x.items()}
    return x


def _scalar(x: Any) -> Any:
    return x.item() if getattr(x, "size", None) == 1 and hasattr(x, "item") else x


def _plainly(name: str) -> Callable[..., Any]:
    write = getattr(tensorboardX.SummaryWriter, name)

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return write(self, *_plain(args), **_plain(kwargs))

    method.__name__, method.__doc__ = name, f"tensorboardX's ``{name}``, which also takes tensors."
    return method


class SummaryWriter(tensorboardX.SummaryWriter):
    """Writes event files for TensorBoard (https://docs.pytorch.org/docs/stable/tensorboard.html).

    ``log_dir`` is ``runs/DATE_HOST`` by default.
    """

    def __init__(
        self, log_dir: Any = None, comment: str = "", purge_step: int | None = None, max_queue: int = 10,
        flush_secs: int = 120, filename_suffix: str = "",
    ) -> None:  # fmt: skip
        where = None if log_dir is None else str(log_dir)
        super().__init__(where, comment, purge_step, max_queue, flush_secs, filename_suffix)
        self.log_dir = self.logdir

    def get_logdir(self) -> str:
        """The folder of the event files."""
        return self.logdir

    def add_scalar(
        self, tag: str, scalar_value: Any, global_step: Any = None, walltime: float | None = None,
        new_style: bool = False, double_precision: bool = False,
    ) -> None:  # fmt: skip
        """One number of a curve."""
        super().add_scalar(tag, _scalar(_plain(scalar_value)), _scalar(_plain(global_step)), walltime)

    def add_scalars(
        self, main_tag: str, tag_scalar_dict: dict[str, Any], global_step: Any = None, walltime: float | None = None
    ) -> None:
        """One number of each of several curves."""
        numbers = {tag: _scalar(_plain(value)) for tag, value in tag_scalar_dict.items()}
        super().add_scalars(main_tag, numbers, global_step, walltime)

    def add_graph(
        self, model: Any, input_to_model: Any = None, verbose: bool = False, use_strict_trace: bool = True
    ) -> None:
        """The graph of a model: what it calls on an input, in evaluation mode.

        Args:
            model: a module.
            input_to_model: a tensor, or several in a tuple or list.
            verbose: print the graph.
            use_strict_trace: has no effect: any kind of result is followed.
        """
        from .graph import event_of, graph_of

        graph = graph_of(model, input_to_model)
        if verbose:
            print(graph)
        self._get_file_writer().add_event(event_of(graph))


for _name in (
    "add_audio", "add_embedding", "add_histogram", "add_histogram_raw", "add_image", "add_image_with_boxes",
    "add_images", "add_mesh", "add_pr_curve", "add_pr_curve_raw", "add_video",
):  # fmt: skip
    setattr(SummaryWriter, _name, _plainly(_name))
