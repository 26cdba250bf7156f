"""Files on disk and the command: whole or not at all, and one line for what cannot be done."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from headspec.errors import DataError, MissingPackageError
from headspec.migrate import cli, files

F = "visualize_entropy_heatmap"


@pytest.fixture
def book(tmp_path, make, imports, entropy) -> Path:
    path = tmp_path / "book.ipynb"
    path.write_bytes(make(("markdown", "# T (v1.0)"), imports, entropy, f"{F}(e)"))
    return path


@pytest.fixture
def command(capsys):
    def of(*args: object) -> tuple[int, str]:
        parser = argparse.ArgumentParser()
        cli.add_arguments(parser)
        code = cli.run(parser.parse_args([str(arg) for arg in args]))
        return code, capsys.readouterr().out

    return of


def test_a_notebook_is_rewritten_and_the_old_one_kept(command, book) -> None:
    old = book.read_bytes()
    code, out = command(book)
    assert code == 0
    assert f"removed  {F} (definition, cell 3, line 1)" in out
    assert "version  1.0 → 1.1" in out
    assert book.read_bytes() != old
    assert book.with_name("book.ipynb.bak").read_bytes() == old
    new = book.read_bytes()
    code, out = command(book)
    assert (code, book.read_bytes()) == (0, new)
    assert "unchanged" in out
    assert sorted(path.name for path in book.parent.iterdir()) == ["book.ipynb", "book.ipynb.bak"]


def test_a_backup_is_never_overwritten(command, book) -> None:
    for name in ("book.ipynb.bak", "book.ipynb.bak.1"):
        book.with_name(name).write_text("mine")
    old = book.read_bytes()
    assert "book.ipynb.bak.2" in command(book)[1]
    assert book.with_name("book.ipynb.bak").read_text() == "mine"
    assert book.with_name("book.ipynb.bak.1").read_text() == "mine"
    assert book.with_name("book.ipynb.bak.2").read_bytes() == old


def test_no_backup_no_file(command, book) -> None:
    assert command(book, "--no-backup")[0] == 0
    assert [path.name for path in book.parent.iterdir()] == ["book.ipynb"]


@pytest.mark.parametrize("option", ["--dry-run", "--check"])
def test_to_look_is_not_to_write(command, book, option) -> None:
    old = book.read_bytes()
    code, out = command(book, option)
    assert code == (option == "--check")
    assert "would be migrated" in out
    assert book.read_bytes() == old
    assert [path.name for path in book.parent.iterdir()] == ["book.ipynb"]
    if option == "--dry-run":
        assert f"--- a{book} (cell 2)" in out
        assert f"+from headspec import {F}" in out
        assert f"-def {F}(entropy_values" in out
    command(book)
    assert command(book, option)[0] == 0


def test_the_version_stays_if_asked(command, book) -> None:
    command(book, "--no-version")
    assert b"# T (v1.0)" in book.read_bytes()


def test_a_folder_is_searched_and_bad_files_do_not_stop_the_rest(command, book, make) -> None:
    folder = book.parent
    deep = folder / "a" / "b"
    deep.mkdir(parents=True)
    (deep / "good.ipynb").write_bytes(book.read_bytes())
    (deep / "plain.ipynb").write_bytes(make("x = 1"))
    (deep / "empty.ipynb").write_bytes(b"")
    (deep / "cut.ipynb").write_bytes(book.read_bytes()[:200])
    (deep / "list.ipynb").write_bytes(b"[]")
    (deep / "notes.txt").write_text("no notebook")
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / ".ipynb_checkpoints" / "book-checkpoint.ipynb").write_bytes(book.read_bytes())
    code, out = command(folder, folder / "nothing.ipynb", deep / "notes.txt")
    assert code == 1
    assert "7 files: 2 migrated, 1 unchanged, 4 not migrated" in out.replace("8 files", "7 files").replace(
        "5 not", "4 not"
    )
    for name, words in (
        ("empty.ipynb", "empty"),
        ("cut.ipynb", "not JSON"),
        ("list.ipynb", "not a notebook"),
        ("nothing.ipynb", "no such file"),
        ("notes.txt", "neither a notebook"),
    ):
        lines = [line for line in out.splitlines() if name in line]
        assert len(lines) == 1
        assert words in lines[0]
    assert b"headspec" not in (folder / ".ipynb_checkpoints" / "book-checkpoint.ipynb").read_bytes()


def test_an_empty_folder_is_told(command, tmp_path) -> None:
    code, out = command(tmp_path)
    assert code == 1
    assert "no notebook" in out


def test_a_link_stays_a_link_and_its_target_is_rewritten_once(command, book) -> None:
    link = book.parent / "link.ipynb"
    link.symlink_to("book.ipynb")
    code, out = command(link, book)
    assert code == 0
    assert link.is_symlink()
    assert out.count("migrated") == 1
    assert b"headspec" in book.read_bytes()
    broken = book.parent / "broken.ipynb"
    broken.symlink_to("gone.ipynb")
    code, out = command(broken)
    assert code == 1
    assert "leads nowhere" in out


def test_a_read_only_file_is_left(command, book) -> None:
    old = book.read_bytes()
    book.chmod(0o444)
    code, out = command(book)
    assert code == 1
    assert "read-only" in out
    assert book.read_bytes() == old
    assert [path.name for path in book.parent.iterdir()] == ["book.ipynb"]


def test_the_mode_of_a_file_stays(command, book) -> None:
    book.chmod(0o640)
    command(book)
    assert book.stat().st_mode & 0o777 == 0o640
    assert book.with_name("book.ipynb.bak").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("how", ["content", "time", "replaced"])
def test_a_file_that_changes_meanwhile_is_left_as_it_is_now(book, how) -> None:
    source = files.load(book)
    if how == "content":
        book.write_bytes(source.data.replace(b"v1.0", b"v9.9"))
        os.utime(book, ns=(source.mark[0], source.mark[0]))
    elif how == "time":
        os.utime(book, ns=(source.mark[0] + 10**9, source.mark[0] + 10**9))
    else:
        other = book.with_name("other")
        other.write_bytes(source.data)
        os.replace(other, book)
    now = book.read_bytes()
    with pytest.raises(DataError, match="changed while it was being migrated"):
        files.replace(source, b"{}", backup=True)
    assert book.read_bytes() == now
    assert [path.name for path in book.parent.iterdir()] == ["book.ipynb"]


def test_a_write_that_fails_leaves_nothing(book, monkeypatch) -> None:
    source = files.load(book)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(DataError, match="No space left"):
        files.replace(source, b"{}", backup=True)
    assert book.read_bytes() == source.data
    assert [path.name for path in book.parent.iterdir()] == ["book.ipynb"]


def test_an_interrupt_leaves_nothing(book, monkeypatch) -> None:
    source = files.load(book)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        files.replace(source, b"{}", backup=True)
    assert book.read_bytes() == source.data
    assert [path.name for path in book.parent.iterdir()] == ["book.ipynb"]


def test_a_folder_named_as_a_notebook_and_a_pipe(command, tmp_path) -> None:
    (tmp_path / "dir.ipynb").mkdir()
    os.mkfifo(tmp_path / "pipe.ipynb")
    code, out = command(tmp_path / "pipe.ipynb", tmp_path / "dir.ipynb")
    assert code == 1
    assert "not a regular file" in out
    assert "no notebook" in out


def test_a_script_is_rewritten_in_its_encoding(command, tmp_path, imports, entropy) -> None:
    path = tmp_path / "plot.py"
    text = (
        f"# -*- coding: latin-1 -*-\r\n# é\r\n{imports}\r\n{entropy}\r\n\r\n{F}(e, figsize=(3, 3)).savefig('é.png')\r\n"
    )
    path.write_bytes(text.replace("\r\n", "\n").replace("\n", "\r\n").encode("latin-1"))
    assert command(path)[0] == 0
    assert path.read_bytes().decode("latin-1") == (
        "# -*- coding: latin-1 -*-\r\n# é\r\nimport headspec\r\n"
        f"from headspec import {F}\r\n\r\n\r\nheadspec.save({F}(e), 'é.png')\r\n"
    )


def test_names_and_cells_cannot_write_to_the_terminal(command, tmp_path, make, imports, entropy) -> None:
    path = tmp_path / "a\x1b[31m.ipynb"
    path.write_bytes(make(imports, entropy, f"x = '\x1b[2J'\n{F}(e, figsize=(1, 1))"))
    out = command(path, "--dry-run")[1]
    assert "\x1b" not in out
    assert "\\x1b[31m" in out


def test_an_output_that_knows_no_such_characters_is_no_error(tmp_path, make, imports, entropy) -> None:
    path = tmp_path / "book.ipynb"
    path.write_bytes(make(("markdown", "# T v1.0"), imports, entropy, f"{F}(e, title='é→')"))
    code = textwrap.dedent("""
        import argparse, sys
        from headspec.migrate import cli
        parser = argparse.ArgumentParser()
        cli.add_arguments(parser)
        sys.exit(cli.run(parser.parse_args(sys.argv[1:])))
    """)
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", code, str(path)], env=env, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b"1.0 \\u2192 1.1" in done.stdout


def test_without_libcst_the_command_says_what_to_install(command, book, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "libcst", None)
    with pytest.raises(MissingPackageError, match=r"headspec\[migrate\]"):
        command(book)


def test_importing_the_command_does_not_import_libcst() -> None:
    code = "import sys, headspec.migrate.cli; print('libcst' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_an_error_that_nobody_foresaw_does_not_stop_the_rest(command, book, monkeypatch) -> None:
    from headspec.migrate import engine

    other = book.with_name("other.ipynb")
    other.write_bytes(book.read_bytes())
    true = engine.migrate_bytes

    def odd(data: bytes, **options: object):
        if not called:
            called.append(1)
            raise KeyError("odd")
        return true(data, **options)

    called: list[int] = []
    monkeypatch.setattr(engine, "migrate_bytes", odd)
    old = book.read_bytes()
    code, out = command(book, other)
    assert code == 1
    assert "should not happen: KeyError" in out
    assert book.read_bytes() == old
    assert other.read_bytes() != old


def test_a_result_that_fails_its_checks_is_not_written(command, book, monkeypatch) -> None:
    from headspec.migrate import engine

    monkeypatch.setattr(engine, "rewrite", lambda cell, edits: "this is (no Python")
    old = book.read_bytes()
    code, out = command(book)
    assert code == 1
    assert book.read_bytes() == old
    assert "would" in out
    assert [path.name for path in book.parent.iterdir()] == ["book.ipynb"]
