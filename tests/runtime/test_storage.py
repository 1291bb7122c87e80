import errno
import threading
from pathlib import Path
from unittest.mock import Mock

import pytest

from fwdecg.errors import ConfigError, ResultError
from fwdecg.runtime import storage
from fwdecg.runtime.storage import Store, retry_io


def test_published_files_are_read_back(store):
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


def test_a_writer_function_receives_a_path(store):
    store.publish_with("figures/a.txt", lambda path: path.write_text(path.suffix))
    assert store.read("figures/a.txt").to_pybytes() == b".txt"


def test_files_are_replaced_and_removal_can_be_repeated(store):
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


@pytest.mark.parametrize("content", [b"{", b"[1]"])
def test_damaged_or_missing_json_is_an_error(store, content):
    store.publish("manifest.json", content)
    with pytest.raises(ResultError, match=r"manifest\.json is damaged"):
        store.read_json("manifest.json")
    with pytest.raises(ResultError, match=r"other\.json is missing"):
        store.read_json("other.json")


def test_a_full_disk_is_an_error_that_names_the_file(tmp_path):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match=r"No space left on device: '.*/cases/x'"):
        Store.at(tmp_path).publish_with("cases/x", full)


def test_an_unknown_home_folder_is_refused():
    unknown = "~nobody-of-that-name/x"
    with pytest.raises(ConfigError, match=f"{unknown}: must start with an existing home folder"):
        Store.at(unknown)


def test_stores_of_paths_and_uris(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Store.at("results").root == str(tmp_path / "results")
    assert Store.at(Path("~/x")).folder == Path.home() / "x"
    assert Store.at("a?b#c%20").label("d") == str(tmp_path / "a?b#c%20" / "d")
    assert Store.at(f"file://{tmp_path}/x").folder == tmp_path / "x"
    store = Store.at("s3://key:secret@bucket/a/b?endpoint_override=http://127.0.0.1:1&region=x")
    assert (store.folder, store.path("c")) == (None, "bucket/a/b/c")
    assert store.label("c") == "s3://bucket/a/b/c"
    assert Store.at(store) is store
    with pytest.raises(ConfigError, match="neither pyarrow nor fsspec can open it"):
        Store.at("nonsense://bucket/a")


def test_an_interrupted_writer_leaves_no_file(tmp_path):
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


def test_readers_see_complete_files_while_writers_race(store):
    if store.root.startswith("memory:"):
        pytest.skip("fsspec's file system in memory shows a new file before it is written")
    contents = [bytes([number]) * 100_000 for number in range(8)]
    seen = []

    def read():
        seen.extend(store.read("a").to_pybytes() for _ in range(20) if store.exists("a"))

    threads = [threading.Thread(target=store.publish, args=("a", each)) for each in contents]
    threads.append(threading.Thread(target=read))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(seen) | {store.read("a").to_pybytes()} <= set(contents)


@pytest.fixture
def delays(monkeypatch):
    """The delays between the attempts, which the tests do not wait for."""
    slept = []
    monkeypatch.setattr(storage.time, "sleep", slept.append)
    return slept


def test_transient_errors_are_retried_with_increasing_delays(delays):
    errors = [OSError(errno.ENOSPC, "No space left"), OSError(errno.EIO, "input/output")]
    assert retry_io(Mock(side_effect=[*errors, "done"])) == "done"
    assert delays == list(storage.RETRY_DELAYS_S[:2])


@pytest.mark.parametrize("error", [FileNotFoundError, PermissionError, ValueError])
def test_permanent_errors_are_raised_at_once(error, delays):
    with pytest.raises(error):
        retry_io(Mock(side_effect=error))
    assert delays == []


def test_a_persistent_error_is_raised_after_the_last_retry(delays):
    with pytest.raises(OSError, match="again"):
        retry_io(Mock(side_effect=OSError("again")))
    assert delays == list(storage.RETRY_DELAYS_S)
