"""How the pool's threads run a program, as LLVM text with the placeholders of `pool_text`.

@@name    the address of a field of the pool's state
$name     what depends on the processor
"""

from __future__ import annotations

__all__ = ["CHUNKS", "PROGRAMS", "SEGMENTS"]

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

SEGMENTS = """
; Runs or publishes segments from %from on. The caller is the only thread that may touch the program: every chunk of
; the segment before is done. Returns after its own first chunk when others still work, or at the program's end.
define internal void @advance(ptr %st, i64 %tid, i64 %from) {
entry:
  %countp = @@segment_count
  %count = load i64, ptr %countp
  %segmentsp = @@segments
  %segments = load ptr, ptr %segmentsp
  %basep = @@base
  %base = load i64, ptr %basep
  %alonep = @@alone
  %alone0 = load i64, ptr %alonep
  %alone = icmp ne i64 %alone0, 0
  %threadsp = @@threads
  %threads = load i64, ptr %threadsp
  %orderp = @@error_order
  %donep = @@done
  %sleepersp = @@sleepers
  %words = @@words
  %earlyp = @@early
  %reachedp = @@reached
  %handedp = @@handed
  %handed0 = load i64, ptr %handedp
  %handed = icmp ne i64 %handed0, 0
  br label %head
head:
  %index = phi i64 [%from, %entry], [%index1, %here], [%index1, %own], [%index1, %token]
  %order = load i64, ptr %orderp
  %failed = icmp ne i64 %order, -1
  %past = icmp uge i64 %index, %count
  %end = or i1 %failed, %past
  %early = load atomic i64, ptr %earlyp monotonic, align 8
  br i1 %end, label %finish, label %going
going:
  %last = icmp eq i64 %index, %early
  br i1 %last, label %reach, label %segment
reach:
  %reached = add i64 %base, %index
  call void @tell(ptr %st, ptr %reachedp, i64 %reached)
  br label %segment
segment:
  %index1 = add i64 %index, 1
  %sg = getelementptr inbounds [24 x i8], ptr %segments, i64 %index
  %chunksp = getelementptr inbounds i8, ptr %sg, i64 16
  %chunks = load i64, ptr %chunksp
  %single = icmp ule i64 %chunks, 1
  %small = or i1 %single, %alone
  %late = icmp uge i64 %index, %early ; the caller goes, or has gone
  %begins = icmp eq i64 %index, 0
  %hands = and i1 %begins, %handed
  %away = or i1 %late, %hands
  %caller = icmp eq i64 %tid, 0
  %goes = and i1 %away, %caller
  %stays = xor i1 %goes, true
  %serial = and i1 %small, %stays
  br i1 %serial, label %here, label %publish
here:
  call void @run_alone(ptr %st, i64 %tid, ptr %sg, i64 %chunks)
  br label %head
publish:
  %shared = call i64 @published(i64 %alone0, i64 %chunks)
  store atomic i64 0, ptr %donep monotonic, align 8
  %sequence = add i64 %base, %index
  %tag = shl i64 %sequence, 32
  %first = zext i1 %away to i64
  %shares = sub i64 %threads, %first
  %shares1 = sub i64 %shares, 1
  br label %word
word:
  %t = phi i64 [0, %publish], [%t1, %word]
  %sum = phi i64 [%shares1, %publish], [%sum1, %word] ; rounded up: of few chunks the first is the caller's
  %low = phi i64 [0, %publish], [%high, %word]
  %mylow = phi i64 [0, %publish], [%mylow1, %word]
  %mine = phi i1 [false, %publish], [%mine1, %word]
  %t1 = add i64 %t, 1
  %none = icmp ult i64 %t, %first
  %share = select i1 %none, i64 0, i64 %shared
  %sum1 = add i64 %sum, %share
  %sum1s = trunc i64 %sum1 to i32
  %sharess = trunc i64 %shares to i32
  %highs = udiv i32 %sum1s, %sharess
  %high = zext i32 %highs to i64
  %self = icmp eq i64 %t, %tid
  %some = icmp ult i64 %low, %high
  %take = and i1 %self, %some
  %mylow1 = select i1 %take, i64 %low, i64 %mylow
  %mine1 = or i1 %mine, %take
  %taken = zext i1 %take to i64
  %next = add i64 %low, %taken
  %nexts = shl i64 %next, 16
  %w0 = or i64 %tag, %nexts
  %w1 = or i64 %w0, %high
  %wp = getelementptr inbounds [128 x i8], ptr %words, i64 %t
  store atomic i64 %w1, ptr %wp release, align 8
  %written = icmp eq i64 %t1, %threads
  br i1 %written, label %published, label %word
published:
  fence seq_cst
  %sleepers = load atomic i32, ptr %sleepersp seq_cst, align 4
  %resting = zext i32 %sleepers to i64
  %workers = sub i64 %threads, 1
  %enough = select i1 %alone, i64 %workers, i64 1 ; whoever is awake takes all of it
  %asleep = icmp uge i64 %resting, %enough
  br i1 %asleep, label %wake, label %choose
wake:
  %others0 = sub i64 %shared, 1
  %others = select i1 %away, i64 %shared, i64 %others0
  %otherss = trunc i64 %others to i32
  call void @wake_sleepers(ptr %st, i32 %otherss)
  br label %choose
choose:
  br i1 %mine1, label %own, label %token
own:
  call void @run_chunk(ptr %st, i64 %tid, ptr %sg, i64 %mylow1)
  %d2 = atomicrmw add ptr %donep, i64 2 acq_rel
  %wanted2 = sub i64 %shared, 1
  %last2 = icmp eq i64 %d2, %wanted2
  br i1 %last2, label %head, label %out
token:
  %d1 = atomicrmw add ptr %donep, i64 1 acq_rel
  %last1 = icmp eq i64 %d1, %shared
  br i1 %last1, label %head, label %out
finish:
  %finishedp = @@finished
  %passed = add i64 %base, %early
  %target = add i64 %base, %count
  store atomic i64 %passed, ptr %reachedp seq_cst, align 8
  call void @tell(ptr %st, ptr %finishedp, i64 %target) ; the program may change from here on
  br label %out
out:
  ret void
}

; Tells the caller, which may sleep, what number a program has come to.
define internal void @tell(ptr %st, ptr %place, i64 %number) {
entry:
  store atomic i64 %number, ptr %place seq_cst, align 8
  %callerp = @@caller_sleeps
  %caller = load atomic i32, ptr %callerp seq_cst, align 4
  %waits = icmp ne i32 %caller, 0
  br i1 %waits, label %wakecaller, label %out
wakecaller:
  call void @wake_sleepers(ptr %st, i32 2147483647)
  br label %out
out:
  ret void
}

; Takes and runs one chunk: its own, or after some idling another thread's. Returns how long the thread has idled:
; %idle + 1 when there was nothing to take.
define internal i64 @help(ptr %st, i64 %tid, i64 %idle) {
entry:
  %words = @@words
  %threadsp = @@threads
  %threads = load i64, ptr %threadsp
  %patiencep = @@patience
  %patience = load i64, ptr %patiencep
  %steals = icmp uge i64 %idle, %patience
  %limit = select i1 %steals, i64 %threads, i64 1
  br label %scan
scan:
  %k = phi i64 [0, %entry], [%k1, %nextword]
  %k1 = add i64 %k, 1
  %x = add i64 %tid, %k
  %over = icmp uge i64 %x, %threads
  %wrapped = sub i64 %x, %threads
  %victim = select i1 %over, i64 %wrapped, i64 %x
  %wp = getelementptr inbounds [128 x i8], ptr %words, i64 %victim
  %w = load atomic i64, ptr %wp acquire, align 8
  %low0 = lshr i64 %w, 16
  %low = and i64 %low0, 65535
  %high = and i64 %w, 65535
  %some = icmp ult i64 %low, %high
  br i1 %some, label %try, label %nextword
nextword:
  %end = icmp eq i64 %k1, %limit
  br i1 %end, label %nothing, label %scan
try:
  %own = icmp eq i64 %k, 0
  %back = sub i64 %high, 1
  %delta = select i1 %own, i64 65536, i64 -1
  %chunk = select i1 %own, i64 %low, i64 %back
  %w1 = add i64 %w, %delta
  %swap = cmpxchg ptr %wp, i64 %w, i64 %w1 acq_rel monotonic
  %ok = extractvalue {i64, i1} %swap, 1
  br i1 %ok, label %got, label %lost
got:
  ; a chunk of the segment is in our hands, so the program cannot change under us
  %sequence = lshr i64 %w, 32
  %basep = @@base
  %base = load i64, ptr %basep
  %index0 = sub i64 %sequence, %base
  %index = and i64 %index0, 4294967295
  %segmentsp = @@segments
  %segments = load ptr, ptr %segmentsp
  %sg = getelementptr inbounds [24 x i8], ptr %segments, i64 %index
  %chunksp = getelementptr inbounds i8, ptr %sg, i64 16
  %chunks = load i64, ptr %chunksp
  %alonep = @@alone
  %alone0 = load i64, ptr %alonep
  %alone = icmp ne i64 %alone0, 0
  br i1 %alone, label %all, label %one
all:
  call void @run_alone(ptr %st, i64 %tid, ptr %sg, i64 %chunks)
  br label %counted
one:
  call void @run_chunk(ptr %st, i64 %tid, ptr %sg, i64 %chunk)
  br label %counted
counted:
  %shared = call i64 @published(i64 %alone0, i64 %chunks)
  %donep = @@done
  %d = atomicrmw add ptr %donep, i64 1 acq_rel
  %last = icmp eq i64 %d, %shared
  br i1 %last, label %on, label %busy
on:
  %index1 = add i64 %index, 1
  call void @advance(ptr %st, i64 %tid, i64 %index1)
  br label %busy
busy:
  ; who has begun to help others goes on without a pause
  %rest = select i1 %own, i64 0, i64 %patience
  ret i64 %rest
lost:
  ret i64 %idle
nothing:
  %idle1 = add i64 %idle, 1
  ret i64 %idle1
}

define internal i1 @has_work(ptr %st) {
entry:
  %words = @@words
  %threadsp = @@threads
  %threads = load i64, ptr %threadsp
  fence seq_cst
  br label %scan
scan:
  %k = phi i64 [0, %entry], [%k1, %nextword]
  %k1 = add i64 %k, 1
  %wp = getelementptr inbounds [128 x i8], ptr %words, i64 %k
  %w = load atomic i64, ptr %wp seq_cst, align 8
  %low0 = lshr i64 %w, 16
  %low = and i64 %low0, 65535
  %high = and i64 %w, 65535
  %some = icmp ult i64 %low, %high
  br i1 %some, label %yes, label %nextword
nextword:
  %end = icmp eq i64 %k1, %threads
  br i1 %end, label %no, label %scan
yes:
  ret i1 true
no:
  ret i1 false
}
"""

PROGRAMS = """
; Writes addresses and scalars where kernels find them: a list of (operand's address, offset of the source, addend).
; What is there already is not written again: another processor's cache may have it.
define internal void @bind(ptr %patches, i64 %count, ptr %source) {
entry:
  %none = icmp eq i64 %count, 0
  br i1 %none, label %out, label %loop
loop:
  %i = phi i64 [0, %entry], [%i1, %next]
  %p = getelementptr inbounds {ptr, i64, i64}, ptr %patches, i64 %i
  %operand = load ptr, ptr %p
  %atp = getelementptr inbounds i8, ptr %p, i64 8
  %at = load i64, ptr %atp
  %addendp = getelementptr inbounds i8, ptr %p, i64 16
  %addend = load i64, ptr %addendp
  %from = getelementptr inbounds i8, ptr %source, i64 %at
  %value = load i64, ptr %from
  %sum = add i64 %value, %addend
  %old = load i64, ptr %operand
  %same = icmp eq i64 %old, %sum
  br i1 %same, label %next, label %write
write:
  store i64 %sum, ptr %operand
  br label %next
next:
  %i1 = add i64 %i, 1
  %more = icmp ult i64 %i1, %count
  br i1 %more, label %loop, label %out
out:
  ret void
}

; The same with the data of NumPy's arrays, whose objects' addresses are given.
define internal void @bind_arrays(ptr %patches, i64 %count, ptr %source) {
entry:
  %none = icmp eq i64 %count, 0
  br i1 %none, label %out, label %loop
loop:
  %i = phi i64 [0, %entry], [%i1, %next]
  %p = getelementptr inbounds {ptr, i64, i64}, ptr %patches, i64 %i
  %operand = load ptr, ptr %p
  %atp = getelementptr inbounds i8, ptr %p, i64 8
  %at = load i64, ptr %atp
  %addendp = getelementptr inbounds i8, ptr %p, i64 16
  %addend = load i64, ptr %addendp
  %from = getelementptr inbounds i8, ptr %source, i64 %at
  %array = load ptr, ptr %from
  %datap = getelementptr inbounds i8, ptr %array, i64 $array_data
  %data = load i64, ptr %datap
  %sum = add i64 %data, %addend
  %old = load i64, ptr %operand
  %same = icmp eq i64 %old, %sum
  br i1 %same, label %next, label %write
write:
  store i64 %sum, ptr %operand
  br label %next
next:
  %i1 = add i64 %i, 1
  %more = icmp ult i64 %i1, %count
  br i1 %more, label %loop, label %out
out:
  ret void
}

; Are the arrays of a run such that outputs go where they went in the run before? Then writes the addresses of all
; arrays to the arguments. The table: arguments, number of inputs, number of outputs, the type of arrays, the lists of
; inputs, of old outputs and of current ones, then for each output {its place, the input that it replaces, elements,
; references to that}. Without an input it goes to the current array, which nobody else may hold; with one to that, if
; it is the old array, owns its memory, and has so many references; -1 stands for any and is replaced by their number.
; Runs with Python's lock.
define i64 @look(ptr %table) {
entry:
  %inputsp = getelementptr inbounds i8, ptr %table, i64 32
  %inputs = load ptr, ptr %inputsp
  %oldsp = getelementptr inbounds i8, ptr %table, i64 40
  %olds = load ptr, ptr %oldsp
  %currentp = getelementptr inbounds i8, ptr %table, i64 48
  %current = load ptr, ptr %currentp
  %arguments = load ptr, ptr %table
  %np = getelementptr inbounds i8, ptr %table, i64 8
  %n = load i64, ptr %np
  %mp = getelementptr inbounds i8, ptr %table, i64 16
  %m = load i64, ptr %mp
  %typep = getelementptr inbounds i8, ptr %table, i64 24
  %type = load ptr, ptr %typep
  %outputs = getelementptr inbounds i8, ptr %table, i64 56
  %insp = getelementptr inbounds i8, ptr %inputs, i64 $list_items
  %ins = load ptr, ptr %insp
  %oldp = getelementptr inbounds i8, ptr %olds, i64 $list_items
  %old = load ptr, ptr %oldp
  %ownp = getelementptr inbounds i8, ptr %current, i64 $list_items
  %own = load ptr, ptr %ownp
  %bytes = mul i64 %n, 8
  call void @llvm.memcpy.p0.p0.i64(ptr %arguments, ptr %ins, i64 %bytes, i1 false)
  %rest = getelementptr inbounds ptr, ptr %arguments, i64 %n
  br label %head
head:
  %i = phi i64 [0, %entry], [%i1, %good]
  %i1 = add i64 %i, 1
  %more = icmp ult i64 %i, %m
  br i1 %more, label %body, label %yes
body:
  %e = getelementptr inbounds {i64, i64, i64, i64}, ptr %outputs, i64 %i
  %k = load i64, ptr %e
  %jp = getelementptr inbounds i8, ptr %e, i64 8
  %j = load i64, ptr %jp
  %toitp = getelementptr inbounds ptr, ptr %rest, i64 %k
  %replaces = icmp sge i64 %j, 0
  br i1 %replaces, label %inplace, label %kept
kept:
  %ap = getelementptr inbounds ptr, ptr %own, i64 %k
  %a = load ptr, ptr %ap
  %ar = load i32, ptr %a
  %alone = icmp eq i32 %ar, 1
  store ptr %a, ptr %toitp
  br i1 %alone, label %good, label %no
inplace:
  %bp = getelementptr inbounds ptr, ptr %old, i64 %k
  %b = load ptr, ptr %bp
  %cp = getelementptr inbounds ptr, ptr %ins, i64 %j
  %c = load ptr, ptr %cp
  %same = icmp eq ptr %b, %c
  br i1 %same, label %typed, label %no
typed:
  %itstypep = getelementptr inbounds i8, ptr %b, i64 $object_type
  %itstype = load ptr, ptr %itstypep
  %isarray = icmp eq ptr %itstype, %type
  br i1 %isarray, label %fits, label %no
fits:
  %basep = getelementptr inbounds i8, ptr %b, i64 $array_base
  %base = load ptr, ptr %basep
  %owns = icmp eq ptr %base, null
  %ndp = getelementptr inbounds i8, ptr %b, i64 $array_ndim
  %nd = load i32, ptr %ndp
  %flat = icmp eq i32 %nd, 1
  %whole = and i1 %owns, %flat
  br i1 %whole, label %sized, label %no
sized:
  %shapep = getelementptr inbounds i8, ptr %b, i64 $array_shape
  %shape = load ptr, ptr %shapep
  %size = load i64, ptr %shape
  %wantp = getelementptr inbounds i8, ptr %e, i64 16
  %want = load i64, ptr %wantp
  %right = icmp eq i64 %size, %want
  br i1 %right, label %counted, label %no
counted:
  %refs = load i32, ptr %b
  %refsw = zext i32 %refs to i64
  %countp = getelementptr inbounds i8, ptr %e, i64 24
  %count = load i64, ptr %countp
  %any = icmp eq i64 %count, -1
  %found = select i1 %any, i64 %refsw, i64 %count
  store i64 %found, ptr %countp
  store ptr %b, ptr %toitp
  %expected = icmp eq i64 %refsw, %found
  br i1 %expected, label %good, label %no
good:
  br label %head
yes:
  ret i64 1
no:
  ret i64 0
}
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)

; Waits, helping, until the number in a place is that of the program.
define internal void @wait_for(ptr %st, ptr %place, i64 %target) {
entry:
  %spinp = @@spin
  %spin = load i64, ptr %spinp
  %sleepersp = @@sleepers
  %callerp = @@caller_sleeps
  %epoch = @@epoch
  br label %loop
loop:
  %idle = phi i64 [0, %entry], [%idle1, %helped], [%idle1, %pause], [0, %awake]
  %f = load atomic i64, ptr %place acquire, align 8
  %done = icmp eq i64 %f, %target
  br i1 %done, label %out, label %helped
helped:
  %idle1 = call i64 @help(ptr %st, i64 0, i64 %idle)
  %nothing = icmp ugt i64 %idle1, %idle
  br i1 %nothing, label %wait, label %loop
wait:
  %tired = icmp ugt i64 %idle1, %spin
  br i1 %tired, label %sleep, label %pause
pause:
  $pause
  br label %loop
sleep:
  %e = load atomic i32, ptr %epoch seq_cst, align 4
  %n = atomicrmw add ptr %sleepersp, i32 1 seq_cst
  %c = atomicrmw xchg ptr %callerp, i32 1 seq_cst
  %f2 = load atomic i64, ptr %place seq_cst, align 8
  %done2 = icmp eq i64 %f2, %target
  br i1 %done2, label %awake, label %look
look:
  %work = call i1 @has_work(ptr %st)
  br i1 %work, label %awake, label %rest
rest:
  call void @sleep_while(ptr %epoch, i32 %e)
  br label %awake
awake:
  %n1 = atomicrmw sub ptr %sleepersp, i32 1 seq_cst
  store atomic i32 0, ptr %callerp seq_cst, align 4
  br label %loop
out:
  ret void
}

; With the mutex held: the program that goes on without its caller comes to its end.
define internal void @settle(ptr %st) {
entry:
  %flyingp = @@flying
  %flying = load i64, ptr %flyingp
  %none = icmp eq i64 %flying, 0
  br i1 %none, label %out, label %wait
wait:
  store i64 0, ptr %flyingp
  %old = call i64 @enter_control(ptr %st)
  %earlyp = @@early
  store atomic i64 -1, ptr %earlyp monotonic, align 8
  %basep = @@base
  %base = load i64, ptr %basep
  %countp = @@segment_count
  %count = load i64, ptr %countp
  %target = add i64 %base, %count
  %finishedp = @@finished
  call void @wait_for(ptr %st, ptr %finishedp, i64 %target)
  call void @set_control(i64 %old)
  br label %out
out:
  ret void
}

; Runs a program: segments, steps with their ranges of chunks, patches of arguments and of the scratch address, cost,
; trace, patches of arrays, after how many segments the caller may go, cost of what comes then.
; 0: done. -1: workers must be started first. -2: the caller has what it wants, the rest goes on; no error can come.
; n > 0: error record n - 1.
define i64 @run(ptr %st, ptr %program, ptr %arguments) {
entry:
  call void @lock(ptr %st)
  call void @settle(ptr %st)
  %pearly = getelementptr inbounds i8, ptr %program, i64 96
  %early0 = load i64, ptr %pearly
  %prest = getelementptr inbounds i8, ptr %program, i64 104
  %rest = load i64, ptr %prest
  %count = load i64, ptr %program
  %pcost = getelementptr inbounds i8, ptr %program, i64 56
  %cost = load i64, ptr %pcost
  %threadsp = @@threads
  %threads = load i64, ptr %threadsp
  %several = icmp ugt i64 %threads, 1
  %sleepersp = @@sleepers
  %sleepers = load atomic i32, ptr %sleepersp monotonic, align 4
  %startedp = @@started
  %started0 = load i64, ptr %startedp
  %started = icmp ne i64 %started0, 0
  %asleep = icmp ne i32 %sleepers, 0
  %unstarted = xor i1 %started, true
  %cold = or i1 %asleep, %unstarted
  %coldp = @@cold_cost
  %hotp = @@hot_cost
  %limitp = select i1 %cold, ptr %coldp, ptr %hotp
  %limit = load i64, ptr %limitp
  %pays = icmp uge i64 %cost, %limit
  %together = and i1 %pays, %several
  %parts = icmp ult i64 %early0, %count
  %workers = sub i64 %threads, 1
  %resting = zext i32 %sleepers to i64
  %all = icmp uge i64 %resting, %workers
  %nobody = or i1 %all, %unstarted
  %leavep = @@leave_cost
  %leavelimitp = select i1 %nobody, ptr %leavep, ptr %hotp
  %leavelimit = load i64, ptr %leavelimitp
  %long = icmp uge i64 %rest, %leavelimit
  %leaves0 = and i1 %parts, %long
  %leaves = and i1 %leaves0, %several
  %wanted = or i1 %together, %leaves
  %missing = and i1 %wanted, %unstarted
  br i1 %missing, label %start, label %prepare
start:
  call void @unlock(ptr %st)
  ret i64 -1
prepare:
  %old = call i64 @enter_control(ptr %st)
  %psegments = getelementptr inbounds i8, ptr %program, i64 8
  %segments = load ptr, ptr %psegments
  %psteps = getelementptr inbounds i8, ptr %program, i64 16
  %steps = load ptr, ptr %psteps
  %ppatches = getelementptr inbounds i8, ptr %program, i64 24
  %patches = load ptr, ptr %ppatches
  %pn = getelementptr inbounds i8, ptr %program, i64 32
  %n = load i64, ptr %pn
  %pspatches = getelementptr inbounds i8, ptr %program, i64 40
  %spatches = load ptr, ptr %pspatches
  %psn = getelementptr inbounds i8, ptr %program, i64 48
  %sn = load i64, ptr %psn
  %ptrace = getelementptr inbounds i8, ptr %program, i64 64
  %trace = load ptr, ptr %ptrace
  %ptstride = getelementptr inbounds i8, ptr %program, i64 72
  %tstride = load i64, ptr %ptstride
  call void @bind(ptr %patches, i64 %n, ptr %arguments)
  %papatches = getelementptr inbounds i8, ptr %program, i64 80
  %apatches = load ptr, ptr %papatches
  %pan = getelementptr inbounds i8, ptr %program, i64 88
  %an = load i64, ptr %pan
  call void @bind_arrays(ptr %apatches, i64 %an, ptr %arguments)
  %scratchp = @@scratch
  call void @bind(ptr %spatches, i64 %sn, ptr %scratchp)
  %nextp = @@next_base
  %base = load i64, ptr %nextp
  %target = add i64 %base, %count
  store i64 %target, ptr %nextp
  %basep = @@base
  store i64 %base, ptr %basep
  %countp = @@segment_count
  store i64 %count, ptr %countp
  %segmentsp = @@segments
  store ptr %segments, ptr %segmentsp
  %stepsp = @@steps
  store ptr %steps, ptr %stepsp
  %tracep = @@trace
  store ptr %trace, ptr %tracep
  %tstridep = @@trace_stride
  store i64 %tstride, ptr %tstridep
  %alonep = @@alone
  %alone = xor i1 %together, true
  %alones = zext i1 %alone to i64
  store i64 %alones, ptr %alonep
  %awake = xor i1 %nobody, true
  %hands0 = and i1 %alone, %leaves
  %hands = and i1 %hands0, %awake
  %handeds = zext i1 %hands to i64
  %handedp = @@handed
  store i64 %handeds, ptr %handedp
  %orderp = @@error_order
  store i64 -1, ptr %orderp
  %early = select i1 %leaves, i64 %early0, i64 -1
  %earlyp = @@early
  store atomic i64 %early, ptr %earlyp monotonic, align 8
  %finishedp = @@finished
  %reachedp = @@reached
  call void @advance(ptr %st, i64 0, i64 0)
  br i1 %leaves, label %part, label %whole
part:
  %enough = add i64 %base, %early
  call void @wait_for(ptr %st, ptr %reachedp, i64 %enough)
  %order0 = load i64, ptr %orderp
  %fine = icmp eq i64 %order0, -1
  br i1 %fine, label %look, label %whole
look:
  %finished = load atomic i64, ptr %finishedp acquire, align 8
  %ended = icmp eq i64 %finished, %target
  br i1 %ended, label %whole, label %leave
leave:
  %flyingp = @@flying
  store i64 1, ptr %flyingp
  call void @set_control(i64 %old)
  call void @unlock(ptr %st)
  ret i64 -2
whole:
  call void @wait_for(ptr %st, ptr %finishedp, i64 %target)
  call void @set_control(i64 %old)
  %order = load i64, ptr %orderp
  %failed = icmp ne i64 %order, -1
  br i1 %failed, label %error, label %out
error:
  %errorsp = @@errors
  %errorcountp = @@error_count
  %k = load i64, ptr %errorcountp
  %slot = and i64 %k, $last_record
  %k1 = add i64 %k, 1
  store i64 %k1, ptr %errorcountp
  %record = getelementptr inbounds [32 x i8], ptr %errorsp, i64 %slot
  %codep = @@error_code
  %code = load i64, ptr %codep
  store i64 %code, ptr %record
  %valuep = @@error_value
  %value = load i64, ptr %valuep
  %record8 = getelementptr inbounds i8, ptr %record, i64 8
  store i64 %value, ptr %record8
  %step = and i64 %order, 4294967295
  %record16 = getelementptr inbounds i8, ptr %record, i64 16
  store i64 %step, ptr %record16
  %chunk = lshr i64 %order, 32
  %record24 = getelementptr inbounds i8, ptr %record, i64 24
  store i64 %chunk, ptr %record24
  %number = add i64 %slot, 1
  br label %out
out:
  %status = phi i64 [0, %whole], [%number, %error]
  call void @unlock(ptr %st)
  ret i64 %status
}
"""
