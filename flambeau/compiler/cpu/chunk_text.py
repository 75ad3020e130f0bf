"""How a thread of the pool runs one chunk of a segment, as LLVM text with the placeholders of `pool_text`."""

from __future__ import annotations

CHUNKS = """
; The kernels of a segment among whose chunks this one is; a kernel that reports an error ends the chunk.
define internal void @run_chunk(ptr %st, i64 %tid, ptr %segment, i64 %chunk) {
entry:
  %workspacep = @@workspace
  %workspace0 = load i64, ptr %workspacep
  %stridep = @@workspace_stride
  %stride = load i64, ptr %stridep
  %skip = mul i64 %tid, %stride
  %workspacei = add i64 %workspace0, %skip
  %workspace = inttoptr i64 %workspacei to ptr
  %cell = getelementptr inbounds i8, ptr %workspace, i64 $error_code
  %stepsp = @@steps
  %steps = load ptr, ptr %stepsp
  %tracep = @@trace
  %trace0 = load ptr, ptr %tracep
  %traced = icmp ne ptr %trace0, null
  %tstridep = @@trace_stride
  %tstride = load i64, ptr %tstridep
  %toffset = mul i64 %tid, %tstride
  %trace = getelementptr i8, ptr %trace0, i64 %toffset
  %first = load i64, ptr %segment
  %countp = getelementptr inbounds i8, ptr %segment, i64 8
  %count = load i64, ptr %countp
  %end = add i64 %first, %count
  %none = icmp eq i64 %count, 0
  br i1 %none, label %out, label %loop
loop:
  %i = phi i64 [%first, %entry], [%i1, %next]
  %i1 = add i64 %i, 1
  %step = getelementptr inbounds {ptr, ptr, i64, i64}, ptr %steps, i64 %i
  %lowp = getelementptr inbounds i8, ptr %step, i64 16
  %low = load i64, ptr %lowp
  %sizep = getelementptr inbounds i8, ptr %step, i64 24
  %size = load i64, ptr %sizep
  %own = sub i64 %chunk, %low
  %inside = icmp ult i64 %own, %size
  br i1 %inside, label %call, label %next
call:
  %function = load ptr, ptr %step
  %operandsp = getelementptr inbounds i8, ptr %step, i64 8
  %operands = load ptr, ptr %operandsp
  br i1 %traced, label %timed, label %plain
plain:
  call void %function(ptr %operands, i64 %own, ptr %workspace)
  br label %check
timed:
  %t0 = $clock
  call void %function(ptr %operands, i64 %own, ptr %workspace)
  %t1 = $clock
  %n = load i64, ptr %trace
  %n1 = add i64 %n, 1
  store i64 %n1, ptr %trace
  %e0 = getelementptr i8, ptr %trace, i64 32
  %e = getelementptr [32 x i8], ptr %e0, i64 %n
  store i64 %t0, ptr %e
  %ea = getelementptr i8, ptr %e, i64 8
  store i64 %t1, ptr %ea
  %eb = getelementptr i8, ptr %e, i64 16
  store i64 %i, ptr %eb
  %ec = getelementptr i8, ptr %e, i64 24
  store i64 %own, ptr %ec
  br label %check
check:
  %code = load i64, ptr %cell
  %fine = icmp eq i64 %code, 0
  br i1 %fine, label %next, label %failed
next:
  %last = icmp eq i64 %i1, %end
  br i1 %last, label %out, label %loop
failed:
  call void @report(ptr %st, ptr %cell, i64 %chunk, i64 %i)
  br label %out
out:
  ret void
}

; Of all errors of a segment the one of the first chunk counts, whoever ran it and when.
define internal void @report(ptr %st, ptr %cell, i64 %chunk, i64 %step) noinline cold {
entry:
  %lockp = @@error_lock
  %orderp = @@error_order
  %codep = @@error_code
  %valuep = @@error_value
  %code = load i64, ptr %cell
  %celv = getelementptr inbounds i8, ptr %cell, i64 8
  %value = load i64, ptr %celv
  store i64 0, ptr %cell
  store i64 0, ptr %celv
  %high = shl i64 %chunk, 32
  %order = or i64 %high, %step
  br label %take
take:
  %x = cmpxchg ptr %lockp, i32 0, i32 1 acquire monotonic
  %ok = extractvalue {i32, i1} %x, 1
  br i1 %ok, label %held, label %spin
spin:
  %r = call i32 @sched_yield()
  br label %take
held:
  %best = load i64, ptr %orderp
  %better = icmp ult i64 %order, %best
  br i1 %better, label %write, label %free
write:
  store i64 %order, ptr %orderp
  store i64 %code, ptr %codep
  store i64 %value, ptr %valuep
  br label %free
free:
  store atomic i32 0, ptr %lockp release, align 4
  ret void
}

; How many chunks of a segment threads may take one by one: of a program that is one thread's, whoever comes takes all.
define internal i64 @published(i64 %alone, i64 %chunks) {
  %one = icmp ne i64 %alone, 0
  %some = icmp ne i64 %chunks, 0
  %both = and i1 %one, %some
  %n = select i1 %both, i64 1, i64 %chunks
  ret i64 %n
}

define internal void @run_alone(ptr %st, i64 %tid, ptr %segment, i64 %chunks) {
entry:
  br label %head
head:
  %c = phi i64 [0, %entry], [%c1, %body]
  %more = icmp ult i64 %c, %chunks
  br i1 %more, label %body, label %out
body:
  call void @run_chunk(ptr %st, i64 %tid, ptr %segment, i64 %c)
  %c1 = add i64 %c, 1
  br label %head
out:
  ret void
}
"""
