"""Flickr's photographs with five sentences about each, from the official files."""

from __future__ import annotations

import os
from typing import Any

from flambeau.vision.datasets.folder import default_loader
from flambeau.vision.datasets.vision import Loader, Root, Transform, VisionDataset

__all__ = ["Flickr8k", "Flickr30k"]


class _Captioned(VisionDataset):
    def __init__(
        self,
        root: Root,
        ann_file: str,
        transform: Transform = None,
        target_transform: Transform = None,
        loader: Loader = default_loader,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.ann_file = os.path.expanduser(ann_file)
        self.loader = loader
        with open(self.ann_file, encoding="utf-8") as file:
            self.annotations = self._parsed(file.read())
        self.ids = sorted(self.annotations)

    def _parsed(self, text: str) -> dict[str, list[str]]:
        raise NotImplementedError

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        name = self.ids[index]
        return self._transformed(self.loader(os.path.join(self.root, name)), self.annotations[name])

    def __len__(self) -> int:
        return len(self.ids)


class Flickr8k(_Captioned):
    """8,000 photographs, in `root`, and five sentences about each, in the page `ann_file`.

    An item is an image and a list of strings.

    Raises:
        FileNotFoundError: there is no such page.
    """

    def _parsed(self, text: str) -> dict[str, list[str]]:
        from flambeau.vision.datasets._flickr_page import Page  # html.parser takes a while to load

        page = Page(self.root)
        page.feed(text)
        return page.annotations


class Flickr30k(_Captioned):
    """31,783 photographs, in `root`, and five sentences about each, in the table `ann_file`.

    An item is an image and a list of strings.

    Raises:
        FileNotFoundError: there is no such table.
    """

    def _parsed(self, text: str) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for line in text.splitlines():
            name, sentence = line.strip().split("\t")
            found.setdefault(name[:-2], []).append(sentence)  # "name.jpg#3"
        return found
