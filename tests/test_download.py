"""Fetching published weights, against a server of our own on this machine."""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from slowfast_edu.checkpoints import download, fetch_weights
from slowfast_edu.checkpoints.download import DownloadError, default_folder

NAME, FILE = "slowfast_8x8_r50", "SLOWFAST_8x8_R50.pyth"
CONTENT = b"PK\x03\x04" + bytes(range(252)) + bytes(range(256)) * 399  # begins as a zip


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        server = self.server
        server.seen.append((self.path, self.headers))
        time.sleep(server.delay_seconds)
        if server.status != 200:
            return self.send_error(server.status)
        start, wanted = 0, self.headers.get("Range")
        same = self.headers.get("If-Range", server.etag) == server.etag
        if wanted and server.ranges and same:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(server.content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(server.content)}")
                return self.end_headers()
            self.send_response(206)
            size = len(server.content)
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        else:
            self.send_response(200)
        body = server.content[start:]
        if server.length:
            self.send_header("Content-Length", str(len(body) + server.lie))
        if server.etag:
            self.send_header("ETag", server.etag)
        self.end_headers()
        half = len(body) // 2
        self.wfile.write(body[:half])
        server.during()
        if not server.cut:
            self.wfile.write(body[half:])


@pytest.fixture
def server(monkeypatch):
    """A server whose manners a test sets; by default it does all that it should."""
    monkeypatch.setenv("no_proxy", "*")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{server.server_port}/zoo"
    server.handle_error = lambda *_: None  # a client that hung up
    server.seen, server.during = [], lambda: None
    server.content, server.etag, server.status = CONTENT, '"one"', 200
    server.ranges, server.length, server.cut = True, True, False
    server.lie, server.delay_seconds = 0, 0
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def fetch(server, tmp_path):
    def fetch(name=NAME, **options):
        return fetch_weights(name, tmp_path / "kept", server.url, **options)

    return fetch


def interrupt(server, fetch):
    """One download that breaks half way."""
    server.cut = True
    with pytest.raises(DownloadError, match="cut short at 51200 of 102400"):
        fetch()
    server.cut = False


def test_a_file_is_fetched_once_and_then_kept(server, fetch, tmp_path):
    path = fetch()
    assert path == tmp_path / "kept" / FILE
    assert path.read_bytes() == CONTENT
    assert [seen[0] for seen in server.seen] == [f"/zoo/{FILE}"]
    assert fetch() == path
    assert len(server.seen) == 1
    assert list(path.parent.iterdir()) == [path]


def test_every_published_name_is_a_preset():
    from slowfast_edu.config import PRESETS

    assert set(download.PUBLISHED) <= set(PRESETS)
    assert download.BASE_URL.startswith("https://")


def test_an_interrupted_download_resumes_where_it_stopped(server, fetch):
    interrupt(server, fetch)
    path = fetch()
    assert path.read_bytes() == CONTENT
    headers = server.seen[1][1]
    assert (headers["Range"], headers["If-Range"]) == ("bytes=51200-", '"one"')
    assert list(path.parent.iterdir()) == [path]


def test_without_an_etag_it_resumes_too(server, fetch):
    server.etag = None
    interrupt(server, fetch)
    assert fetch().read_bytes() == CONTENT
    assert server.seen[1][1]["If-Range"] is None


def test_a_server_without_ranges_starts_over(server, fetch):
    server.ranges = False
    interrupt(server, fetch)
    assert fetch().read_bytes() == CONTENT


def test_a_file_that_changed_meanwhile_starts_over(server, fetch):
    interrupt(server, fetch)
    changed = CONTENT[:4] + CONTENT[:3:-1]
    server.content, server.etag = changed, '"two"'
    assert fetch().read_bytes() == changed


def test_a_file_that_became_shorter_is_fetched_anew(server, fetch):
    server.etag = None
    interrupt(server, fetch)
    server.content = CONTENT[:9]
    with pytest.raises(DownloadError, match="did not belong"):  # 416
        fetch()
    assert fetch().read_bytes() == CONTENT[:9]


def test_a_download_that_was_killed_at_its_very_end_is_kept(server, fetch, tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / (FILE + ".part")).write_bytes(CONTENT)
    server.during = lambda: pytest.fail("sent again")
    path = fetch()  # the server answers 416: there is nothing behind what has come
    assert path.read_bytes() == CONTENT
    assert list(path.parent.iterdir()) == [path]


def test_a_log_in_page_is_not_kept_as_weights(server, fetch, tmp_path):
    server.content = b"<html>Please log in</html>"
    with pytest.raises(DownloadError, match="not a PyTorch file"):
        fetch()
    assert not list((tmp_path / "kept").glob("*.p*"))
    server.content = CONTENT
    assert fetch().read_bytes() == CONTENT


def test_a_length_that_lies_is_an_error_and_keeps_what_came(server, fetch, tmp_path):
    server.lie = 10
    with pytest.raises(DownloadError, match="cut short at 102400 of 102410"):
        fetch()
    assert not (tmp_path / "kept" / FILE).exists()


def test_an_unknown_length_is_accepted(server, fetch):
    server.length = False
    assert fetch().read_bytes() == CONTENT


def test_the_final_name_never_shows_a_part(server, fetch, tmp_path):
    during = []
    final = tmp_path / "kept" / FILE
    server.during = lambda: during.append(final.exists())
    interrupt(server, fetch)
    assert not final.exists()
    fetch()
    assert during == [False, False]
    assert final.exists()


def refused_by_hand(message, server, tmp_path):
    assert f"{server.url}/{FILE}" in message
    assert f"put it at {tmp_path / 'kept' / FILE}" in message


@pytest.mark.parametrize(
    ("status", "reason"), [(404, "Not Found"), (503, "Service Unavailable")]
)
def test_a_refusal_says_where_to_put_the_file_by_hand(
    server, fetch, tmp_path, status, reason
):
    server.status = status
    with pytest.raises(DownloadError, match=reason) as error:
        fetch()
    refused_by_hand(str(error.value), server, tmp_path)


def test_no_connection_says_where_to_put_the_file_by_hand(server, tmp_path):
    with pytest.raises(DownloadError, match="refused") as error:
        fetch_weights(NAME, tmp_path / "kept", "http://127.0.0.1:9/zoo")
    server.url = "http://127.0.0.1:9/zoo"
    refused_by_hand(str(error.value), server, tmp_path)


def test_a_silent_server_times_out(server, fetch, tmp_path):
    server.delay_seconds = 1
    start = time.monotonic()
    with pytest.raises(DownloadError, match="timed out") as error:
        fetch(timeout_seconds=0.1)
    assert time.monotonic() - start < 0.9
    refused_by_hand(str(error.value), server, tmp_path)


def test_an_answer_that_is_not_http_is_an_error(server, fetch, monkeypatch):
    monkeypatch.setattr(Handler, "do_GET", lambda self: self.wfile.write(b"220 ftp\r\n"))
    with pytest.raises(DownloadError, match="put it at"):
        fetch()


def test_a_folder_that_cannot_be_made_is_an_error(server, tmp_path):
    (tmp_path / "kept").write_text("in the way")
    with pytest.raises(DownloadError, match="put it at"):
        fetch_weights(NAME, tmp_path / "kept", server.url)


def test_unknown_names_are_told_the_known_ones(fetch, server):
    with pytest.raises(ValueError, match=r"slowfast_tiny.*slowfast_4x16_r50.*r2plus1d"):
        fetch("slowfast_tiny")
    assert server.seen == []


def test_torch_home_says_where_files_are_kept(server, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    assert default_folder() == tmp_path / "torch" / "hub" / "checkpoints"
    path = fetch_weights(NAME, base_url=server.url + "/")
    assert path == tmp_path / "torch" / "hub" / "checkpoints" / FILE
    assert path.read_bytes() == CONTENT
