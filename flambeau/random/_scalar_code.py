"""LLVM text of samplers: functions of float64 numbers that draw uniforms until one is accepted, from their own source.

A sampler is a Python function whose first parameters are ``draw`` and ``normal``; all others, its variables and its
result are numbers. It may use arithmetic, comparisons, ``if``, ``while True``, ``math``'s functions under the names in
``_FUNCTIONS``, constants of its module and functions of the same kind. Python and the processor then do the same
operations in the same order, so the numbers are the same to the bit.

The loop around it goes through arrays of parameters for as long as there are uniforms. Where they run out, it goes back
to before the element that it was at.
"""

from __future__ import annotations

import ast
import inspect
import struct
import textwrap
from collections.abc import Callable
from typing import Any

DONE, USED, CACHED, NORMAL, DRY, STATES = range(6)  # the state: elements, uniforms, is there a normal, which, too few
_OPERATIONS = {ast.Add: "fadd", ast.Sub: "fsub", ast.Mult: "fmul", ast.Div: "fdiv"}
_COMPARISONS = {ast.Lt: "olt", ast.LtE: "ole", ast.Gt: "ogt", ast.GtE: "oge", ast.Eq: "oeq", ast.NotEq: "une"}
_FUNCTIONS = {
    **{name: name for name in ("log", "log1p", "exp", "lgamma", "sin", "cos")},
    "raised": "pow",
    **{name: f"llvm.{name}.f64" for name in ("sqrt", "floor", "ceil", "fabs")},
}
_GIVEN = "ptr %state, ptr %uniforms, double %count"  # what every function takes first, and hands on

_DRAWING = f"""
define internal double @draw({_GIVEN}) {{
  %place = getelementptr double, ptr %state, i64 {USED}
  %used = load double, ptr %place
  %some = fcmp olt double %used, %count
  br i1 %some, label %next, label %dry
next:
  %i = fptosi double %used to i64
  %at = getelementptr double, ptr %uniforms, i64 %i
  %u = load double, ptr %at
  %more = fadd double %used, 1.0
  store double %more, ptr %place
  ret double %u
dry:
  %flag = getelementptr double, ptr %state, i64 {DRY}
  store double 1.0, ptr %flag
  ret double 0.5
}}

define internal double @normal({_GIVEN}) {{
  %cached = getelementptr double, ptr %state, i64 {CACHED}
  %value = getelementptr double, ptr %state, i64 {NORMAL}
  %valid = load double, ptr %cached
  %there = fcmp une double %valid, 0.0
  br i1 %there, label %known, label %new
known:
  store double 0.0, ptr %cached
  %kept = load double, ptr %value
  ret double %kept
new:
  %first = call double @draw({_GIVEN})
  %second = call double @draw({_GIVEN})
  %below = fneg double %second
  %log = call double @log1p(double %below)
  %twice = fmul double %log, -2.0
  %radius = call double @llvm.sqrt.f64(double %twice)
  %angle = fmul double %first, 0x401921FB54442D18
  %sine = call double @sin(double %angle)
  %cosine = call double @cos(double %angle)
  %other = fmul double %radius, %sine
  %one = fmul double %radius, %cosine
  store double %other, ptr %value
  store double 1.0, ptr %cached
  ret double %one
}}
"""


def loop_text(sampler: Callable[..., float]) -> str:
    """The text of ``loop``, a ufunc's, over the state, uniforms, arrays of the sampler's parameters and results."""
    texts: dict[str, str] = {}
    count = _define(sampler, texts)
    declared = [f"declare double @{name}({_types(2 if name == 'pow' else 1)})" for name in _FUNCTIONS.values()]
    return "\n".join([*declared, _DRAWING, *texts.values(), _loop(sampler.__name__, count)])


def _types(count: int) -> str:
    return ", ".join(["double"] * count)


def _define(function: Callable[..., float], texts: dict[str, str]) -> int:
    """Adds the text of a function and of those that it calls; how many numbers it takes."""
    name = function.__name__
    tree: Any = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    numbers = [a.arg for a in tree.args.args if a.arg not in ("draw", "normal")]
    if name not in texts:
        texts[name] = ""
        texts[name] = _Body(function.__globals__, texts).text(tree, numbers)
    return len(numbers)


def _loop(name: str, parameters: int) -> str:
    """Goes through the elements from where the state says, and notes where it ended."""
    lines = ["define void @loop(ptr %args, ptr %dims, ptr %steps, ptr %data) {", "entry:"]
    lines += [
        line
        for k in range(parameters + 3)
        for line in (f"  %a{k} = getelementptr ptr, ptr %args, i64 {k}", f"  %p{k} = load ptr, ptr %a{k}")
    ]
    for label, k in (("count", 2), ("elements", 3)):
        lines += [f"  %at.{label} = getelementptr i64, ptr %dims, i64 {k}", f"  %n.{label} = load i64, ptr %at.{label}"]
    fields = {"done": DONE, "used": USED, "cached": CACHED, "normal": NORMAL, "dry": DRY}
    lines += [f"  %{field} = getelementptr double, ptr %p0, i64 {k}" for field, k in fields.items()]
    lines += ["  %uniforms = sitofp i64 %n.count to double", "  %before = load double, ptr %done"]
    lines += ["  %first = fptosi double %before to i64", "  br label %head", "head:"]
    lines += ["  %i = phi i64 [ %first, %entry ], [ %following, %next ]", "  %more = icmp slt i64 %i, %n.elements"]
    lines += ["  br i1 %more, label %body, label %end", "body:"]
    kept = ("used", "cached", "normal")
    lines += [f"  %{field}.before = load double, ptr %{field}" for field in kept]
    for k in range(parameters):
        lines += [f"  %x.at{k} = getelementptr double, ptr %p{k + 2}, i64 %i", f"  %x{k} = load double, ptr %x.at{k}"]
    given = "".join(f", double %x{k}" for k in range(parameters))
    lines += [f"  %found = call double @{name}(ptr %p0, ptr %p1, double %uniforms{given})"]
    lines += ["  %short = load double, ptr %dry", "  %ran.dry = fcmp une double %short, 0.0"]
    lines += ["  br i1 %ran.dry, label %back, label %next", "next:"]
    lines += [f"  %y = getelementptr double, ptr %p{parameters + 2}, i64 %i", "  store double %found, ptr %y"]
    lines += ["  %following = add i64 %i, 1", "  br label %head", "back:"]
    lines += [f"  store double %{field}.before, ptr %{field}" for field in kept]
    lines += ["  br label %end", "end:", "  %reached = sitofp i64 %i to double", "  store double %reached, ptr %done"]
    return "\n".join([*lines, "  ret void", "}", ""])


class _Body:
    """Writes one function. Variables lie in memory of the frame, from where LLVM takes them."""

    def __init__(self, constants: dict[str, Any], texts: dict[str, str]) -> None:
        self.constants = constants
        self.texts = texts
        self.lines: list[str] = []
        self.places: dict[str, str] = {}
        self.labels = self.count = 0
        self.loops: list[tuple[str, str]] = []
        self.draws = False

    def text(self, tree: Any, numbers: list[str]) -> str:
        names = dict.fromkeys([*numbers, *[n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and _stored(n)]])
        self.places = {name: f"%var.{name}" for name in names}
        body = [s for s in tree.body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
        self.statements(body)
        head = [
            f"define internal double @{tree.name}({_GIVEN}{''.join(f', double %given.{n}' for n in numbers)}) {{",
            "entry:",
        ]
        head += [f"  {place} = alloca double" for place in self.places.values()]
        head += [f"  store double %given.{n}, ptr {self.places[n]}" for n in numbers]
        dry = ["dry:", "  ret double 0x7FF8000000000000"] if self.draws else []
        return "\n".join([*head, *self.lines, *dry, "}", ""])

    def put(self, instruction: str) -> str:
        self.count += 1
        self.lines.append(f"  %v{self.count} = {instruction}")
        return f"%v{self.count}"

    def do(self, instruction: str) -> None:
        self.lines.append(f"  {instruction}")

    def label(self, *hints: str) -> list[str]:
        self.labels += 1
        return [f"{hint}{self.labels}" for hint in hints]

    def begin(self, label: str) -> None:
        self.lines.append(f"{label}:")

    # ---- statements

    def statements(self, body: list[Any]) -> bool:
        """Writes them; does control go on after them?"""
        return all(getattr(self, f"_{type(s).__name__.lower()}")(s) for s in body)

    def _assign(self, s: Any) -> bool:
        target: Any = s.targets[0]
        pairs: Any = zip(target.elts, s.value.elts) if isinstance(target, ast.Tuple) else [(target, s.value)]
        values = [(t, self.value(v)) for t, v in pairs]
        for t, v in values:
            self.do(f"store double {v}, ptr {self.places[t.id]}")
        return True

    def _augassign(self, s: Any) -> bool:
        old: Any = ast.Name(s.target.id, ast.Load())
        return self._assign(ast.Assign([s.target], ast.BinOp(old, s.op, s.value)))

    def _return(self, s: Any) -> bool:
        self.do(f"ret double {self.value(s.value)}")
        return False

    def _continue(self, s: Any) -> bool:
        self.do(f"br label %{self.loops[-1][0]}")
        return False

    def _if(self, s: Any) -> bool:
        then, other, end = self.label("then", "else", "end")
        self.condition(s.test, then, other if s.orelse else end)
        goes_on = not s.orelse
        for label, body in ((then, s.body), (other, s.orelse)):
            if body:
                self.begin(label)
                if self.statements(body):
                    goes_on = True
                    self.do(f"br label %{end}")
        if goes_on:
            self.begin(end)
        return goes_on

    def _while(self, s: Any) -> bool:
        head, body, end = self.label("while", "do", "done")
        self.do(f"br label %{head}")
        self.begin(head)
        forever = isinstance(s.test, ast.Constant)
        if forever:
            self.do(f"br label %{body}")
        else:
            self.condition(s.test, body, end)
        self.begin(body)
        self.loops.append((head, end))
        if self.statements(s.body):
            self.do(f"br label %{head}")
        self.loops.pop()
        if not forever:
            self.begin(end)
        return not forever

    # ---- conditions and values

    def condition(self, e: Any, yes: str, no: str) -> None:
        """Goes on at one of two labels; later parts of ``and`` and ``or`` are computed only if they are needed."""
        if isinstance(e, ast.BoolOp):
            both = isinstance(e.op, ast.And)
            for part in e.values[:-1]:
                (following,) = self.label("part")
                self.condition(part, *((following, no) if both else (yes, following)))
                self.begin(following)
            self.condition(e.values[-1], yes, no)
            return
        (op,), (right,) = e.ops, e.comparators
        a, b = self.value(e.left), self.value(right)
        self.do(f"br i1 {self.put(f'fcmp {_COMPARISONS[type(op)]} double {a}, {b}')}, label %{yes}, label %{no}")

    def value(self, e: Any) -> str:
        return getattr(self, f"_{type(e).__name__.lower()}_value")(e)

    def _constant_value(self, e: Any) -> str:
        return _number(e.value)

    def _name_value(self, e: Any) -> str:
        if e.id in self.places:
            return self.put(f"load double, ptr {self.places[e.id]}")
        return _number(self.constants[e.id])

    def _unaryop_value(self, e: Any) -> str:
        return self.put(f"fneg double {self.value(e.operand)}")

    def _binop_value(self, e: Any) -> str:
        a = self.value(e.left)
        return self.put(f"{_OPERATIONS[type(e.op)]} double {a}, {self.value(e.right)}")

    def _call_value(self, e: Any) -> str:
        name = e.func.id
        if name in _FUNCTIONS:
            return self.put(f"call double @{_FUNCTIONS[name]}({self._arguments(e.args)})")
        if name not in ("draw", "normal"):
            _define(self.constants[name], self.texts)
            args = [a for a in e.args if not (isinstance(a, ast.Name) and a.id in ("draw", "normal"))]
            return self._drawn(name, args)
        return self._drawn(name, [])

    def _drawn(self, name: str, args: list[Any]) -> str:
        """A call of a function that may draw; leaves this one where there was nothing to draw."""
        given = f", {self._arguments(args)}" if args else ""
        y = self.put(f"call double @{name}({_GIVEN}{given})")
        flag = self.put(f"load double, ptr {self.put(f'getelementptr double, ptr %state, i64 {DRY}')}")
        (some,) = self.label("some")
        self.do(f"br i1 {self.put(f'fcmp une double {flag}, 0.0')}, label %dry, label %{some}")
        self.begin(some)
        self.draws = True
        return y

    def _arguments(self, args: list[Any]) -> str:
        return ", ".join([f"double {self.value(a)}" for a in args])


def _stored(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Store)


def _number(value: float) -> str:
    """A number to the bit."""
    return f"0x{struct.unpack('<Q', struct.pack('<d', float(value)))[0]:016X}"
