"""Fetching files: one appears under its name only when it is whole and is the one that was meant."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable

from flambeau.serialization._files import writing

__all__ = ["advise", "fetch"]

_CHUNK = 1 << 18
_TIMEOUT = 30.0


def fetch(
    url: str, path: str, algorithm: str, check: Callable[[str], None], agent: str = "flambeau", progress: bool = True
) -> None:
    """Fetches a URL into a file; `check` refuses, by raising, what came with a wrong checksum (in hexadecimal).

    Raises:
        urllib.error.URLError: nothing came.
        OSError: not all came.
    """
    import urllib.request  # takes longer to load than all of a data set's module

    digest = hashlib.new(algorithm, usedforsecurity=False)
    request = urllib.request.Request(url, headers={"User-Agent": agent})
    with urllib.request.urlopen(request, timeout=_TIMEOUT) as response, writing(path) as file:
        total, done = int(response.headers.get("Content-Length") or 0), 0
        while block := response.read(_CHUNK):
            digest.update(block)
            file.write(block)
            done += len(block)
            if progress:
                _show(os.path.basename(path), done, total)
        if done < total:
            raise OSError(f"the connection ended after {done} of {total} bytes")
        check(digest.hexdigest())


def _show(name: str, done: int, total: int) -> None:
    if sys.stderr.isatty():
        part = f"{100 * done // total:3d}%" if total else f"{done / 1e6:.1f} MB"
        print(f"\r{name} {part}", end="\n" if done == total else "", file=sys.stderr, flush=True)


def advise(error: OSError, advice: str) -> None:
    """Puts what to do behind the reason that `fetch` gives for having got nothing; the error stays of its kind."""
    from urllib.error import HTTPError, URLError

    if isinstance(error, HTTPError):
        error.msg = f"{error.msg.rstrip('.')}. {advice}"
    elif isinstance(error, URLError):
        error.reason = f"{str(error.reason).rstrip('.')}. {advice}"
