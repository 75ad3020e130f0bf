"""``torch.distributed.checkpoint``: folders that PyTorch has written are read; what is written is named as there."""

from __future__ import annotations

import pickle
import pickletools
import random
from pathlib import Path
from typing import Any

import pytest

import flambeau as torch
from flambeau import nn
from flambeau.distributed import checkpoint as dcp
from flambeau.distributed.checkpoint import _metadata_file
from flambeau.distributed.checkpoint.filesystem import _StorageInfo
from flambeau.distributed.checkpoint.format_utils import dcp_to_torch_save, torch_save_to_dcp
from flambeau.distributed.checkpoint.metadata import TensorStorageMetadata
from flambeau.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict, set_state_dict

GOLDEN = Path(__file__).parent / "golden" / "checkpoint"  # by torch.distributed.checkpoint.save of PyTorch 2.13


def empty() -> dict[str, Any]:
    return {
        "model": {"weight": torch.zeros(2, 3)}, "half": torch.zeros(2, dtype=torch.bfloat16),
        "scalar": torch.tensor(0), "list": [torch.zeros(2).long(), {"x": 0}], "step": 0,
    }  # fmt: skip


def assert_golden(state: dict[str, Any]) -> None:
    assert state["model"]["weight"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert state["half"].tolist() == [1, 1] and state["half"].dtype is torch.bfloat16
    assert state["scalar"].item() == 3 and state["step"] == 7
    assert state["list"][0].tolist() == [1, 2] and state["list"][1] == {"x": 1}


def test_a_checkpoint_of_pytorch_is_read() -> None:
    state = empty()
    weight = state["model"]["weight"]
    dcp.load(state, checkpoint_id=GOLDEN)
    assert_golden(state)
    assert state["model"]["weight"] is weight  # filled in place


def test_what_is_written_is_what_pytorch_writes(tmp_path: Path) -> None:
    state = empty()
    dcp.load(state, checkpoint_id=GOLDEN)
    dcp.save(state, checkpoint_id=tmp_path / "a")
    again = empty()
    dcp.load(again, checkpoint_id=str(tmp_path / "a"))
    assert_golden(again)
    assert strings(tmp_path / "a") == strings(GOLDEN)


def strings(folder: Path) -> set[str]:
    """The names in ``.metadata``, but for the folder's own and those of a path."""
    found = {arg for _, arg, _ in pickletools.genops((folder / ".metadata").read_bytes()) if isinstance(arg, str)}
    return {s for s in found if "-" not in s and "/" not in s and s not in ("pathlib", "PosixPath", "checkpoint")}


def test_as_one_file_and_back(tmp_path: Path) -> None:
    dcp_to_torch_save(GOLDEN, tmp_path / "state.pt")
    assert_golden(torch.load(tmp_path / "state.pt", weights_only=True))
    torch_save_to_dcp(tmp_path / "state.pt", tmp_path / "b")
    state = empty()
    dcp.load(state, storage_reader=dcp.FileSystemReader(tmp_path / "b"))
    assert_golden(state)


def trained(seed: int, steps: int) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    groups = [{"params": model[0].parameters(), "lr": 0.1 * seed}, {"params": model[1].parameters()}]
    optimizer = torch.optim.AdamW(groups, lr=0.5)
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.ones(1, 2)).sum().backward()
        optimizer.step()
    return model, optimizer


def test_training_goes_on_from_a_checkpoint(tmp_path: Path) -> None:
    model, optimizer = trained(1, 2)
    weights, states = get_state_dict(model, optimizer)
    assert list(states["state"]) == ["0.weight", "0.bias", "1.weight", "1.bias"]
    dcp.save({"model": weights, "optim": states}, checkpoint_id=tmp_path)
    other, its = trained(2, 0)
    before = [p.detach().clone() for p in other.parameters()]
    weights, states = get_state_dict(nn.DataParallel(other), its)
    assert all(torch.equal(a, b) for a, b in zip(before, other.parameters()))  # beginning its states changes nothing
    assert [g["lr"] for g in its.param_groups] == [0.2, 0.5]
    dcp.load({"model": weights, "optim": states}, checkpoint_id=tmp_path)
    found = {"model": weights, "optim": states}
    dcp.load(found, checkpoint_id=tmp_path)
    set_state_dict(other, its, model_state_dict=found["model"], optim_state_dict=found["optim"])
    assert its.param_groups[0]["lr"] == 0.1
    for m, o in ((model, optimizer), (other, its)):
        o.zero_grad()
        m(torch.ones(1, 2)).sum().backward()
        o.step()
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters()))


def test_objects_with_a_state_of_their_own(tmp_path: Path) -> None:
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    dcp.async_save({"layer": first}, checkpoint_id=tmp_path).result()
    dcp.load({"layer": second}, checkpoint_id=tmp_path)
    assert torch.equal(first.weight, second.weight)


def test_a_tensor_in_parts(tmp_path: Path) -> None:
    """As several processes would have written it: two entries of the file are parts of one tensor."""
    dcp.save({"a": torch.arange(2.0), "b": torch.arange(2.0) + 5}, checkpoint_id=tmp_path)
    reader = dcp.FileSystemReader(tmp_path)
    metadata = reader.read_metadata()
    a = metadata.state_dict_metadata["a"]
    assert isinstance(a, TensorStorageMetadata)
    places = list(metadata.storage_data.values())
    index = type(next(iter(metadata.storage_data)))
    a.chunks.append(dcp.ChunkStorageMetadata(torch.Size([2]), torch.Size([2])))
    metadata.storage_data = {index("a", [0]): places[0], index("a", [2]): places[1]}
    whole = torch.zeros(4)
    reader.read_tensor(metadata, "a", whole)
    assert whole.tolist() == [0, 1, 5, 6]


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"absent": torch.ones(2)}, "RuntimeError: Missing key in checkpoint state_dict: absent."),
        ({"half": torch.ones(3)},
         "ValueError: Size mismatch between saved torch.Size([2]) and current: torch.Size([3]) for half"),
        ({"half": 5}, "ValueError: Invalid checkpoint metadata for half, expected BytesStorageMetadata"),
    ],
)  # fmt: skip
def test_what_does_not_fit(state: dict[str, Any], message: str) -> None:
    weight = torch.zeros(2, 3)
    with pytest.raises(dcp.CheckpointException) as caught:
        dcp.load({"model": {"weight": weight}, **state}, checkpoint_id=GOLDEN)
    assert message in str(caught.value) and list(caught.value.failures) == [0]
    assert not weight.any()


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="`checkpoint_id` must be specified"):
        dcp.save({})
    with pytest.raises(NotImplementedError, match="planners are not supported"):
        dcp.save({}, checkpoint_id=tmp_path, planner=object())
    dcp.save({"a": 1}, checkpoint_id=tmp_path)
    with pytest.warns(UserWarning, match="Detected an existing checkpoint"):
        dcp.save({"a": 2}, checkpoint_id=tmp_path)
    with pytest.raises(dcp.CheckpointException, match="Checkpoint already exists and self.overwrite=False"):
        dcp.save({"a": 3}, storage_writer=dcp.FileSystemWriter(tmp_path, overwrite=False))
    (tmp_path / ".metadata").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(dcp.CheckpointException, match="os.system is not expected"):
        dcp.load({"a": 0}, checkpoint_id=tmp_path)
    with pytest.raises(NotImplementedError, match="flatten_optimizer_state_dict"):
        get_state_dict(nn.Linear(1, 1), [], options=StateDictOptions(flatten_optimizer_state_dict=True))


class Named:
    """A name, which a pickle asks for and calls with arguments."""

    def __init__(self, module: str, name: str, *args: Any) -> None:
        self.called = module, name, args


def pickled(named: Named, state: Any = None) -> bytes:
    """A pickle that calls what is named and gives the result a state."""
    module, name, args = named.called
    text = b"\x80\x04" + b"".join(pickle.SHORT_BINUNICODE + bytes([len(s)]) + s.encode() for s in (module, name))
    given = pickle.dumps(args, 4)[2:-1] + pickle.REDUCE if args else b""
    given += b"" if state is None else pickle.dumps(state, 4)[2:-1] + pickle.BUILD
    return text + pickle.STACK_GLOBAL + given + pickle.STOP


METADATA = "torch.distributed.checkpoint.metadata"


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (pickled(Named("pathlib", "os.system", "true")), "pathlib.os.system is not expected"),
        (pickled(Named("builtins", "eval", "1")), "builtins.eval is not expected"),
        (pickled(Named("torch", "load", "x")), "torch.load is not expected"),
        (pickled(Named(METADATA, "torch.load", "x")), "torch.load is not expected"),
        (pickled(Named("torch", "Size", (1,))), "the metadata of a checkpoint is <class"),
        (pickled(Named(METADATA, "StorageMeta", "x"), {"other": 1}), "StorageMeta has no 'other'"),
        (pickled(Named(METADATA, "StorageMeta"), (None, {"modules": 1})), "gives a state to <class"),
        (pickled(Named("torch.serialization", "_get_layout"), (None, {"x": 1})), "gives a state to <function"),
        (b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.", "EOFError"),
        (b"", "EOFError"),
    ],
)
def test_metadata_names_and_makes_nothing_else(written: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / ".metadata").write_bytes(written)
    with pytest.raises(pickle.UnpicklingError, match=message):
        dcp.FileSystemReader(tmp_path).read_metadata()


def test_damaged_metadata_is_refused() -> None:
    data, rng = bytearray((GOLDEN / ".metadata").read_bytes()), random.Random(0)
    refused = 0
    for _ in range(1500):
        changed = data[:]
        for _ in range(rng.randint(1, 3)):
            changed[rng.randrange(len(data))] = rng.randrange(256)
        try:
            _metadata_file.read(bytes(changed[: rng.choice([len(data), rng.randrange(len(data))])]), _StorageInfo)
        except pickle.UnpicklingError:
            refused += 1
    assert refused > 1000


@pytest.mark.parametrize("place", [("../secret", 0, 6), ("__0_0.distcp", 0, 1 << 50), ("__0_0.distcp", -1, 1)])
def test_entries_lie_in_the_folder(place: tuple[str, int, int], tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    dcp.save({"a": 1}, checkpoint_id=tmp_path / "c")
    reader = dcp.FileSystemReader(tmp_path / "c")
    metadata = reader.read_metadata()
    metadata.storage_data = dict.fromkeys(metadata.storage_data, _StorageInfo(*place))
    with pytest.raises(pickle.UnpicklingError, match="the metadata names bytes"):
        reader.read_bytes(metadata, "a")


def test_objects_of_other_classes_are_not_made(tmp_path: Path) -> None:
    dcp.save({"a": Path("x")}, checkpoint_id=tmp_path)
    with pytest.raises(dcp.CheckpointException, match="add_safe_globals"):
        dcp.load({"a": None}, checkpoint_id=tmp_path)
