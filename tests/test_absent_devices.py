"""torch.cuda and its like on a machine without them, torch.backends, torch.jit, torch.hub."""

from __future__ import annotations

import copy
import importlib
import io
import os
import urllib.error
import zipfile
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

import flambeau as torch
from flambeau._downloads import advise

cuda = importlib.import_module("flambeau.cuda")
backends = importlib.import_module("flambeau.backends")
jit = importlib.import_module("flambeau.jit")
hub = importlib.import_module("flambeau.hub")


def test_cuda_is_absent() -> None:
    assert not cuda.is_available() and not cuda.is_initialized() and not cuda.is_bf16_supported()
    assert cuda.device_count() == 0 and cuda.get_arch_list() == [] and cuda.get_rng_state_all() == []
    assert cuda.memory_allocated() == cuda.max_memory_reserved() == 0
    for call in (cuda.empty_cache, cuda.seed_all, lambda: cuda.manual_seed_all(3), lambda: cuda.manual_seed(3)):
        assert call() is None


def test_the_random_states_of_cuda_have_a_module() -> None:
    assert cuda.random.get_rng_state_all() == [] and cuda.random.manual_seed_all(3) is None
    with pytest.raises(AssertionError, match="Torch not compiled with CUDA enabled"):
        cuda.random.get_rng_state()


def test_numbers_of_devices_are_an_accelerators() -> None:
    for call in (lambda: torch.device(0), lambda: torch.ones(2).to(0), lambda: torch.ones(2).cuda(0)):
        with pytest.raises(RuntimeError, match=r"^Cannot access accelerator device when none is available\.$"):
            call()
    with pytest.raises(RuntimeError, match="^Device index must not be negative$"):
        torch.device(-1)
    with pytest.raises(TypeError, match=r"got \(float\), but expected one of"):
        torch.device(1.5)


def test_cuda_of_another_device_is_refused() -> None:
    with pytest.raises(RuntimeError, match="^Invalid device, must be cuda device$"):
        torch.ones(2).cuda("cpu")
    with pytest.raises(AssertionError, match="Torch not compiled with CUDA enabled"):
        torch.ones(2).cuda("cuda:0")


@pytest.mark.parametrize(
    "name", ["synchronize", "current_device", "get_device_name", "get_device_properties", "init", "current_stream"]
)
def test_cuda_calls_fail_as_in_pytorch(name: str) -> None:
    with pytest.raises(AssertionError, match="^Torch not compiled with CUDA enabled$"):
        getattr(cuda, name)()


def test_cuda_devices_cannot_be_selected() -> None:
    with pytest.raises(AssertionError, match="Torch not compiled with CUDA enabled"):
        cuda.set_device("cuda:0")
    with pytest.raises(ValueError, match="Expected a cuda device, but got: cpu"):
        cuda.set_device("cpu")
    with pytest.raises(AssertionError, match="Torch not compiled"), cuda.device(0):
        pass
    with cuda.device(None), cuda.stream(None):
        pass
    with pytest.raises(RuntimeError, match=r"torch\.cuda\.Stream requires CUDA support"):
        cuda.Stream()


def test_cuda_tensor_types_have_no_instances() -> None:
    assert not isinstance(torch.zeros(2), cuda.FloatTensor)
    with pytest.raises(TypeError, match=r"type torch\.cuda\.LongTensor not available. Torch not compiled with CUDA"):
        cuda.LongTensor([1])


def test_mixed_precision_is_switched_off() -> None:
    with pytest.warns(FutureWarning, match="GradScaler.* is deprecated"), pytest.warns(UserWarning, match="Disabling"):
        scaler = cuda.amp.GradScaler()
    calls = []

    class Optimizer:
        def step(self, *args: Any) -> str:
            calls.append(args)
            return "stepped"

    assert scaler.scale(3.5) == 3.5 and scaler.step(Optimizer(), 1) == "stepped" and calls == [(1,)]
    scaler.unscale_(Optimizer())
    scaler.update()
    assert (scaler.get_scale(), scaler.is_enabled(), scaler.state_dict()) == (1.0, False, {})
    with pytest.warns(FutureWarning, match="autocast.* is deprecated"):
        mixed = cuda.amp.autocast(enabled=False)
    with mixed:
        assert mixed(len)("four") == 4


def test_other_devices_are_absent() -> None:
    accelerator, mps, xpu = (importlib.import_module(f"flambeau.{name}") for name in ("accelerator", "mps", "xpu"))
    assert not accelerator.is_available() and not mps.is_available() and not xpu.is_available()
    assert accelerator.current_accelerator() is None and accelerator.device_count() == 0
    with pytest.raises(RuntimeError, match="Cannot access accelerator device when none is available."):
        accelerator.synchronize()
    with pytest.raises(AssertionError, match="Torch not compiled with XPU enabled"):
        xpu.current_device()


def test_switches_of_backends() -> None:
    cudnn = backends.cudnn
    assert (cudnn.enabled, cudnn.benchmark, cudnn.deterministic, cudnn.version()) == (True, False, False, None)
    with cudnn.flags(enabled=False, benchmark=True):
        assert (cudnn.enabled, cudnn.benchmark) == (False, True)
    assert (cudnn.enabled, cudnn.benchmark) == (True, False)
    with pytest.raises(AttributeError, match="Unknown attribute speed"):
        backends.cuda.matmul.speed = 3
    backends.cuda.matmul.allow_tf32 = False
    assert backends.cuda.matmul.allow_tf32 is False and not backends.cuda.is_built()
    assert not backends.mps.is_built() and not backends.mkl.is_available() and not backends.openmp.is_available()
    with backends.mkldnn.flags(enabled=False):
        assert backends.mkldnn.enabled is False
    assert backends.cpu.get_cpu_capability() in ("AVX512", "AVX2", "NO AVX", "DEFAULT")


def test_scripts_and_traces_are_the_thing_itself() -> None:
    def double(value: Any) -> Any:
        return value * 2

    calls = []
    assert jit.script(double) is double and jit.script_method(double) is double
    assert jit.ignore(double) is double and jit.ignore(drop=True)(double) is double and jit.unused(double) is double
    assert jit.trace(lambda *values: calls.append(values), (1, 2)) is not None and calls == [(1, 2)]
    assert not jit.is_scripting() and not jit.is_tracing() and not isinstance(double, jit.ScriptFunction)
    assert jit.wait(jit.fork(double, 4)) == 8 and jit.annotate(int, 5) == 5
    with pytest.raises(RuntimeError, match=r"torch\.jit\.save of flambeau keeps functions and classes by name"):
        jit.save(double, io.BytesIO())
    with pytest.raises(AttributeError, match=r"module 'torch\.jit' has no attribute 'nothing'"):
        jit.nothing  # noqa: B018


def triple(value: Any) -> Any:
    return value * 3


def test_what_was_scripted_is_saved_and_loaded(tmp_path: Path) -> None:
    layer = torch.jit.trace(torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU()), torch.ones(1, 2))
    layer.save(tmp_path / "layer.pt", _extra_files={"notes": "text"})
    files = {"notes": "", "more": ""}
    loaded = jit.load(tmp_path / "layer.pt", "cpu", _extra_files=files)
    assert files == {"notes": b"text", "more": b""} and repr(loaded) == repr(layer)
    assert torch.equal(loaded(torch.ones(4, 2)), layer(torch.ones(4, 2)))
    file = io.BytesIO()
    jit.script(triple).save(file)
    file.seek(0)
    assert jit.load(file) is triple
    assert set(copy.deepcopy(layer).state_dict()) == {"0.weight", "0.bias"}


class Harm:
    def __reduce__(self) -> Any:
        return os.mkdir, ("harm",)


def test_an_archive_names_no_more_than_modules_and_functions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    encoder = torch.nn.TransformerEncoderLayer(4, 2, 8).eval()
    for what, refused in ((Harm(), r"names \w+\.mkdir, which is none"), (("os", "makedirs"), "function os.makedirs"),
                          (("test_absent_devices", "Harm"), "function"), (encoder, "")):  # fmt: skip
        file = io.BytesIO()
        torch.save({"kind": "flambeau.jit", "what": what, "files": {}}, file)
        file.seek(0)
        if refused:
            with pytest.raises(RuntimeError, match=refused):
                jit.load(file)
        else:
            assert repr(jit.load(file)) == repr(what)
    assert not list(tmp_path.iterdir())


def test_what_is_no_archive_of_flambeau() -> None:
    with pytest.raises(ValueError, match="The provided filename nowhere does not exist"):
        jit.load("nowhere")
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("model/constants.pkl", b"")
    file.seek(0)
    with pytest.raises(NotImplementedError, match="archives of TorchScript, which hold no Python"):
        jit.load(file)


@pytest.mark.parametrize(
    ("value", "kind", "found"),
    [
        ([1, 2], list[int], True),
        ([1, "a"], list[int], False),
        ({"a": 1.0}, dict[str, float], True),
        ((1, "a"), tuple[int, str], True),
        (None, int | None, True),
        (3, str | None, False),
        (3, (int, str), True),
        (None, None, True),
    ],
)
def test_types_as_torchscript_sees_them(value: Any, kind: Any, found: bool) -> None:
    assert jit.isinstance(value, kind) is found


def test_hub_of_a_local_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hubconf.py").write_text('dependencies = ["json"]\ndef one(n=1):\n    "Makes n."\n    return n\n')
    folder = str(tmp_path)
    assert hub.load(folder, "one", n=4, source="local") == 4
    assert hub.list(folder, source="local") == ["one"] and hub.help(folder, "one", source="local") == "Makes n."
    with pytest.raises(RuntimeError, match="Cannot find callable two in hubconf"):
        hub.load(folder, "two", source="local")
    with pytest.raises(NotImplementedError, match="source='local'"):
        hub.load("owner/name", "one")
    monkeypatch.setenv("TORCH_HOME", folder)
    assert hub.get_dir() == str(tmp_path / "hub")


def test_hub_fetches_whole_files_only(tmp_path: Path) -> None:
    source = tmp_path / "weights.bin"
    source.write_bytes(b"weights")
    target = tmp_path / "copy"
    hub.download_url_to_file(source.as_uri(), str(target), progress=False)
    assert target.read_bytes() == b"weights"
    with pytest.raises(RuntimeError, match='invalid hash value .expected "00", got "9'):
        hub.download_url_to_file(source.as_uri(), str(tmp_path / "other"), hash_prefix="00")
    with pytest.raises(urllib.error.URLError, match="No such file"):
        hub.download_url_to_file((tmp_path / "none").as_uri(), str(tmp_path / "other"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "weights.bin"]


def test_weights_that_cannot_be_fetched_say_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url, cached = (tmp_path / "none.pt").as_uri(), tmp_path / "here" / "none.pt"
    with pytest.raises(urllib.error.URLError, match=f"No such file.*put {url} into {tmp_path}/here by hand"):
        hub.load_state_dict_from_url(url, model_dir=str(tmp_path / "here"))
    assert capsys.readouterr().out == f'Downloading: "{url}" to {cached}\n'
    refused = urllib.error.HTTPError(url, 404, "Not Found", Message(), None)
    advise(refused, "Do this.")
    assert str(refused) == "HTTP Error 404: Not Found. Do this."


def test_weights_by_their_address_under_the_older_name(tmp_path: Path) -> None:
    from flambeau.utils import model_zoo

    there = tmp_path / "weights.pt"
    torch.save({"weight": torch.ones(2)}, there)
    found = model_zoo.load_url(there.as_uri(), model_dir=str(tmp_path / "here"), progress=False)
    assert found["weight"].tolist() == [1.0, 1.0] and (tmp_path / "here" / "weights.pt").exists()
