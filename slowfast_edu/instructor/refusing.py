"""Run a command for which Linux refuses some system calls. The sandbox runs this file.

They are those with which a student's code could have memory that belongs to no process,
so that who adds up its processes does not see it: files in memory, shared segments,
message queues, and namespaces of its own, in which it may mount. On other machines than
these nothing is refused.
"""

import ctypes
import os
import platform
import struct
import sys

# Machine: (its name in a filter, the calls that are refused, clone, clone3).
CALLS = {
    # memfd_create, memfd_secret, shmget, msgget, unshare, setns, io_uring_setup
    "x86_64": (0xC000003E, (319, 447, 29, 68, 272, 308, 425), 56, 435),
    "aarch64": (0xC00000B7, (279, 447, 194, 186, 97, 268, 425), 220, 435),
}
LOAD, EQUAL, ABOVE, ANY_BIT, END = 0x20, 0x15, 0x35, 0x45, 0x06  # of a filter
ALLOW, ERROR, KILL = 0x7FFF0000, 0x00050000, 0x80000000
EPERM, ENOSYS = 1, 38
NUMBER, MACHINE, FIRST_ARGUMENT = 0, 4, 16  # where they are in what a filter sees
FOREIGN = 0x40000000  # and above: a second set of numbers for the same calls
NEW_USER = 0x10000000  # clone's flag for a namespace
NO_NEW_PRIVILEGES, SECCOMP, FILTER = 38, 22, 2  # of prctl


def _filter(machine: str) -> bytes:
    """The filter's program. After clone3, which hides its flags, C libraries try clone."""
    name, refused, clone, clone3 = CALLS[machine]
    lines = [(LOAD, 0, 0, MACHINE), (EQUAL, 1, 0, name), (END, 0, 0, KILL)]
    lines += [(LOAD, 0, 0, NUMBER), (ABOVE, 0, 1, FOREIGN), (END, 0, 0, ERROR | EPERM)]
    for number in refused:
        lines += [(EQUAL, 0, 1, number), (END, 0, 0, ERROR | EPERM)]
    lines += [(EQUAL, 0, 1, clone3), (END, 0, 0, ERROR | ENOSYS)]
    lines += [(EQUAL, 0, 3, clone), (LOAD, 0, 0, FIRST_ARGUMENT)]
    lines += [(ANY_BIT, 0, 1, NEW_USER), (END, 0, 0, ERROR | EPERM), (END, 0, 0, ALLOW)]
    return b"".join(struct.pack("=HBBI", *line) for line in lines)


def refuse_calls() -> None:
    """From here on, in this process and all that it starts.

    Raises:
        OSError: the system has no such filters.
    """
    if platform.machine() not in CALLS:
        return
    code = ctypes.create_string_buffer(_filter(platform.machine()))
    program = struct.pack("@HP", (len(code) - 1) // 8, ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    rest = (ctypes.c_ulong(0),) * 2
    if libc.prctl(NO_NEW_PRIVILEGES, ctypes.c_ulong(1), *rest, ctypes.c_ulong(0)) or (
        libc.prctl(SECCOMP, ctypes.c_ulong(FILTER), ctypes.c_char_p(program), *rest)
    ):
        raise OSError(ctypes.get_errno(), "no system call can be refused here")


if __name__ == "__main__":
    refuse_calls()
    os.execvp(sys.argv[1], sys.argv[1:])
