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
    found = scalars(tmp_path)
    assert found["loss"] == [(3, 3.0)] and found["half"] == [(4, 0.5)]
    assert {tag for tag in found if tag.startswith("both")} and np.isfinite(found["loss"][0][1])
    assert {"weights", "image"} <= set(found)


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU(), torch.nn.Dropout())
        self.head = torch.nn.Linear(2 * 4 * 4, 5)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        h = self.features(x).flatten(1)
        values, places = self.head(h + h.mean()).max(1)
        return values, places.add_(1)


def test_the_graph_of_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tensorboardX")
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.proto.graph_pb2 import GraphDef

    from flambeau.utils.tensorboard import SummaryWriter

    net = Net()
    net.features.eval()
    with SummaryWriter(tmp_path) as writer:
        writer.add_graph(net, torch.ones(3, 1, 6, 6), verbose=True)
    assert net.training and not net.features.training
    assert "Net/Sequential[features]/Conv2d[0]" in capsys.readouterr().out
    data = next(tmp_path.rglob("events*")).read_bytes()
    graphs = []
    while data:
        size = int.from_bytes(data[:8], "little")
        event = Event.FromString(data[12 : 12 + size])
        data = data[16 + size :]
        if event.graph_def:
            graphs.append(GraphDef.FromString(event.graph_def))
    (graph,) = graphs
    nodes = {n.name: n for n in graph.node}
    assert len(nodes) == len(graph.node)
    assert {i.partition(":")[0] for n in graph.node for i in n.input} <= set(nodes)
    conv = nodes["Net/Sequential[features]/Conv2d[0]/conv2d"]
    assert (conv.op, list(conv.input)) == (
        "aten::conv2d",
        ["input/x", "Net/Sequential[features]/Conv2d[0]/weight", "Net/Sequential[features]/Conv2d[0]/bias"],
    )
    assert [d.size for d in conv.attr["_output_shapes"].list.shape[0].dim] == [3, 2, 4, 4]
    assert list(nodes["Net/max"].input) == ["Net/Linear[head]/linear"]
    assert list(nodes["Net/add_1"].input) == ["Net/max:1"]
    assert [list(n.input) for name, n in nodes.items() if name.startswith("output")] == [["Net/max"], ["Net/add_1"]]


def test_a_graph_that_fails_leaves_the_model_as_it_was(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    from flambeau.utils.tensorboard import SummaryWriter

    net = Net()
    with SummaryWriter(tmp_path) as writer, pytest.raises(RuntimeError):
        writer.add_graph(net, torch.ones(3, 2, 6, 6))
    assert net.training and not torch.nn.modules.module._global_forward_hooks
