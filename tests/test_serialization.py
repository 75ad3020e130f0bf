"""Saving and loading: PyTorch's files in both directions, refusals, damaged files, atomic writing."""

from __future__ import annotations

import copy
import datetime
import io
import json
import os
import pickle
import random
import struct
import subprocess
import sys
import tracemalloc
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from _thorough import thorough

import flambeau as torch
from flambeau.serialization import safetensors

GOLDEN = Path(__file__).parent / "golden" / "serialization"


def saved(obj: Any, **options: Any) -> io.BytesIO:
    buffer = io.BytesIO()
    torch.save(obj, buffer, **options)
    buffer.seek(0)
    return buffer


def through(obj: Any, **options: Any) -> Any:
    return torch.load(saved(obj), **options)


# ---- PyTorch's files


def check_values(got: dict[str, Any]) -> None:
    expected = {
        "view": [[4.0, 6.0], [8.0, 10.0]],
        "transposed": np.arange(12.0).reshape(3, 4).T.tolist(),
        "scalar": 7,
        "empty": [],
        "half": [1.5, -2.0],
        "bfloat16": [1.5, -2.0],
        "double": [0.1],
        "complex": [1 + 2j, -3j],
        "conjugate": [1 - 2j, 3j],
        "bool": [True, False, True],
        "uint8": [0, 255],
        "uint16": [1, 65535],
        "uint64": [2**63 + 1],
        "int8": [-128, 127],
        "parameter": [3.0],
        "tagged": [1.0, 2.0],
    }
    for name, value in expected.items():
        assert got[name].tolist() == value, name
    assert got["bfloat16"].dtype is torch.bfloat16 and got["uint16"].dtype is torch.uint16
    assert got["empty"].shape == (0, 3)
    assert got["transposed"].stride() == (1, 4) and got["channels_last"].stride() == (8, 1, 4, 2)
    assert isinstance(got["parameter"], torch.nn.Parameter) and got["parameter"].requires_grad
    assert got["tagged"].tag == "mine" and got["tagged"].requires_grad
    assert got["dtype"] is torch.bfloat16 and got["device"] == torch.device("cpu") and got["layout"] is torch.strided
    assert got["size"] == (2, 3) and type(got["size"]) is torch.Size
    assert got["plain"] == [None, True, 1, 2**70, -1.5, "text", b"bytes", 1j, (1, (2,)), {3}, bytearray(b"ab")]
    assert got["ordered"] == OrderedDict(a=1, b=[2]) and type(got["ordered"]) is OrderedDict
    assert got["counter"] == Counter("aab")
    got["base"][1, 0] = 99
    assert got["view"][0, 0] == 99 and got["transposed"][0, 1] == 99


@pytest.mark.parametrize("weights_only", [True, False])
@pytest.mark.parametrize("name", ["values.pt", "values_legacy.pt"])
def test_files_of_pytorch(name: str, weights_only: bool) -> None:
    check_values(torch.load(GOLDEN / name, weights_only=weights_only))


def test_mapped_file() -> None:
    got = torch.load(str(GOLDEN / "values.pt"), mmap=True)
    check_values(got)
    assert torch.load(GOLDEN / "values.pt")["base"][1, 0] == 4  # what was written stayed in memory


def test_complex_half() -> None:
    x = torch.load(GOLDEN / "values.pt")["complex_half"]
    assert x.dtype is torch.complex32 and x.tolist() == [1 + 2j]
    assert through(x).tolist() == [1 + 2j]


def test_other_byte_order() -> None:
    floats, complexes = torch.load(GOLDEN / "big_endian.pt")
    assert floats.tolist() == [1, 2] and complexes.tolist() == [3 + 4j]


def test_byte_order_without_mark() -> None:
    from flambeau.serialization import LoadEndianness, get_default_load_endianness, set_default_load_endianness

    buffer = saved(torch.tensor([1, 2], dtype=torch.int16), _disable_byteorder_record=True)
    assert torch.load(buffer).tolist() == [1, 2]
    set_default_load_endianness(LoadEndianness.BIG)
    try:
        buffer.seek(0)
        assert torch.load(buffer).tolist() == [256, 512]
    finally:
        set_default_load_endianness(None)
    assert get_default_load_endianness() is None


def test_tar_file() -> None:
    with pytest.raises(RuntimeError, match="Cannot use ``weights_only=True`` with files saved in the legacy .tar"):
        torch.load(GOLDEN / "old.tar.pt")
    got = torch.load(GOLDEN / "old.tar.pt", weights_only=False)
    assert got["base"].tolist() == [[0, 1, 2], [3, 4, 5]] and got["view"].tolist() == [1, 4]
    got["base"][0, 1] = 9
    assert got["view"].tolist() == [9, 4]


def test_training_state_of_pytorch() -> None:
    state = torch.load(GOLDEN / "training.pt")
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=1.0)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    assert optimizer.param_groups[0]["lr"] == 0.1
    assert optimizer.state[model.weight]["step"] == 1 and state["epoch"] == 3
    assert state["model"]._metadata[""] == {"version": 1}


def test_module_of_pytorch() -> None:
    with pytest.raises(pickle.UnpicklingError, match="GLOBAL torch.nn.modules.container.Sequential was not an allowed"):
        torch.load(GOLDEN / "module.pt")
    model = torch.load(GOLDEN / "module.pt", weights_only=False)
    assert [type(m) for m in model] == [torch.nn.Linear, torch.nn.ReLU, torch.nn.LayerNorm, torch.nn.GRU]
    assert model(torch.ones(1, 2, 4))[0].shape == (1, 2, 3)


# ---- files of our own


def test_archive_is_laid_out_as_pytorch_does(tmp_path: Path) -> None:
    torch.save([torch.ones(3), torch.zeros(0)], tmp_path / "model.pt")
    with zipfile.ZipFile(tmp_path / "model.pt") as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [
            f"model/{name}"
            for name in ("data.pkl", ".format_version", ".storage_alignment", "byteorder", "data/0", "data/1",
                         "version", ".data/serialization_id")
        ]  # fmt: skip
        data = (tmp_path / "model.pt").read_bytes()
        for info in archive.infolist():
            head = struct.unpack_from("<2H", data, info.header_offset + 26)
            assert (info.header_offset + 30 + sum(head)) % 64 == 0
        assert archive.read("model/.storage_alignment") == b"64" and archive.read("model/version") == b"3\n"


def test_views_share_memory() -> None:
    x = torch.arange(6.0)
    a, b, c = through([x, x[2:4], x.view(2, 3)])
    a[2] = 10
    assert b[0] == 10 and c[0, 2] == 10
    assert len(saved([x, x[1:]]).getvalue()) < len(saved([x, x.clone()]).getvalue())


def test_one_memory_of_two_dtypes_is_refused() -> None:
    x = torch.zeros(4)
    with pytest.raises(RuntimeError, match="view the same data as different types"):
        saved([x, x.view(torch.int32)])


def test_grad_of_results() -> None:
    y = through(torch.ones(2, requires_grad=True) * 2)
    assert y.requires_grad and y.is_leaf


def test_pickle_and_copy() -> None:
    x = torch.ones(3, requires_grad=True)
    x.tag = "t"
    for y in (pickle.loads(pickle.dumps(x)), copy.copy(x), copy.deepcopy(x)):
        assert y.tolist() == [1, 1, 1] and y.requires_grad and y.tag == "t"
    base = torch.zeros(2)
    copy.copy(base)[0] = 5
    assert base[0] == 5  # a shallow copy is on the same memory
    p = pickle.loads(pickle.dumps(torch.nn.Parameter(torch.ones(2))))
    assert isinstance(p, torch.nn.Parameter) and p.requires_grad


@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
def test_storages() -> None:
    s = torch.arange(3.0).untyped_storage()
    assert through(s).untyped().tolist() == s.tolist()
    assert torch.is_storage(s) and not torch.is_storage(torch.ones(1))
    grown = torch.arange(3.0).storage().resize_(4)
    assert grown.tolist() == [0, 1, 2, 0] and grown.long().tolist() == [0, 1, 2, 0]
    assert grown.resize_(2).tolist() == [0, 1] and grown.nbytes() == 8
    halves = torch.tensor([1.5, -2.0]).bfloat16().storage()
    assert halves.tolist() == [1.5, -2.0] and halves.float().tolist() == [1.5, -2.0]
    halves[1] = 0.25
    assert halves.fill_(3) is halves and halves.copy_(torch.tensor([1.0, 257.0]).storage()).tolist() == [1, 256]
    typed = pickle.loads(pickle.dumps(torch.arange(3.0).storage()))
    assert typed.tolist() == [0, 1, 2] and typed.dtype is torch.float32


class Sub(torch.Tensor):
    pass


def test_subclasses() -> None:
    x = torch.ones(2).as_subclass(Sub)
    x.note = [1]
    with pytest.raises(pickle.UnpicklingError, match="Unsupported global"):
        through(x)
    with torch.serialization.safe_globals([Sub]):
        y = through(x)
    assert type(y) is Sub and y.note == [1]
    assert torch.serialization.get_safe_globals() == []


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_protocols(protocol: int) -> None:
    model = torch.nn.Linear(2, 2)
    buffer = saved({"m": model, "d": torch.float16}, pickle_protocol=protocol)
    got = torch.load(buffer, weights_only=False)
    assert torch.equal(got["m"].weight, model.weight) and got["d"] is torch.float16


@pytest.mark.parametrize("legacy", [False, True])
def test_rnn_round_trip(legacy: bool) -> None:
    model = torch.nn.LSTM(2, 3)
    buffer = saved(model, _use_new_zipfile_serialization=not legacy)
    again = torch.load(buffer, weights_only=False)
    x = torch.ones(1, 1, 2)
    assert torch.equal(again(x)[0], model(x)[0])


def test_functions_have_public_names() -> None:
    pickled = zipfile.ZipFile(saved([torch.nn.functional.gelu, torch.tanh])).read("archive/data.pkl")
    assert b"ctorch.nn.functional\ngelu\n" in pickled and b"ctorch" in pickled and b"flambeau" not in pickled
    assert through([torch.nn.functional.gelu], weights_only=False) == [torch.nn.functional.gelu]


def test_map_location() -> None:
    x = torch.ones(2)
    for where in (None, "cpu", torch.device("cpu"), {"cpu": "cpu"}, lambda storage, location: storage):
        assert torch.load(saved(x), map_location=where).tolist() == [1, 1]
    seen = []
    torch.load(saved(x), map_location=lambda storage, location: seen.append((storage.nbytes(), location)))
    assert seen == [(8, "cpu")]
    with pytest.raises(RuntimeError, match="Attempting to deserialize object on a CUDA device"):
        torch.load(saved(x), map_location="cuda:0")
    with pytest.raises(RuntimeError, match="don't know how to restore data location"):
        torch.load(saved(x), map_location="nowhere")


def test_wrong_arguments(tmp_path: Path) -> None:
    with pytest.raises(AttributeError, match="expected 'f' to be string, path, or a file-like object"):
        torch.save(1, 5)
    with pytest.raises(RuntimeError, match="Parent directory .* does not exist"):
        torch.save(1, tmp_path / "none" / "x.pt")
    with pytest.raises(FileNotFoundError):
        torch.load(tmp_path / "none.pt")
    with pytest.raises(RuntimeError, match="explicit pickle_module"):
        torch.load(saved(1), pickle_module=pickle, weights_only=True)
    with pytest.raises(ValueError, match="f must be a file path in order to use the mmap"):
        torch.load(saved(1), mmap=True)
    with pytest.raises(RuntimeError, match="mmap can only be used with files saved with"):
        torch.load(GOLDEN / "values_legacy.pt", mmap=True)
    with pytest.warns(UserWarning, match="pickle_load_args only works"):
        torch.load(saved(1), encoding="latin1")


def test_pickle_module_means_full_unpickling() -> None:
    assert torch.load(saved(datetime.date(2020, 1, 2)), pickle_module=pickle) == datetime.date(2020, 1, 2)


# ---- refusals


class Evil:
    def __reduce__(self) -> Any:
        return os.system, ("exit 3",)


def archive_of(pickled: bytes, **records: bytes) -> io.BytesIO:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        for name, data in records.items():
            archive.writestr(f"archive/data/{name[1:]}", data)
    buffer.seek(0)
    return buffer


def test_code_is_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    text = f"open({str(mark)!r}, 'w')".encode()
    pickled = b"\x80\x02cbuiltins\nexec\nX" + struct.pack("<I", len(text)) + text + b"\x85R."
    with pytest.raises(pickle.UnpicklingError, match=r"add_safe_globals\(\[exec\]\)"):
        torch.load(archive_of(pickled))
    assert not mark.exists()


def test_blocked_modules() -> None:
    with pytest.raises(pickle.UnpicklingError, match="whose module .* is blocked"):
        torch.load(archive_of(pickle.dumps(Evil(), 2)))
    with torch.serialization.safe_globals([os.system]), pytest.raises(pickle.UnpicklingError, match="is blocked"):
        torch.load(archive_of(pickle.dumps(Evil(), 2)))


STORAGE = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK%ctQ"


def tensor_pickle(numel: int, offset: int, size: int, stride: int) -> bytes:
    numbers = [b"J" + struct.pack("<i", n) for n in (offset, size, stride)]
    head = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(" + STORAGE.replace(b"%c", bytes([numel]))
    return head + numbers[0] + numbers[1] + b"\x85" + numbers[2] + b"\x85\x89ccollections\nOrderedDict\n)RtR."


@pytest.mark.parametrize(
    "numel,offset,size,stride", [(4, 0, 5, 1), (4, 1, 4, 1), (4, 0, 2, 4), (4, -1, 1, 1), (4, 0, 4, -1), (4, 0, -1, 1)]
)
def test_tensors_stay_in_their_storage(numel: int, offset: int, size: int, stride: int) -> None:
    with pytest.raises(RuntimeError, match="out of bounds|negative"):
        torch.load(archive_of(tensor_pickle(numel, offset, size, stride), _0=bytes(16)))


def test_storages_have_the_size_of_their_records() -> None:
    assert torch.load(archive_of(tensor_pickle(4, 0, 4, 1), _0=bytes(16))).tolist() == [0] * 4
    with pytest.raises(RuntimeError, match="should have 20 bytes, but the archive holds 16"):
        torch.load(archive_of(tensor_pickle(5, 0, 4, 1), _0=bytes(16)))
    with pytest.raises(RuntimeError, match="file not found"):
        torch.load(archive_of(tensor_pickle(4, 0, 4, 1)))


@pytest.mark.parametrize(
    "body,match",
    [
        (b"K\x01K\x02K\x03s.", "Can only SETITEM for dict"),
        (b"(](K\x01K\x02u.", "Can only SETITEMS for dict"),
        (b"K\x01K\x02a.", "Can only append to lists"),
        (b"K\x01(K\x02e.", "Can only extend lists"),
        (b"]}b.", "Can only build Tensor"),
        (b"ccollections\nOrderedDict\n)R]b.", "Can only build an OrderedDict with a dict"),
        (b"K\x01)R.", "Trying to call reduce for unrecognized function of"),
        (b"cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R.", "bytearray is not called with"),
        (b"ctorch\nTensor\nJ\xff\xff\xff\x7f\x85R.", "Trying to call reduce for unrecognized function Tensor"),
        (b"ctorch\nTensor\n)\x81.", "Can only create new object for nn.Parameter"),
        (b"K\x01Q.", "TypeError|a storage is described"),
        (b"X\x01\0\0\0aQ.", "persistent_load id must be tuple or int"),
        (b"I1\n.", "Unsupported operand 73"),
        (b"h\x05.", "KeyError"),
        (b"t.", "IndexError"),
        (b"X\xff\xff\xff\x7fabc.", "Ran out of input"),
        (b"ctorch._utils\n_rebuild_qtensor\n)R.", "no quantized tensors"),
    ],
)
def test_refused_instructions(body: bytes, match: str) -> None:
    with pytest.raises((pickle.UnpicklingError, EOFError, NotImplementedError), match=match):
        torch.load(archive_of(b"\x80\x02" + body))


def test_keys_that_take_forever() -> None:
    doubled = b")" + b"q\x00h\x00\x86" * 60
    with pytest.raises(pickle.UnpicklingError, match="more than 1000 parts"):
        torch.load(archive_of(b"\x80\x02}" + doubled + b"K\x01s."))


def test_calls_cannot_fill_the_memory() -> None:
    text = b"X" + struct.pack("<I", 10_000) + b"a" * 10_000
    again = b"c_codecs\nencode\nq\x01" + text + b"q\x00X\x06\0\0\0latin1q\x02\x86q\x03R" + b"h\x01h\x03R" * 1000
    with pytest.raises(pickle.UnpicklingError, match="much larger than itself"):
        torch.load(archive_of(b"\x80\x02" + again + b"."))


def test_overlapping_records() -> None:
    data = bytearray(saved([torch.ones(1000), torch.ones(1000)]).getvalue())
    at = data.rindex(b"archive/data/0")
    head = at - 46
    data[head + 20 : head + 28] = struct.pack("<2I", 8000, 8000)
    with pytest.raises(RuntimeError, match="records lie over one another"):
        torch.load(io.BytesIO(data))


def test_results_with_names() -> None:
    found = through(torch.max(torch.eye(2), 0), weights_only=False)
    assert type(found) is torch.return_types.max and found.indices.tolist() == [0, 1]


def test_safe_globals() -> None:
    buffer = saved(datetime.date(2020, 1, 2))
    assert torch.serialization.get_unsafe_globals_in_checkpoint(buffer) == ["datetime.date"]
    with torch.serialization.safe_globals([(datetime.date, "datetime.date"), bytes]):
        buffer.seek(0)
        assert torch.load(buffer) == datetime.date(2020, 1, 2)
    torch.serialization.add_safe_globals([datetime.date])
    torch.serialization.clear_safe_globals()
    buffer.seek(0)
    with pytest.raises(pickle.UnpicklingError, match="datetime.date"):
        torch.load(buffer)


def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = saved(datetime.date(2020, 1, 2))
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    with pytest.warns(UserWarning, match="TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD detected"):
        assert torch.load(buffer) == datetime.date(2020, 1, 2)
    monkeypatch.setenv("TORCH_FORCE_WEIGHTS_ONLY_LOAD", "1")
    with pytest.raises(RuntimeError, match="but both were set"):
        torch.load(buffer)


# ---- sparse tensors


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr, torch.sparse_csc])
@pytest.mark.filterwarnings("ignore:Sparse C.. tensor support is in beta state")
def test_sparse_tensors(layout: torch.layout, zipped: bool) -> None:
    dense = torch.tensor([[0.0, 2.0, 0.0], [3.0, 0.0, -1.0]])
    file = saved({"a": dense.to_sparse(layout=layout)}, _use_new_zipfile_serialization=zipped)
    assert b"_rebuild_sparse_tensor" in file.getvalue()  # PyTorch's own function, which its allow-list has
    got = torch.load(file)["a"]
    assert got.layout is layout and got.to_dense().tolist() == dense.tolist()


def test_sparse_tensors_of_old_files_are_checked() -> None:
    indices = torch.tensor([[0, 1], [1, 7]])
    x = torch.sparse_coo_tensor(indices, torch.ones(2), (2, 8))
    data = saved({"a": x}, _use_new_zipfile_serialization=False).getvalue()
    small = data.replace(b"K\x08\x86", b"K\x07\x86")  # a size of 7, which comes before the indices
    assert small != data
    with pytest.raises(RuntimeError, match="size is inconsistent with indices: for dim 1, size is 7 but found index 7"):
        torch.load(io.BytesIO(small))


# ---- damaged files

EXPECTED = (pickle.UnpicklingError, RuntimeError, ValueError, EOFError, safetensors.SafetensorError)


def mutated(data: bytes, stream: random.Random) -> bytes:
    """One to four changes: bytes, bits, numbers, cuts, repetitions."""
    out = bytearray(data)
    for _ in range(stream.randint(1, 4)):
        at = stream.randrange(len(out))
        kind = stream.randrange(6)
        if kind == 0:
            out[at] = stream.randrange(256)
        elif kind == 1:
            out[at] ^= 1 << stream.randrange(8)
        elif kind == 2:
            out[at : at + 4] = struct.pack("<I", stream.choice([0, 1, 2**31 - 1, 2**31, 2**32 - 1]))
        elif kind == 3:
            del out[at : at + stream.randint(1, 40)]
        elif kind == 4:
            out[at:at] = out[at : at + stream.randint(1, 40)]
        else:
            other = stream.randrange(len(out))
            out[at : at + 8] = out[other : other + 8]
        if not out:
            return b"\0"
    return bytes(out)


def sources() -> list[tuple[Callable[[bytes], Any], bytes]]:
    def load(data: bytes) -> Any:
        return torch.load(io.BytesIO(data))

    files = [(load, (GOLDEN / name).read_bytes()) for name in ("values.pt", "values_legacy.pt", "training.pt")]
    tensors = {"a": torch.ones(3, 2), "b": torch.arange(5)}
    return [*files, (safetensors.load, safetensors.save(tensors, {"k": "v"}))]


def memory_of(load: Any, damaged: bytes) -> int:
    """The most memory that loading takes at a time; the file may be refused."""
    tracemalloc.start()
    try:
        load(damaged)
    except EXPECTED:
        pass
    finally:
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return most


@contextmanager
def little_memory() -> Iterator[None]:
    """Who asks for more than 128 MB at a time gets a MemoryError, where the system can refuse it."""
    try:
        import resource

        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except (ImportError, OSError):
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (size + (1 << 27), before[1]))
    try:
        with pytest.raises(MemoryError):
            bytearray(1 << 28)
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def mutate_and_load(count: int, seed: int, measured: int) -> None:
    """Loads damaged files; of every so many the memory is measured, which takes four times as long as loading."""
    stream = random.Random(seed)
    files = sources()
    for load, data in files:  # what is imported and cached once is not the files' memory
        load(data)
    for i in range(count):
        load, data = files[i % len(files)]
        damaged = mutated(data, stream)
        if i // len(files) % measured:
            with suppress(*EXPECTED):
                load(damaged)
        else:
            limit = 2 * len(damaged) + 200_000
            # What a first error imports and caches is not the file's memory either: a second load shows that.
            assert memory_of(load, damaged) < limit or memory_of(load, damaged) < limit, i


@pytest.mark.filterwarnings("ignore")
def test_damaged_files() -> None:
    mutate_and_load(400, seed=1, measured=1)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("count", [1500, *thorough([10_000])])
def test_many_damaged_files(count: int) -> None:
    with little_memory():
        mutate_and_load(count, seed=0, measured=8)


@pytest.mark.parametrize("end", [0, 3, 4, 100, 1000, -1])
def test_cut_files(end: int) -> None:
    data = (GOLDEN / "values.pt").read_bytes()[:end]
    with pytest.raises((RuntimeError, EOFError, pickle.UnpicklingError)):
        torch.load(io.BytesIO(data))


# ---- atomic writing


class Fails:
    def __reduce__(self) -> Any:
        raise OSError("cannot be saved")


def test_a_failed_save_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    torch.save(1, path)
    with pytest.raises(OSError, match="cannot be saved"):
        torch.save([torch.ones(3), Fails()], path)
    assert torch.load(path) == 1 and os.listdir(tmp_path) == ["x.pt"]


def test_mode_and_links_are_kept(tmp_path: Path) -> None:
    path, link = tmp_path / "x.pt", tmp_path / "link.pt"
    torch.save(1, path)
    path.chmod(0o640)
    link.symlink_to(path)
    torch.save(2, link)
    assert link.is_symlink() and torch.load(path) == 2 and path.stat().st_mode & 0o777 == 0o640


KILLED = """
import os, sys, threading, time
import flambeau as torch
path = sys.argv[1]
x = torch.full((200_000,), 2.0)
print("ready", flush=True)
while True:
    torch.save(x, path)
"""


def test_killed_while_saving(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    torch.save(torch.full((200_000,), 1.0), path)
    for delay in (0.0, 0.01, 0.02):
        child = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(path)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(Path(torch.__file__).parent.parent)},
        )
        with child:
            assert child.stdout is not None
            child.stdout.readline()
            try:
                child.wait(delay)
            except subprocess.TimeoutExpired:
                pass
            child.kill()
        x = torch.load(path)
        assert x.shape == (200_000,) and x.unique().numel() == 1


# ---- safetensors


def test_safetensors_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    tensors = {
        "w": torch.arange(6.0).reshape(2, 3),
        "h": torch.ones(3).bfloat16(),
        "b": torch.tensor([True, False]),
        "i": torch.arange(3),
        "empty": torch.zeros(0, 2),
        "part": torch.arange(10)[2:5],
    }
    safetensors.save_file(tensors, path, {"format": "pt"})
    got = safetensors.load_file(path)
    assert list(torch.load(str(path))) == list(got)
    for name, x in tensors.items():
        assert got[name].dtype is x.dtype and torch.equal(got[name], x), name
    with safetensors.safe_open(path, framework="pt") as file:
        assert file.metadata() == {"format": "pt"} and file.keys() == sorted(tensors)
        assert file.get_slice("w")[1].tolist() == [3, 4, 5] and file.get_slice("w").get_shape() == [2, 3]
        with pytest.raises(safetensors.SafetensorError, match="does not contain"):
            file.get_tensor("none")


def test_safetensors_refuses_on_saving() -> None:
    x = torch.ones(2, 2)
    with pytest.raises(RuntimeError, match="Some tensors share memory"):
        safetensors.save({"a": x, "b": x})
    with pytest.raises(ValueError, match="non contiguous tensor: `a`"):
        safetensors.save({"a": torch.ones(2, 3).t()})
    with pytest.raises(ValueError, match="expected torch.Tensor"):
        safetensors.save({"a": 1})


def safetensors_of(header: Any, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


@pytest.mark.parametrize(
    "file,match",
    [
        (b"1234", "header too small"),
        (struct.pack("<Q", 2**60), "header too large"),
        (struct.pack("<Q", 100) + b"{}", "invalid header length"),
        (safetensors_of(b"{"), "invalid JSON"),
        (safetensors_of(b"[" * 100_000), "invalid JSON"),
        (safetensors_of([]), "not an object"),
        (safetensors_of({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}), "not fully covered"),
        (safetensors_of({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}, bytes(4)), "do not agree"),
        (safetensors_of({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}, bytes(8)), "invalid offset"),
        (safetensors_of({"a": {"dtype": "X", "shape": [1], "data_offsets": [0, 4]}}, bytes(4)), "unknown dtype"),
        (safetensors_of({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}, bytes(4)), "wrongly"),
        (safetensors_of({}, b"more"), "not fully covered"),
        (safetensors_of(b'{"a": 1, "a": 2}'), "stands twice"),
    ],
)
def test_safetensors_refuses_on_loading(file: bytes, match: str) -> None:
    with pytest.raises(safetensors.SafetensorError, match=match):
        safetensors.load(file)


class Tied(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = torch.nn.Linear(2, 2)
        self.b = torch.nn.Linear(2, 2)
        self.b.weight = self.a.weight


def test_safetensors_models(tmp_path: Path) -> None:
    model, again = Tied(), Tied()
    safetensors.save_model(model, tmp_path / "m.safetensors")
    assert safetensors.load_model(again, tmp_path / "m.safetensors") == ([], [])
    assert torch.equal(again.b.weight, model.a.weight)
    with pytest.raises(RuntimeError, match="Missing key"):
        safetensors.load_model(torch.nn.Conv2d(1, 1, 1), tmp_path / "m.safetensors")


# ---- beside an installed PyTorch


MODULES: list[tuple[str, tuple[Any, ...]]] = [
    ("Linear", (2, 3)), ("Conv2d", (1, 2, 3)), ("BatchNorm2d", (2,)), ("LSTM", (2, 3)), ("GRUCell", (2, 3)),
    ("MultiheadAttention", (4, 2)), ("TransformerEncoderLayer", (4, 2, 8)), ("Embedding", (3, 4)),
    ("LazyLinear", (3,)), ("LazyConv2d", (1, 2)), ("ParameterList", ([],)), ("AdaptiveAvgPool2d", (1,)),
    ("AdaptiveLogSoftmaxWithLoss", (4, 6, [2])), ("TripletMarginWithDistanceLoss", ()), ("CrossEntropyLoss", ()),
]  # fmt: skip


@pytest.mark.live
@pytest.mark.parametrize("name,args", MODULES)
def test_modules_beside_pytorch(name: str, args: tuple[Any, ...]) -> None:
    real = pytest.importorskip("torch")
    for source, target in ((torch, real), (real, torch)):
        module = getattr(source.nn, name)(*args)
        buffer = io.BytesIO()
        source.save(module, buffer)
        buffer.seek(0)
        again = target.load(buffer, weights_only=False)
        assert repr(again) == repr(module) and type(again).__name__ == name
        assert list(again.state_dict()) == list(module.state_dict())


@pytest.mark.live
@pytest.mark.filterwarnings("ignore:ComplexHalf")
@pytest.mark.parametrize("legacy", [False, True])
def test_values_beside_pytorch(legacy: bool) -> None:
    real = pytest.importorskip("torch")
    values = torch.load(GOLDEN / "values.pt")
    for name in ("complex_half", "uint16", "uint64") if legacy else ():  # PyTorch cannot load its own of these
        del values[name]
    got = real.load(saved(values, _use_new_zipfile_serialization=not legacy))
    for name, value in values.items():
        if isinstance(value, torch.Tensor):
            assert str(got[name].dtype) == str(value.dtype) and got[name].tolist() == value.tolist(), name
            assert got[name].stride() == value.stride() and got[name].requires_grad == value.requires_grad
        elif name in ("dtype", "layout", "device"):
            assert str(got[name]) == str(value)
        else:
            assert got[name] == value
    got["base"][1, 0] = 99
    assert got["view"][0, 0] == 99 and got["tagged"].tag == "mine"


@pytest.mark.live
def test_mapping_by_pytorch(tmp_path: Path) -> None:
    real = pytest.importorskip("torch")
    torch.save([torch.arange(100.0), torch.ones(0), torch.arange(7)], tmp_path / "x.pt")
    with real.utils.serialization.config.patch("load.calculate_storage_offsets", True):
        a, b, c = real.load(tmp_path / "x.pt", mmap=True)
    assert a.tolist() == list(range(100)) and b.numel() == 0 and c.tolist() == list(range(7))


@pytest.mark.live
def test_optimizer_states_beside_pytorch() -> None:
    real = pytest.importorskip("torch")
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    got = real.load(saved({"m": model.state_dict(), "o": optimizer.state_dict()}))
    other = real.nn.Linear(2, 1)
    other.load_state_dict(got["m"])
    real.optim.AdamW(other.parameters()).load_state_dict(got["o"])
    assert other.weight.tolist() == model.weight.tolist()


@pytest.mark.live
@pytest.mark.parametrize("obj", [datetime.date(2020, 1, 1), os.getcwd, 3.0j, Evil()])
def test_refusals_beside_pytorch(obj: Any) -> None:
    real = pytest.importorskip("torch")
    data = saved(obj).getvalue()
    texts = []
    for library in (torch, real):
        try:
            texts.append(library.load(io.BytesIO(data)))
        except pickle.UnpicklingError as error:
            texts.append(str(error))
    assert texts[0] == texts[1]


def test_functions_are_pickled_by_their_names() -> None:
    spaces = {"": torch, "nn.functional": torch.nn.functional, "linalg": torch.linalg, "fft": torch.fft}
    for space, module in spaces.items():
        for name in ("tanh", "relu", "add", "matmul", "exp", "argmax", "gelu", "inv", "fft", "arctan", "softmax"):
            f = getattr(module, name, None)
            if callable(f):
                assert pickle.loads(pickle.dumps(f, 2)) is f, (space, name)
    assert pickle.loads(pickle.dumps(torch.special.i1)) is torch.special.i1


class Activated(torch.nn.Module):
    """Holds functions of torch as attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = torch.tanh, torch.nn.functional.silu

    def forward(self, x: Any) -> Any:
        return self.second(self.first(x))


def test_a_module_that_holds_functions_is_saved_whole() -> None:
    file = io.BytesIO()
    torch.save(Activated(), file)
    file.seek(0)
    net = torch.load(file, weights_only=False)
    assert net.first is torch.tanh and net(torch.ones(1)).item() == Activated()(torch.ones(1)).item()


@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
def test_tensors_of_storages() -> None:
    x = torch.arange(6.0)
    for data, dtype in ((x.storage(), None), (x.untyped_storage(), torch.float32)):
        copied, shared = torch.tensor(data, dtype=dtype), torch.as_tensor(data, dtype=dtype)
        assert copied.tolist() == shared.tolist() == x.tolist()
        assert shared.data_ptr() == x.data_ptr() != copied.data_ptr()
    assert torch.tensor(x.untyped_storage()).dtype is torch.int64
    with pytest.raises(
        RuntimeError, match="Expected a Storage of type double or an UntypedStorage, but got type Float"
    ):
        torch.tensor(x.storage(), dtype=torch.float64)


class Slotted(torch.Tensor):
    """A class of tensors with slots."""

    __slots__ = ("left", "right")


def test_slots_of_classes_of_tensors_are_copied_and_saved() -> None:
    x: Any = torch.ones(2).as_subclass(Slotted)
    x.left, x.note = torch.zeros(3), "own"
    file = io.BytesIO()
    torch.save(x, file)
    file.seek(0)
    for y in (copy.deepcopy(x), copy.copy(x), torch.load(file, weights_only=False)):
        assert type(y) is Slotted and y.tolist() == [1, 1] and y.note == "own"
        assert y.left.tolist() == [0, 0, 0] and not hasattr(y, "right")
    assert copy.deepcopy(x).left is not x.left


def test_the_file_of_a_mapped_storage(tmp_path: Any) -> None:
    path = str(tmp_path / "numbers")
    np.arange(4.0).tofile(path)
    mapped = torch.from_file(path, shared=True, size=4, dtype=torch.float64)
    assert mapped.untyped_storage().filename == torch.UntypedStorage.from_file(path, True, 32).filename == path
    assert torch.from_file(path, shared=False, size=4, dtype=torch.float64).untyped_storage().filename is None
    assert torch.ones(2).untyped_storage().filename is None
    assert torch.Storage is torch.FloatStorage


@pytest.mark.parametrize("new", [True, False])
def test_views_of_complex_halves_are_still_views_when_loaded(new: bool) -> None:
    x = torch.tensor([1 + 2j, -3 + 0.5j, 4j, 0.25], dtype=torch.complex32)
    file = io.BytesIO()
    torch.save({"all": x, "odd": x[1::2]}, file, _use_new_zipfile_serialization=new)
    file.seek(0)
    loaded = torch.load(file)
    assert torch.equal(loaded["all"], x) and torch.equal(loaded["odd"], x[1::2])
    loaded["odd"][0] = torch.tensor(7.0, dtype=torch.complex32)
    assert loaded["all"].to(torch.complex64).tolist() == [1 + 2j, 7, 4j, 0.25]
