"""The folder where machine code is kept."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from flambeau.compiler.cpu import disk

KEY = disk.key_of("a", "kernel")


def test_an_entry_comes_back(tmp_path: Path) -> None:
    store = disk.Disk(tmp_path / "code")
    assert store.get(KEY) is None
    store.put(KEY, b"content")
    assert store.get(KEY) == b"content"
    assert disk.Disk(tmp_path / "code").get(KEY) == b"content"
    store.put(KEY, b"other")
    assert store.get(KEY) == b"other"


def test_keys_tell_parts_apart() -> None:
    assert disk.key_of("ab", "c") != disk.key_of("a", "bc")


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1] + bytes([data[-1] ^ 1]),
        lambda data: data[:-3],
        lambda data: data + b"\0",
        lambda data: data[:20],
        lambda data: b"",
        lambda data: bytes([data[0] ^ 1]) + data[1:],
        lambda data: data[:9] + bytes([data[9] ^ 1]) + data[10:],
    ],
)
def test_a_damaged_entry_is_refused(tmp_path: Path, damage) -> None:
    store = disk.Disk(tmp_path / "code")
    store.put(KEY, b"content of an entry")
    path = tmp_path / "code" / KEY
    path.write_bytes(damage(path.read_bytes()))
    assert store.get(KEY) is None
    store.put(KEY, b"again")
    assert store.get(KEY) == b"again"


def test_an_entry_under_another_name_is_refused(tmp_path: Path) -> None:
    store = disk.Disk(tmp_path / "code")
    store.put(KEY, b"content")
    other = disk.key_of("another")
    os.rename(tmp_path / "code" / KEY, tmp_path / "code" / other)
    assert store.get(other) is None


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="the system has no owners and modes of files")
class TestPrivacy:
    def test_modes(self, tmp_path: Path) -> None:
        store = disk.Disk(tmp_path / "a" / "code")
        store.put(KEY, b"content")
        assert os.stat(tmp_path / "a" / "code").st_mode & 0o777 == 0o700
        assert os.stat(tmp_path / "a" / "code" / KEY).st_mode & 0o777 == 0o600

    @pytest.mark.parametrize("mode", [0o770, 0o777, 0o705, 0o702])
    def test_a_folder_open_to_others_is_not_used(self, tmp_path: Path, mode: int) -> None:
        folder = tmp_path / "code"
        folder.mkdir()
        folder.chmod(mode)
        with pytest.warns(RuntimeWarning, match="machine code is not cached: .*code is not a folder that only you"):
            store = disk.Disk(folder)
        store.put(KEY, b"content")
        assert store.get(KEY) is None and not list(folder.iterdir())

    def test_a_link_is_no_folder(self, tmp_path: Path) -> None:
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        (tmp_path / "code").symlink_to(tmp_path / "elsewhere")
        with pytest.warns(RuntimeWarning, match="not cached"):
            assert disk.Disk(tmp_path / "code").folder is None

    def test_another_owner(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        store = disk.Disk(tmp_path / "code")
        store.put(KEY, b"content")
        monkeypatch.setattr(os, "getuid", lambda: os.stat(tmp_path).st_uid + 1)
        assert store.get(KEY) is None
        with pytest.warns(RuntimeWarning, match="not cached"):
            assert disk.Disk(tmp_path / "code").folder is None

    def test_an_entry_that_others_may_write(self, tmp_path: Path) -> None:
        store = disk.Disk(tmp_path / "code")
        store.put(KEY, b"content")
        os.chmod(tmp_path / "code" / KEY, 0o620)
        assert store.get(KEY) is None

    def test_an_entry_that_is_a_link(self, tmp_path: Path) -> None:
        store = disk.Disk(tmp_path / "code")
        store.put(KEY, b"content")
        os.rename(tmp_path / "code" / KEY, tmp_path / "moved")
        os.symlink(tmp_path / "moved", tmp_path / "code" / KEY)
        assert store.get(KEY) is None


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = disk.Disk(tmp_path / "file" / "code")
    store.put(KEY, b"content")
    assert store.get(KEY) is None


def test_a_folder_that_vanishes(tmp_path: Path) -> None:
    store = disk.Disk(tmp_path / "code")
    (tmp_path / "code").rmdir()
    store.put(KEY, b"content")
    assert store.get(KEY) is None
    store.evict()


def _aged(store: disk.Disk, key: str, seconds: float) -> None:
    assert store.folder is not None
    then = time.time() - seconds
    os.utime(os.path.join(store.folder, key), (then, then))


def test_the_oldest_entries_go_first(tmp_path: Path) -> None:
    store = disk.Disk(tmp_path / "code", limit=40_000)
    keys = [disk.key_of(str(i)) for i in range(20)]
    for age, key in enumerate(keys):
        store.put(key, bytes(1000))  # a block of the disk each
        _aged(store, key, 1000 - age)
    store.evict()
    left = [key for key in keys if store.get(key) is not None]
    assert left == keys[-len(left) :] and 5 <= len(left) <= 7


def test_one_process_an_hour_looks_at_all_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = []
    monkeypatch.setattr(disk, "_entries", lambda folder: looked.append(folder) or [])
    for _ in range(3):
        disk.Disk(tmp_path / "code").put(KEY, b"content")
    assert len(looked) == 1
    then = time.time() - 2 * disk.SECONDS_BETWEEN_EVICTIONS
    os.utime(f"{tmp_path / 'code'}{disk.SWEPT}", (then, then))
    store = disk.Disk(tmp_path / "code")
    for _ in range(disk.STORES_BETWEEN_EVICTIONS + 1):  # a process that stores much looks again
        store.put(KEY, b"content")
    assert len(looked) == 3


def test_use_keeps_an_entry_young(tmp_path: Path) -> None:
    store = disk.Disk(tmp_path / "code")
    store.put(KEY, b"content")
    _aged(store, KEY, 10 * 24 * 3600)
    assert store.get(KEY) == b"content"
    assert os.stat(tmp_path / "code" / KEY).st_mtime > time.time() - 60


def test_what_a_dead_writer_left_is_removed(tmp_path: Path) -> None:
    store = disk.Disk(tmp_path / "code")
    for name, age in ((".old", 7200), (".new", 10)):
        (tmp_path / "code" / name).write_bytes(b"half")
        _aged(store, name, age)
    store.evict()
    assert [path.name for path in (tmp_path / "code").iterdir()] == [".new"]


def test_the_environment_chooses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLAMBEAU_CACHE", str(tmp_path / "chosen"))
    monkeypatch.setenv("FLAMBEAU_CACHE_SIZE", "1.5")
    store = disk.default()
    assert store.folder is not None and os.path.dirname(store.folder) == str(tmp_path / "chosen")
    assert store.limit == 1_500_000
    monkeypatch.setenv("FLAMBEAU_CACHE", "off")
    store = disk.default()
    store.put(KEY, b"content")
    assert store.folder is None and store.get(KEY) is None


def test_a_size_that_is_no_number_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLAMBEAU_CACHE", str(tmp_path / "chosen"))
    monkeypatch.setenv("FLAMBEAU_CACHE_SIZE", "1 GB")
    with pytest.raises(ValueError, match="FLAMBEAU_CACHE_SIZE=1 GB: expected a number of megabytes"):
        disk.default()
