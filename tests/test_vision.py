"""torchvision's data sets, transforms and grids."""

from __future__ import annotations

import gzip
import hashlib
import io
import pickle
import random
import struct
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy
import pytest
from vision_cases import CASES, FUNCTIONS, SEED, flattened, inputs

import flambeau as X
import flambeau.vision as V
import flambeau.vision.transforms as T
import flambeau.vision.transforms.functional as F
from flambeau.vision import datasets, utils
from flambeau.vision.datasets._idx import read_idx, read_image_file, read_label_file
from flambeau.vision.datasets.utils import calculate_md5

Image = pytest.importorskip("PIL.Image")
ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"
GOLDEN = numpy.load(Path(__file__).parent / "golden" / "vision.npz")
CLASS_CASES = [(expression, name) for expression, names in CASES for name in names.split()]
FUNCTION_CASES = [(expression, name) for expression, names in FUNCTIONS for name in names.split()]


def check_against_golden(key: str, result: Any) -> None:
    """Images and integers must be equal, floats close; and as many random numbers must have been drawn."""
    for index, array in enumerate(flattened(result)):
        wanted = GOLDEN[f"{key} {index}"]
        assert array.shape == wanted.shape
        assert array.dtype == wanted.dtype
        if array.dtype.kind == "f":
            numpy.testing.assert_allclose(array, wanted, rtol=1e-5, atol=1e-5)
        else:
            numpy.testing.assert_array_equal(array, wanted)
    assert X.rand(1).item() == GOLDEN[f"{key} after"].item()


@pytest.fixture
def seeded() -> None:
    X.manual_seed(SEED)
    random.seed(SEED)


@pytest.mark.parametrize(("expression", "name"), CLASS_CASES)
def test_transform_gives_torchvisions_result(expression: str, name: str, seeded: None) -> None:
    image = inputs(X)[name]
    X.manual_seed(SEED)
    transform = eval(expression, {"T": T, "X": X})
    check_against_golden(f"{expression} {name}", transform(image))


@pytest.mark.parametrize(("expression", "name"), FUNCTION_CASES)
def test_function_gives_torchvisions_result(expression: str, name: str, seeded: None) -> None:
    image = inputs(X)[name]
    X.manual_seed(SEED)
    check_against_golden(f"{expression} {name}", eval(expression, {"F": F, "v": image}))


@pytest.mark.parametrize("expression", [expression for expression, _ in CASES])
def test_repr_is_torchvisions(expression: str) -> None:
    assert repr(eval(expression, {"T": T, "X": X})) == GOLDEN[f"{expression} repr"].item()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: T.ToTensor()("text"), TypeError, "pic should be PIL Image or ndarray. Got <class 'str'>"),
        (lambda: T.ToTensor()(numpy.zeros(3)), ValueError, "pic should be 2/3 dimensional. Got 1 dimensions."),
        (lambda: T.ToPILImage()(X.zeros(5, 2, 2)), ValueError, "pic should not have > 4 channels. Got 5 channels."),
        (lambda: T.Normalize((0.5,), (0.0,))(X.rand(1, 2, 2)), ValueError, "std evaluated to zero after conversion"),
        (lambda: T.Normalize((0.5,), (1.0,))(X.zeros(1, 2, 2, dtype=X.uint8)), TypeError, "should be a float tensor"),
        (lambda: T.Normalize((1, 2), (1, 2))(X.ones(1, 2, 2)), RuntimeError, r"output with shape \[1, 2, 2\] doesn't"),
        (lambda: T.Resize((1, 2, 3)), ValueError, "If size is a sequence, it should have 1 or 2 values"),
        (lambda: T.Resize(2.5), TypeError, "Size should be int or sequence. Got <class 'float'>"),
        (lambda: T.RandomCrop(9)(X.zeros(1, 4, 4)), ValueError, r"Required crop size \(9, 9\) is larger"),
        (lambda: T.Pad((1, 2, 3)), ValueError, "not a 3 element tuple"),
        (lambda: T.ColorJitter(hue=0.7), ValueError, "hue values should be between"),
        (lambda: T.RandomRotation(-1), ValueError, "If degrees is a single number, it must be positive."),
        (lambda: T.Lambda(3), TypeError, "Argument lambd should be callable, got 'int'"),
        (lambda: T.RandomErasing(p=2), ValueError, "probability should be between 0 and 1"),
        (lambda: F.hflip("text"), TypeError, "img should be PIL Image"),
    ],
)
def test_wrong_arguments_are_refused(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_computed_and_recorded_images_are_normalised_alike() -> None:
    image = X.rand(3, 7, 5)
    normalise = T.Normalize((0.1307, 0.2, 0.3), (0.3081, 0.5, 0.7))
    computed, recorded = normalise(image), normalise(image + 0)
    assert X.equal(computed, recorded) and X.equal(normalise(image.to(X.float64)), normalise(image.to(X.float64) + 0))
    turned = image.permute(0, 2, 1)
    assert normalise(turned).stride() == turned.stride()
    assert X.equal(normalise(X.stack([image, image]))[1], computed)


def test_v2_has_the_everyday_names() -> None:
    pixels = numpy.arange(12, dtype=numpy.uint8).reshape(2, 2, 3)
    both = T.v2.Compose([T.v2.ToImage(), T.v2.ToDtype(X.float32, scale=True)])
    assert X.allclose(both(pixels), T.ToTensor()(pixels), rtol=1e-6)


def idx(array: numpy.ndarray, kind: int = 8) -> bytes:
    """An array in idx format."""
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, kind, array.ndim, *array.shape)
    return header + array.tobytes()


def write_mnist(folder: Path, images: int = 3, packed: bool = False, labels: int | None = None) -> Path:
    """A data set in MNIST's files, under `folder/MNIST/raw`."""
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    pixels = numpy.arange(images * 28 * 28, dtype=numpy.uint32).astype(numpy.uint8).reshape(images, 28, 28)
    classes = numpy.arange(images if labels is None else labels, dtype=numpy.uint8) % 10
    for part in ("train", "t10k"):
        for name, content in ((f"{part}-images-idx3-ubyte", pixels), (f"{part}-labels-idx1-ubyte", classes)):
            data = gzip.compress(idx(content)) if packed else idx(content)
            (raw / (name + ".gz" * packed)).write_bytes(data)
    return raw


@pytest.mark.parametrize("packed", [False, True])
def test_mnist_is_read_from_its_files(tmp_path: Path, packed: bool) -> None:
    write_mnist(tmp_path, packed=packed)
    found = datasets.MNIST(str(tmp_path), train=False, download=True, target_transform=lambda label: label + 10)
    image, label = found[2]
    assert (len(found), image.mode, image.size, label) == (3, "L", (28, 28), 12)
    assert found.data.dtype == X.uint8 and found.targets.dtype == X.int64
    assert found.targets.tolist() == [0, 1, 2]
    assert found.class_to_idx["3 - three"] == 3
    with pytest.warns(UserWarning, match="test_labels has been renamed targets"):
        assert found.test_labels is found.targets


def test_description_of_a_data_set(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    found = datasets.MNIST(tmp_path, transform=T.Compose([T.ToTensor()]), target_transform=T.Lambda(str))
    assert repr(found) == (
        f"Dataset MNIST\n    Number of datapoints: 3\n    Root location: {tmp_path}\n    Split: Train\n"
        "    StandardTransform\nTransform: Compose(\n               ToTensor()\n           )\n"
        "Target transform: Lambda()"
    )


def test_missing_files_are_named_missing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="Dataset not found. You can use download=True to download it"):
        datasets.FashionMNIST(tmp_path)


def test_download_that_fails_names_every_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.MNIST, "mirrors", [f"file://{tmp_path}/nowhere/", f"file://{tmp_path}/neither/"])
    with pytest.raises(RuntimeError, match="(?s)Error downloading train-images.*nowhere.*neither.*by hand"):
        datasets.MNIST(tmp_path / "data", download=True)
    assert list((tmp_path / "data").rglob("*ubyte*")) == []


def test_download_checks_the_sum_and_unpacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_mnist(tmp_path / "mirror", packed=True)
    resources = [(name, calculate_md5(source / name)) for name, _ in datasets.MNIST.resources]
    monkeypatch.setattr(datasets.MNIST, "mirrors", [f"file://{source}/"])
    monkeypatch.setattr(datasets.MNIST, "resources", resources)
    found = datasets.MNIST(tmp_path / "data", download=True)
    assert len(found) == 3
    names = sorted(path.name for path in Path(found.raw_folder).iterdir())
    assert names == sorted([name for name, _ in resources] + [name[:-3] for name, _ in resources])
    monkeypatch.setattr(datasets.MNIST, "resources", [(name, "0" * 32) for name, _ in resources])
    with pytest.raises(RuntimeError, match="MD5 checksum"):
        datasets.MNIST(tmp_path / "other", download=True)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is no idx file: it begins with nothing"),
        (b"<html>", "is no idx file: it begins with 3c 68 74 6d"),
        (
            idx(numpy.zeros((2, 3, 3), numpy.uint8))[:-1],
            r"is damaged: 33 bytes, where its header \[2, 3, 3\] asks for 34",
        ),
    ],
)
def test_damaged_idx_file_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "images"
    path.write_bytes(content)
    with pytest.raises(RuntimeError, match=reason):
        read_idx(str(path))


def test_damaged_gzip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(idx(numpy.zeros((2, 3, 3), numpy.uint8)))[:-9])
    with pytest.raises(RuntimeError, match="is damaged"):
        read_idx(str(path))


def test_idx_of_other_types_and_shapes(tmp_path: Path) -> None:
    path = tmp_path / "numbers"
    path.write_bytes(idx(numpy.array([[1.5, -2.0]], ">f4"), kind=13))
    assert read_idx(str(path)).tolist() == [[1.5, -2.0]]
    with pytest.raises(TypeError, match=r"x should be of dtype torch.uint8 instead of torch.float32"):
        read_image_file(str(path))
    path.write_bytes(idx(numpy.zeros((2, 2), numpy.uint8)))
    with pytest.raises(ValueError, match="x should have 1 dimension instead of 2"):
        read_label_file(str(path))


def test_images_without_labels_are_refused(tmp_path: Path) -> None:
    write_mnist(tmp_path, images=3, labels=2)
    with pytest.raises(RuntimeError, match="3 images and .* 2 labels"):
        datasets.MNIST(tmp_path)


def test_emnist_has_splits(tmp_path: Path) -> None:
    raw = tmp_path / "EMNIST" / "raw"
    raw.mkdir(parents=True)
    for part in ("train", "test"):
        pixels = gzip.compress(idx(numpy.zeros((2, 28, 28), numpy.uint8)))
        (raw / f"emnist-letters-{part}-images-idx3-ubyte.gz").write_bytes(pixels)
        (raw / f"emnist-letters-{part}-labels-idx1-ubyte").write_bytes(idx(numpy.array([1, 26], numpy.uint8)))
    found = datasets.EMNIST(tmp_path, split="letters", train=False)
    assert found.classes[found[1][1]] == "z"
    with pytest.raises(ValueError, match="Unknown value 'words' for argument split. Valid values are"):
        datasets.EMNIST(tmp_path, split="words")


def cifar_files(protocol: int) -> dict[str, bytes]:
    """A small CIFAR-10 in its files."""
    pixels = numpy.arange(2 * 3072, dtype=numpy.uint32).astype(numpy.uint8).reshape(2, 3072)
    batch = pickle.dumps({"data": pixels, "labels": [3, 7]}, protocol=protocol)
    names = pickle.dumps({"label_names": [f"class {index}" for index in range(10)]}, protocol=protocol)
    return {"data_batch_1": batch, "test_batch": batch, "batches.meta": names}


def small_cifar(monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes]) -> type[datasets.CIFAR10]:
    sums = {name: hashlib.md5(content).hexdigest() for name, content in files.items()}
    monkeypatch.setattr(datasets.CIFAR10, "train_list", [["data_batch_1", sums["data_batch_1"]]])
    monkeypatch.setattr(datasets.CIFAR10, "test_list", [["test_batch", sums["test_batch"]]])
    monkeypatch.setattr(
        datasets.CIFAR10,
        "meta",
        {"filename": "batches.meta", "key": "label_names", "md5": sums["batches.meta"]},
    )
    return datasets.CIFAR10


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_cifar_is_read_from_its_pickles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: int) -> None:
    files = cifar_files(protocol)
    kind = small_cifar(monkeypatch, files)
    (tmp_path / kind.base_folder).mkdir()
    for name, content in files.items():
        (tmp_path / kind.base_folder / name).write_bytes(content)
    found = kind(str(tmp_path), train=False)
    image, label = found[1]
    assert (image.mode, image.size, label, found.classes[label]) == ("RGB", (32, 32), 7, "class 7")
    assert found.data.shape == (2, 32, 32, 3)
    assert found.data[0, 0, 1].tolist() == [1, 1025 % 256, 2049 % 256]
    assert "Split: Test" in repr(found)


def test_cifar_is_unpacked_from_its_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = cifar_files(2)
    kind = small_cifar(monkeypatch, files)
    archive = tmp_path / kind.filename
    with tarfile.open(archive, "w:gz") as packed:
        for name, content in [*files.items(), ("../escape", b"")]:
            member = tarfile.TarInfo(f"{kind.base_folder}/{name}")
            member.size = len(content)
            packed.addfile(member, io.BytesIO(content))
    monkeypatch.setattr(kind, "tgz_md5", calculate_md5(archive))
    assert len(kind(str(tmp_path), download=True)) == 2
    assert not (tmp_path / "escape").exists()


class Harmful:
    """Unpickles as a call of `print`."""

    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("harm",)


def test_pickle_that_names_a_function_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = cifar_files(2) | {"data_batch_1": pickle.dumps({"data": Harmful(), "labels": []})}
    kind = small_cifar(monkeypatch, files)
    (tmp_path / kind.base_folder).mkdir()
    for name, content in files.items():
        (tmp_path / kind.base_folder / name).write_bytes(content)
    with pytest.raises(RuntimeError, match=r"it names builtins.print, and only NumPy arrays are allowed"):
        kind(str(tmp_path))


def test_cifar_with_a_wrong_sum_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / datasets.CIFAR10.base_folder
    folder.mkdir()
    (folder / "data_batch_1").write_bytes(b"other")
    with pytest.raises(RuntimeError, match="Dataset not found or corrupted. You can use download=True to download it"):
        datasets.CIFAR10(str(tmp_path))


def test_image_folder(tmp_path: Path) -> None:
    for name, files in {"dog": ["b.png", "a.PNG", "notes.txt"], "cat": ["sub/c.jpg"]}.items():
        for file in files:
            path = tmp_path / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (3, 2)).save(path, format="PNG")
    found = datasets.ImageFolder(str(tmp_path), transform=T.ToTensor())
    assert found.classes == ["cat", "dog"]
    assert found.targets == [0, 1, 1]
    assert [Path(path).name for path, _ in found.imgs] == ["c.jpg", "a.PNG", "b.png"]
    assert found[0][0].shape == (3, 2, 3)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="Found no valid file for the classes empty. Supported extensions are"):
        datasets.ImageFolder(str(tmp_path))
    assert len(datasets.ImageFolder(str(tmp_path), allow_empty=True)) == 3
    with pytest.raises(FileNotFoundError, match="Couldn't find any class folder in"):
        datasets.ImageFolder(str(tmp_path / "empty"))


def test_fake_data_leaves_the_generator_alone() -> None:
    found = datasets.FakeData(5, (3, 4, 6), num_classes=7, transform=T.PILToTensor())
    X.manual_seed(9)
    expected = X.rand(1).item()
    X.manual_seed(9)
    image, label = found[2]
    assert X.rand(1).item() == expected
    again, same = found[2]
    assert X.equal(image, again) and label == same and 0 <= label < 7
    assert image.shape == (3, 4, 6)
    with pytest.raises(IndexError, match="FakeData index out of range"):
        found[5]


def test_optdigits_ship_with_the_package() -> None:
    train, test = datasets.Optdigits(train=True), datasets.Optdigits(train=False)
    assert (len(train), len(test)) == (1440, 357)
    assert train.data.shape == (1440, 8, 8) and train.data.dtype == X.uint8
    assert (train.data.min().item(), train.data.max().item()) == (0, 255)
    assert train.targets[:12].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    image, label = test[3]
    assert (image.mode, image.size) == ("L", (8, 8))
    assert label == test.targets[3].item()


def test_transforms_of_both() -> None:
    with pytest.raises(ValueError, match="Only transforms or transform/target_transform can be passed as argument"):
        datasets.VisionDataset("here", transforms=lambda *pair: pair, transform=str)
    both = datasets.StandardTransform(str, float)
    assert both(1, 2) == ("1", 2.0)


def test_grid_of_images() -> None:
    batch = X.arange(3 * 1 * 2 * 2).reshape(3, 1, 2, 2).float()
    grid = utils.make_grid(batch, nrow=2, padding=1, pad_value=-1.0)
    assert grid.shape == (3, 7, 7)
    assert grid[0].tolist() == [
        [-1, -1, -1, -1, -1, -1, -1],
        [-1, 0, 1, -1, 4, 5, -1],
        [-1, 2, 3, -1, 6, 7, -1],
        [-1, -1, -1, -1, -1, -1, -1],
        [-1, 8, 9, -1, -1, -1, -1],
        [-1, 10, 11, -1, -1, -1, -1],
        [-1, -1, -1, -1, -1, -1, -1],
    ]
    scaled = utils.make_grid(batch, normalize=True, scale_each=True)
    assert (scaled.min().item(), scaled.max().item()) == (0.0, 1.0)
    assert utils.make_grid(batch[0]).shape == (3, 2, 2)
    with pytest.raises(TypeError, match="tensor or list of tensors expected, got a list containing <class 'int'>"):
        utils.make_grid([batch[0], 3])


def test_grid_is_saved(tmp_path: Path) -> None:
    utils.save_image(X.tensor([[[0.0, 1.0], [0.5, 2.0]]]), tmp_path / "grid.png")
    with Image.open(tmp_path / "grid.png") as image:
        assert numpy.asarray(image)[:, :, 0].tolist() == [[0, 255], [128, 255]]


def test_residual_network_is_torchvisions() -> None:
    """Weights, result and the state of the generator afterwards, as torchvision 0.28 gives them."""
    X.manual_seed(0)
    model = V.models.resnet18(weights=None, num_classes=4).eval()
    first = model.conv1.weight[0, 0, 0, :3].tolist()
    assert first == pytest.approx([0.047779809683561325, 0.018384646624326706, -0.027710409834980965])
    with X.no_grad():
        scores = model(X.linspace(-1, 1, 3 * 32 * 32).reshape(1, 3, 32, 32))
    wanted = [-0.19289854168891907, 0.07713480293750763, -0.15411749482154846, -0.028515905141830444]
    assert scores[0].tolist() == pytest.approx(wanted, rel=1e-4, abs=1e-5)
    assert X.rand(1).item() == 0.7802378535270691
    assert len(model.state_dict()) == 122 and "layer4.0.downsample.1.running_var" in model.state_dict()


def test_names_of_the_package() -> None:
    assert V.get_image_backend() == "PIL" and V.get_video_backend() == "pyav"
    assert V._is_tracing() is V.disable_beta_transforms_warning() is V.set_video_backend("pyav") is None
    with pytest.raises(ValueError, match="Invalid backend"):
        V.set_image_backend("accimage")


def test_missing_pillow_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r"pip install 'flambeau\[images\]'"):
        datasets.Optdigits()[0]


@pytest.mark.shared
def test_fashion_mnist_of_the_seeds(tmp_path: Path) -> None:
    source = SHARED / "data" / "fashion900"
    if not source.exists():
        pytest.skip("../shared/data/fashion900 is not there")
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for path in source.iterdir():
        (raw / path.name).write_bytes(path.read_bytes())
    found = datasets.FashionMNIST(str(tmp_path), transform=T.ToTensor(), download=True)
    image, label = found[0]
    assert (len(found), image.shape, label) == (750, (1, 28, 28), 9)
    assert len(datasets.FashionMNIST(str(tmp_path), train=False)) == 150
