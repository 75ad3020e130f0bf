"""How a program gets its arguments and is run to its end, as LLVM text with the placeholders of `pool_text`."""

from __future__ import annotations

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
declare i64 @llvm.usub.sat.i64(i64, i64)
declare i64 @llvm.smin.i64(i64, i64)

; Waits, helping, until the number in a place is that of the program.
define internal void @wait_for(ptr %st, ptr %place, i64 %target) {
entry:
  %since = alloca i64
  store i64 0, ptr %since
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
  %alonep = @@alone
  %alone = load i64, ptr %alonep
  %smallp = @@small
  %small = load i64, ptr %smallp
  %charged = or i64 %alone, %small
  %late = icmp ne i64 %charged, 0
  br i1 %late, label %begin, label %fall
begin: ; a worker that has all of a program, or a part of a small one, is late
  %since0 = load i64, ptr %since
  %first = icmp eq i64 %since0, 0
  br i1 %first, label %note, label %fall
note:
  %now = $clock
  store i64 %now, ptr %since
  br label %fall
fall:
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
  %since1 = load i64, ptr %since
  %slept = icmp ne i64 %since1, 0
  br i1 %slept, label %charge, label %end
charge:
  call void @charge(ptr %st, i64 %since1)
  br label %end
end:
  ret void
}

; What waiting since then, and before that awake, has cost goes off what handing programs over has gained. If that is
; used up, none is handed over for a while.
define internal void @charge(ptr %st, i64 %since) noinline cold {
entry:
  %now = $clock
  %ticks = sub i64 %now, %since
  %tickp = @@tick
  %tick = load i64, ptr %tickp
  %scaled = mul i64 %ticks, %tick
  %asleep = lshr i64 %scaled, 20
  %lost = add i64 %asleep, $spun
  %creditp = @@credit
  %credit = load i64, ptr %creditp
  %left = sub i64 %credit, %lost
  %spent = icmp slt i64 %left, 0
  br i1 %spent, label %shun, label %keep
shun:
  %shunnedp = @@shunned
  store i64 $shun_runs, ptr %shunnedp
  store i64 $credit, ptr %creditp
  ret void
keep:
  store i64 %left, ptr %creditp
  ret void
}

; Adds nanoseconds that workers have taken off the caller to the credit.
define internal void @earn(ptr %st, i64 %gain) {
  %creditp = @@credit
  %credit = load i64, ptr %creditp
  %sum = add i64 %credit, %gain
  %more = call i64 @llvm.smin.i64(i64 %sum, i64 $most_credit)
  store i64 %more, ptr %creditp
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

; A program that others could take a little off has come while they sleep: are they woken, as much has been missed so
; since the last pause? `missed_at` is the end of the one before.
define internal i1 @miss(ptr %st, i64 %cost) noinline cold {
entry:
  %now = $clock
  %atp = @@missed_at
  %at = load i64, ptr %atp
  %ticks = sub i64 %now, %at
  %tickp = @@tick
  %tick = load i64, ptr %tickp
  %scaled = mul i64 %ticks, %tick
  %since = lshr i64 %scaled, 20
  %soon = icmp ult i64 %since, $spun
  %missedp = @@missed
  %before = load i64, ptr %missedp
  %kept = select i1 %soon, i64 %before, i64 0
  %sum = add i64 %kept, %cost
  %coldp = @@cold_cost
  %limit = load i64, ptr %coldp
  %enough = icmp uge i64 %sum, %limit
  %left = select i1 %enough, i64 0, i64 %sum
  store i64 %left, ptr %missedp
  ret i1 %enough
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
  %shunnedp = @@shunned
  %shunned = load i64, ptr %shunnedp
  %trusted = icmp eq i64 %shunned, 0
  %fewer = call i64 @llvm.usub.sat.i64(i64 %shunned, i64 1)
  store i64 %fewer, ptr %shunnedp
  %coldcost = load i64, ptr %coldp
  %hotcost = load i64, ptr %hotp
  %large = icmp uge i64 %cost, %coldcost
  %gains0 = icmp uge i64 %cost, %hotcost
  %gains = and i1 %gains0, %trusted
  %asks0 = and i1 %cold, %gains
  %asks1 = and i1 %asks0, %several
  %little = xor i1 %large, true
  %asks = and i1 %asks1, %little
  %hot = xor i1 %cold, true
  %hotpays = and i1 %gains, %hot
  %pays0 = or i1 %large, %hotpays
  br i1 %asks, label %ask, label %decide
ask:
  %called = call i1 @miss(ptr %st, i64 %cost)
  br label %decide
decide:
  %pays = phi i1 [%pays0, %entry], [%called, %ask]
  %together = and i1 %pays, %several
  %parts = icmp ult i64 %early0, %count
  %workers = sub i64 %threads, 1
  %resting = zext i32 %sleepers to i64
  %all = icmp uge i64 %resting, %workers
  %nobody = or i1 %all, %unstarted
  %leavep = @@leave_cost
  %leavelimitp0 = select i1 %nobody, ptr %leavep, ptr %hotp
  %leavelimitp = select i1 %trusted, ptr %leavelimitp0, ptr %coldp
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
  %small = and i1 %together, %little
  %smalls = zext i1 %small to i64
  %smallp = @@small
  store i64 %smalls, ptr %smallp
  %awake0 = xor i1 %nobody, true
  %awake = and i1 %awake0, %trusted
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
  %gain = mul i64 %handeds, %rest
  call void @earn(ptr %st, i64 %gain)
  %flyingp = @@flying
  store i64 1, ptr %flyingp
  call void @set_control(i64 %old)
  call void @unlock(ptr %st)
  ret i64 -2
whole:
  call void @wait_for(ptr %st, ptr %finishedp, i64 %target)
  %saved = mul i64 %smalls, %cost
  call void @earn(ptr %st, i64 %saved)
  br i1 %asks, label %note, label %noted
note:
  %now = $clock
  %missedatp = @@missed_at
  store i64 %now, ptr %missedatp
  br label %noted
noted:
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
  %status = phi i64 [0, %noted], [%number, %error]
  call void @unlock(ptr %st)
  ret i64 %status
}
"""
