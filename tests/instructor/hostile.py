"""Submissions that attack the grader, the gradebook, the machine or the other students."""

from instructor.submissions import (
    FRAMES,
    NAME,
    NOTHING,
    RIGHT_NYQUIST,
    kind,
)

LOOK = "while True: pass"
DAEMON_SECONDS = 86_399.25  # that the daemon sleeps; nobody else sleeps as long


# --- Time, output, memory -----------------------------------------------------------


@kind(earns=FRAMES, told=(("02_nyquist_hidden", "KeyboardInterrupt"),))
def endless(desk):
    desk.hand_in(nyquist=LOOK)


@kind()
def endless_cell(desk):
    """A cell of its own; then the rest is run."""
    desk.hand_in(first=LOOK)


@kind(reason="after it was told to stop (SIGINT ignored)", review="changes signals")
def ignores_sigint(desk):
    ignore = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    desk.hand_in(first=ignore + LOOK)


@kind(reason="after it was told to stop (SIGINT ignored)")
def catches_all(desk):
    loop = "while True:\n    try: time.sleep(60)\n    except: pass"
    desk.hand_in(nyquist=f"import time\n{loop}")


@kind(earns=FRAMES)
def print_flood(desk):
    desk.hand_in(nyquist="while True: print('flood')")


@kind(or_reason="GiB of memory")
def print_flood_of_its_own(desk):
    desk.hand_in(first="while True: print('flood' * 100_000)")


@kind(or_reason="GiB of memory")
def flood_from_a_thread(desk):
    desk.hand_in(
        first="""
import threading
def flood():
    while True: print('flood' * 1000)
threading.Thread(target=flood, daemon=True).start()
"""
    )


@kind()
def fifty_megabytes(desk):
    desk.hand_in(first="for _ in range(50): print('x' * 2**20)")


@kind()
def fifty_megabytes_at_once(desk):
    desk.hand_in(first="print('x' * 50 * 2**20)")


@kind()
def updated_displays(desk):
    """Small outputs of one name, all of which the last of that name would fill."""
    desk.hand_in(
        first="""
from IPython.display import display, update_display
for _ in range(200): display('', display_id='one')
display('x' * 900_000, display_id='one')
update_display('x' * 900_000, display_id='one')
"""
    )


@kind(earns=FRAMES)
def six_gibibytes(desk):
    desk.hand_in(nyquist="return len(bytearray(6 * 2**30))")


@kind(or_reason="GiB of memory")
def many_small_pieces(desk):
    """It gets a MemoryError, or is ended: by which limit is not for the student to say."""
    desk.hand_in(
        first="""
import time
kept = []
while True:
    kept.append(b'x' * 2**26)
    time.sleep(0.05)
"""
    )


@kind(reason="GiB of memory", review="starts processes")
def many_children_eat(desk):
    desk.hand_in(
        first="""
import os, time
for _ in range(6):
    if os.fork() == 0:
        kept = b'x' * 600 * 2**20
        time.sleep(60)
time.sleep(60)
"""
    )


@kind(prints="filled")
def fills_its_folders(desk):
    """They lie in memory, and are small; what is in them counts for no process."""
    desk.hand_in(
        first="""
import os
written = 0
for folder in ('/tmp', '/dev/shm', os.path.expanduser('~'), '/var/tmp', '/run', '/'):
    try:
        for number in range(1000):
            with open(f'{folder}/{number}', 'wb') as file:
                for _ in range(20): written += file.write(b'x' * 2**19)
    except OSError: pass
print('filled' if written < 200 * 2**20 else 'overfilled', written)
"""
    )


@kind(prints="refused refused refused", review="starts processes")
def hides_memory(desk):
    """Memory that belongs to no process: nobody who adds up processes would see it."""
    desk.hand_in(
        first="""
import ctypes, os
libc = ctypes.CDLL(None)
def memory_file():
    with open(os.memfd_create('x'), 'wb') as file: file.write(b'x' * 2**20)
def shared_segment():
    if libc.shmget(0, ctypes.c_size_t(2**30), 0o1600) < 0: raise OSError
def own_mount():  # by a process without threads
    if (child := os.fork()) == 0: os._exit(libc.unshare(0x10020000) == 0)
    if os.wait()[1] == 0: raise OSError
for way in (memory_file, shared_segment, own_mount):
    try:
        way()
        print('done', end=' ')
    except OSError:
        print('refused', end=' ')
"""
    )


# --- Processes ----------------------------------------------------------------------


@kind(reason="processes, at most", review="starts processes")
def burst_of_children(desk):
    """Each as busy as can be."""
    desk.hand_in(
        first="""
import os
while True:
    try:
        if os.fork() == 0:
            while True: pass
    except OSError: pass
"""
    )


@kind(reason="Python ended in code cell")
def exits(desk):
    desk.hand_in(nyquist="import os\nos._exit(0)")


@kind(earns=FRAMES)
def exits_politely(desk):
    desk.hand_in(nyquist="import sys\nsys.exit(0)")


@kind(reason="Python ended in code cell")
def crashes(desk):
    desk.hand_in(nyquist="import os\nos.abort()")


@kind(review="starts processes")
def daemon(desk):
    """Two forks and a session of its own; whoever grades sees to it that it ends."""
    desk.hand_in(
        first=f"""
import os, subprocess
if os.fork() == 0:
    os.setsid()
    subprocess.Popen(['sleep', '{DAEMON_SECONDS}'], start_new_session=True)
    os._exit(0)
os.wait()
"""
    )


# --- Tests that say what the student likes ------------------------------------------


@kind(earns=NOTHING, review="changes code before it runs")
def strips_asserts(desk):
    desk.hand_in(
        first="""
import ast
class Strip(ast.NodeTransformer):
    def visit_Assert(self, node): return ast.Pass()
    def visit_Call(self, node):
        return ast.Constant(None) if 'assert' in ast.unparse(node.func) else node
get_ipython().ast_transformers.append(Strip())
""",
        nyquist="return 0.0",
    )


@kind(earns=NOTHING, review="uses slowfast_edu")
def patches_the_checks(desk):
    desk.hand_in(
        first="""
import slowfast_edu.exercises as e
import slowfast_edu.exercises.asserting, slowfast_edu.exercises.checking
import sys
def fine(name, *_, **__): print(f'passed 16/16: {name}')
for module in list(sys.modules.values()):
    if module.__name__.startswith('slowfast_edu.exercises'):
        for name in ('assert_right', 'check'):
            if hasattr(module, name): setattr(module, name, fine)
assert_right = fine
""",
        nyquist="return 0.0",
    )


ANSWERS = "application/vnd.slowfast-edu.answers+json"


def forged(value, times=1):
    """A function's body that displays its own answers to the judge."""
    lines = ["from IPython.display import display"]
    lines += [f"display({{{ANSWERS!r}: {value}}}, raw=True)"] * times
    return "\n".join([*lines, "return 0.0"])


@kind(earns=FRAMES, told=(("02_nyquist_visible", "did not run as it is written"),))
def forges_answers(desk):
    one = {"exercise": "02.nyquist", "answers": [{"float": "0.0"}] * 16}
    desk.hand_in(nyquist=forged(one, times=2))


@kind(earns=FRAMES)
def forges_malformed_answers(desk):
    desk.hand_in(nyquist="\n".join(map(forged, ("[]", "5", "'x'", "{'answers': 7}"))))


def in_place(value):
    """A cell that has something else handed over than the answers."""
    return (
        "import slowfast_edu.exercises.asserting as it\n"
        f"old, it.pack = it.pack, lambda answer: {value}"
    )


@kind(earns=NOTHING, review="uses slowfast_edu")
def hands_over_lists(desk):
    desk.hand_in(first=in_place("[1]"))


@kind(earns=NOTHING, review="uses slowfast_edu")
def hands_over_absurd_sizes(desk):
    desk.hand_in(first=in_place("{'tensor': ['float32', [10**12], '']}"))


@kind(reason="nbgrader could not grade it", review="uses slowfast_edu")
def hands_over_depths(desk):
    deep = "__import__('functools').reduce(lambda a, _: {'list': [a]}, range(20_000), 1)"
    desk.hand_in(first=in_place(deep).replace("20_000", "400"))


@kind(review="talks to IPython")
def malformed_messages(desk):
    """What no kernel would send: the grader's client has to live with it."""
    desk.hand_in(
        first="""
kernel = get_ipython().kernel
def send(kind, content):
    kernel.session.send(kernel.iopub_socket, kind, content, parent=kernel.get_parent())
for content in ({}, {'data': None}, {'data': 5}, {'comm_id': 7, 'data': {'state': 1}}):
    for kind in ('comm_open', 'comm_msg', 'comm_close', 'display_data', 'stream'):
        send(kind, content)
    send('update_display_data', {'transient': {'display_id': 'x'}, **content})
"""
    )


# --- What must not be reachable -----------------------------------------------------


@kind(prints="found [] read True")
def reaches_for_the_gradebook(desk):
    """By the path it has here, by guesses, and by a search of all that can be seen."""
    root = str(desk.course.root.resolve())
    places = [root, f"{root}/source/{NAME}", f"{root}/assignments", "..", "../..", "/"]
    places.append(str(desk.folder.resolve().parent / "right"))
    desk.hand_in(
        first=f"""
import glob, os
wanted = ('gradebook.db', '{NAME}.ipynb', '{NAME}.json', 'roster.csv')
found = []
for path in [f'{{place}}/{{name}}' for name in wanted for place in {places}]:
    for mode in ('rb', 'ab'):
        try: open(path, mode).close(); found.append(path)
        except OSError: pass
seen = False
for folder, folders, names in os.walk('/'):
    folders[:] = [f for f in folders if f not in ('proc', 'sys', 'usr', 'site-packages')]
    found += [f'{{folder}}/{{name}}' for name in names if name in wanted]
    seen = seen or 'kernel.json' in names
found += glob.glob('/proc/*/root/**/gradebook.db')
found += glob.glob('/proc/*/cwd/**/gradebook.db')
found += [e for e in os.environ.values() if '{root}' in e]
print('found', found, 'read', seen)
"""
    )


@kind(earns=FRAMES, prints="heard nothing", review="uses the network")
def calls_home(desk):
    """By TCP and by an abstract socket, which lies in no folder."""
    desk.hand_in(
        first=f"""
import socket
calls = [(socket.AF_INET, ('127.0.0.1', {desk.port}))]
calls += [(socket.AF_UNIX, '\\0{desk.socket}')]
for family, address in calls:
    try:
        line = socket.socket(family)
        line.settimeout(2)
        line.connect(address)
        line.sendall(b'here I am')
        print('connected')
    except OSError: print('heard nothing')
""",
        nyquist="return 0.0",
    )


CHANNEL = """
import os, sys, time
channel = os.path.dirname(sys.argv[sys.argv.index('-f') + 1])
"""  # the one folder of the outside that a student's code can write to


@kind(reason="among the sockets")
def litters_the_channel(desk):
    write = "for name in range(20): open(f'{channel}/{name}', 'w').close()"
    desk.hand_in(first=f"{CHANNEL}{write}\ntime.sleep(3)")


@kind(reason="among the sockets")
def folder_in_the_channel(desk):
    """In a socket's place, so that there are as many things as before."""
    desk.hand_in(
        first=CHANNEL
        + """
[name] = [name for name in os.listdir(channel) if name.endswith('-5')]
os.unlink(f'{channel}/{name}')
os.mkdir(f'{channel}/{name}')
for number in range(100):
    with open(f'{channel}/{name}/{number}', 'wb') as file: file.write(bytes(2**20))
    time.sleep(0.03)
"""
    )


@kind(reason="files")
def counts_on_names(desk):
    """Empty files: their names take memory."""
    desk.hand_in(
        first="""
import time
for number in range(30_000): open(f'/tmp/{number}', 'w').close()
time.sleep(3)
"""
    )


@kind(reason="GiB of memory", review="starts processes")
def fills_the_disk(desk):
    """By files in that folder which never had a name: nobody sees them there."""
    desk.hand_in(
        first=CHANNEL
        + """
child = os.fork()
for _ in range(90):
    nameless = os.open(channel, os.O_TMPFILE | os.O_RDWR)
    os.posix_fallocate(nameless, 0, 15 * 2**20)
time.sleep(4)
if not child: os._exit(0)
"""
    )


@kind()
def right_among_them(desk):
    """A right one at the end: nothing that came before may change what it gets."""
    desk.hand_in(nyquist=RIGHT_NYQUIST, last="print(nyquist(30, 1, 4))")
