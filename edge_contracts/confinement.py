"""What a contract worker gives up before it runs anything: privileges, resources, system calls.

The Lua sandbox is the first wall; this is the second, for the day someone finds a hole in Lua.
The filter is an allow-list (seccomp, classic BPF): a worker computes, allocates memory and talks
over the one socket it holds. It opens, connects, starts and signals nothing; nothing it maps is
executable.
"""

import ctypes
import errno
import platform
import resource
import struct

ADDRESS_SPACE_BYTES_MAX = 512 * 1024 * 1024  # Python and its libraries map about 100 MiB
CPU_SECONDS_MAX = 600  # the ledger retires a worker long before
OPEN_FILES_MAX = 16

_PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 4, 22, 38
_SECCOMP_MODE_FILTER = 2

# Linux audit architecture, then system call numbers (the kernel's unistd.h).
_X86_64, _AARCH64 = 0xC000003E, 0xC00000B7
_ALLOWED = {
    _X86_64: {
        "read": 0, "write": 1, "close": 3, "munmap": 11, "brk": 12, "rt_sigaction": 13,
        "rt_sigprocmask": 14, "rt_sigreturn": 15, "sched_yield": 24, "mremap": 25, "madvise": 28,
        "getpid": 39, "sendto": 44, "recvfrom": 45, "exit": 60, "gettid": 186, "futex": 202,
        "restart_syscall": 219, "clock_gettime": 228, "exit_group": 231, "getrandom": 318,
    },
    _AARCH64: {
        "read": 63, "write": 64, "close": 57, "munmap": 215, "brk": 214, "rt_sigaction": 134,
        "rt_sigprocmask": 135, "rt_sigreturn": 139, "sched_yield": 124, "mremap": 216,
        "madvise": 233, "getpid": 172, "sendto": 206, "recvfrom": 207, "exit": 93, "gettid": 178,
        "futex": 98, "restart_syscall": 128, "clock_gettime": 113, "exit_group": 94,
        "getrandom": 278,
    },
}  # fmt: skip
_MAPPING = {_X86_64: (9, 10), _AARCH64: (222, 226)}  # mmap, mprotect: allowed without PROT_EXEC
_ARCHITECTURES = {"x86_64": _X86_64, "aarch64": _AARCH64}

_LOAD, _JUMP_EQUAL, _JUMP_ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_ALLOW, _KILL_PROCESS, _REFUSE = 0x7FFF0000, 0x80000000, 0x00050000 | errno.EPERM
_OFFSET_NUMBER, _OFFSET_ARCHITECTURE, _OFFSET_THIRD_ARGUMENT = 0, 4, 32  # struct seccomp_data
_PROT_EXEC = 4


class _Program(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def confine() -> bool:
    """Give up what a worker does not need; return whether system calls are filtered.

    False on machines whose system call numbers are not known here, or without seccomp.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    _limit_resources()
    for option, value in ((_PR_SET_DUMPABLE, 0), (_PR_SET_NO_NEW_PRIVS, 1)):
        if libc.prctl(option, value, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), f"prctl {option}")
    architecture = _ARCHITECTURES.get(platform.machine())
    if architecture is None:
        return False
    code = _build_filter(architecture)
    program = _Program(len(code) // 8, code)
    refused = libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0)
    return bool(refused == 0)


def _limit_resources() -> None:
    for kind, limit in (
        (resource.RLIMIT_AS, ADDRESS_SPACE_BYTES_MAX),
        (resource.RLIMIT_CPU, CPU_SECONDS_MAX),
        (resource.RLIMIT_NOFILE, OPEN_FILES_MAX),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (limit, limit))


def _build_filter(architecture: int) -> bytes:
    mapping, allowed = _MAPPING[architecture], sorted(_ALLOWED[architecture].values())
    # Jump distances count the instructions between a test and its verdict at the end.
    to_mapping = len(mapping) + len(allowed)
    return b"".join(
        (
            _instruction(_LOAD, _OFFSET_ARCHITECTURE),
            _instruction(_JUMP_EQUAL, architecture, if_true=1),
            _instruction(_RETURN, _KILL_PROCESS),
            _instruction(_LOAD, _OFFSET_NUMBER),
            *(
                _instruction(_JUMP_EQUAL, number, if_true=to_mapping - position)
                for position, number in enumerate(mapping)
            ),
            *(
                _instruction(_JUMP_EQUAL, number, if_true=len(allowed) - position + 2)
                for position, number in enumerate(allowed)
            ),
            _instruction(_RETURN, _REFUSE),
            _instruction(_LOAD, _OFFSET_THIRD_ARGUMENT),
            _instruction(_JUMP_ANY_BIT, _PROT_EXEC, if_true=1),
            _instruction(_RETURN, _ALLOW),
            _instruction(_RETURN, _REFUSE),
        )
    )


def _instruction(code: int, value: int, *, if_true: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, 0, value)
