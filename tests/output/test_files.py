from __future__ import annotations

import errno
import os
import stat
import sys

import pytest

from headspec.errors import DataError, KindError, RenderError
from headspec.output import files
from headspec.output.files import write_atomic


def test_writes_text_as_utf_8_and_bytes_as_they_are(tmp_path):
    assert write_atomic(tmp_path / "a.txt", "é\r\n") == tmp_path / "a.txt"
    assert (tmp_path / "a.txt").read_bytes() == "é\r\n".encode()
    write_atomic(str(tmp_path / "a.txt"), b"\x00\xff")
    assert (tmp_path / "a.txt").read_bytes() == b"\x00\xff"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


class _FullDisk:
    """A file on which half of what is written fits."""

    def __init__(self, file):
        self.file = file

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.file.close()

    def write(self, data):
        self.file.write(data[: len(data) // 2])
        self.file.flush()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_leaves_the_old_file_and_nothing_beside_it(tmp_path, monkeypatch):
    place = tmp_path / "chart.svg"
    place.write_text("old")
    opened = os.fdopen
    monkeypatch.setattr(os, "fdopen", lambda *arguments: _FullDisk(opened(*arguments)))
    with pytest.raises(
        RenderError, match=r"chart\.svg' could not be written \(No space left on device\): the old file"
    ):
        write_atomic(place, "new" * 1000)
    assert place.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["chart.svg"]
    with pytest.raises(RenderError, match=r"other\.svg"):
        write_atomic(tmp_path / "other.svg", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["chart.svg"]


@pytest.mark.parametrize("step", ["fsync", "replace", "chmod"])
@pytest.mark.parametrize("error", [OSError(errno.EIO, "broken"), KeyboardInterrupt()])
def test_a_failure_or_interruption_at_any_step_leaves_the_old_file(tmp_path, monkeypatch, step, error):
    place = tmp_path / "a.json"
    place.write_text("old")

    def fail(*_):
        raise error

    monkeypatch.setattr(os, step, fail)
    with pytest.raises((RenderError, KeyboardInterrupt)):
        write_atomic(place, "new")
    assert place.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_the_new_file_is_flushed_before_it_takes_the_old_ones_place(tmp_path, monkeypatch):
    order = []
    for step in ("fsync", "replace"):
        real = getattr(os, step)
        monkeypatch.setattr(os, step, lambda *inputs, real=real, step=step: (order.append(step), real(*inputs))[1])
    write_atomic(tmp_path / "a", "x")
    assert order[:2] == ["fsync", "replace"]


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_permissions_are_those_of_the_old_file_or_of_the_umask(tmp_path):
    place = tmp_path / "a"
    mask = os.umask(0o027)
    try:
        write_atomic(place, "x")
        assert stat.S_IMODE(place.stat().st_mode) == 0o640
        place.chmod(0o604)
        write_atomic(place, "y")
        assert stat.S_IMODE(place.stat().st_mode) == 0o604
    finally:
        os.umask(mask)


@pytest.mark.skipif(os.name == "nt", reason="symbolic links need rights there")
def test_a_symbolic_link_is_followed_and_stays_one(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real" / "a")
    write_atomic(tmp_path / "link", "x")
    write_atomic(tmp_path / "link", "y")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "a").read_text() == "y"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_file_is_not_replaced(tmp_path):
    place = tmp_path / "a"
    place.write_text("old")
    place.chmod(0o444)
    with pytest.raises(RenderError, match="read-only"):
        write_atomic(place, "new")
    assert place.read_text() == "old"


def test_a_read_only_file_is_not_replaced_whoever_asks(tmp_path, monkeypatch):
    place = tmp_path / "a"
    place.write_text("old")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(RenderError, match="read-only"):
        write_atomic(place, "new")
    assert place.read_text() == "old"


def test_places_where_nothing_can_be_written(tmp_path):
    with pytest.raises(DataError, match="is a folder: add the name of a file"):
        write_atomic(tmp_path, "x")
    with pytest.raises(DataError, match="does not exist: make it first"):
        write_atomic(tmp_path / "no" / "a", "x")
    with pytest.raises(DataError, match="NUL"):
        write_atomic(f"{tmp_path}/a\0b", "x")
    with pytest.raises(KindError, match="path is a str or Path, not int"):
        write_atomic(3, "x")  # type: ignore[arg-type]
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="does not exist"):
        write_atomic(tmp_path / "file" / "a", "x")


@pytest.mark.parametrize("name", ["sp ace.txt", "quo'te\".txt", "émoji😀.txt", "<script>.txt", "..x", "-n", "x" * 240])
def test_odd_names_are_only_names(tmp_path, name):
    if sys.platform == "win32" and set(name) & set('<>"'):
        pytest.skip("not a name there")
    write_atomic(tmp_path / name, "x")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_home_is_understood(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert files.target("~/a") == tmp_path / "a"
