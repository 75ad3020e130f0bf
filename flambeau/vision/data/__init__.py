"""Data that ships with flambeau; ATTRIBUTION.txt says where it is from."""

from importlib import resources

__all__ = ["lines"]


def lines(name: str) -> list[str]:
    """The lines of a text among this data."""
    return resources.files("flambeau.vision.data").joinpath(name).read_text(encoding="utf-8").splitlines()
