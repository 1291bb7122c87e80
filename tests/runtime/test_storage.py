import errno
import threading
from pathlib import Path

import pytest

from fwdecg.errors import ConfigError, ResultError
from fwdecg.runtime import storage
from fwdecg.runtime.storage import Store, retry_io


def test_what_is_published_is_read_again(store):
    assert not store.exists()
    store.publish("cases/a.bin", b"abc")
    store.publish("cases/b.txt", "zwei")
    store.publish_json("config.json", {"seed": 1})
    assert store.exists()
    assert store.exists("cases/a.bin")
    assert not store.exists("cases/c.bin")
    assert store.sizes("cases") == {"a.bin": 3, "b.txt": 4}
    assert store.sizes("nowhere") == {}
    assert (store.size("cases/a.bin"), store.size("cases"), store.size("no")) == (3, None, None)
    assert store.read("cases/a.bin").to_pybytes() == b"abc"
    with store.open("cases/b.txt") as stream:
        stream.seek(2)
        assert stream.read() == b"ei"
    assert store.read_json("config.json") == {"seed": 1}


def test_a_writer_that_wants_a_path_gets_one(store):
    store.publish_with("figures/a.txt", lambda path: path.write_text(path.suffix))
    assert store.read("figures/a.txt").to_pybytes() == b".txt"


def test_the_last_publication_stands_and_removal_is_repeatable(store):
    store.publish("a", b"old")
    store.publish("a", b"new")
    assert store.read("a").to_pybytes() == b"new"
    store.publish(".spool/b", b"x")
    for _ in range(2):
        store.remove("a")
        store.remove_folder(".spool")
    assert store.sizes() == {}
    with pytest.raises(FileNotFoundError):
        store.read("a")


@pytest.mark.parametrize(("content", "says"), [(b"{", "is damaged"), (b"[1]", "is damaged")])
def test_damaged_json_is_named(store, content, says):
    store.publish("manifest.json", content)
    with pytest.raises(ResultError, match=f"manifest.json {says}"):
        store.read_json("manifest.json")
    with pytest.raises(ResultError, match=r"other\.json is missing"):
        store.read_json("other.json")


def test_a_home_that_there_is_not_is_refused():
    unknown = "~nobody-of-that-name/x"
    with pytest.raises(ConfigError, match=f"{unknown}: must start with a home folder that there"):
        Store.at(unknown)


def test_paths_and_uris_name_places(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Store.at("results").root == str(tmp_path / "results")
    assert Store.at(Path("~/x")).folder == Path.home() / "x"
    assert Store.at(f"file://{tmp_path}/x").folder == tmp_path / "x"
    store = Store.at("s3://key:secret@bucket/a/b?endpoint_override=http://127.0.0.1:1&region=x")
    assert (store.folder, store.path("c")) == (None, "bucket/a/b/c")
    assert store.label("c") == "s3://bucket/a/b/c"
    assert Store.at(store) is store
    with pytest.raises(ConfigError, match="neither pyarrow nor fsspec can open it"):
        Store.at("nonsense://bucket/a")


def test_nothing_of_a_writer_that_dies_is_seen(tmp_path):
    store = Store.at(tmp_path)

    def die(path):
        path.write_bytes(b"half a pa")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.publish_with("cases/a", die)
    assert store.sizes("cases") == {}
    assert list((tmp_path / ".staging").iterdir()) == []


def test_a_full_disk_leaves_the_old_file(tmp_path):
    store = Store.at(tmp_path)
    store.publish("a", b"old")

    def fill(path):
        path.write_bytes(b"new")
        with Path("/dev/full").open("wb") as full:
            full.write(b"x")

    with pytest.raises(OSError, match="No space left"):
        store.publish_with("a", fill)
    assert store.read("a").to_pybytes() == b"old"


def test_racing_writers_leave_one_whole_file(store):
    contents = [bytes([number]) * 100_000 for number in range(8)]
    seen = []

    def look():
        seen.extend(store.read("a").to_pybytes() for _ in range(20) if store.exists("a"))

    threads = [threading.Thread(target=store.publish, args=("a", each)) for each in contents]
    threads.append(threading.Thread(target=look))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(seen) | {store.read("a").to_pybytes()} <= set(contents)


class Flaky:
    """Fails some times, then works."""

    def __init__(self, errors):
        self.errors = list(errors)

    def __call__(self):
        if self.errors:
            raise self.errors.pop(0)
        return "done"


def test_passing_troubles_are_waited_for(monkeypatch):
    waited = []
    monkeypatch.setattr(storage.time, "sleep", waited.append)
    flaky = Flaky([OSError(errno.ENOSPC, "No space left"), OSError(errno.EIO, "input/output")])
    assert retry_io(flaky) == "done"
    assert waited == list(storage.RETRY_DELAYS_S[:2])


@pytest.mark.parametrize("error", [FileNotFoundError("x"), PermissionError("x"), ValueError("x")])
def test_what_waiting_does_not_help_is_raised_at_once(error, monkeypatch):
    monkeypatch.setattr(storage.time, "sleep", pytest.fail)
    with pytest.raises(type(error)):
        retry_io(Flaky([error]))


def test_a_trouble_that_lasts_is_raised_in_the_end(monkeypatch):
    monkeypatch.setattr(storage.time, "sleep", lambda seconds: None)
    with pytest.raises(OSError, match="again"):
        retry_io(Flaky([OSError("again")] * (len(storage.RETRY_DELAYS_S) + 1)))
