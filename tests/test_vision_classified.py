"""Data sets of classified images, from small files in their official layouts."""

from __future__ import annotations

import bz2
import csv
import hashlib
import json
import lzma
import struct
import sys
import tarfile
import types
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest

from flambeau.vision import datasets

Image = pytest.importorskip("PIL.Image")
scipy_io = pytest.importorskip("scipy.io")


def image(path: Path, colour: int = 0, mode: str = "RGB", size: tuple[int, int] = (6, 5)) -> None:
    """Writes an image of one colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, (colour, 0, 0) if mode == "RGB" else colour).save(path)


def text(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def seen(found: Any) -> list[Any]:
    """The labels of all items, each of which has to be a colour image."""
    items = [found[i] for i in range(len(found))]
    assert all(item.mode == "RGB" and item.size == (6, 5) for item, _ in items)
    return [label for _, label in items]


def food101(root: Path) -> Any:
    for name in ("pie/1", "pie/2", "bread/3"):
        image(root / f"food-101/images/{name}.png")
        (root / f"food-101/images/{name}.png").rename(root / f"food-101/images/{name}.jpg")
    text(root / "food-101/meta/test.json", json.dumps({"pie": ["pie/2", "pie/1"], "bread": ["bread/3"]}))
    return datasets.Food101(root, "test")


def flowers102(root: Path) -> Any:
    home = root / "flowers-102"
    for number in (1, 2, 3):
        image(home / f"jpg/image_{number:05d}.jpg")
    scipy_io.savemat(home / "imagelabels.mat", {"labels": numpy.array([[5, 102, 7]])})
    scipy_io.savemat(home / "setid.mat", {"trnid": [[1]], "valid": [[2, 3]], "tstid": [[3, 1]]})
    tables = {kind: (name, md5(home / name)) for kind, name in (("label", "imagelabels.mat"), ("setid", "setid.mat"))}
    with pytest.MonkeyPatch.context() as patch:
        for kind, entry in tables.items():
            patch.setitem(datasets.Flowers102._file_dict, kind, entry)
        found = datasets.Flowers102(root, split="val")
    assert found.classes[101] == "blackberry lily" and len(found.classes) == 102
    return found


def eurosat(root: Path) -> Any:
    for name in ("Forest/Forest_1.jpg", "AnnualCrop/AnnualCrop_1.jpg"):
        image(root / "eurosat/2750" / name)
    found = datasets.EuroSAT(root)
    assert found.root == str(root) and found.classes == ["AnnualCrop", "Forest"]
    return found


def country211(root: Path) -> Any:
    for name in ("AD/1.jpg", "ZW/2.jpg", "ZW/3.jpg"):
        image(root / "country211/valid" / name)
    return datasets.Country211(root, "valid")


def gtsrb_train(root: Path) -> Any:
    for name in ("00000/1.ppm", "00007/1.ppm"):
        image(root / "gtsrb/GTSRB/Training" / name)
    return datasets.GTSRB(root)


def gtsrb_test(root: Path) -> Any:
    image(root / "gtsrb/GTSRB/Final_Test/Images/00000.ppm")
    text(root / "gtsrb/GT-final_test.csv", "Filename;Width;ClassId\n00000.ppm;53;16\n")
    return datasets.GTSRB(str(root), split="test")


def dtd(root: Path) -> Any:
    for name in ("striped/s_1.jpg", "banded/b_1.jpg"):
        image(root / "dtd/dtd/images" / name)
    text(root / "dtd/dtd/labels/val3.txt", "striped/s_1.jpg\nbanded/b_1.jpg\n")
    with pytest.raises(ValueError, match="Parameter 'partition' should be an integer with .* but got 11 instead"):
        datasets.DTD(root, partition=11)
    found = datasets.DTD(root, "val", 3)
    assert "split=val, partition=3" in repr(found) and found.class_to_idx == {"banded": 0, "striped": 1}
    return found


def aircraft(root: Path) -> Any:
    home = root / "fgvc-aircraft-2013b/data"
    for name in ("0034309", "0034958"):
        image(home / f"images/{name}.jpg")
    text(home / "families.txt", "A300\nBoeing 707\n")
    text(home / "images_family_test.txt", "0034958 Boeing 707\n0034309 A300\n")
    found = datasets.FGVCAircraft(root, "test", "family")
    assert found.classes == ["A300", "Boeing 707"]
    return found


def cars(root: Path) -> Any:
    home = root / "stanford_cars"
    for name in ("1.jpg", "2.jpg"):
        image(home / "cars_test" / name)
    (home / "devkit").mkdir()
    rows = numpy.array([("1.jpg", 2), ("2.jpg", 1)], [("fname", object), ("class", object)])
    scipy_io.savemat(home / "cars_test_annos_withlabels.mat", {"annotations": rows})
    scipy_io.savemat(home / "devkit/cars_meta.mat", {"class_names": numpy.array(["Acura", "BMW"], object)})
    found = datasets.StanfordCars(root, "test")
    assert found.class_to_idx == {"Acura": 0, "BMW": 1}
    with pytest.raises(ValueError, match="The original URL is broken so the StanfordCars dataset cannot be"):
        datasets.StanfordCars(root, download=True)
    return found


def caltech256(root: Path) -> Any:
    for name in ("001.ak47/001_0001.jpg", "002.flag/002_0001.jpg", "002.flag/002_0002.jpg"):
        image(root / "caltech256/256_ObjectCategories" / name)
    text(root / "caltech256/256_ObjectCategories/002.flag/RENAME2", "")
    return datasets.Caltech256(root)


def clevr(root: Path) -> Any:
    home = root / "clevr/CLEVR_v1.0"
    for name in ("CLEVR_val_000001.png", "CLEVR_val_000000.png"):
        image(home / "images/val" / name)
    scenes = [{"image_filename": f"CLEVR_val_00000{i}.png", "objects": [{}] * (3 + i)} for i in (1, 0)]
    text(home / "scenes/CLEVR_val_scenes.json", json.dumps({"scenes": scenes}))
    return datasets.CLEVRClassification(root, "val")


def rendered_sst2(root: Path) -> Any:
    for name in ("negative/1.png", "positive/1.png", "positive/2.png"):
        image(root / "rendered-sst2/valid" / name)
    found = datasets.RenderedSST2(root, "val")
    assert found._samples[2][1] == 1 and found.classes == ["negative", "positive"]
    return found


def imagenette(root: Path) -> Any:
    for name in ("n03888257/1.jpeg", "n01440764/2.jpeg"):
        image(root / "imagenette2-160/val" / name)
    found = datasets.Imagenette(root, "val", "160px")
    assert found.classes == [("tench", "Tinca tinca"), ("parachute", "chute")] and found.class_to_idx["chute"] == 1
    return found


def sun397(root: Path) -> Any:
    for name in ("a/abbey/sun_a.jpg", "c/church/outdoor/sun_b.jpg"):
        image(root / "SUN397" / name)
    text(root / "SUN397/ClassName.txt", "/a/abbey\n/a/airport\n/c/church/outdoor\n")
    return datasets.SUN397(root)


def places365(root: Path) -> Any:
    image(root / "val_256/Places365_val_1.jpg")
    rows = {"_CATEGORIES_META": "/a/abbey 0\n/z/zoo 1\n", "_FILE_LIST_META": "Places365_val_1.jpg 1\n"}
    names = {"_CATEGORIES_META": "categories_places365.txt", "_FILE_LIST_META": "places365_val.txt"}
    entries = {kind: (names[kind], md5(text(root / names[kind], rows[kind]))) for kind in names}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.Places365, "_CATEGORIES_META", entries["_CATEGORIES_META"])
        patch.setitem(datasets.Places365._FILE_LIST_META, "val", entries["_FILE_LIST_META"])
        found = datasets.Places365(root, "val", small=True)
    assert found.classes == ["/a/abbey", "/z/zoo"] and found.targets == [1]
    assert found.imgs == [(str(root / "val_256/Places365_val_1.jpg"), 1)]
    assert "Split: val\n    Small: True" in repr(found)
    with pytest.raises(RuntimeError, match="does not exist or is corrupted. You can set download=True to download it."):
        datasets.Places365(root)
    return found


def inaturalist(root: Path) -> Any:
    for name in ("Birds/7", "Plants/0", "Birds/1"):
        image(root / "2018" / name.replace("7", "2") / "x.jpg")
    found = datasets.INaturalist(root, "2018", ["full", "super"])
    assert found.all_categories == ["Plants/0", "Birds/1", "Birds/2"]
    assert (found.category_name("super", 1), found.category_name("full", 2)) == ("Plants", "Birds/2")
    with pytest.raises(ValueError, match="Invalid category id 9 for super"):
        found.category_name("super", 9)
    image(root / "2018/Plants/1/x.jpg")
    with pytest.raises(RuntimeError, match="Duplicate category 1"):
        datasets.INaturalist(root, "2018")
    return found


def inaturalist2021(root: Path) -> Any:
    species = ("00000_Animalia_Chordata_Aves_O_F_Corvus_corax", "00001_Plantae_Tracheophyta_L_O2_F2_G_s")
    for name in species:
        image(root / "2021_valid" / name / "x.jpg")
    found = datasets.INaturalist(str(root), "2021_valid", "kingdom")
    assert found.categories_index["kingdom"] == {"Animalia": 0, "Plantae": 1}
    (root / "2021_valid" / species[1]).rename(root / "2021_valid" / species[1].replace("00001", "00002"))
    with pytest.raises(RuntimeError, match="Unexpected category id 00002, expecting 00001"):
        datasets.INaturalist(root, "2021_valid")
    (root / "2021_valid" / species[1].replace("00001", "00002")).rename(root / "2021_valid" / species[1])
    return found


MADE: list[tuple[Callable[[Path], Any], list[Any]]] = [
    (food101, [1, 1, 0]),
    (flowers102, [101, 6]),
    (eurosat, [0, 1]),
    (country211, [0, 1, 1]),
    (gtsrb_train, [0, 1]),
    (gtsrb_test, [16]),
    (dtd, [1, 0]),
    (aircraft, [1, 0]),
    (cars, [1, 0]),
    (caltech256, [0, 1, 1]),
    (clevr, [3, 4]),
    (rendered_sst2, [0, 1, 1]),
    (imagenette, [1, 0][::-1]),
    (sun397, [0, 2]),
    (places365, [1]),
    (inaturalist, [(0, 1), (1, 0), (2, 0)]),
    (inaturalist2021, [0, 1]),
]


@pytest.mark.parametrize(("make", "labels"), MADE, ids=[make.__name__ for make, _ in MADE])
def test_images_with_their_labels(make: Callable[[Path], Any], labels: list[Any], tmp_path: Path) -> None:
    found = make(tmp_path)
    assert seen(found) == labels
    found.transform, found.target_transform = (lambda item: item.size), str
    assert found[0] == ((6, 5), str(labels[0]))
    assert f"Dataset {type(found).__name__}\n    Number of datapoints: {len(labels)}" in repr(found)


KINDS = [
    "Food101", "Flowers102", "OxfordIIITPet", "EuroSAT", "GTSRB", "DTD", "FGVCAircraft", "StanfordCars", "Caltech101",
    "Caltech256", "Country211", "CLEVRClassification", "RenderedSST2", "Imagenette", "SUN397", "FER2013", "Omniglot",
    "USPS", "QMNIST", "MovingMNIST", "CelebA", "VOCSegmentation", "VOCDetection", "LFWPeople", "LFWPairs", "WIDERFace",
    "Kitti", "INaturalist", "Cityscapes", "KittiFlow", "HD1K", "FlyingChairs", "FlyingThings3D", "Kitti2012Stereo",
    "Middlebury2014Stereo", "SintelStereo", "ETH3DStereo", "Places365",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_files_that_are_not_there(kind: str, tmp_path: Path) -> None:
    with pytest.raises((RuntimeError, FileNotFoundError)):
        getattr(datasets, kind)(tmp_path)
    assert list(tmp_path.iterdir()) == []  # and nothing is made


@pytest.mark.parametrize("kind", ["Food101", "Flowers102", "GTSRB", "DTD", "CLEVRClassification", "Imagenette"])
def test_splits_that_there_are_not(kind: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Unknown value 'x' for argument split. Valid values are {'train', "):
        getattr(datasets, kind)(tmp_path, split="x")


def packed(path: Path, source: Path) -> str:
    """A zip or tar archive of a folder's content; gives its checksum."""
    names = [file for file in sorted(source.rglob("*")) if file.is_file()]
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.write(name, name.relative_to(source))
    else:
        with tarfile.open(path, "w:gz") as archive:
            for name in names:
                archive.add(name, name.relative_to(source))
    return md5(path)


def test_archives_are_fetched_and_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    food101(tmp_path / "source")
    archive = tmp_path / "food-101.tar.gz"
    url, sum_ = archive.as_uri(), packed(archive, tmp_path / "source")
    monkeypatch.setattr(datasets.Food101, "_ARCHIVES", [(url, sum_)])
    assert len(datasets.Food101(tmp_path / "data", "test", download=True)) == 3
    archive.unlink()
    assert len(datasets.Food101(tmp_path / "data", "test", download=True)) == 3  # not fetched again
    monkeypatch.setattr(datasets.EuroSAT, "_ARCHIVES", [((tmp_path / "e.zip").as_uri(), "0" * 32)])
    eurosat(tmp_path / "other")
    packed(tmp_path / "e.zip", tmp_path / "other" / "eurosat")
    with pytest.raises(RuntimeError, match="File not found or corrupted"):
        datasets.EuroSAT(tmp_path / "data", download=True)


def test_pets(tmp_path: Path) -> None:
    home = tmp_path / "oxford-iiit-pet"
    for name, colour in (("great_dane_1", 1), ("Abyssinian_2", 2)):
        image(home / f"images/{name}.jpg")
        image(home / f"annotations/trimaps/{name}.png", colour, "L")
    text(home / "annotations/trainval.txt", "great_dane_1 2 2 1\nAbyssinian_2 1 1 1\n")
    found = datasets.OxfordIIITPet(tmp_path, target_types=["category", "binary-category", "segmentation"])
    assert found.classes == ["Abyssinian", "Great Dane"] and found.class_to_idx["Great Dane"] == 1
    _, (breed, kind, outline) = found[0]
    assert (breed, kind, outline.mode, outline.getpixel((0, 0))) == (1, 1, "L", 1)
    assert [datasets.OxfordIIITPet(tmp_path)[i][1] for i in range(2)] == [1, 0]
    assert datasets.OxfordIIITPet(tmp_path, target_types=[])[0][1] is None
    wrapped = datasets.wrap_dataset_for_transforms_v2(found)
    assert type(wrapped[0][1][2]).__name__ == "Mask" and wrapped.classes is found.classes


def test_caltech101(tmp_path: Path) -> None:
    for name in ("Faces/image_0001", "ant/image_0001", "ant/image_0002", "BACKGROUND_Google/image_0001"):
        image(tmp_path / f"caltech101/101_ObjectCategories/{name}.jpg")
    outline = tmp_path / "caltech101/Annotations/Faces_2/annotation_0001.mat"
    outline.parent.mkdir(parents=True)
    scipy_io.savemat(outline, {"obj_contour": numpy.arange(6.0).reshape(2, 3)})
    found = datasets.Caltech101(tmp_path, ["category", "annotation"])
    assert found.categories == ["Faces", "ant"] and found.y == [0, 1, 1] and found.index == [1, 1, 2]
    label, points = found[0][1]
    assert label == 0 and points.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert seen(datasets.Caltech101(tmp_path)) == [0, 1, 1]
    with pytest.raises(RuntimeError, match="Caltech101 dataset with `target_type=.*is currently not supported by this"):
        datasets.wrap_dataset_for_transforms_v2(found)


def test_fer2013(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = " ".join(str(i % 256) for i in range(48 * 48))
    rows = {"train.csv": [("emotion", "pixels"), (3, pixels)], "test.csv": [("pixels",), (pixels,)]}
    rows["icml_face_data.csv"] = [("emotion", " Usage", " pixels"), (1, "Training", pixels), (2, "PublicTest", pixels)]
    for name, table in rows.items():
        with open(text(tmp_path / "fer2013" / name, ""), "w", newline="") as file:
            csv.writer(file).writerows(table)
        kind = {"icml_face_data.csv": "icml"}.get(name, name[:-4])
        monkeypatch.setitem(datasets.FER2013._RESOURCES, kind, (name, md5(tmp_path / "fer2013" / name)))
    assert datasets.FER2013(tmp_path, "test")[0][1] == 2 and len(datasets.FER2013(tmp_path, "test")) == 1
    (tmp_path / "fer2013/icml_face_data.csv").unlink()
    assert datasets.FER2013(tmp_path, "test")[0][1] is None
    face, label = datasets.FER2013(tmp_path)[0]
    assert (label, face.mode, face.getpixel((1, 1))) == (3, "L", 49)
    text(tmp_path / "fer2013/train.csv", "")
    with pytest.raises(RuntimeError, match="train.csv not found in .* or corrupted. You can download it from https"):
        datasets.FER2013(tmp_path)


def test_omniglot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("Greek/character02/2.png", "Greek/character01/1.png", "Arcadian/character01/3.png"):
        image(tmp_path / "source/images_evaluation" / name, 1, "1")
    sum_ = packed(tmp_path / "images_evaluation.zip", tmp_path / "source")
    monkeypatch.setattr(datasets.Omniglot, "download_url_prefix", tmp_path.as_uri())
    monkeypatch.setitem(datasets.Omniglot.zips_md5, "images_evaluation", sum_)
    found = datasets.Omniglot(tmp_path / "data", background=False, download=True)
    assert [label for _, label in found] == [0, 1, 2] and found[0][0].mode == "L"
    assert found._characters == ["Arcadian/character01", "Greek/character01", "Greek/character02"]


def test_usps(tmp_path: Path) -> None:
    row = " ".join(f"{i + 1}:{(-1, 0, 1)[i % 3]}" for i in range(256))
    (tmp_path / "usps.t.bz2").write_bytes(bz2.compress(f"7 {row}\n1 {row}\n".encode()))
    found = datasets.USPS(tmp_path, train=False, download=True)
    assert found.targets == [6, 0] and found.data[0, 0, :3].tolist() == [0, 127, 255]
    assert found[0][0].size == (16, 16)


def test_semeion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = ["1.0000" if i == 17 else "0.0000" for i in range(256)]
    lines = [" ".join([*pixels, *("1" if i == label else "0" for i in range(10))]) for label in (4, 0)]
    path = text(tmp_path / "semeion.data", "\n".join(lines))
    monkeypatch.setattr(datasets.SEMEION, "md5_checksum", md5(path))
    found = datasets.SEMEION(tmp_path)
    assert [label for _, label in found] == [4, 0] and found[0][0].getpixel((1, 1)) == 255


def test_moving_mnist(tmp_path: Path) -> None:
    (tmp_path / "MovingMNIST").mkdir()
    films = numpy.arange(20 * 2 * 4, dtype=numpy.uint8).reshape(20, 2, 2, 2)
    numpy.save(tmp_path / "MovingMNIST/mnist_test_seq.npy", films)
    assert datasets.MovingMNIST(tmp_path)[1].shape == (20, 1, 2, 2)
    train, test = (datasets.MovingMNIST(tmp_path, part, 15) for part in ("train", "test"))
    assert (train[0].shape[0], test[0].shape[0]) == (15, 5) and test[1][0, 0].tolist() == films[15, 1].tolist()
    with pytest.raises(ValueError, match="`split_ratio` should be `1 <= split_ratio <= 19`, but got 20 instead."):
        datasets.MovingMNIST(tmp_path, split_ratio=20)
    with pytest.raises(TypeError, match="`split_ratio` should be an integer"):
        datasets.MovingMNIST(tmp_path, split_ratio=1.0)  # pyright: ignore[reportArgumentType]


def idx(array: numpy.ndarray) -> bytes:
    kind = {"uint8": 8, "int32": 12}[array.dtype.name]
    head = bytes([0, 0, kind, array.ndim]) + struct.pack(f">{array.ndim}i", *array.shape)
    return head + array.astype(array.dtype.newbyteorder(">")).tobytes()


def test_qmnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = numpy.arange(3 * 28 * 28, dtype=numpy.uint8).reshape(3, 28, 28)
    facts = numpy.arange(24, dtype=numpy.int32).reshape(3, 8)
    resources = []
    for name, array in (("xnist-images-idx3-ubyte.xz", pixels), ("xnist-labels-idx2-int.xz", facts)):
        (tmp_path / name).write_bytes(lzma.compress(idx(array)))
        resources.append(((tmp_path / name).as_uri(), md5(tmp_path / name)))
    monkeypatch.setitem(datasets.QMNIST.resources, "nist", resources)
    found = datasets.QMNIST(tmp_path / "data", "nist", download=True)
    assert [label for _, label in found] == [0, 8, 16] and "Split: nist" in repr(found)
    assert datasets.QMNIST(tmp_path / "data", "nist", compat=False)[1][1].tolist() == list(range(8, 16))
    raw = tmp_path / "data/QMNIST/raw"
    for name, array in (("images-idx3-ubyte", pixels), ("labels-idx2-int", facts)):
        (raw / f"qmnist-test-{name}").write_bytes(idx(array))
    monkeypatch.setattr(datasets.QMNIST, "_PARTS", {"test50k": slice(2, None)})
    assert [label for _, label in datasets.QMNIST(tmp_path / "data", "test50k")] == [16]


class FakeH5(types.ModuleType):
    """Stands in for the package `h5py`: reads arrays of NumPy."""

    def File(self, path: Path) -> Any:
        return numpy.load(path)


def test_pcam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(RuntimeError, match="h5py is not found. This dataset needs to have h5py installed"):
        datasets.PCAM(tmp_path)
    monkeypatch.setitem(sys.modules, "h5py", FakeH5("h5py"))
    arrays = {
        "x": numpy.full((2, 96, 96, 3), 9, numpy.uint8),
        "y": numpy.array([0, 1], numpy.uint8).reshape(2, 1, 1, 1),
    }
    (tmp_path / "pcam").mkdir()
    for name, array in arrays.items():
        with open(tmp_path / f"pcam/camelyonpatch_level_2_split_valid_{name}.h5", "wb") as file:
            numpy.savez(file, **{name: array})  # pyright: ignore[reportArgumentType]
    found = datasets.PCAM(tmp_path, "val")
    assert [found[i][1] for i in range(len(found))] == [0, 1] and found[0][0].getpixel((3, 3)) == (9, 9, 9)
