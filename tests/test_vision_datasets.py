"""SVHN, STL10 and ImageNet from small files in their official formats, and archives."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import sys
import tarfile
import types
import urllib.error
import zipfile
from pathlib import Path

import numpy
import pytest

import flambeau as torch
from flambeau.vision import datasets
from flambeau.vision.datasets import imagenet
from flambeau.vision.datasets._archives import decompress
from flambeau.vision.datasets.utils import (
    download_and_extract_archive,
    download_file_from_google_drive,
    download_url,
    extract_archive,
    list_dir,
    list_files,
)

Image = pytest.importorskip("PIL.Image")
scipy_io = pytest.importorskip("scipy.io")


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def jpeg(colour: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (6, 5), (colour, 0, 0)).save(file, "JPEG")
    return file.getvalue()


def tar(members: dict[str, bytes]) -> bytes:
    """An archive of these files."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as packed:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            packed.addfile(info, io.BytesIO(content))
    return file.getvalue()


def test_svhn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = numpy.random.default_rng(0).integers(0, 256, (32, 32, 3, 4), dtype=numpy.uint8)
    path = tmp_path / "test_32x32.mat"
    scipy_io.savemat(path, {"X": pixels, "y": numpy.array([[10], [1], [9], [10]], numpy.uint8)})
    entry = [datasets.SVHN.split_list["test"][0], path.name, md5(path)]
    monkeypatch.setitem(datasets.SVHN.split_list, "test", entry)
    found = datasets.SVHN(tmp_path, "test", target_transform=lambda label: -label, download=True)
    assert found.data.shape == (4, 3, 32, 32) and found.labels.tolist() == [0, 1, 9, 0]
    image, label = found[2]
    assert label == -9 and numpy.array_equal(numpy.asarray(image), pixels[..., 2])
    assert len(found) == 4 and "Split: test" in repr(found)
    with pytest.raises(RuntimeError, match="Dataset not found or corrupted"):
        datasets.SVHN(tmp_path, "extra")
    with pytest.raises(ValueError, match="Unknown value 'x' for argument split"):
        datasets.SVHN(tmp_path, "x")
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(ImportError, match=r"pip install 'flambeau\[scipy\]'"):
        datasets.SVHN(tmp_path, "test")


def write_stl10(folder: Path) -> dict[str, numpy.ndarray]:
    """Four training images, two test images and three without labels, as the official files hold them."""
    folder.mkdir()
    images = {}
    for name, count in (("train", 4), ("test", 2), ("unlabeled", 3)):
        images[name] = numpy.random.default_rng(count).integers(0, 256, (count, 3, 96, 96), dtype=numpy.uint8)
        (folder / f"{name}_X.bin").write_bytes(images[name].swapaxes(2, 3).tobytes())
    (folder / "train_y.bin").write_bytes(bytes([1, 2, 10, 3]))
    (folder / "test_y.bin").write_bytes(bytes([4, 5]))
    (folder / "class_names.txt").write_text("airplane\nbird\n")
    (folder / "fold_indices.txt").write_text("3 1 \n" * 10)
    return images


def test_stl10(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "stl10_binary"
    images = write_stl10(folder)
    with pytest.raises(RuntimeError, match="Dataset not found or corrupted"):
        datasets.STL10(tmp_path)
    for kind in ("train_list", "test_list"):
        entries = [[name, md5(folder / name)] for name, _ in getattr(datasets.STL10, kind)]
        monkeypatch.setattr(datasets.STL10, kind, entries)
    found = datasets.STL10(tmp_path, "train")
    assert numpy.array_equal(found.data, images["train"]) and found.labels.tolist() == [0, 1, 9, 2]
    assert found.classes == ["airplane", "bird"] and found[2][1] == 9
    assert numpy.array_equal(numpy.asarray(found[2][0]), images["train"][2].transpose(1, 2, 0))
    fold = datasets.STL10(tmp_path, "train", folds=2)
    assert fold.labels.tolist() == [2, 1] and numpy.array_equal(fold.data, images["train"][[3, 1]])
    both = datasets.STL10(tmp_path, "train+unlabeled", folds=0)
    assert both.labels.tolist() == [2, 1, -1, -1, -1] and len(both) == 5
    assert datasets.STL10(tmp_path, "unlabeled").labels.tolist() == [-1, -1, -1]
    assert datasets.STL10(tmp_path, "test", download=True).labels.tolist() == [3, 4]
    for folds, message in ((10, r"should be in the range \[0, 10\), but got 10"), ("1", "Expected type None or int")):
        with pytest.raises(ValueError, match=message):
            datasets.STL10(tmp_path, folds=folds)  # type: ignore[arg-type]


def write_imagenet(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The three archives, of two classes."""
    kind = [(name, object) for name in ("ILSVRC2012_ID", "WNID", "words", "gloss", "num_children")]
    rows = [(1, "n01", "tench, Tinca tinca", "", 0), (2, "n02", "goldfish", "", 0), (3, "n03", "fish", "", 2)]
    mat = io.BytesIO()
    scipy_io.savemat(mat, {"synsets": numpy.array(rows, kind)})
    data = "ILSVRC2012_devkit_t12/data/"
    truth = data + "ILSVRC2012_validation_ground_truth.txt"
    devkit = {data + "meta.mat": mat.getvalue(), truth: b"2\n1\n2\n"}
    train = {"n01.tar": tar({"n01_1.JPEG": jpeg(1)}), "n02.tar": tar({"n02_1.JPEG": jpeg(2), "n02_2.JPEG": jpeg(3)})}
    val = {f"ILSVRC2012_val_0000000{i}.JPEG": jpeg(10 * i) for i in (1, 2, 3)}
    for name, content in ((imagenet._DEVKIT[0], devkit), *zip((f for f, _ in imagenet._IMAGES.values()), (train, val))):
        (root / name).write_bytes(tar(content))
    monkeypatch.setattr(imagenet, "_DEVKIT", (imagenet._DEVKIT[0], md5(root / imagenet._DEVKIT[0])))
    for split, (name, _) in list(imagenet._IMAGES.items()):
        monkeypatch.setitem(imagenet._IMAGES, split, (name, md5(root / name)))


def test_imagenet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RuntimeError, match=r"The archive ILSVRC2012_devkit_t12\.tar\.gz is not present"):
        datasets.ImageNet(tmp_path)
    write_imagenet(tmp_path, monkeypatch)
    train = datasets.ImageNet(tmp_path, "train", transform=lambda image: image.size)
    assert train.targets == [0, 1, 1] and train[0] == ((6, 5), 0) and train.wnids == ["n01", "n02"]
    assert train.classes == [("tench", "Tinca tinca"), ("goldfish",)]
    assert train.class_to_idx == {"tench": 0, "Tinca tinca": 0, "goldfish": 1}
    assert not list((tmp_path / "train").glob("*.tar"))
    val = datasets.ImageNet(tmp_path, "val")
    assert [Path(path).name[-6] for path, _ in val.imgs] == ["2", "1", "3"] and val.targets == [0, 1, 1]
    assert "Split: val" in repr(val)
    for archive in (*tmp_path.glob("*.tar*"),):
        archive.unlink()
    assert len(datasets.ImageNet(tmp_path, "val")) == 3  # the folders are enough
    (tmp_path / "meta.bin").unlink()
    with pytest.raises(RuntimeError, match=r"The meta file .* is not present"):
        imagenet.load_meta_file(tmp_path)


def test_archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr("inner/x.txt", "zip")
    assert extract_archive(tmp_path / "a.zip", tmp_path / "out", remove_finished=True) == tmp_path / "out"
    assert (tmp_path / "out/inner/x.txt").read_text() == "zip" and not (tmp_path / "a.zip").exists()
    (tmp_path / "b.tar").write_bytes(tar({"y.txt": b"tar"}))
    download_and_extract_archive("http://nowhere.invalid/b.tar", tmp_path)  # it is there already
    assert (tmp_path / "y.txt").read_text() == "tar"
    (tmp_path / "c.tar").write_bytes(tar({"../outside.txt": b"x"}))
    with pytest.raises(tarfile.FilterError):
        extract_archive(tmp_path / "c.tar", tmp_path / "out")
    with pytest.raises(RuntimeError, match="Unknown compression or archive type: '.txt'.\nKnown suffixes are: "):
        extract_archive(tmp_path / "y.txt")
    with pytest.raises(RuntimeError, match="has no suffixes"):
        extract_archive("y")


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".xz"])
def test_packed_files(tmp_path: Path, ending: str) -> None:
    module = {".gz": gzip, ".bz2": bz2, ".xz": lzma}[ending]
    packed = tmp_path / f"a.txt{ending}"
    packed.write_bytes(module.compress(b"text"))
    made = extract_archive(str(packed), remove_finished=True)
    assert made == str(tmp_path / "a.txt") and Path(made).read_text() == "text" and not packed.exists()
    short = tmp_path / f"b.tar{ending}"
    short.write_bytes(module.compress(tar({"c.txt": b"inner"})))
    assert decompress(short) == tmp_path / "b.tar"
    extract_archive(short, tmp_path / "out")
    assert (tmp_path / "out" / "c.txt").read_text() == "inner"
    with pytest.raises(RuntimeError, match="Couldn't detect a compression from suffix .tar"):
        decompress(tmp_path / "b.tar")


def test_lists_of_files(tmp_path: Path) -> None:
    (tmp_path / "inner.png").mkdir()
    for name in ("a.png", "b.jpg", "c.txt"):
        (tmp_path / name).touch()
    assert list_dir(tmp_path) == ["inner.png"] and list_dir(str(tmp_path), prefix=True) == [str(tmp_path / "inner.png")]
    assert sorted(list_files(tmp_path, (".png", ".jpg"))) == ["a.png", "b.jpg"]
    assert list_files(tmp_path, ".txt", prefix=True) == [str(tmp_path / "c.txt")]


def test_download_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(urllib.error.URLError, match=f"No such file.*put none.tar into {tmp_path}/data by hand"):
        download_and_extract_archive((tmp_path / "none.tar").as_uri(), tmp_path / "data")
    (tmp_path / "there.tar").write_bytes(b"x")
    with pytest.raises(RuntimeError, match="File not found or corrupted. The MD5 checksum of .* is .*, not 0"):
        download_url((tmp_path / "there.tar").as_uri(), tmp_path / "data", md5="0")
    assert list((tmp_path / "data").iterdir()) == []
    monkeypatch.setitem(sys.modules, "gdown", None)
    with pytest.raises(RuntimeError, match="To download files from GDrive, 'gdown' is required"):
        download_url("https://drive.google.com/file/d/1a/view", tmp_path / "data")


class FakeDrive(types.ModuleType):
    """Stands in for the package `gdown`: every file there holds its own name."""

    def download(self, id: str, output: str, quiet: bool) -> None:
        Path(output).write_text(id)


def test_files_of_google_drive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gdown", FakeDrive("gdown"))
    download_file_from_google_drive("1a", tmp_path / "data", "x.txt", hashlib.md5(b"1a").hexdigest())
    assert (tmp_path / "data" / "x.txt").read_text() == "1a"
    with pytest.raises(RuntimeError, match="File not found or corrupted"):
        download_file_from_google_drive("1a", tmp_path / "data", "y.txt", "0")
    assert not (tmp_path / "data" / "y.txt").exists()


def test_meta_file_is_read_without_running_it(tmp_path: Path) -> None:
    torch.save(({"n01": ("a",)}, ["n01"]), tmp_path / "meta.bin")
    assert imagenet.load_meta_file(tmp_path) == ({"n01": ("a",)}, ["n01"])
