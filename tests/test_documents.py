"""What the documents name is there: pages, sections, files, names in them, environment variables."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest

from flambeau.compiler.ir import KINDS
from flambeau.compiler.passes import PASSES

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("README*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("docs/performance/*.md")])
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
CODE = [
    p for folder in ("flambeau", "tests", "benchmarks", "scripts", "examples") for p in (ROOT / folder).rglob("*.py")
]
FILES = [f"/{p.relative_to(ROOT)}" for p in CODE] + [f"/{p.relative_to(ROOT)}" for p in (ROOT / "tests").rglob("*.*")]
FOREIGN = {"sitecustomize.py", "train.py", "step.py", "test_fx.py"}  # a reader's, Python's and PyTorch's own
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)")
SPAN = re.compile(r"`([^`\n]+)`")
VARIABLE = re.compile(r"FLAMBEAU_[A-Z_]+")
READ = re.compile(
    r"""(?:environ\.get\(|getenv\(|environ\[|environ\.pop\()\s*["'](FLAMBEAU_[A-Z_]+)"""
    r"""|["'](FLAMBEAU_[A-Z_]+)["'] (?:not )?in \w*\.?environ"""
)
TABLE = re.compile(r"<!-- [\w ]+: made by .*?<!-- end -->", re.DOTALL)
WORDS = 3200  # of a page about performance, without the tables that a script makes

pytestmark = pytest.mark.skipif(not (ROOT / "docs").exists(), reason="no checkout")


def anchors(page: Path) -> set[str]:
    """The sections of a page, as a link calls them."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def exists(name: str) -> bool:
    """Does some file of the checkout have this name, or end with this path?"""
    return any(fnmatch(path, f"*/{name}") for path in FILES) or (ROOT / name).exists()


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name: str) -> None:
    page, lost = ROOT / name, []
    for target, section in LINK.findall(page.read_text(encoding="utf-8")):
        to = page.parent / target if target else page
        if not to.exists() or (section and section not in anchors(to)):
            lost.append(f"{target}#{section}")
    assert not lost


@pytest.mark.parametrize("name", NAMES)
def test_files_that_are_named_exist(name: str) -> None:
    spans = SPAN.findall((ROOT / name).read_text(encoding="utf-8"))
    found = {word for span in spans for word in re.findall(r"[\w./*]*\w\.py\b", span)}
    assert not {word for word in found - FOREIGN if not exists(word.lstrip("./"))}


@pytest.mark.parametrize("name", NAMES)
def test_names_within_files_exist(name: str) -> None:
    """``flight.let_be``, ``Storage.seen``: a module of the compiler, the graph or the like, or a class there."""
    lost = set()
    for span in SPAN.findall((ROOT / name).read_text(encoding="utf-8")):
        owner, dot, member = span.partition("(")[0].partition(".")
        if (
            dot
            and owner != "numpy"
            and re.fullmatch(r"[A-Za-z_]\w*", member)
            and owner in defined()
            and member not in defined()[owner]
        ):
            lost.add(span)
    assert not lost


@cache
def defined() -> dict[str, set[str]]:
    """What modules and classes of flambeau's inner parts define, by their names."""
    found: dict[str, set[str]] = {}
    for folder in ("compiler", "graph", "first_tier", "autograd"):
        for path in (ROOT / "flambeau" / folder).rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            found.setdefault(path.stem, {"py"}).update(bound(tree.body))
            for node in ast.walk(tree):
                if isinstance(node, ast.ClassDef):
                    found.setdefault(node.name, set()).update(bound(node.body))
    return found


def bound(body: list[ast.stmt]) -> Iterator[str]:
    """The names that statements bind, and those of ``__slots__``."""
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
            yield from (n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store))
        elif isinstance(node, (ast.Assign, ast.AnnAssign, ast.ImportFrom, ast.Import, ast.If, ast.Try)):
            yield from (n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
            yield from (a.asname or a.name for n in ast.walk(node) if isinstance(n, ast.ImportFrom) for a in n.names)
            yield from (n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str))


def test_the_passes_are_named_in_their_order() -> None:
    page = " ".join((ROOT / "docs" / "design.md").read_text(encoding="utf-8").split())
    assert f"the order of the passes is {', '.join(one.__name__ for one in PASSES)})" in page


def test_the_kinds_of_expression_are_those_of_the_ir() -> None:
    page = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    grammar = page.partition("expr := ")[2].partition("\n\n")[0]
    named = {line.split()[0] for line in grammar.replace("|", " ").splitlines() if line.split()}
    assert named == set(KINDS) - {"input", "scalar", "const", "part"} and len(named) == 10


@pytest.mark.parametrize("name", NAMES)
def test_variables_that_are_named_are_read(name: str) -> None:
    named = set(VARIABLE.findall((ROOT / name).read_text(encoding="utf-8")))
    assert named <= {v for text in texts() for v in VARIABLE.findall(text)}


@cache
def texts() -> list[str]:
    """All code but this file."""
    return [path.read_text(encoding="utf-8") for path in CODE if path != Path(__file__)]


def test_all_variables_that_are_read_are_in_the_table() -> None:
    read = {v for text in texts() for pair in READ.findall(text) for v in pair if v}
    page = (ROOT / "docs" / "seeing.md").read_text(encoding="utf-8")
    table = {v for line in page.splitlines() if line.startswith("| `FLAMBEAU_") for v in VARIABLE.findall(line)}
    assert read and table == read


@pytest.mark.parametrize("name", [name for name in NAMES if "performance" in name])
def test_pages_about_performance_stay_short(name: str) -> None:
    """What a later figure supersedes goes, and a theme that grows gets a page of its own."""
    assert len(TABLE.sub("", (ROOT / name).read_text(encoding="utf-8")).split()) <= WORDS


def test_every_page_about_performance_is_listed() -> None:
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| \[[\w.]+\]\((performance/[\w.]+)\)", page, re.MULTILINE))
    assert listed == {f"performance/{p.name}" for p in (ROOT / "docs" / "performance").glob("*.md")}


@pytest.mark.parametrize("package", ["compiler", "compiler.cpu", "compiler.cpu.first_tier"])
def test_modules_that_a_package_lists_exist(package: str) -> None:
    """What stands in front of two spaces in the lists of a package's text, and behind none, are its modules."""
    folder = ROOT / "flambeau" / package.replace(".", "/")
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""
    rows = [line.strip() for line in text.splitlines() if re.match(r"\s*[a-z_\d]+(, [a-z_\d]+)*(  |$)", line)]
    named = {name for row in rows for name in row.split("  ")[0].split(", ")}
    assert len(named) > 10
    assert not [name for name in named if not (folder / f"{name}.py").exists() and not (folder / name).is_dir()]
