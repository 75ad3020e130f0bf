"""Hand-written kernels for the tests of the native run-time."""

from __future__ import annotations

from flambeau.compiler.cpu.executor import Buffer, Constant, Kernel, Scalar

HEAD = "define void @kernel(ptr noalias %o, i64 %c, ptr %w) nounwind {\nentry:\n"


def operand(name: str, index: int, kind: str = "ptr") -> str:
    """Loads an operand."""
    return f"  %{name}.p = getelementptr i8, ptr %o, i64 {8 * index}\n  %{name} = load {kind}, ptr %{name}.p\n"


# out[i] = a[i] + scalar for the 64 elements of a chunk
ADD = (
    HEAD
    + operand("a", 0)
    + operand("out", 1)
    + operand("s", 2, "float")
    + """
  %sv0 = insertelement <8 x float> poison, float %s, i64 0
  %sv = shufflevector <8 x float> %sv0, <8 x float> poison, <8 x i32> zeroinitializer
  %first = mul i64 %c, 64
  br label %loop
loop:
  %k = phi i64 [0, %entry], [%k1, %loop]
  %i = add i64 %first, %k
  %ap = getelementptr float, ptr %a, i64 %i
  %v = load <8 x float>, ptr %ap, align 4
  %r = fadd <8 x float> %v, %sv
  %op = getelementptr float, ptr %out, i64 %i
  store <8 x float> %r, ptr %op, align 4
  %k1 = add i64 %k, 8
  %more = icmp ult i64 %k1, 64
  br i1 %more, label %loop, label %end
end:
  ret void
}
"""
)

# out[c] = the sum of the n elements of chunk c, from the first to the last, kept in the workspace meanwhile
SUM = (
    HEAD
    + operand("a", 0)
    + operand("out", 1)
    + operand("n", 2, "i64")
    + """
  %first = mul i64 %c, %n
  store float 0.0, ptr %w
  br label %loop
loop:
  %k = phi i64 [0, %entry], [%k1, %loop]
  %i = add i64 %first, %k
  %ap = getelementptr float, ptr %a, i64 %i
  %v = load float, ptr %ap
  %old = load float, ptr %w
  %new = fadd float %old, %v
  store float %new, ptr %w
  %k1 = add i64 %k, 1
  %more = icmp ult i64 %k1, %n
  br i1 %more, label %loop, label %end
end:
  %op = getelementptr float, ptr %out, i64 %c
  %total = load float, ptr %w
  store float %total, ptr %op
  ret void
}
"""
)

# cells[c] += 1, after checking that all n cells before have the value that cells[c] + lag is; mistakes are counted
ORDER = (
    HEAD
    + operand("before", 0)
    + operand("n", 1, "i64")
    + operand("cells", 2)
    + operand("wrong", 3)
    + operand("lag", 4, "i64")
    + """
  %own = getelementptr i64, ptr %cells, i64 %c
  %old = load i64, ptr %own
  %want = add i64 %old, %lag
  br label %loop
loop:
  %k = phi i64 [0, %entry], [%k1, %next]
  %p = getelementptr i64, ptr %before, i64 %k
  %v = load i64, ptr %p
  %same = icmp eq i64 %v, %want
  br i1 %same, label %next, label %mistake
mistake:
  %m = atomicrmw add ptr %wrong, i64 1 monotonic
  br label %next
next:
  %k1 = add i64 %k, 1
  %more = icmp ult i64 %k1, %n
  br i1 %more, label %loop, label %end
end:
  %new = add i64 %old, 1
  store i64 %new, ptr %own
  ret void
}
"""
)

# out[c] = a number that takes n dependent multiplications
BUSY = (
    HEAD
    + operand("out", 0)
    + operand("n", 1, "i64")
    + """
  br label %loop
loop:
  %k = phi i64 [0, %entry], [%k1, %loop]
  %x = phi i64 [%c, %entry], [%x2, %loop]
  %x1 = mul i64 %x, 6364136223846793005
  %x2 = add i64 %x1, 1442695040888963407
  %k1 = add i64 %k, 1
  %more = icmp ult i64 %k1, %n
  br i1 %more, label %loop, label %end
end:
  %p = getelementptr i64, ptr %out, i64 %c
  store i64 %x2, ptr %p
  ret void
}
"""
)

# out[c] = table[index[c]]; an index outside of 0..n-1 is error 7 with the index as value
LOOK_UP = (
    HEAD
    + operand("table", 0)
    + operand("index", 1)
    + operand("n", 2, "i64")
    + operand("out", 3)
    + """
  %ip = getelementptr i64, ptr %index, i64 %c
  %i = load i64, ptr %ip
  %inside = icmp ult i64 %i, %n
  br i1 %inside, label %fine, label %bad
bad:
  %code = getelementptr i8, ptr %w, i64 -64
  %value = getelementptr i8, ptr %w, i64 -56
  store i64 7, ptr %code
  store i64 %i, ptr %value
  ret void
fine:
  %tp = getelementptr float, ptr %table, i64 %i
  %v = load float, ptr %tp
  %op = getelementptr float, ptr %out, i64 %c
  store float %v, ptr %op
  ret void
}
"""
)

# out[c] = a[c] * 1e-3 in float32
SCALE = (
    HEAD
    + operand("a", 0)
    + operand("out", 1)
    + """
  %ap = getelementptr float, ptr %a, i64 %c
  %v = load float, ptr %ap
  %r = fmul float %v, 0x3F50624DE0000000
  %op = getelementptr float, ptr %out, i64 %c
  store float %r, ptr %op
  ret void
}
"""
)


def add(source: int = 0, target: int = 1, scalar: int = 0) -> Kernel:
    """ADD over two buffers and a scalar."""
    return Kernel(ADD, (Buffer(source), Buffer(target), Scalar(scalar)), label="add")


def busy(iterations: int, out: int = 0) -> Kernel:
    """BUSY into a buffer."""
    return Kernel(BUSY, (Buffer(out), Constant(iterations)), label="busy")


# Waits until the number at flag is not 0, then out[c] = it
GATE = (
    HEAD
    + operand("flag", 0)
    + operand("out", 1)
    + """
  br label %loop
loop:
  %v = load atomic i64, ptr %flag acquire, align 8
  %shut = icmp eq i64 %v, 0
  br i1 %shut, label %loop, label %end
end:
  %op = getelementptr i64, ptr %out, i64 %c
  store i64 %v, ptr %op
  ret void
}
"""
)
