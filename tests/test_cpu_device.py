"""``torch.cpu``: a device's functions where the device is the CPU."""

from __future__ import annotations

import pytest

import flambeau as torch


def test_the_device_is_there() -> None:
    assert torch.cpu.is_available() and torch.cpu.is_initialized()
    assert (torch.cpu.device_count(), torch.cpu.current_device()) == (1, "cpu")
    torch.cpu.set_device("cpu")
    torch.cpu.synchronize()


def test_streams_and_events_are_always_done() -> None:
    with torch.cpu.stream(torch.cpu.Stream()) as entered:
        assert entered is None
    event = torch.cpu.Event()
    event.record(torch.cpu.current_stream())
    event.synchronize()
    assert event.query()


def test_older_names_of_mixed_precision_warn_and_work() -> None:
    with pytest.warns(FutureWarning, match=r"`torch.cpu.amp.autocast\(args...\)` is deprecated"):
        mode = torch.cpu.amp.autocast()
    with mode:
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype is torch.bfloat16
    with pytest.warns(FutureWarning, match=r"`torch.cpu.amp.GradScaler\(args...\)` is deprecated"):
        scaler = torch.cpu.amp.GradScaler(init_scale=4.0)
    assert scaler.scale(torch.ones(())).item() == 4.0
