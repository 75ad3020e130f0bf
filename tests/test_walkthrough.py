"""docs/walkthrough.md is true: its Python blocks run in order, in one fresh process, and print what it shows.

A block of Python may be followed by a block of text, which is its output. There a line of ``...`` stands for any number
of lines, and ``...`` within a line for anything in that line. A word behind ``text`` says where it holds: ``avx2``, in
code made for that; ``twins``, for the versions of Python that have these. The document runs for processors of every
width that this one can make code for.

    python tests/test_walkthrough.py        # rewrites the outputs that are no longer true: read the difference
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import flambeau
from flambeau.compiler.cpu import disk
from flambeau.compiler.cpu import target as targets
from flambeau.compiler.twins import layout

ROOT = Path(__file__).parents[1]
HOME = str(Path(flambeau.__path__[0]).parent)
DOCUMENT = ROOT / "docs" / "walkthrough.md"
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n```text ?(\w*)\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)

# Run in the new process: blocks come as a list on standard input, what they print goes out as one. A block
# whose first line is a comment that names a file goes on where the block of that file before it ended.
RUNNER = """
import contextlib, io, json, sys

names, printed, lines = {"__name__": "__main__"}, [], {}
for text in json.load(sys.stdin):
    first = text.partition("\\n")[0]
    file = first[2:] if first.startswith("# ") and first.endswith(".py") else "walkthrough.md"
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile("\\n" * lines.get(file, 0) + text, file, "exec", dont_inherit=True), names)
    lines[file] = lines.get(file, 0) + text.count("\\n")
    printed.append(out.getvalue())
json.dump(printed, sys.stdout)
"""


class Block(NamedTuple):
    """A block of code, and the output that the document shows for it, with its place there.

    ``where``: what the output holds for, if not for all.
    """

    code: str
    line: int
    where: str
    shown: str
    span: tuple[int, int]


def blocks(text: str) -> list[Block]:
    """The blocks of Python of a document."""
    found = []
    for m in BLOCK.finditer(text):
        line = text.count("\n", 0, m.start()) + 2
        found.append(Block(m[1], line, m[2] or "", m[3] or "", m.span(3)))
    return found


def printed(document: list[Block], processor: str, folder: Path) -> list[str]:
    """What the blocks print, run in order in a new process that makes code for this processor.

    ``folder``: for its temporary files.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FLAMBEAU_")}
    environment |= {"FLAMBEAU_CPU": processor, "TMPDIR": str(folder), "PYTHONPATH": HOME, "PYTHONIOENCODING": "utf-8"}
    texts = json.dumps([b.code for b in document])
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", RUNNER], input=texts, cwd=ROOT, env=environment, capture_output=True,
        encoding="utf-8", timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def agrees(shown: str, found: str) -> bool:
    """Is this what the document shows?"""
    return re.fullmatch("".join(map(_pattern, shown.splitlines())), found) is not None


def _pattern(line: str) -> str:
    return "(?:.*\n)*" if line.strip() == "..." else ".*".join(map(re.escape, line.split("..."))) + "\n"


def processors() -> Iterator[str]:
    """Those of FLAMBEAU_CPU's list for which this processor can make code."""
    base = targets.host(disk.Disk(None))
    for name in targets.NAMED:
        try:
            targets.named(name, base)
        except ValueError:
            continue
        yield name


def test_blocks_are_found_with_their_outputs() -> None:
    text = "a\n\n```python\nprint(1)\n```\n\n```text avx2\n1\n```\nb\n```python\nx = 2\n```\n"
    first, second = blocks(text)
    assert (first.code, first.line, first.where, first.shown) == ("print(1)\n", 4, "avx2", "1\n")
    assert (second.code, second.shown) == ("x = 2\n", "")
    assert text[slice(*first.span)] == "1\n"


def test_an_ellipsis_stands_for_lines_or_a_part_of_one() -> None:
    assert agrees("a ... c\n", "a b c\n") and agrees("a\n  ...\nd\n", "a\nb\nc\nd\n") and agrees("", "")
    assert not agrees("a c\n", "a b c\n") and not agrees("", "a\n") and not agrees("a ... c\n", "a b\nc\n")
    assert not agrees("a\n...\nd\n", "b\nd\n") and not agrees("a.c\n", "abc\n")


@pytest.mark.parametrize("processor", ["sse2", "avx2", "avx512", "neon"])
def test_the_document_shows_what_is_printed(processor: str, tmp_path: Path) -> None:
    if processor not in processors():
        pytest.skip(f"this processor cannot run code made for {processor}")
    document = blocks(DOCUMENT.read_text(encoding="utf-8"))
    assert len(document) > 20
    where = ["", processor] + ["twins"] * layout.supported()
    for b, found in zip(document, printed(document, processor, tmp_path), strict=True):
        if b.where in where:
            assert agrees(b.shown, found), f"{DOCUMENT.name}:{b.line} shows\n{b.shown}\nbut prints\n{found}"


def test_it_names_files_that_are_there() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
    assert len(links) > 20
    assert [link for link in links if not (DOCUMENT.parent / link).exists()] == []


def test_what_it_names_is_in_the_files_that_it_names() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    named = re.findall(r"((?:`\w+`(?:,| and)?\s)+)in\s\[[^\]]+\]\(([^)]+)\)", text)
    pairs = [(name, path) for names, path in named for name in re.findall(r"\w+(?=`)", names)]
    assert len(pairs) > 5
    for name, path in pairs:
        assert re.search(rf"^(?:def|class) {name}\b", (DOCUMENT.parent / path).read_text(), re.MULTILINE), (name, path)


def rewrite() -> None:
    """Puts what is printed in the place of outputs that are no longer true."""
    text = DOCUMENT.read_text(encoding="utf-8")
    document = blocks(text)
    with tempfile.TemporaryDirectory() as folder:
        found_all = printed(document, "avx2", Path(folder))
    for b, found in reversed([*zip(document, found_all)]):
        if not agrees(b.shown, found):
            if b.span == (-1, -1):
                raise SystemExit(f"{DOCUMENT.name}:{b.line} prints, but shows no output:\n{found}")
            text = text[: b.span[0]] + found + text[b.span[1] :]
    DOCUMENT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    rewrite()
