"""Makes the files of ``serialization/`` with PyTorch: run it where PyTorch is installed."""

from __future__ import annotations

import io
import pickle
import struct
import tarfile
from collections import Counter, OrderedDict
from pathlib import Path

import torch

HERE = Path(__file__).parent / "serialization"


def values() -> dict[str, object]:
    base = torch.arange(12.0).reshape(3, 4)
    tagged = torch.tensor([1.0, 2.0], requires_grad=True)
    tagged.tag = "mine"
    return {
        "base": base,
        "view": base[1:, ::2],
        "transposed": base.t(),
        "scalar": torch.tensor(7),
        "empty": torch.zeros(0, 3),
        "half": torch.tensor([1.5, -2.0], dtype=torch.float16),
        "bfloat16": torch.tensor([1.5, -2.0], dtype=torch.bfloat16),
        "double": torch.tensor([0.1], dtype=torch.float64),
        "complex": torch.tensor([1 + 2j, -3j]),
        "conjugate": torch.tensor([1 + 2j, -3j]).conj(),
        "complex_half": torch.tensor([1 + 2j], dtype=torch.complex32),
        "bool": torch.tensor([True, False, True]),
        "uint8": torch.tensor([0, 255], dtype=torch.uint8),
        "uint16": torch.tensor([1, 65535], dtype=torch.uint16),
        "uint64": torch.tensor([2**63 + 1], dtype=torch.uint64),
        "int8": torch.tensor([-128, 127], dtype=torch.int8),
        "channels_last": torch.arange(8.0).reshape(1, 2, 2, 2).contiguous(memory_format=torch.channels_last),
        "parameter": torch.nn.Parameter(torch.tensor([3.0])),
        "tagged": tagged,
        "dtype": torch.bfloat16,
        "size": torch.Size([2, 3]),
        "device": torch.device("cpu"),
        "layout": torch.strided,
        "plain": [None, True, 1, 2**70, -1.5, "text", b"bytes", 1j, (1, (2,)), {3}, bytearray(b"ab")],
        "ordered": OrderedDict(a=1, b=[2]),
        "counter": Counter("aab"),
    }


def optimizer_state() -> dict[str, object]:
    torch.manual_seed(0)
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    model(torch.ones(3, 2)).sum().backward()
    optimizer.step()
    return {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3}


def module() -> torch.nn.Module:
    torch.manual_seed(1)
    return torch.nn.Sequential(
        torch.nn.Linear(4, 4), torch.nn.ReLU(), torch.nn.LayerNorm(4), torch.nn.GRU(4, 3, batch_first=True)
    )


def tar() -> bytes:
    """The format before 0.2: the base of ``values`` and a view of it."""
    storages, tensors, main = io.BytesIO(), io.BytesIO(), io.BytesIO()
    pickle.dump(1, storages, 2)
    pickle.dump((10, "cpu", torch.FloatStorage), storages, 2)
    storages.write(struct.pack("<q6f", 6, *range(6)))
    pickle.dump([], storages, 2)
    pickle.dump(2, tensors, 2)
    for key, sizes, strides, offset in ((20, (2, 3), (3, 1), 0), (21, (2,), (3,), 1)):
        pickle.dump((key, 10, torch.FloatTensor), tensors, 2)
        tensors.write(struct.pack(f"<i4x{2 * len(sizes) + 1}q", len(sizes), *sizes, *strides, offset))

    class Key:
        def __init__(self, key: int) -> None:
            self.key = key

    class Pickler(pickle.Pickler):
        def persistent_id(self, obj: object) -> object:
            return obj.key if isinstance(obj, Key) else None

    Pickler(main, 2).dump({"base": Key(20), "view": Key(21)})
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:", format=tarfile.PAX_FORMAT) as archive:
        for name, part in (("storages", storages), ("tensors", tensors), ("pickle", main)):
            info = tarfile.TarInfo(name)
            info.size = len(part.getvalue())
            archive.addfile(info, io.BytesIO(part.getvalue()))
    return out.getvalue()


def swapped() -> bytes:
    """As a machine of the other byte order would write it."""
    buffer = io.BytesIO()
    torch.save([torch.tensor([1.0, 2.0]), torch.tensor([3 + 4j])], buffer)
    data = bytearray(buffer.getvalue())
    for old in (struct.pack("<2f", 1, 2), struct.pack("<2f", 3, 4)):
        at = data.index(old)
        data[at : at + 8] = struct.pack(">2f", *struct.unpack("<2f", old))
    reader = torch.PyTorchFileReader if hasattr(torch, "PyTorchFileReader") else torch._C.PyTorchFileReader
    records = reader(io.BytesIO(bytes(data)))
    out = io.BytesIO()
    writer = torch._C.PyTorchFileWriter(out)
    for name in records.get_all_records():
        if name in ("version", ".data/serialization_id"):
            continue
        content = b"big" if name == "byteorder" else records.get_record(name)
        writer.write_record(name, content, len(content))
    writer.write_end_of_file()
    return out.getvalue()


def main() -> None:
    HERE.mkdir(exist_ok=True)
    torch.save(values(), HERE / "values.pt")
    torch.save({k: v for k, v in values().items() if k != "complex_half"}, HERE / "values_legacy.pt",
               _use_new_zipfile_serialization=False)  # fmt: skip
    torch.save(optimizer_state(), HERE / "training.pt")
    torch.save(module(), HERE / "module.pt")
    (HERE / "old.tar.pt").write_bytes(tar())
    loaded = torch.load(HERE / "old.tar.pt", weights_only=False)
    assert loaded["view"].tolist() == [1, 4]
    (HERE / "big_endian.pt").write_bytes(swapped())
    assert torch.load(HERE / "big_endian.pt")[0].tolist() == [1, 2]


if __name__ == "__main__":
    main()
