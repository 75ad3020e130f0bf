"""Images in files as tensors: ``torchvision.io``."""

from __future__ import annotations

from pathlib import Path

import pytest

import flambeau as torch
from flambeau.vision import io

pytest.importorskip("PIL", reason="images are Pillow's")

IMAGE = (torch.arange(3 * 5 * 7) * 2).to(torch.uint8).reshape(3, 5, 7)


@pytest.mark.parametrize("channels", [1, 3])
def test_png_keeps_every_pixel(tmp_path: Path, channels: int) -> None:
    path = tmp_path / "a.png"
    io.write_png(IMAGE[:channels], str(path))
    assert torch.equal(io.read_image(str(path)), IMAGE[:channels])
    assert torch.equal(io.decode_png(io.read_file(path)), IMAGE[:channels])
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_jpeg_is_close(tmp_path: Path) -> None:
    smooth = torch.linspace(0, 200, 16 * 16).to(torch.uint8).reshape(1, 16, 16).expand(3, -1, -1).contiguous()
    io.write_jpeg(smooth, tmp_path / "a.jpg", quality=95)
    found = io.decode_jpeg(io.read_file(tmp_path / "a.jpg"))
    assert found.shape == smooth.shape and (found.int() - smooth.int()).abs().max() < 12


@pytest.mark.parametrize(
    ("mode", "channels"), [("GRAY", 1), ("gray_alpha", 2), ("RGB", 3), (io.ImageReadMode.RGB_ALPHA, 4)]
)
def test_modes(mode: io.ImageReadMode | str, channels: int) -> None:
    assert io.decode_image(io.encode_png(IMAGE), mode).shape == (channels, 5, 7)


def test_errors() -> None:
    with pytest.raises(RuntimeError, match="no image that can be read"):
        io.decode_image(torch.zeros(10, dtype=torch.uint8))
    with pytest.raises(RuntimeError, match="dtype should be uint8"):
        io.encode_png(IMAGE.float())
    with pytest.raises(RuntimeError, match="3-dimensional"):
        io.encode_png(IMAGE[0])
    with pytest.raises(RuntimeError, match="number of channels should be 1 or 3, got: 2"):
        io.encode_jpeg(IMAGE[:2])
    with pytest.raises(ValueError, match="between 1 and 100"):
        io.encode_jpeg(IMAGE, 0)


def test_other_formats(tmp_path: Path) -> None:
    pil = pytest.importorskip("PIL.Image")
    frames = [pil.new("RGB", (4, 3), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    found = io.decode_gif(io.read_file(tmp_path / "a.gif"))
    assert found.shape == (2, 3, 3, 4) and found[:, :, 0, 0].tolist() == [[255, 0, 0], [0, 0, 255]]
    frames[0].save(tmp_path / "b.gif")
    assert io.decode_gif(io.read_file(tmp_path / "b.gif"))[:, 1, 1].tolist() == [255, 0, 0]
    frames[1].save(tmp_path / "c.webp", lossless=True)
    assert io.decode_webp(io.read_file(tmp_path / "c.webp"))[:, 0, 0].tolist() == [0, 0, 255]
    with pytest.raises(RuntimeError, match="decode_gif: no GIF file"):
        io.decode_gif(io.read_file(tmp_path / "c.webp"))
    nothing = torch.zeros(9, dtype=torch.uint8)
    for decode in (io.decode_avif, io.decode_heic):
        with pytest.raises(RuntimeError, match="no image that can be read"):
            decode(nothing)
