"""The page that holds the sentences of Flickr8k."""

from __future__ import annotations

import glob
import os
from html.parser import HTMLParser
from typing import Any

__all__ = ["Page"]


class Page(HTMLParser):
    """Reads it: in a table, for every photograph a link to it and a list of sentences, kept in `annotations`."""

    def __init__(self, root: Any) -> None:
        super().__init__()
        self.root = root
        self.annotations: dict[str, list[str]] = {}
        self._in_table = False
        self._tag: str | None = None
        self._image: str | None = None

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        """An element begins."""
        self._tag = tag
        self._in_table |= tag == "table"

    def handle_endtag(self, tag: str) -> None:
        """An element ends."""
        self._tag = None
        self._in_table &= tag != "table"

    def handle_data(self, data: str) -> None:
        """Text: the address of a photograph, or a sentence about the last one."""
        if not self._in_table:
            return
        if data == "Image Not Found":
            self._image = None
        elif self._tag == "a":
            self._image = glob.glob(os.path.join(self.root, data.split("/")[-2] + "_*.jpg"))[0]
            self.annotations[self._image] = []
        elif self._tag == "li" and self._image:
            self.annotations[self._image].append(data.strip())
