"""Data sets of scenes, faces and sentences, from small files in their official layouts."""

from __future__ import annotations

import hashlib
import json
import pickle
import sys
import types
import zipfile
from pathlib import Path
from typing import Any

import numpy
import pytest

import flambeau as torch
from flambeau.vision import datasets
from flambeau.vision.datasets import wrap_dataset_for_transforms_v2 as wrapped
from flambeau.vision.tv_tensors import BoundingBoxes, BoundingBoxFormat, Mask

Image = pytest.importorskip("PIL.Image")
scipy_io = pytest.importorskip("scipy.io")
sparse = pytest.importorskip("scipy.sparse")


def image(path: Path, colour: int = 0, mode: str = "RGB", size: tuple[int, int] = (6, 5)) -> Path:
    """Writes an image of one colour, 6 wide and 5 high."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = Image.new(mode, size, (colour, 0, 0) if mode == "RGB" else colour)
    if mode == "P":
        made.putpalette([value for value in range(256) for _ in range(3)])
    made.save(path)
    return path


def text(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


ANNOTATION = """<annotation><size><width>6</width><height>5</height></size>
<object><name>dog</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>4</xmax><ymax>5</ymax></bndbox></object>
<part>a</part><part>b</part></annotation>"""


def test_voc(tmp_path: Path) -> None:
    home = tmp_path / "TrainVal/VOCdevkit/VOC2011"
    image(home / "JPEGImages/2011_1.jpg")
    image(home / "SegmentationClass/2011_1.png", 7, "P")
    text(home / "Annotations/2011_1.xml", ANNOTATION)
    for kind in ("Main", "Segmentation"):
        text(home / f"ImageSets/{kind}/val.txt", "2011_1\n")
    scene, mask = datasets.VOCSegmentation(tmp_path, "2011", "val")[0]
    assert (scene.mode, mask.mode, mask.getpixel((0, 0))) == ("RGB", "P", 7)
    found = datasets.VOCDetection(tmp_path, "2011", "val", transforms=lambda x, y: (x.size, y))
    (thing,) = found[0][1]["annotation"]["object"]
    assert thing == {"name": "dog", "bndbox": {"xmin": "1", "ymin": "2", "xmax": "4", "ymax": "5"}}
    assert found[0][0] == (6, 5) and found[0][1]["annotation"]["part"] == ["a", "b"]
    _, target = wrapped(datasets.VOCDetection(tmp_path, "2011", "val"))[0]
    assert target["labels"].tolist() == [12] and target["boxes"].tolist() == [[1, 2, 4, 5]]
    _, target = wrapped(datasets.VOCDetection(tmp_path, "2011", "val"), target_keys="all")[0]
    assert sorted(target) == ["annotation", "boxes", "labels"]
    assert isinstance(wrapped(datasets.VOCSegmentation(tmp_path, "2011", "val"))[0][1], Mask)
    with pytest.raises(ValueError, match="Unknown value 'test' for argument image_set. Valid values are {'train', "):
        datasets.VOCDetection(tmp_path, "2011", "test")


def test_sbd(tmp_path: Path) -> None:
    image(tmp_path / "img/2008_1.jpg")
    text(tmp_path / "train.txt", "2008_1\n")
    edges = numpy.empty((20, 1), object)
    for i in range(20):
        edges[i, 0] = sparse.csc_matrix(numpy.full((5, 6), i == 3, numpy.uint8))
    content = {"Boundaries": edges, "Segmentation": numpy.full((5, 6), 4, numpy.uint8)}
    (tmp_path / "cls").mkdir()
    scipy_io.savemat(tmp_path / "cls/2008_1.mat", {"GTcls": content})
    _, found = datasets.SBDataset(tmp_path)[0]
    assert found.shape == (20, 5, 6) and found.sum(axis=(1, 2)).tolist() == [30 * (i == 3) for i in range(20)]
    segmented = datasets.SBDataset(tmp_path, mode="segmentation")
    assert segmented[0][1].getpixel((2, 2)) == 4 and "Image set: train\n    Mode: segmentation" in repr(segmented)
    assert isinstance(wrapped(segmented)[0][1], Mask)
    with pytest.raises(RuntimeError, match="SBDataset with mode='boundaries' is currently not supported"):
        wrapped(datasets.SBDataset(tmp_path))


COCO = {
    "images": [{"id": 9, "file_name": "b.png"}, {"id": 4, "file_name": "a.png"}],
    "annotations": [
        {"id": 1, "image_id": 9, "bbox": [1, 1, 2, 3], "category_id": 17, "caption": "a cat", "area": 6.0},
        {"id": 2, "image_id": 9, "bbox": [0, 0, 4, 4], "category_id": 18, "caption": "a dog", "area": 16.0},
    ],
    "categories": [{"id": 17, "name": "cat"}, {"id": 18, "name": "dog"}],
}


def test_coco(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycocotools.coco", None)
    for name in "ab":
        image(tmp_path / f"{name}.png")
    file = str(text(tmp_path / "instances.json", json.dumps(COCO)))
    found = datasets.CocoDetection(tmp_path, file)
    assert found.ids == [4, 9] and [len(target) for _, target in found] == [0, 2]
    assert found[1][1] == COCO["annotations"] and found[1][0].mode == "RGB"
    assert datasets.CocoCaptions(tmp_path, file)[1][1] == ["a cat", "a dog"]
    known = found.coco
    assert [entry["name"] for entry in known.loadCats(known.getCatIds())] == ["cat", "dog"]
    assert known.getAnnIds() == [1, 2] and known.getAnnIds(imgIds=[4]) == []
    with pytest.raises(ValueError, match="Index must be of type integer, got <class 'str'> instead."):
        found["9"]  # type: ignore[index]
    for row in (wrapped(found), pickle.loads(pickle.dumps(wrapped(found)))):
        assert row[0][1] == {"image_id": 4}
        target = row[1][1]
        assert sorted(target) == ["boxes", "image_id", "labels"] and target["labels"].tolist() == [17, 18]
        assert target["boxes"].tolist() == [[1, 1, 3, 4], [0, 0, 4, 4]]
        assert target["boxes"].format is BoundingBoxFormat.XYXY and target["boxes"].canvas_size == (5, 6)
    assert wrapped(found, ["area"])[1][1] == {"area": [6.0, 16.0]}
    with pytest.raises(ValueError, match=r"Target keys \['x'\] are not available"):
        wrapped(found, ["x"])


class FakeCoco(types.ModuleType):
    """Stands in for the module `pycocotools.coco`."""

    class COCO:
        """Knows one image."""

        def __init__(self, path: str) -> None:
            self.imgs = {1: {}}


def test_coco_is_read_by_its_own_package_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycocotools", types.ModuleType("pycocotools"))
    monkeypatch.setitem(sys.modules, "pycocotools.coco", FakeCoco("pycocotools.coco"))
    assert isinstance(datasets.CocoDetection("", "x.json").coco, FakeCoco.COCO)


def test_cityscapes(tmp_path: Path) -> None:
    start = tmp_path / "source/gtFine/val/ulm/ulm_0_gtFine"
    numbers = numpy.array([[0, 7, 24], [26001, 26002, 7]], numpy.uint16)
    for name in ("instanceIds", "labelIds", "color"):
        start.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(numbers).save(f"{start}_{name}.png")
    text(Path(f"{start}_polygons.json"), '{"imgHeight": 2}')
    image(tmp_path / "source/leftImg8bit/val/ulm/ulm_0_leftImg8bit.png", size=(3, 2))
    with pytest.raises(RuntimeError, match="Dataset not found or incomplete. Please make sure all required folders"):
        datasets.Cityscapes(tmp_path, "val")
    for part in ("gtFine", "leftImg8bit"):
        with zipfile.ZipFile(tmp_path / f"{part}_trainvaltest.zip", "w") as archive:
            for file in sorted((tmp_path / "source" / part).rglob("*.*")):
                archive.write(file, file.relative_to(tmp_path / "source"))
    found = datasets.Cityscapes(tmp_path, "val", target_type=["polygon", "semantic"])
    polygons, classes = found[0][1]
    assert polygons == {"imgHeight": 2} and numpy.asarray(classes).tolist() == numbers.tolist()
    assert "Split: val\n    Mode: gtFine\n    Type: ['polygon', 'semantic']" in repr(found)
    assert found.classes[26].name == "car" and found.classes[26].train_id == 13 and len(found.classes) == 35
    _, things = wrapped(datasets.Cityscapes(tmp_path, "val"))[0]
    assert things["labels"].tolist() == [0, 7, 24, 26, 26] and things["masks"].shape == (5, 1, 2, 3)
    assert things["masks"][3].tolist() == [[[False] * 3, [True, False, False]]]
    with pytest.raises(ValueError, match="Unknown value 'test' for argument split if mode is 'coarse'. Valid values"):
        datasets.Cityscapes(tmp_path, "test", "coarse")
    with pytest.raises(RuntimeError, match=r"`Cityscapes` dataset with `target_type=\['polygon', 'color', ...\]` is"):
        wrapped(found)


def celeba(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = root / "celeba"
    tables = {
        "list_eval_partition.txt": "1.jpg 0\n2.jpg 2\n3.jpg 0\n",
        "identity_CelebA.txt": "1.jpg 11\n2.jpg 12\n3.jpg 13\n",
        "list_bbox_celeba.txt": "3\nimage_id x_1 y_1 width height\n1.jpg 1 1 2 3\n2.jpg 0 0 1 1\n3.jpg  2 1  3 3\n",
        "list_landmarks_align_celeba.txt": "3\nlefteye_x lefteye_y\n1.jpg 1 2\n2.jpg 3 4\n3.jpg 5 6\n",
        "list_attr_celeba.txt": "3\nBald Young\n1.jpg -1  1\n2.jpg  1 -1\n3.jpg  1  1\n",
    }
    sums = {name: md5(text(home / name, content)) for name, content in tables.items()}
    monkeypatch.setattr(datasets.CelebA, "file_list", [("id", sum_, name) for name, sum_ in sums.items()])
    for i in (1, 2, 3):
        image(home / f"img_align_celeba/{i}.jpg")


def test_celeba(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    celeba(tmp_path, monkeypatch)
    found = datasets.CelebA(tmp_path, target_type=["attr", "identity", "bbox", "landmarks"])
    assert found.filename == ["1.jpg", "3.jpg"] and found.attr_names == ["Bald", "Young"]
    values = found[1][1]
    assert [value.tolist() for value in values] == [[1, 1], 13, [2, 1, 3, 3], [5, 6]]
    assert all(value.dtype is torch.int64 for value in values) and found.attr.tolist() == [[0, 1], [1, 1]]
    assert len(datasets.CelebA(tmp_path, "all")) == 3 and datasets.CelebA(tmp_path, "test")[0][1].tolist() == [1, 0]
    assert datasets.CelebA(tmp_path, target_type=[])[0][1] is None
    _, (box, number) = wrapped(datasets.CelebA(tmp_path, target_type=["bbox", "identity"]))[0]
    assert isinstance(box, BoundingBoxes) and box.tolist() == [[1, 1, 3, 4]] and number == 11
    with pytest.raises(RuntimeError, match="target_transform is specified but target_type is empty"):
        datasets.CelebA(tmp_path, target_type=[], target_transform=str)
    with pytest.raises(ValueError, match="Unknown value 'x' for argument split"):
        datasets.CelebA(tmp_path, "x")
    with pytest.raises(ValueError, match='Target type "x" is not recognized'):
        datasets.CelebA(tmp_path, target_type="x")[0]
    with pytest.raises(RuntimeError, match="`CelebA` dataset with .* is currently not supported by this wrapper"):
        wrapped(found)


def test_lfw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "lfw-py"
    for name in ("Ann_A/Ann_A_0001", "Ann_A/Ann_A_0002", "Bob_B/Bob_B_0001", "Cy/Cy_0001"):
        image(home / f"lfw_funneled/{name}.jpg")
    tables = {
        "lfw-names.txt": "Ann_A\t2\nBob_B\t1\nCy\t1\n",
        "people.txt": "2\n1\nAnn_A\t2\n2\nBob_B\t1\nCy\t1\n",
        "pairsDevTest.txt": "1\nAnn_A\t1\t2\nBob_B\t1\tCy\t1\n",
    }
    for name, content in tables.items():
        monkeypatch.setitem(datasets.LFWPeople.checksums, name, md5(text(home / name, content)))
    archive = text(home / "lfw-funneled.tgz", "archive")
    funneled = ("lfw_funneled", archive.name, md5(archive))
    monkeypatch.setitem(datasets.LFWPeople.file_dict, "funneled", funneled)
    people = datasets.LFWPeople(tmp_path)
    assert people.targets == [0, 0, 1, 2] and people[3][1] == 2 and "Classes (identities): 3" in repr(people)
    assert "Alignment: funneled\n    Split: 10fold" in repr(people)
    pairs = datasets.LFWPairs(tmp_path, "test", transform=lambda x: x.size)
    assert pairs.pair_names == [("Ann_A", "Ann_A"), ("Bob_B", "Cy")] and pairs[0] == ((6, 5), (6, 5), 1)
    assert [Path(path).name for path in pairs.data[1]] == ["Bob_B_0001.jpg", "Cy_0001.jpg"] and pairs[1][2] == 0
    with pytest.raises(ValueError, match="LFW dataset is no longer available for automatic download"):
        datasets.LFWPairs(tmp_path, download=True)


def test_widerface(tmp_path: Path) -> None:
    home = tmp_path / "widerface"
    for part in ("train", "val", "test"):
        image(home / f"WIDER_{part}/images/0--P/1.jpg")
    image(home / "WIDER_val/images/0--P/2.jpg")
    lines = "0--P/1.jpg\n0\n0 0 0 0 0 0 0 0 0 0 \n0--P/2.jpg\n2\n1 2 3 2 2 0 0 1 0 0 \n0 0 1 1 1 0 0 2 1 0\n"
    text(home / "wider_face_split/wider_face_val_bbx_gt.txt", lines)
    text(home / "wider_face_split/wider_face_test_filelist.txt", "0--P/1.jpg\n")
    found = datasets.WIDERFace(tmp_path, "val")
    target = found[1][1]
    assert target["bbox"].tolist() == [[1, 2, 3, 2], [0, 0, 1, 1]] and target["occlusion"].tolist() == [1, 2]
    assert len(found) == 2 and found[0][1]["blur"].tolist() == [0] and "Split: val" in repr(found)
    assert datasets.WIDERFace(tmp_path, "test")[0][1] is None
    assert wrapped(found, ["bbox"])[1][1]["bbox"].tolist() == [[1, 2, 4, 4], [0, 0, 1, 1]]


def test_kitti(tmp_path: Path) -> None:
    for part in ("training", "testing"):
        image(tmp_path / f"Kitti/raw/{part}/image_2/000001.png")
    line = "Car 0.0 1 -1.5 1.0 2.0 3.0 4.0 1.6 1.7 3.9 -1.5 1.4 9.2 0.01\n"
    text(tmp_path / "Kitti/raw/training/label_2/000001.txt", line)
    (thing,) = datasets.Kitti(tmp_path)[0][1]
    assert (thing["type"], thing["occluded"], thing["bbox"]) == ("Car", 1, [1.0, 2.0, 3.0, 4.0])
    assert (thing["dimensions"], thing["rotation_y"]) == ([1.6, 1.7, 3.9], 0.01)
    assert datasets.Kitti(tmp_path, train=False)[0][1] is None
    target = wrapped(datasets.Kitti(tmp_path), ["labels", "boxes", "alpha"])[0][1]
    assert target["labels"].tolist() == [0] and target["alpha"] == [-1.5]
    assert target["boxes"].tolist() == [[1.0, 2.0, 3.0, 4.0]]


def test_phototour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(datasets.PhotoTour.lens, "liberty", 5)
    home = tmp_path / "liberty"
    home.mkdir()
    for name in ("patches0000.bmp", "patches0001.bmp"):
        squares = numpy.arange(4, dtype=numpy.uint8).reshape(2, 2) + 4 * int(name[10])
        Image.fromarray(squares.repeat(64, 0).repeat(64, 1)).save(home / name)
    text(home / "info.txt", "7 0\n7 0\n8 0\n")
    text(home / "m50_100000_100000_0.txt", "0 7 0 1 7 0 0\n0 7 0 4 8 0 0\n")
    found = datasets.PhotoTour(tmp_path, "liberty")
    assert [int(patch.max()) for patch in found.data] == [0, 1, 2, 3, 4] and found[3].shape == (64, 64)
    assert found.labels.tolist() == [7, 7, 8] and (tmp_path / "liberty.pt").exists()
    test = datasets.PhotoTour(tmp_path, "liberty", train=False, transform=lambda patch: int(patch.min()))
    assert [(one, other, int(same)) for one, other, same in (test[0], test[1])] == [(0, 1, 1), (0, 4, 0)]
    assert (test.mean, test.std) == (0.4437, 0.2019) and "Split: Test" in repr(test)


def test_sbu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = text(tmp_path / datasets.SBU.filename, "archive")
    monkeypatch.setattr(datasets.SBU, "md5_checksum", md5(archive))
    home = tmp_path / "dataset"
    text(home / "SBU_captioned_photo_dataset_urls.txt", "http://nowhere.invalid/1.jpg\nhttp://nowhere.invalid/2.jpg\n")
    text(home / "SBU_captioned_photo_dataset_captions.txt", "one\ntwo\n")
    image(home / "2.jpg")
    found = datasets.SBU(tmp_path)
    assert (found.photos, found.captions, found[0][1]) == (["2.jpg"], ["two"], "two")


def test_flickr(tmp_path: Path) -> None:
    image(tmp_path / "12_a.jpg")
    page = """<p>x</p><table><tr><td><a href="h">http://flickr.com/photos/12/</a></td><td><ul><li>A dog.</li>
    <li> It runs. </li></ul></td></tr><tr><td>Image Not Found</td><td><ul><li>Nothing.</li></ul></td></tr></table>"""
    found = datasets.Flickr8k(tmp_path, str(text(tmp_path / "page.html", page)))
    assert [Path(name).name for name in found.ids] == ["12_a.jpg"] and found[0][1] == ["A dog.", "It runs."]
    table = text(tmp_path / "t.token", "12_a.jpg#0\tA dog.\n12_a.jpg#1\tIt runs.\n")
    assert datasets.Flickr30k(str(tmp_path), str(table))[0][1] == ["A dog.", "It runs."]


class FakeBase(types.ModuleType):
    """Stands in for the package `lmdb`: a data base is a folder of files."""

    class Environment:
        """One data base, and what reads it."""

        def __init__(self, folder: str) -> None:
            self._files = {path.name.encode(): path for path in sorted(Path(folder).iterdir())}

        def begin(self, write: bool) -> Any:
            return self

        def __enter__(self) -> Any:
            return self

        def __exit__(self, *_: Any) -> None:
            pass

        def stat(self) -> dict[str, int]:
            return {"entries": len(self._files)}

        def cursor(self) -> Any:
            return types.SimpleNamespace(iternext=lambda keys, values: iter(self._files))

        def get(self, key: bytes) -> bytes:
            return self._files[key].read_bytes()

    def open(self, folder: str, **options: Any) -> Any:
        return self.Environment(folder)


def test_lsun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("tower_val_lmdb/1.png", "bridge_train_lmdb/2.png", "bridge_train_lmdb/3.png"):
        image(tmp_path / name, int(name[-5]))
    monkeypatch.setitem(sys.modules, "lmdb", None)
    with pytest.raises(ImportError, match="LSUN is a data base of lmdb, which is not installed: pip install lmdb"):
        datasets.LSUN(tmp_path, ["tower_val"])
    monkeypatch.setitem(sys.modules, "lmdb", FakeBase("lmdb"))
    found = datasets.LSUN(tmp_path, ["tower_val", "bridge_train"])
    assert [(found[i][0].getpixel((0, 0))[0], found[i][1]) for i in range(3)] == [(1, 0), (2, 1), (3, 1)]
    assert "Classes: ['tower_val', 'bridge_train']" in repr(found)
    with pytest.raises(ValueError, match="Unknown value 'towers' for LSUN class. Valid values are {'bedroom', "):
        datasets.LSUN(tmp_path, ["towers_val"])
    with pytest.raises(ValueError, match="Unknown value 'x' for postfix. Valid values are {'train', 'val', 'test'}."):
        datasets.LSUN(tmp_path, ["tower_x"])
    with pytest.raises(ValueError, match="Expected type str or Iterable for argument classes, but got type <class"):
        datasets.LSUN(tmp_path, 1)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["HMDB51", "Kinetics", "UCF101"])
def test_videos_say_that_they_are_not_decoded(kind: str) -> None:
    with pytest.raises(NotImplementedError, match=f"datasets.{kind}: flambeau decodes no videos. Write the frames as"):
        getattr(datasets, kind)("root", "annotations", 16)


def test_wrapping_what_nobody_knows() -> None:
    with pytest.raises(TypeError, match="This wrapper is meant for subclasses of `torchvision.datasets.VisionDataset`"):
        wrapped([1])
    with pytest.raises(TypeError, match="No wrapper exists for dataset class FakeData. Please wrap the output"):
        wrapped(datasets.FakeData(1))
    with pytest.raises(ValueError, match="`target_keys` can be None, 'all', or a collection of strings"):
        wrapped(datasets.FakeData(1), "boxes")


def test_wrapped_data_set_takes_the_transforms_over(tmp_path: Path) -> None:
    image(tmp_path / "cat/1.png")
    found = datasets.ImageFolder(str(tmp_path), transform=lambda x: x.size, target_transform=str)
    whole = wrapped(found)
    assert whole[0] == ((6, 5), "0") and len(whole) == 1 and whole.classes == ["cat"]
    assert isinstance(whole, datasets.ImageFolder) and type(whole).__name__ == "WrappedImageFolder"
    with pytest.raises(ValueError, match="`target_keys` is currently only supported for .*, but got DatasetFolder"):
        wrapped(datasets.ImageFolder(str(tmp_path)), ["labels"])
