"""What is measured: every table, its rows, and who takes part.

Commands are templates: {dune} is dune-run, {bin} the built programs, {src}
this directory, {tmp} scratch space, {ms} the length of a batch, {runsc} gVisor's
command. See README.md for how to add a row.
"""

from dataclasses import dataclass, field

NATIVE = "native"
DUNE = "dune-run"
MODE = "Dune mode"
MODE_FPU = "Dune mode, FPU saved"
MODE_ANSWER = "Dune mode, answered"
GVISOR = "gVisor"
HERE, AMD = "here", "amd"


@dataclass
class Row:
    name: str                   # what one operation is, for a newcomer
    who: dict                   # who -> command; the first is the base
    unit: str = "ns"
    more: bool = False          # more is better: requests a second
    wall: bool = False          # wall time of the command, in ns
    rounds: int = 5
    warmup: int = 1
    timeout: int = 60
    ops: int = 0                # {ops}: a tenth in the emulated machine
    places: tuple = (HERE, AMD)
    ratio: bool = True          # the others are compared with the base


@dataclass
class Table:
    key: str                    # for ONLY= and in the results
    title: str
    text: str                   # for somebody who has not read the code
    rows: list = field(default_factory=list)
    grid: bool = False          # show it as rows and columns: counts


PEERS = {
    GVISOR: "{runsc}",
    "bubblewrap": "bwrap --ro-bind / / --dev /dev --proc /proc --unshare-all "
                  "--",
}


def native(case):
    return "{bin}/micro " + case + " --ms {ms}"


def mode(case):
    return "{bin}/dune-micro " + case + " --ms {ms}"


def micro(case, name, *peers, options="", extra={}, **more):
    """A case of the program micro, natively, in dune-run and by peers. Dune
    mode joins where dune-micro has a case of that name."""
    who = {NATIVE: native(case),
           DUNE: "{dune} " + options + " -- " + native(case),
           MODE: mode(case), **extra}
    for p in peers:
        who[p] = PEERS[p] + " " + native(case)
    return Row(name, who, **more)


def pair(name, linux, dune, **more):
    """What Linux and Dune mode do each in its own way."""
    return Row(name, {NATIVE: native(linux), MODE: mode(dune)}, **more)


def program(name, command, options="--ro / --rw {tmp}", peers=(), **more):
    who = {NATIVE: command, DUNE: "{dune} " + options + " -- " + command}
    for p in peers:
        who[p] = PEERS[p] + " " + command
    more.setdefault("rounds", 5)
    return Row(name, who, wall=True, **more)


def server(name, kind, clients, requests, **more):
    s = "{src}/server %s %d {ops}" % (kind, clients)
    return Row(name, {NATIVE: s,
                      DUNE: s + " {dune} --net --ro / --rw %d --"},
               unit="requests/s", more=True, warmup=0, ops=requests,
               timeout=120, **more)


def speed(name, algorithm):
    """openssl's own measure: it runs for a second and counts."""
    s = "{src}/speed " + algorithm
    return Row(name, {NATIVE: s, DUNE: s + " {dune} --ro / --"},
               unit="MB/s", more=True, warmup=0)


def idle(name, command, dune, **more):
    """What a command costs that waits; native None: it has no such form."""
    who = {}
    for what, text in (("wakes", "wake-ups"), ("cpu", "CPU, us")):
        for side, c in ((NATIVE, command), (DUNE, dune)):
            if c:
                who[text + ", " + side] = "{src}/idle " + what + " 5 " + c
    return Row(name, who, unit="per second", rounds=1, warmup=0, ratio=False,
               **more)


def mode_counts(name, case, n):
    c = "{bin}/dune-micro " + case + " --count %s {ops}"
    # Once a return of KVM_RUN, whatever else its name says.
    return Row(name, {"exits to the host side": c % "fpu_reload",
                      "KVM's exits": c % "exits",
                      "instructions KVM emulates": c % "insn_emulation"},
               unit="per operation", rounds=1, warmup=0, ratio=False, ops=n)


def counts(name, case, n):
    c = " {ops} {dune} --exitless=off -- {bin}/micro " + case
    return Row(name, {"exits to the monitor": "{src}/count exits" + c,
                      "guest page faults": "{src}/count faults" + c,
                      "KVM's exits": "{src}/count kvm-exits" + c,
                      "instructions KVM emulates":
                      "{src}/count kvm-insn_emulation" + c},
               unit="per operation", rounds=1, warmup=0, ratio=False, ops=n)


TABLES = [
    Table("syscall", "A system call", """
A program calls the kernel thousands of times a second. Under dune-run the
kernel must not be reached directly: the call leaves the virtual machine, is
checked, is made on the host, and the result goes back in. These calls do next
to nothing themselves, so what you see is the price of the way. clock_gettime
is answered inside the virtual machine and makes no call at all.""", [
        micro("getppid", "getppid(2)", GVISOR),
        micro("batch", "16 getppid(2) at once"),
        micro("getpid", "getpid(2)"),
        micro("read", "read(2), 4 KiB of /dev/zero", GVISOR),
        micro("write", "write(2), 4 KiB to /dev/null"),
        micro("pread", "pread(2), 4 KiB of a cached file", GVISOR),
        micro("pwrite", "pwrite(2), 4 KiB of a cached file"),
        micro("open", "open(2) and close(2)", GVISOR),
        micro("clock", "clock_gettime(2)", GVISOR),
    ]),
    Table("intercept", "Intercepting a system call", """
What a sandbox, a tracer or a library operating system must do: see a call
before the kernel does, and decide. One getppid(2), let through each time, by
the means that Linux offers, by gVisor and by dune-run. Where two processes
take part both are on one CPU, which is best for them. In Dune mode the caller
runs in ring 3 and the interceptor is a function in ring 0 of the same process,
which passes the call on, or ("answered") gives the result itself. Syscall User
Dispatch serves code that is trusted not to undo it; the others also hold
hostile code.""", [
        Row("getppid(2)", {
            NATIVE: "{bin}/micro getppid --ms {ms}",
            "Syscall User Dispatch": "{bin}/micro sud --ms {ms}",
            "seccomp user-notify": "{bin}/micro notify --ms {ms}",
            "ptrace": "{bin}/micro ptrace --ms {ms}",
            GVISOR: "{runsc} {bin}/micro getppid --ms {ms}",
            DUNE: "{dune} -- {bin}/micro getppid --ms {ms}",
            MODE: mode("intercept"), MODE_ANSWER: mode("answer"),
        }, rounds=7),
    ]),
    Table("memory", "Memory: first touches and mappings", """
Memory costs when it is touched for the first time (a page fault: the kernel
finds, clears and maps a page) and when mappings change. In a virtual machine
there are two sets of page tables, so both can cost more. Large pages of 2 MiB
make 512 faults into one.""", [
        micro("touch4k", "first write, 4 KiB page", GVISOR),
        micro("touch2m", "first write, 2 MiB page", GVISOR),
        micro("touchfile", "first read, mapped file"),
        micro("refault", "give 4 KiB back and write again", GVISOR),
        micro("mmap", "mmap(2) and munmap(2)", GVISOR),
        micro("mmaptouch", "mmap(2), one write, munmap(2)", GVISOR),
        micro("storm", "64 KiB out of 64 such: unmap, map, touch", GVISOR),
        micro("mprotect", "mprotect(2) of one page"),
    ]),
    Table("process", "Processes, threads, signals", """
Every process under dune-run has a virtual machine of its own and every thread a
virtual CPU; making them is the price here. The ping-pong rows are context
switches: a byte, or a turn, goes to the other and comes back. Both sides stay
on one CPU. Dune mode can keep several address spaces in one process: switching
between them is a load of CR3, and a snapshot is a copy of page tables. An
sthread (Wedge) is a function that runs in ring 3 with page tables of its own, in
which it sees only what it was given: as separate as a process, if the privileged
part is right; a thread separates nothing.""", [
        micro("fork", "fork(2), exit, wait", GVISOR),
        micro("forkbig", "fork(2) with 64 MiB touched"),
        micro("forkexec", "vfork(2), execve(2), wait", options="--ro {bin}"),
        micro("thread", "thread, create and join", GVISOR),
        micro("pipe", "pipe ping-pong, 2 processes", GVISOR),
        micro("futex", "futex ping-pong, 2 threads", GVISOR),
        micro("signal", "signal to a handler", GVISOR),
        pair("another address space and back (Linux: pipe, 2 processes)",
             "pipe", "switch"),
        pair("snapshot of 64 MiB (Linux: fork)", "forkbig", "snapshot"),
        Row("a compartment: sthread (Linux: fork)", {
            NATIVE: native("fork"), "native, a thread": native("thread"),
            MODE: mode("sthread"),
        }),
    ]),
    Table("barrier", "Traps and memory protection as a tool", """
Garbage collectors, checkpointers and databases watch memory by protecting it
and handling the trap. trap: a write that traps to a handler and returns. appel1
and appel2 are the two patterns of Appel and Li (1991), a time a page. Linux's
newer means are userfaultfd (a first write, reported to a thread or recorded)
and PAGEMAP_SCAN (which pages of 1 GiB were written?). Dune mode has page tables
and trap handlers of its own: the handler is called by the processor, edits the
entry and returns; what was written is in the dirty bits. That costs no exit at
all, but on a software KVM every instruction of ring 0 on the way is emulated.
(Its handlers here do without FPU registers unless it says "FPU saved".)""", [
        micro("trap", "trap", GVISOR, extra={MODE_FPU: mode("trapfpu")}),
        micro("appel1", "appel1", GVISOR),
        micro("appel2", "appel2", GVISOR),
        pair("watched page, a handler decides (Linux: userfaultfd)", "uffd",
             "uffd"),
        pair("watched page, recorded (userfaultfd; dirty bit)", "uffdasync",
             "uffdasync"),
        pair("finding what was written, 1 GiB, none", "scan0", "scan0",
             places=(HERE,)),
        pair("finding what was written, 1 GiB, 1 %", "scan1", "scan1",
             places=(HERE,)),
        pair("finding what was written, 1 GiB, 10 %", "scan10", "scan10",
             places=(HERE,)),
    ]),
    Table("walk", "Page walks", """
Loads in random order, each on another page than the last, so that the
processor has to look the address up in page tables. In a virtual machine with
nested paging the walk is two-dimensional, up to 24 loads instead of 4; with
shadow paging it is as natively. Large pages make it rare.""", [
        micro("walk", "32 MiB, tables in the cache"),
        micro("chase4k", "128 MiB in 4 KiB pages"),
        micro("chase2m", "128 MiB in 2 MiB pages"),
    ]),
    Table("startup", "Start-up", """
From the start of a command until it is over. dune-run makes a virtual machine,
confines itself, and loads the program; bubblewrap makes namespaces; gVisor
starts a kernel written in Go. Dynamic programs also make some 50 system calls
in their loader.""", [
        program("static hello", "{bin}/hello", "", rounds=20,
                peers=("bubblewrap", GVISOR)),
        program("dynamic /bin/true", "/bin/true", "", rounds=20,
                peers=("bubblewrap", GVISOR)),
        program("python3 -c pass", "/usr/bin/python3 -c pass", rounds=10,
                peers=("bubblewrap", GVISOR), places=(HERE,)),
    ]),
    Table("cpu", "Programs that compute", """
The paper ran SPEC2000; these are stand-ins that Debian has. They make few
system calls, so they should take as long as natively; what they lose is
start-up, first touches of memory and, for large data, page walks.""", [
        program("gzip", "gzip -c {tmp}/text"),
        program("xz -1", "xz -1 -T1 -c {tmp}/text"),
        program("zstd -5", "zstd -5 -T1 -q -c {tmp}/text", places=(HERE,)),
        program("openssl, SHA-512", "openssl dgst -sha512 {tmp}/text"),
        speed("openssl speed, SHA-256, 16 KiB", "sha256"),
        speed("openssl speed, AES-128-GCM, 16 KiB", "aes-128-gcm"),
        program("sqlite3 in memory",
                "sqlite3 :memory: '.read {tmp}/cpu.sql'", places=(HERE,)),
        program("python3", "/usr/bin/python3 {tmp}/cpu.py", places=(HERE,)),
    ]),
    Table("files", "Programs that work on files and start others", """
Everyday work with many system calls: a database in a file, git looking at
20,000 files, make and gcc compiling a part of this repository with two jobs
(every compiler pass is a process of its own).""", [
        program("sqlite3, one large transaction",
                "sqlite3 {tmp}/a.db '.read {tmp}/file.sql'", places=(HERE,),
                rounds=3, timeout=120),
        program("sqlite3, 2000 transactions",
                "sqlite3 {tmp}/b.db '.read {tmp}/small.sql'", places=(HERE,)),
        program("git status", "git -C {tmp}/tree status --short",
                places=(HERE,), rounds=3),
        program("make -j2", "sh -c 'rm -rf {tmp}/obj && make -s -j2 -C {top} "
                "B={tmp}/obj -f bench/build-some.mk'", places=(HERE,),
                rounds=3, warmup=0, timeout=300),
    ]),
    Table("server", "Servers", """
Requests a second, more is better: the client runs natively, the server natively
or under dune-run. With one client at a time the answer's delay counts, with many
the work for each. A request to lighttpd is a connection of its own, 4 KiB, unless
it says "kept open".""", [
        server("lighttpd, 1 client", "lighttpd", 1, 2000),
        server("lighttpd, 100 clients", "lighttpd", 100, 3000),
        server("lighttpd, 100 clients, kept open", "lighttpd-keep", 100,
               10000, places=(HERE,)),
        server("redis SET, 50 clients", "redis-set", 50, 20000,
               places=(HERE,)),
        server("redis GET, 1 client", "redis-get", 1, 5000, places=(HERE,)),
        server("redis SET, 50 clients, 16 at once", "redis-pipe", 50, 100000,
               places=(HERE,)),
    ]),
    # Its rows come from dune-plugin and dune-decode.
    Table("plugin", "Calls into a plugin that is not trusted, and image decoders", """
A sandbox (dune/sandbox.h) is a virtual machine with an unmodified shared
object in it, whose functions are called like functions. Peers: the same code in
another process, over shared memory and futexes or over pipes; in one that
bubblewrap and a seccomp filter confine; forked for each call; compiled to
WebAssembly and that to C again (wasm2c), where there is source and it makes no use of
the system. "call": a function that does nothing, calls in close
succession; "process, looking" is two processes that spin for each other. "Decode":
from a file's bytes to the caller's own copy of all pixels, by the same library
everywhere. Only "reset after each" and "fork" give every image a decoder that no
image before has seen. Sandboxes use a second processor: without a free one calls
are dear, and libjpeg's and libpng's rows are calls.""", []),
    Table("counts", "Counts that do not depend on the machine", """
How often one operation under dune-run leaves the virtual machine to the
monitor, how many page faults it takes there, and, where the kernel lets us read
its statistics, how often the processor left the guest at all (to KVM or beyond)
and how many instructions KVM emulated. Times are noisy, these are not. KVM's
own counts include the host's timer interrupts. Calls served without an exit are
turned off here (--exitless=off): how many those are depends on whether a
processor is free.""", [
        counts("getppid(2)", "getppid", 1000),
        counts("16 getppid(2) at once", "batch", 200),
        counts("read(2), 4 KiB", "read", 1000),
        counts("clock_gettime(2)", "clock", 1000),
        counts("first write, 4 KiB page", "touch4k", 4096),
        counts("first write, 2 MiB page", "touch2m", 32),
        counts("mmap(2) and munmap(2)", "mmap", 200),
        counts("mmap(2), one write, munmap(2)", "mmaptouch", 200),
        counts("64 KiB: unmap, map, touch", "storm", 200),
        counts("mprotect(2) of one page", "mprotect", 200),
        counts("fork(2), exit, wait", "fork", 20),
        counts("thread, create and join", "thread", 50),
        counts("pipe ping-pong", "pipe", 200),
        counts("signal to a handler", "signal", 200),
        counts("trap (SIGSEGV and back)", "trap", 200),
        counts("appel1, a page", "appel1", 200),
        counts("appel2, a page", "appel2", 200),
    ], grid=True),
    Table("idle", "What waits should cost nothing", """
A program that waits, watched for some seconds: how often one of its threads,
or of dune-run's beside it, was woken, and how much CPU time all of them used.
redis wakes up by itself ten times a second. A plugin's sandbox looks for the
next call for some microseconds after each and then sleeps.""", [
        idle("a program that sleeps", "sleep 100", "{dune} -- sleep 100"),
        idle("redis-server without clients",
             "redis-server --port 0 --unixsocket {tmp}/idle --dir {tmp}",
             "{dune} --net --ro / --rw {tmp} -- redis-server --port 0 "
             "--unixsocket {tmp}/idle --dir {tmp}", places=(HERE,)),
        idle("a plugin between two calls (apps/plughost)", None,
             "sh -c 'sleep 100 | {plughost}'", places=(HERE,)),
    ], grid=True),
    Table("modecounts", "Counts in Dune mode", """
The same for a process in Dune mode. The first column is how often it had to be
helped by its host side in user space (KVM_RUN returned), the dearest thing there
is. The others are KVM's own statistics: how often the processor left the guest
at all, for KVM alone or beyond (timer interrupts are among them), and how many
instructions were emulated, which costs about half a microsecond each and happens
only where ring 0 is not real.""", [
        mode_counts("a system call, passed on", "getppid", 200),
        mode_counts("16 system calls at once", "batch", 200),
        mode_counts("a trap, resolved by a handler", "trap", 200),
        mode_counts("appel1, a page", "appel1", 200),
        mode_counts("appel2, a page", "appel2", 200),
        mode_counts("rights of a page changed", "mprotect", 200),
        mode_counts("ring 3's system call, passed on", "intercept", 200),
        mode_counts("ring 3's system call, answered", "answer", 200),
        mode_counts("two switches of the address space", "switch", 200),
        mode_counts("a first write seen by the dirty bit", "uffdasync", 2048),
        mode_counts("a first write to 4 KiB of memory", "touch4k", 2048),
        mode_counts("mmap, one write, munmap", "mmaptouch", 200),
        mode_counts("an sthread", "sthread", 200),
        mode_counts("a snapshot of 64 MiB", "snapshot", 20),
        mode_counts("fork, exit, wait", "fork", 10),
    ], grid=True),
]

# The paper's figures, in cycles of its machine, beside which rows of ours.
PAPER = [
    # what, Linux, Dune, table, row
    ("getpid", 138, 895, "syscall", "getpid(2)"),
    ("page fault", 2687, 5093, "memory", "first write, 4 KiB page"),
    ("page walk", 35.8, 86.4, "walk", "32 MiB, tables in the cache"),
    ("trap", 2821, 587, "barrier", "trap"),
    ("appel1, 100 pages", 701413, 94496, "barrier", "appel1"),
    ("appel2, 100 pages", 684909, 94854, "barrier", "appel2"),
]
# Intercepting a call: the paper's Linux is ptrace, not a plain call.
PAPER_INTERCEPT = (27317, 1091)
