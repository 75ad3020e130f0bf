"""The thread pool and the executor of program tables, as LLVM text.

A program is a list of segments; a segment is a list of kernels and a number of chunks, of which each kernel has a
range. One thread runs all kernels of a chunk, in order; any thread takes any chunk; a segment begins when the one
before it is done.

How chunks are handed out. Each thread has a word `sequence << 32 | next << 16 | end`: the chunks that it should
take. It takes them from the front by compare-and-swap; others, after idling a little, from the back. Shares are equal,
but that the last thread also has the `light` chunks at the end, which take little: all others are begun before them,
and they are left for whoever is done. The sequence number of the segment makes the swap of a thread that comes late
fail. Whoever finishes the last chunk publishes the next segment by writing all words, so nobody waits at a barrier for
a thread that has nothing left to do; a thread that the system takes away holds up only the chunk in its hands. `done`
counts chunks plus one for the publisher, so that a segment cannot end while its words are still being written.

How threads wait. They look for work for a while, then count themselves as sleepers, look once more, and sleep on
`epoch`; a publisher writes the words first and reads the sleepers then, so one of the two sees the other.

How a caller leaves. A program may say after how many segments its caller has what it wants. Whoever begins the next
segment then notes that they are `reached`; chunks from there on go to the workers alone, and the caller returns with
`flying` set and without the mutex. Whoever holds the mutex next, to run a program or to wait, first takes its place and
helps until the program is `finished`.

Which programs stay on one thread. One that is not worth sharing is `alone`: a segment is published as if it had one
chunk, and whoever takes that runs all chunks, and the segments after it. If its caller leaves and a worker is awake, it
is `handed` over from the first segment on, so that what it writes and reads again stays in the cache of one processor.
If no worker comes for a moment, the caller takes it after all. If one has come but is so late that the caller falls
asleep waiting, the system has taken it away. What that costs goes off a `credit`, to which each program that was handed
over adds what it left to do (nanoseconds, up to a limit); when it is used up, the workers are `shunned` by small
programs for 1,000 runs. So where workers are seldom late they stay, and where they often are little is lost.

Waking sleepers takes longer than they save in a small program. But such programs may come one upon the other, as the
operators of somebody who looks at each result. What threads that were awake would have saved is `missed`; when that is
as much as waking is worth, they are woken, and look for work between the programs that follow. A worker that is late in
a small program is charged to the credit too.

What stays the same while workers live: the number of threads, the floating-point control word. Everything else is
written by the one thread inside `run`, which holds the mutex, and read by threads that own a chunk.
"""

from __future__ import annotations

import re

from .chunk_text import CHUNKS
from .program_text import PROGRAMS
from .segment_text import SEGMENTS
from .target import Target

__all__ = ["ARRAY_DATA", "ERROR_CODE", "ERROR_RECORDS", "ERROR_VALUE", "FIELDS"]
__all__ += ["FLUSH_DENORMALS", "MAX_CHUNKS", "MAX_THREADS", "STATE_BYTES", "pool_text"]

MAX_THREADS = 256
MAX_CHUNKS = 65535
ERROR_RECORDS = 64
SPIN_SECONDS = 100e-6  # that threads look for work before they sleep
SHUN_RUNS = 1000
CREDIT = 2_000_000  # nanoseconds that late workers may cost at first
MOST_CREDIT = 10_000_000

# Offsets in the pool's state. What several threads write has 128 bytes to itself: two lines, fetched together.
FIELDS = {
    "mutex": 0,
    "done": 128,
    "finished": 256,
    "reached": 320,
    "sleepers": 384,
    "caller_sleeps": 388,
    "epoch": 512,
    "shutdown": 640,
    "alive": 648,
    # the program that is running
    "base": 768,
    "segment_count": 776,
    "segments": 784,
    "steps": 792,
    "alone": 800,
    "trace": 808,
    "trace_stride": 816,
    "next_base": 824,
    "error_count": 832,
    "flying": 840,
    "early": 848,
    "handed": 856,
    "shunned": 864,
    "credit": 872,
    "missed": 880,
    "missed_at": 888,
    # the first error of the segment that is running
    "error_lock": 896,
    "error_order": 904,
    "error_code": 912,
    "error_value": 920,
    "small": 928,
    # settings
    "threads": 1024,
    "spin": 1032,
    "patience": 1040,
    "workspace": 1048,
    "workspace_stride": 1056,
    "scratch": 1064,
    "control": 1072,
    "hot_cost": 1080,
    "cold_cost": 1088,
    "leave_cost": 1096,
    "started": 1104,
    "tick": 1112,  # of the clock, in nanoseconds, times 2 ** 20
    # arrays
    "errors": 2048,
    "words": 4096,
}
STATE_BYTES = FIELDS["words"] + 128 * MAX_THREADS

# Where NumPy's ABI has the address of an array's data: behind what every Python object begins with. Then the number of
# its dimensions, the addresses of their sizes and of their steps, and the object whose memory it is. A list has the
# address of its items behind their number.
ARRAY_DATA = object.__basicsize__
ARRAY_NDIM = ARRAY_DATA + 8
ARRAY_SHAPE = ARRAY_DATA + 16
ARRAY_BASE = ARRAY_DATA + 32
LIST_ITEMS = object.__basicsize__ + 8
OBJECT_TYPE = object.__basicsize__ - 8

# Where a kernel reports an error, from its workspace's address: a code that is not zero, and a value to tell.
ERROR_CODE = -64
ERROR_VALUE = -56

PROCESSORS = {
    True: {  # x86-64
        "declare": """
declare void @llvm.x86.sse2.pause()
declare i64 @llvm.readcyclecounter()
declare void @llvm.x86.sse.stmxcsr(ptr)
declare void @llvm.x86.sse.ldmxcsr(ptr)
define internal i64 @get_control() {
  %slot = alloca i64
  store i64 0, ptr %slot
  call void @llvm.x86.sse.stmxcsr(ptr %slot)
  %control = load i64, ptr %slot
  ret i64 %control
}
define internal void @set_control(i64 %control) {
  %slot = alloca i64
  store i64 %control, ptr %slot
  call void @llvm.x86.sse.ldmxcsr(ptr %slot)
  ret void
}
""",
        "pause": "call void @llvm.x86.sse2.pause()",
        "clock": "call i64 @llvm.readcyclecounter()",
        "default_control": "8064",  # no exception is raised; round to nearest
        "futex": "202",
    },
    False: {  # aarch64
        "declare": """
declare void @llvm.aarch64.isb(i32)
declare i64 @llvm.read_volatile_register.i64(metadata)
declare i64 @llvm.aarch64.get.fpcr()
declare void @llvm.aarch64.set.fpcr(i64)
define internal i64 @get_control() {
  %control = call i64 @llvm.aarch64.get.fpcr()
  ret i64 %control
}
define internal void @set_control(i64 %control) {
  call void @llvm.aarch64.set.fpcr(i64 %control)
  ret void
}
""",
        "pause": "call void @llvm.aarch64.isb(i32 15)",
        # LLVM's counters are zero, or one that programs may not read, in some of its versions.
        "clock": 'call i64 @llvm.read_volatile_register.i64(metadata !{!"cntvct_el0"})',
        "default_control": "0",
        "futex": "98",
    },
}
# The bits of the control word that make denormal numbers count as zero.
FLUSH_DENORMALS = {True: 0x8040, False: 1 << 24}

LINUX = """
declare i64 @syscall(i64, ...)
define internal void @sleep_while(ptr %word, i32 %value) {
  %r = call i64 (i64, ...) @syscall(i64 $futex, ptr %word, i32 128, i32 %value, ptr null, ptr null, i32 0)
  ret void
}
define internal void @wake(ptr %word, i32 %count) {
  %r = call i64 (i64, ...) @syscall(i64 $futex, ptr %word, i32 129, i32 %count, ptr null, ptr null, i32 0)
  ret void
}
"""

DARWIN = """
declare i32 @__ulock_wait(i32, ptr, i64, i32)
declare i32 @__ulock_wake(i32, ptr, i64)
define internal void @sleep_while(ptr %word, i32 %value) {
  %v = zext i32 %value to i64
  %r = call i32 @__ulock_wait(i32 1, ptr %word, i64 %v, i32 0)
  ret void
}
define internal void @wake(ptr %word, i32 %count) {
  %r = call i32 @__ulock_wake(i32 257, ptr %word, i64 0)
  ret void
}
"""

LOCKING = """
declare i32 @sched_yield()

define internal void @lock(ptr %st) {
entry:
  %m = @@mutex
  %x = cmpxchg ptr %m, i32 0, i32 1 acquire monotonic
  %ok = extractvalue {i32, i1} %x, 1
  br i1 %ok, label %out, label %wait
wait:
  %old = atomicrmw xchg ptr %m, i32 2 acquire
  %free = icmp eq i32 %old, 0
  br i1 %free, label %out, label %sleep
sleep:
  call void @sleep_while(ptr %m, i32 2)
  br label %wait
out:
  ret void
}

define internal void @unlock(ptr %st) {
entry:
  %m = @@mutex
  %old = atomicrmw xchg ptr %m, i32 0 release
  %waited = icmp eq i32 %old, 2
  br i1 %waited, label %wake, label %out
wake:
  call void @wake(ptr %m, i32 1)
  br label %out
out:
  ret void
}

define internal void @wake_sleepers(ptr %st, i32 %count) noinline cold {
  %epoch = @@epoch
  %old = atomicrmw add ptr %epoch, i32 1 seq_cst
  call void @wake(ptr %epoch, i32 %count)
  ret void
}

; With the mutex held: all workers leave.
define internal void @stop_workers(ptr %st) noinline cold {
entry:
  %shutdown = @@shutdown
  %alive = @@alive
  %started = @@started
  store atomic i32 1, ptr %shutdown seq_cst, align 4
  call void @wake_sleepers(ptr %st, i32 2147483647)
  br label %wait
wait:
  %n = load atomic i64, ptr %alive seq_cst, align 8
  %gone = icmp eq i64 %n, 0
  br i1 %gone, label %out, label %yield
yield:
  %r = call i32 @sched_yield()
  br label %wait
out:
  store atomic i32 0, ptr %shutdown seq_cst, align 4
  store i64 0, ptr %started
  ret void
}

; Waits for the program that is running, or goes on without its caller; lets others run one again.
define void @join(ptr %st) {
  call void @lock(ptr %st)
  call void @settle(ptr %st)
  call void @unlock(ptr %st)
  ret void
}

; Waits for the program that is running, stops the workers and lets nobody in until resume.
define void @pause(ptr %st) {
  call void @lock(ptr %st)
  call void @settle(ptr %st)
  call void @stop_workers(ptr %st)
  ret void
}

define void @resume(ptr %st) {
  call void @unlock(ptr %st)
  ret void
}

; Between two programs, changes the number of threads, the control word and where each thread's workspace lies.
define void @configure(ptr %st, i64 %threads, i64 %control, i64 %workspace, i64 %stride) {
entry:
  call void @lock(ptr %st)
  call void @settle(ptr %st)
  %threadsp = @@threads
  %controlp = @@control
  %t = load i64, ptr %threadsp
  %c = load i64, ptr %controlp
  %samet = icmp eq i64 %t, %threads
  %samec = icmp eq i64 %c, %control
  %same = and i1 %samet, %samec
  br i1 %same, label %place, label %stop
stop:
  call void @stop_workers(ptr %st)
  store i64 %threads, ptr %threadsp
  store i64 %control, ptr %controlp
  br label %place
place:
  %workspacep = @@workspace
  %stridep = @@workspace_stride
  store i64 %workspace, ptr %workspacep
  store i64 %stride, ptr %stridep
  call void @unlock(ptr %st)
  ret void
}

define void @set_scratch(ptr %st, i64 %scratch) {
  call void @lock(ptr %st)
  call void @settle(ptr %st)
  %p = @@scratch
  store i64 %scratch, ptr %p
  call void @unlock(ptr %st)
  ret void
}

define i64 @clock() {
  %t = $clock
  ret i64 %t
}

define void @pauses(i64 %n) {
entry:
  br label %loop
loop:
  %i = phi i64 [0, %entry], [%i1, %loop]
  $pause
  %i1 = add i64 %i, 1
  %more = icmp ult i64 %i1, %n
  br i1 %more, label %loop, label %out
out:
  ret void
}
"""

WORKERS = """
; The thread's old control word. Nothing of it stays in the new one, so that all threads compute the same.
define internal i64 @enter_control(ptr %st) {
  %old = call i64 @get_control()
  %controlp = @@control
  %control = load i64, ptr %controlp
  %new = or i64 %control, $default_control
  call void @set_control(i64 %new)
  ret i64 %old
}

define void @work(ptr %st, i64 %tid) {
entry:
  %old = call i64 @enter_control(ptr %st)
  %spinp = @@spin
  %spin = load i64, ptr %spinp
  %sleepersp = @@sleepers
  %epoch = @@epoch
  %shutdownp = @@shutdown
  br label %loop
loop:
  %idle = phi i64 [0, %entry], [%idle1, %loop], [%idle1, %pause], [0, %awake]
  %idle1 = call i64 @help(ptr %st, i64 %tid, i64 %idle)
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
  %shutdown = load atomic i32, ptr %shutdownp seq_cst, align 4
  %stop = icmp ne i32 %shutdown, 0
  br i1 %stop, label %leave, label %look
look:
  %work = call i1 @has_work(ptr %st)
  br i1 %work, label %awake, label %rest
rest:
  call void @sleep_while(ptr %epoch, i32 %e)
  br label %awake
awake:
  %n1 = atomicrmw sub ptr %sleepersp, i32 1 seq_cst
  br label %loop
leave:
  %n2 = atomicrmw sub ptr %sleepersp, i32 1 seq_cst
  call void @set_control(i64 %old)
  %alive = @@alive
  %a = atomicrmw sub ptr %alive, i64 1 seq_cst
  ret void
}
"""


def pool_text(target: Target) -> str:
    """The module that exports run, join, look, work, pause, resume, configure, set_scratch, clock and pauses.

    Raises:
        NotImplementedError: the system or the processor is not one that the text is written for.
    """
    if not (target.is_x86 or target.is_arm):
        raise NotImplementedError(f"native programs on {target.triple}; programs run on NumPy there")
    system = LINUX if "linux" in target.triple else DARWIN if re.search("darwin|macos", target.triple) else ""
    if not system:
        raise NotImplementedError(f"native programs on {target.triple}; programs run on NumPy there")
    words = {**PROCESSORS[target.is_x86], "error_code": str(ERROR_CODE), "last_record": str(ERROR_RECORDS - 1)}
    words |= {
        "shun_runs": str(SHUN_RUNS),
        "credit": str(CREDIT),
        "most_credit": str(MOST_CREDIT),
        "spun": str(round(1e9 * SPIN_SECONDS)),
        "array_data": str(ARRAY_DATA),
        "array_ndim": str(ARRAY_NDIM),
        "array_shape": str(ARRAY_SHAPE),
    }
    words |= {"array_base": str(ARRAY_BASE), "list_items": str(LIST_ITEMS), "object_type": str(OBJECT_TYPE)}
    text = "".join(("$declare", system, LOCKING, CHUNKS, SEGMENTS, WORKERS, PROGRAMS))
    text = re.sub(r"@@(\w+)", lambda found: f"getelementptr inbounds i8, ptr %st, i64 {FIELDS[found[1]]}", text)
    return re.sub(r"\$([a-z_]+)", lambda found: words[found[1]], text)
