"""Where loaded storages go: ``map_location`` and the locations that files name. The CPU, or "meta" for no memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..device import device
from ..graph.storage import Storage
from ..graph.types import on_meta
from ..storage import UntypedStorage

Restore = Callable[[UntypedStorage, str], UntypedStorage]
_packages: list[tuple[int, Callable[[Any], Any], Callable[[Any, str], Any]]] = []


def register_package(priority: int, tagger: Callable[[Any], Any], deserializer: Callable[[Any, str], Any]) -> None:
    """Adds a way to name and to restore the places of storages; low priorities are asked first.

    Args:
        priority: The order.
        tagger: Gives the location of a storage, or None.
        deserializer: Gives the storage of a location, or None.
    """
    _packages.append((priority, tagger, deserializer))
    _packages.sort(key=lambda package: package[0])


def _cpu_tag(storage: Any) -> str | None:
    return "cpu" if storage.device.type == "cpu" else None


def _cpu_deserialize(storage: Any, location: str) -> Any:
    return storage if location == "cpu" else None


def _absent_deserialize(storage: Any, location: str) -> Any:
    if location.startswith("cuda"):
        raise RuntimeError(
            "Attempting to deserialize object on a CUDA device but torch.cuda.is_available() is False. "
            "If you are running on a CPU-only machine, please use torch.load with "
            "map_location=torch.device('cpu') to map your storages to the CPU."
        )
    return None


def _meta_deserialize(storage: Any, location: str) -> Any:
    """A storage of the same size without memory."""
    if location != "meta":
        return None
    return UntypedStorage(Storage.of(on_meta(storage._s.ty)))


register_package(10, _cpu_tag, _cpu_deserialize)
register_package(22, lambda storage: "meta" if storage.device.type == "meta" else None, _meta_deserialize)
register_package(20, lambda storage: None, _absent_deserialize)


def location_tag(storage: Any) -> str:
    """The name of a storage's place in files."""
    for _, tagger, _ in _packages:
        location = tagger(storage)
        if location:
            return location
    raise RuntimeError("don't know how to determine data location of torch.storage.UntypedStorage")


def default_restore_location(storage: Any, location: str) -> Any:
    """The storage at a location that a file names.

    Raises:
        RuntimeError: there is no such place.
    """
    for _, _, deserializer in _packages:
        result = deserializer(storage, location)
        if result is not None:
            return result
    raise RuntimeError(
        f"don't know how to restore data location of torch.storage.UntypedStorage (tagged with {location[:80]})"
    )


def restorer(map_location: Any) -> Restore:
    """What ``map_location`` means, as a function of a storage and the location that the file names."""
    if map_location is None:
        return default_restore_location
    if isinstance(map_location, dict):
        return lambda storage, location: default_restore_location(storage, map_location.get(location, location))
    if isinstance(map_location, bytes):
        map_location = map_location.decode("ascii")
    if isinstance(map_location, (str, device)):
        where = "cpu" if str(map_location).partition(":")[0] == "cpu" else str(map_location)
        return lambda storage, location: default_restore_location(storage, where)

    def restore(storage: UntypedStorage, location: str) -> UntypedStorage:
        result = map_location(storage, location)
        return default_restore_location(storage, location) if result is None else result

    return restore
