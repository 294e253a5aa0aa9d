"""A JupyterLab of the tests' own: its port, token, settings and files are nobody else's."""

import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import psutil

REPO = Path(__file__).resolve().parents[2]
NOTIFICATIONS = "settings/@jupyterlab/apputils-extension/notification.jupyterlab-settings"
NO_NEWS = {"fetchNews": "false", "checkForUpdates": False}  # nor a question about them
OWN_FOLDERS = {
    "JUPYTER_CONFIG_DIR": "config",
    "JUPYTER_DATA_DIR": "data",
    "JUPYTER_RUNTIME_DIR": "runtime",
    "JUPYTERLAB_SETTINGS_DIR": "settings",
    "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
    "IPYTHONDIR": "ipython",
    "SLOWFAST_EDU_HOME": "progress",
}
SECONDS = 60  # that starting may take


@contextmanager
def running_lab(root: Path):
    """Start JupyterLab on copies of notebooks/ and data_samples/ in ``root``.

    Gives the address of a notebook, with a place for its name and without what was open
    before. The server and its kernels are ended in any case, each by its number.
    """
    for name in ("notebooks", "data_samples"):
        shutil.copytree(REPO / name, root / name)
    news = root / NOTIFICATIONS
    news.parent.mkdir(parents=True)
    news.write_text(json.dumps(NO_NEWS))
    own = {variable: str(root / name) for variable, name in OWN_FOLDERS.items()}
    token = secrets.token_hex(16)
    command = [sys.executable, "-m", "jupyterlab", "notebooks", "--no-browser"]
    command += ["--allow-root", "--ServerApp.port=0", f"--IdentityProvider.token={token}"]
    command += ["--LabApp.expose_app_in_browser=True"]  # tests read what the page knows
    with open(root / "jupyterlab.log", "w") as log:
        server = subprocess.Popen(
            command, cwd=root, env=os.environ | own, stdout=log, stderr=log
        )
    try:
        yield f"{_address(root, server)}lab/tree/{{}}?reset&token={token}"
    finally:
        _end(server)


def _address(root: Path, server: subprocess.Popen) -> str:
    """What the server has written down of itself, once it answers."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end and server.poll() is None:
        for path in (root / "runtime").glob("jpserver-*.json"):
            text = path.read_text()
            if text.endswith("}"):  # it is all there
                return json.loads(text)["url"]
        time.sleep(0.1)
    told = (root / "jupyterlab.log").read_text()[-2000:]
    raise RuntimeError(f"JupyterLab did not start in {SECONDS} s:\n{told}")


def _end(server: subprocess.Popen) -> None:
    """Ask the server to end with its kernels; kill what is still there after 20 s."""
    try:
        started = psutil.Process(server.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        started = []
    server.terminate()
    try:
        server.wait(20)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
    for process in psutil.wait_procs(started, timeout=5)[1]:
        process.kill()
