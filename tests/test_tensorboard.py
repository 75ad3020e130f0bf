"""torch.utils.tensorboard through tensorboardX: skipped where that is not installed."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

import flambeau as torch


def test_without_tensorboardx_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    for name in ("flambeau.utils.tensorboard", "flambeau.utils.tensorboard.writer"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(ImportError, match=r"pip install 'flambeau\[tensorboard\]'"):
        importlib.import_module("flambeau.utils.tensorboard")


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What the event files of a folder hold."""
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.record_writer import RecordWriter  # noqa: F401 - the format that is read here

    found: dict[str, list[tuple[int, float]]] = {}
    for path in sorted(folder.rglob("events*")):
        data = path.read_bytes()
        while data:
            size = int.from_bytes(data[:8], "little")
            event = Event.FromString(data[12 : 12 + size])
            data = data[16 + size :]
            for value in event.summary.value:
                found.setdefault(value.tag, []).append((event.step, value.simple_value))
    return found


def test_a_writer_takes_tensors(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    from flambeau.utils.tensorboard import SummaryWriter, writer

    assert writer.SummaryWriter is SummaryWriter
    with SummaryWriter(tmp_path) as writer:
        assert writer.log_dir == writer.get_logdir() == str(tmp_path)
        loss = torch.tensor(1.5, requires_grad=True) * 2
        writer.add_scalar("loss", loss, 3)
        writer.add_scalar("half", torch.tensor(0.5, dtype=torch.bfloat16), torch.tensor(4))
        writer.add_scalars("both", {"a": torch.tensor([1.0]), "b": 2}, 5)
        writer.add_histogram("weights", torch.randn(10), 1)
        writer.add_image("image", torch.rand(3, 4, 4), 1)
        writer.add_text("text", "hello", 1)
        with pytest.raises(NotImplementedError, match="add_graph"):
            writer.add_graph(torch.nn.Linear(1, 1))
    found = scalars(tmp_path)
    assert found["loss"] == [(3, 3.0)] and found["half"] == [(4, 0.5)]
    assert {tag for tag in found if tag.startswith("both")} and np.isfinite(found["loss"][0][1])
    assert {"weights", "image"} <= set(found)
