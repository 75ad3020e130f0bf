"""Data sets of optical flow and of disparity, and the formats of their files."""

from __future__ import annotations

import json
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest

import flambeau as torch
from flambeau.vision import datasets
from flambeau.vision._png16 import decode_png16, read_png16
from flambeau.vision.datasets._disparity import read_flo, read_flow_png, read_pfm
from flambeau.vision.io import decode_image

Image = pytest.importorskip("PIL.Image")


def image(path: Path, value: int = 0, mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, (4, 3), (value, 0, 0) if mode == "RGB" else value).save(path)


def pfm(path: Path, values: numpy.ndarray, order: str = "<") -> None:
    """Writes (H, W, channels), the last row first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = b"PF" if values.shape[2] == 3 else b"Pf"
    head = kind + f"\n{values.shape[1]} {values.shape[0]}\n{-1.0 if order == '<' else 1.0}\n".encode()
    path.write_bytes(head + values[::-1].astype(f"{order}f4").tobytes())


def flo(path: Path, flow: numpy.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = flow.shape[:2]
    path.write_bytes(b"PIEH" + struct.pack("<2i", width, height) + flow.astype("<f4").tobytes())


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png16(path: Path, values: numpy.ndarray, filters: list[int]) -> None:
    """Writes uint16 (H, W, channels), each row with its filter as the format defines it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width, channels = values.shape
    raw, step = values.astype(">u2").view(numpy.uint8).reshape(height, -1).astype(int), 2 * channels
    rows = bytearray()
    for y in range(height):
        rows.append(filters[y])
        for x in range(raw.shape[1]):
            left = raw[y, x - step] if x >= step else 0
            above = raw[y - 1, x] if y else 0
            corner = raw[y - 1, x - step] if y and x >= step else 0
            guess = left + above - corner
            nearest = min((left, above, corner), key=lambda value, guess=guess: abs(guess - value))
            rows.append((raw[y, x] - [0, left, above, (left + above) // 2, nearest][filters[y]]) % 256)
    colours = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    head = struct.pack(">2I5B", width, height, 16, colours, 0, 0, 0)
    data = zlib.compress(bytes(rows))
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", data[:7]) + chunk(b"IDAT", data[7:]) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + parts)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png_of_16_bits(tmp_path: Path, channels: int) -> None:
    values = numpy.random.default_rng(channels).integers(0, 2**16, (10, 7, channels), dtype=numpy.uint16)
    values[:, 3:] //= 64  # smooth parts too
    png16(tmp_path / "a.png", values, [0, 1, 2, 3, 4, 4, 3, 2, 1, 4])
    assert numpy.array_equal(read_png16(tmp_path / "a.png"), values)
    found = decode_image(tmp_path / "a.png")
    assert found.dtype is torch.uint16 and numpy.array_equal(found.numpy(), values.transpose(2, 0, 1))
    if channels == 3:
        with pytest.raises(NotImplementedError, match="GRAY. of a PNG file of 16 bits and 3 channels"):
            decode_image(tmp_path / "a.png", "gray")
    if channels == 1:
        assert decode_image(tmp_path / "a.png", "rgb").shape == (3, 10, 7)
        assert numpy.array_equal(numpy.asarray(Image.open(tmp_path / "a.png")), values[..., 0])  # Pillow reads it alike


def test_files_of_other_kinds(tmp_path: Path) -> None:
    image(tmp_path / "a.png")
    with pytest.raises(ValueError, match="is no PNG file of 16 bits a channel"):
        read_png16(tmp_path / "a.png")
    (tmp_path / "b").write_bytes(b"PX\n1 1\n-1\n")
    with pytest.raises(ValueError, match="Invalid PFM file"):
        read_pfm(tmp_path / "b", 1)
    with pytest.raises(ValueError, match="Magic number incorrect. Invalid .flo file"):
        read_flo(tmp_path / "b")
    with pytest.raises(ValueError, match="is no PNG file of 16 bits"):
        read_png16(tmp_path / "b")
    png16(tmp_path / "d.png", numpy.zeros((1, 1, 1), numpy.uint16), [0])
    content = bytearray((tmp_path / "d.png").read_bytes())
    content[28] = 1
    with pytest.raises(ValueError, match="that is interlaced"):
        decode_png16(bytes(content))
    (tmp_path / "c").write_bytes(b"PF\n1 x\n-1\n")
    with pytest.raises(ValueError, match="Malformed PFM header"):
        read_pfm(tmp_path / "c", 1)


@pytest.mark.parametrize("order", ["<", ">"])
def test_pfm(tmp_path: Path, order: str) -> None:
    values = numpy.arange(24, dtype=numpy.float32).reshape(2, 4, 3)
    pfm(tmp_path / "a.pfm", values, order)
    assert numpy.array_equal(read_pfm(tmp_path / "a.pfm", 2), values[..., :2].transpose(2, 0, 1))


FLOW = numpy.arange(24, dtype=numpy.float32).reshape(3, 4, 2)


def coded(seed: int) -> tuple[numpy.ndarray, numpy.ndarray, numpy.ndarray]:
    """What a PNG file of a flow holds, the flow, and where it is known."""
    values = numpy.random.default_rng(seed).integers(0, 2**16, (3, 4, 3), dtype=numpy.uint16)
    values[..., 2] = values[..., 2] > 2**15
    return values, (values[..., :2].transpose(2, 0, 1).astype(numpy.float32) - 2**15) / 64, values[..., 2] > 0


def test_flow_png(tmp_path: Path) -> None:
    values, flow, known = coded(0)
    png16(tmp_path / "a.png", values, [4, 4, 4])
    found = read_flow_png(tmp_path / "a.png")
    assert numpy.array_equal(found[0], flow) and found[0].dtype == numpy.float32 and numpy.array_equal(found[1], known)


def test_sintel(tmp_path: Path) -> None:
    home = tmp_path / "Sintel"
    for part in ("training/clean", "training/final", "test/clean"):
        for i in (1, 2, 3):
            image(home / part / f"cave/frame_{i}.png", i)
    for i in (1, 2):
        flo(home / f"training/flow/cave/frame_{i}.flo", FLOW + i)
    found = datasets.Sintel(tmp_path, pass_name="both")
    assert len(found) == 4 and len(2 * found) == 8
    first, second, flow = found[1]
    assert [item.getpixel((0, 0))[0] for item in (first, second)] == [2, 3]
    assert numpy.array_equal(flow, (FLOW + 2).transpose(2, 0, 1))
    assert datasets.Sintel(str(tmp_path), "test")[0][2] is None
    changed = datasets.Sintel(tmp_path, transforms=lambda *parts: (*parts[:3], "mask"))
    assert changed[0][3] == "mask"


def test_kitti_flow(tmp_path: Path) -> None:
    for part in ("training", "testing"):
        for i in range(2):
            image(tmp_path / f"KittiFlow/{part}/image_2/000000_1{i}.png", i)
    values, flow, known = coded(1)
    png16(tmp_path / "KittiFlow/training/flow_occ/000000_10.png", values, [1, 3, 4])
    found = datasets.KittiFlow(tmp_path)[0]
    assert numpy.array_equal(found[2], flow) and numpy.array_equal(found[3], known)
    assert found[1].getpixel((0, 0)) == (1, 0, 0) and datasets.KittiFlow(tmp_path, "test")[0][2:] == (None, None)
    with pytest.raises(FileNotFoundError, match="Could not find the Kitti flow images. Please make sure the directory"):
        datasets.KittiFlow(tmp_path / "none")


def test_flying_chairs(tmp_path: Path) -> None:
    for i in range(3):
        flo(tmp_path / f"FlyingChairs/data/{i}_flow.flo", FLOW + i)
        for j in (1, 2):
            image(tmp_path / f"FlyingChairs/data/{i}_img{j}.ppm", 10 * i + j)
    with pytest.raises(FileNotFoundError, match="The FlyingChairs_train_val.txt file was not found"):
        datasets.FlyingChairs(tmp_path)
    (tmp_path / "FlyingChairs/FlyingChairs_train_val.txt").write_text("1\n2\n1\n")
    first, second, flow = datasets.FlyingChairs(tmp_path)[1]
    assert [item.getpixel((0, 0))[0] for item in (first, second)] == [21, 22] and flow[0, 0, 0] == 2
    assert len(datasets.FlyingChairs(tmp_path, "val")) == 1


def test_flying_things(tmp_path: Path) -> None:
    home = tmp_path / "FlyingThings3D"
    for i in range(3):
        image(home / f"frames_cleanpass/TEST/A/0000/right/000{i}.png", i)
        for direction, sign in (("into_future", 1), ("into_past", -1)):
            values = numpy.full((3, 4, 3), sign * (i + 1), numpy.float32)
            pfm(home / f"optical_flow/TEST/A/0000/{direction}/right/{i}.pfm", values)
    found = datasets.FlyingThings3D(tmp_path, "test", camera="right")
    seen = [(first.getpixel((0, 0))[0], second.getpixel((0, 0))[0], flow[0, 0, 0]) for first, second, flow in found]
    assert seen == [(0, 1, 1), (1, 2, 2), (1, 0, -2), (2, 1, -3)] and found[0][2].shape == (2, 3, 4)


def test_hd1k(tmp_path: Path) -> None:
    for i in range(2):
        image(tmp_path / f"hd1k/hd1k_input/image_2/000000_000{i}.png")
        png16(tmp_path / f"hd1k/hd1k_flow_gt/flow_occ/000000_000{i}.png", coded(i)[0], [0, 0, 0])
        image(tmp_path / f"hd1k/hd1k_challenge/image_2/000000_001{i}.png")
    found = datasets.HD1K(tmp_path)
    assert len(found) == 1 and numpy.array_equal(found[0][2], coded(0)[1])
    assert datasets.HD1K(tmp_path, "test")[0][2] is None


SOME = numpy.arange(12, dtype=numpy.float32).reshape(3, 4, 1) - 5


def pairs(folder: Path, *names: str) -> None:
    for name in names:
        image(folder / name)


def carla(root: Path) -> tuple[Any, Any]:
    home = root / "carla-highres/trainingF/a"
    pairs(home, "im0.png", "im1.png")
    pfm(home / "disp0GT.pfm", SOME)
    pfm(home / "disp1GT.pfm", SOME)
    return datasets.CarlaStereo(root), abs(SOME[..., 0])


def whole_numbers(path: Path, dtype: Any = numpy.uint16) -> numpy.ndarray:
    values = (numpy.arange(12).reshape(3, 4) * 100).astype(dtype)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)
    return values.astype(numpy.float32)


def kitti2012(root: Path) -> tuple[Any, Any]:
    home = root / "Kitti2012/training"
    pairs(home, "colored_0/1_10.png", "colored_1/1_10.png")
    expected = whole_numbers(home / "disp_noc/1.png") / 256
    return datasets.Kitti2012Stereo(root), expected


def kitti2015(root: Path) -> tuple[Any, Any]:
    home = root / "Kitti2015/training"
    pairs(home, "image_2/1.png", "image_3/1.png")
    whole_numbers(home / "disp_occ_1/1.png")
    expected = whole_numbers(home / "disp_occ_0/1.png") / 256
    return datasets.Kitti2015Stereo(root), expected


def crestereo(root: Path) -> tuple[Any, Any]:
    for name in ("shapenet", "reflective", "tree", "hole"):
        pairs(root / "CREStereo" / name, "1_left.jpg", "1_right.jpg")
        whole_numbers(root / "CREStereo" / name / "1_right.disp.png")
        values = whole_numbers(root / "CREStereo" / name / "1_left.disp.png")
    return datasets.CREStereo(root), values / 32


def falling_things(root: Path) -> tuple[Any, Any]:
    home = root / "FallingThings/mixed/kitchen"
    pairs(home, "1.left.jpg", "1.right.jpg")
    for side in ("left", "right"):
        Image.fromarray(numpy.full((3, 4), 300, numpy.uint16)).save(home / f"1.{side}.depth.png")
    settings = {"camera_settings": [{"intrinsic_settings": {"fx": 2}}]}
    (home / "_camera_settings.json").write_text(json.dumps(settings))
    return datasets.FallingThingsStereo(root, "mixed"), numpy.full((3, 4), 4.0)


def scene_flow(root: Path) -> tuple[Any, Any]:
    home = root / "SceneFlow/Monkaa"
    pairs(home / "frames_finalpass/a", "left/1.png", "right/1.png")
    for side in ("left", "right"):
        pfm(home / f"disparity/a/{side}/1.pfm", SOME)
    return datasets.SceneFlowStereo(root, "Monkaa", "final"), abs(SOME[..., 0])


def instereo(root: Path) -> tuple[Any, Any]:
    home = root / "InStereo2k/test/1"
    pairs(home, "left.png", "right.png")
    whole_numbers(home / "right_disp.png")
    expected = whole_numbers(home / "left_disp.png") / 1024
    return datasets.InStereo2k(root, "test"), expected


MADE = [carla, kitti2012, kitti2015, crestereo, falling_things, scene_flow, instereo]


@pytest.mark.parametrize("make", MADE)
def test_disparities(make: Callable[[Path], tuple[Any, Any]], tmp_path: Path) -> None:
    found, expected = make(tmp_path)
    left, right, disparity, *known = found[len(found) - 1]
    assert left.mode == right.mode == "RGB" and left.size == (4, 3)
    assert disparity.shape == (1, 3, 4) and numpy.array_equal(disparity[0], expected)
    assert known == ([None] if found._has_built_in_disparity_mask else [])
    found.transforms = lambda images, maps, masks: (images, maps, ("known", None))
    assert found[0][3] == "known"


def test_kitti_stereo_for_testing(tmp_path: Path) -> None:
    pairs(tmp_path / "Kitti2015/testing", "image_2/1.png", "image_3/1.png", "image_3/2.png")
    with pytest.raises(ValueError, match="Found 1 left files but 2 right files using:\n left pattern: .*image_2"):
        datasets.Kitti2015Stereo(tmp_path, "test")
    (tmp_path / "Kitti2015/testing/image_3/2.png").unlink()
    assert datasets.Kitti2015Stereo(tmp_path, "test")[0][2:] == (None, None)
    with pytest.raises(FileNotFoundError, match="Could not find any files matching the patterns: .*image_2"):
        datasets.Kitti2015Stereo(tmp_path)


def test_middlebury(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "Middlebury2014/train/Piano-perfect"
    pairs(home, "im0.png", "im1.png")
    image(home / "im1E.png", 9)
    values = SOME.copy()
    values[0, 0] = numpy.inf
    for name in ("disp0.pfm", "disp1.pfm"):
        pfm(home / name, values)
    found = datasets.Middlebury2014Stereo(tmp_path)
    _, _, disparity, known = found[0]
    assert disparity[0, 0, 0] == 0 and known.tolist() == (abs(disparity[0]) > 0).tolist() and known.sum() == 10
    monkeypatch.setattr(random, "choice", lambda options: options[0])
    assert datasets.Middlebury2014Stereo(tmp_path, use_ambient_views=True)[0][1].getpixel((0, 0)) == (9, 0, 0)
    pairs(tmp_path / "Middlebury2014/test/Plants", "im0.png", "im1.png")
    assert datasets.Middlebury2014Stereo(tmp_path, "test", None)[0][2:] == (None, None)
    with pytest.raises(ValueError, match="Split 'test' has only no calibration settings"):
        datasets.Middlebury2014Stereo(tmp_path, "test")
    with pytest.raises(ValueError, match="Split 'train' has calibration settings, however None was provided"):
        datasets.Middlebury2014Stereo(tmp_path, calibration=None)


def test_sintel_stereo(tmp_path: Path) -> None:
    home = tmp_path / "Sintel/training"
    pairs(home, "final_left/cave/1.png", "final_right/cave/1.png")
    colours = numpy.array([[[1, 64, 0], [0, 0, 128]]], numpy.uint8)
    for folder, values in (
        ("disparities", colours),
        ("occlusions", numpy.array([[0, 255]], numpy.uint8)),
        ("outofframe", numpy.array([[0, 0]], numpy.uint8)),
    ):
        (home / folder / "cave").mkdir(parents=True)
        Image.fromarray(values).save(home / folder / "cave/1.png")
    found = datasets.SintelStereo(tmp_path)
    assert found[0][2].tolist() == [[[5.0, 128 / 2**14]]] and found[0][3].tolist() == [[True, False]]
    (home / "outofframe/cave/1.png").unlink()
    with pytest.raises(FileNotFoundError, match="Out of frame mask .* does not exist"):
        found[0]


def test_eth3d(tmp_path: Path) -> None:
    pairs(tmp_path / "ETH3D/two_view_training/a", "im0.png", "im1.png")
    pairs(tmp_path / "ETH3D/two_view_test/b", "im0.png", "im1.png")
    truth = tmp_path / "ETH3D/two_view_training_gt/a"
    pfm(truth / "disp0GT.pfm", SOME)
    Image.fromarray(numpy.eye(3, 4, dtype=numpy.uint8)).save(truth / "mask0nocc.png")
    _, _, disparity, known = datasets.ETH3DStereo(tmp_path)[0]
    assert numpy.array_equal(disparity[0], abs(SOME[..., 0])) and known.tolist() == numpy.eye(3, 4, dtype=bool).tolist()
    assert datasets.ETH3DStereo(tmp_path, "test")[0][2:] == (None, None)
