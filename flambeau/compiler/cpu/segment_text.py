"""How the pool's threads share out the chunks of a segment, as LLVM text with the placeholders of `pool_text`."""

from __future__ import annotations

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
  %chunks0 = load i64, ptr %chunksp
  %chunks = and i64 %chunks0, 65535
  %light = lshr i64 %chunks0, 32
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
  %others2 = sub i64 %shared, %light ; the last thread has the light ones beside its share
  %dealt = select i1 %alone, i64 %shared, i64 %others2
  br label %word
word:
  %t = phi i64 [0, %publish], [%t1, %word]
  %sum = phi i64 [%shares1, %publish], [%sum1, %word] ; rounded up: of few chunks the first is the caller's
  %low = phi i64 [0, %publish], [%high, %word]
  %mylow = phi i64 [0, %publish], [%mylow1, %word]
  %mine = phi i1 [false, %publish], [%mine1, %word]
  %t1 = add i64 %t, 1
  %none = icmp ult i64 %t, %first
  %share = select i1 %none, i64 0, i64 %dealt
  %sum1 = add i64 %sum, %share
  %sum1s = trunc i64 %sum1 to i32
  %sharess = trunc i64 %shares to i32
  %highs = udiv i32 %sum1s, %sharess
  %high0 = zext i32 %highs to i64
  %written = icmp eq i64 %t1, %threads
  %high = select i1 %written, i64 %shared, i64 %high0
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
  %chunks0 = load i64, ptr %chunksp
  %chunks = and i64 %chunks0, 65535
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
