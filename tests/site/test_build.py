"""Building a gallery: what is written, what is left alone, and what happens when something goes wrong."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import altair as alt
import pytest

import headspec
from headspec.errors import DataError, RenderError
from headspec.site import pictures, store
from headspec.site.cards import Card, named
from headspec.site.store import MANIFEST, STAGING, Store


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): (path.stat().st_ino, path.stat().st_mtime_ns) for path in found}


def test_a_card_brings_its_files(site, make):
    files = make.files_of(site)
    for name in ("entropy-of-heads", "perplexity"):
        for kind in ("html", "png", "svg", "pdf", "vl.json", "csv"):
            assert files[f"charts/{name}.{kind}"]
        for theme in ("light", "dark"):
            assert files[f"thumbs/{name}-{theme}.png"].startswith(b"\x89PNG")
    assert files["charts/entropy-of-heads.pdf"].startswith(b"%PDF")
    assert json.loads(files["charts/perplexity.vl.json"])["mark"] == {"type": "bar"}
    assert files["charts/perplexity.csv"].decode().splitlines()[0] == "strategy,perplexity"
    assert STAGING not in " ".join(files)
    assert set(json.loads(files[MANIFEST])["files"]) == set(files) - {MANIFEST}


def test_built_twice_it_is_the_same_to_the_byte(site, make, build):
    again = build(make.three(), title="Three <charts>", text="Small & hostile.")
    assert make.files_of(again.folder) == make.files_of(site)


def test_several_processes_build_the_same_site_and_report_the_same_failures(make, build, tmp_path):
    def cards() -> list[Card]:
        broken = Card(chart=make.bar_card().chart.transform_filter("datum.strategy ==="), title="Broken")
        more = [Card(chart=make.bar_card().chart, title=f"Perplexity {number}") for number in range(3)]
        return [*make.three(), broken, *more]

    alone = headspec.build_gallery(cards(), tmp_path / "alone")
    together = headspec.build_gallery(cards(), tmp_path / "together", workers=2)
    assert make.files_of(together.folder) == make.files_of(alone.folder)
    assert [title for title, _ in together.failed] == ["Broken"]
    assert together.failed == alone.failed
    assert together.pages == alone.pages == 6


def test_a_process_that_dies_takes_its_own_card_along(make, tmp_path, monkeypatch):
    real = pictures.Drawers.begin

    def begin(self, light, dark, kinds):
        if self.workers > 1 and "Dies" in light.text():
            pool = self._pool or pictures.ProcessPoolExecutor(
                1, mp_context=pictures.multiprocessing.get_context("spawn")
            )
            self._pool = pool
            self._begun = pictures.PATIENCE
            return self._waiting(pool.submit(os._exit, 3))
        return real(self, light, dark, kinds)

    monkeypatch.setattr(pictures.Drawers, "begin", begin)
    cards = [Card(chart=make.bar_card().chart.properties(title=title), title=title) for title in ("A", "Dies", "B")]
    built = headspec.build_gallery(cards, tmp_path / "site", workers=2)
    assert "Dies" in [title for title, _ in built.failed]
    assert all("a process that draws pictures ended" in reason for _, reason in built.failed)
    assert (built.folder / "charts" / "a.html").is_file()


@pytest.mark.parametrize("workers", [0, -1, True, "2", 1.5])
def test_workers_are_a_number_of_processes(make, tmp_path, workers):
    with pytest.raises(DataError, match=r"no number of processes; give 1 or more"):
        headspec.build_gallery([make.bar_card()], tmp_path / "site", workers=workers)


def test_a_rebuild_writes_nothing_and_renders_nothing(make, build, monkeypatch):
    cards = [make.entropy_card(), make.bar_card()]
    first = build(cards)
    before = stamps(first.folder)
    monkeypatch.setattr(pictures, "draw_export", lambda *_: pytest.fail("it renders what is there already"))
    second = build([make.entropy_card(), make.bar_card()])
    assert (second.pages, second.written, second.removed, second.failed) == (2, 0, 0, [])
    assert stamps(first.folder) == before


def test_one_changed_card_is_drawn_alone(make, build, monkeypatch):
    build([make.entropy_card(), make.bar_card()])
    drawn = []
    real = pictures.draw_export
    monkeypatch.setattr(pictures, "draw_export", lambda taken: drawn.append(taken) or real(taken))
    changed = make.bar_card()
    built = build([make.entropy_card(), Card(chart=changed.chart.properties(title="New"), title="Perplexity")])
    assert len(drawn) == 2  # light and dark of the one
    assert built.written > 0


def test_a_file_that_someone_spoilt_is_made_again(make, build, tmp_path):
    built = build([make.bar_card()])
    picture = built.folder / "charts/perplexity.png"
    good = picture.read_bytes()
    picture.write_bytes(b"spoilt")
    assert build([make.bar_card()]).written == 1
    assert picture.read_bytes() == good


def test_files_of_a_removed_card_go_and_foreign_ones_stay(make, build):
    built = build([make.entropy_card(), make.bar_card()])
    note = built.folder / "charts" / "note.txt"
    note.write_text("mine")
    again = build([make.entropy_card()])
    assert again.removed == 8
    assert not list(built.folder.rglob("perplexity*"))
    assert note.read_text() == "mine"


def test_a_foreign_folder_is_refused_unless_forced(make, build, tmp_path):
    own = tmp_path / "site" / "thesis.txt"
    own.parent.mkdir()
    own.write_text("years of work")
    with pytest.raises(DataError, match="not built by headspec"):
        build([make.bar_card()])
    assert [path.name for path in own.parent.iterdir()] == ["thesis.txt"]
    built = build([make.bar_card()], force=True)
    assert built.index.is_file()
    assert own.read_text() == "years of work"


def test_a_file_is_no_folder(make, build, tmp_path):
    (tmp_path / "site").write_text("a file")
    with pytest.raises(DataError, match="is a file"):
        build([make.bar_card()])
    assert (tmp_path / "site").read_text() == "a file"


def test_a_failing_card_is_reported_and_the_rest_is_built(make, build):
    broken = Card(chart=alt.Chart(alt.Data(url="https://example.org/a.csv")).mark_bar().encode(x="a:N"), title="Broken")
    said = []
    built = build([make.entropy_card(), broken, make.bar_card()], progress=lambda *step: said.append(step))
    assert [title for title, _ in built.failed] == ["Broken"]
    assert "https://example.org" in built.failed[0][1]
    assert built.pages == 2
    assert said == [(1, 3, "Entropy of heads"), (2, 3, "Broken"), (3, 3, "Perplexity")]
    assert make.check_links(built.folder) == 3
    assert "1 card failed" in built.said()


def test_a_card_of_one_theme_is_drawn_in_it_alone(make, build):
    built = build([make.bar_card(theme="dark"), make.bar_card("Other")])
    thumbs = [(built.folder / f"thumbs/perplexity-{theme}.png").read_bytes() for theme in ("light", "dark")]
    assert thumbs[0] == thumbs[1]
    assert thumbs[0] == (built.folder / "thumbs/other-dark.png").read_bytes()
    assert thumbs[0] != (built.folder / "thumbs/other-light.png").read_bytes()


def test_charts_become_cards_with_their_own_titles(make, build):
    chart = headspec.visualize_entropy_heatmap([[0.2, 1.9]], "My heads")
    built = build([chart, chart])
    assert {path.name for path in (built.folder / "charts").glob("*.html")} == {"my-heads.html", "my-heads-2.html"}


def test_names_are_words_and_each_stands_once(make):
    cards = [make.bar_card(title) for title in ("../../etc", "🙂", "🙂", "con|<b>", "A" * 300)]
    names = [name for name, _ in named(cards)]
    assert names[:4] == ["etc", "chart", "chart-2", "con-b"]
    assert len(names[4]) == 80


# --- interrupted, full, hostile ---------------------------------------------------------------------------------------


def test_an_interrupted_build_leaves_the_last_site(make, build):
    folder = build([make.entropy_card(), make.bar_card()]).folder
    before = make.files_of(folder)

    def stop(number, *_):
        if number == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build([make.bar_card("Other"), make.bar_card("More")], progress=stop)
    assert make.files_of(folder) == before
    assert build([make.entropy_card(), make.bar_card()]).written == 0


def test_what_a_killed_build_left_is_swept_away(make, build, tmp_path):
    (tmp_path / "site" / STAGING / "charts").mkdir(parents=True)
    (tmp_path / "site" / STAGING / "charts" / "half.png").write_bytes(b"half")
    built = build([make.bar_card()])
    assert not list(built.folder.rglob("half.png"))


def test_a_kill_while_files_are_moved_leaves_nothing_unknown(make, build, monkeypatch):
    folder = build([make.bar_card()]).folder
    real, moved = os.replace, []

    def kill(source, target):
        moved.append(target)
        if len(moved) == 6:
            raise KeyboardInterrupt
        real(source, target)

    monkeypatch.setattr(store.os, "replace", kill)
    with pytest.raises(KeyboardInterrupt):
        build([make.entropy_card()])
    monkeypatch.undo()
    built = build([make.bar_card()])
    clean = build([make.bar_card()], "clean")
    assert make.files_of(folder) == make.files_of(clean.folder)
    assert not built.failed


def test_a_full_disk_leaves_the_last_site(make, build, monkeypatch):
    folder = build([make.bar_card()]).folder
    before = make.files_of(folder)
    real = Path.write_bytes

    def full(self, data):
        if self.suffix == ".svg":
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(RenderError, match=r"No space left on device.*last complete site is still there"):
        build([make.entropy_card()])
    monkeypatch.undo()
    assert make.files_of(folder) == before


@pytest.mark.parametrize(
    "name", ["../outside.txt", "/etc/passwd", "charts/../../outside.txt", "", "C:\\a", ".", "a//b"]
)
def test_a_hostile_manifest_reaches_nothing_outside(make, build, tmp_path, name):
    outside = tmp_path / "outside.txt"
    outside.write_text("mine")
    folder = build([make.bar_card()]).folder
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"][name] = {"key": "k", "sha": "s"}
    (folder / MANIFEST).write_text(json.dumps(manifest))
    build([make.entropy_card()])
    assert outside.read_text() == "mine"
    assert name not in json.loads((folder / MANIFEST).read_text())["files"]


@pytest.mark.parametrize("text", ["", "[]", '{"files": 3}', '{"files": {"a": 1, "b": {"key": 1, "sha": []}}}', "\x00"])
def test_a_spoilt_manifest_is_as_good_as_none(make, build, tmp_path, text):
    folder = build([make.bar_card()]).folder
    (folder / MANIFEST).write_text(text)
    assert build([make.bar_card()]).written > 0
    assert build([make.bar_card()]).written == 0


@pytest.mark.parametrize("part", ["charts", STAGING])
def test_a_link_out_of_the_folder_is_refused(make, build, tmp_path, part):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    folder = build([make.bar_card()], "site").folder
    if part == "charts":
        (folder / part).rename(folder / "moved")
    (folder / part).symlink_to(elsewhere)
    with pytest.raises(DataError, match="is a link to another place"):
        build([make.entropy_card()])
    assert not list(elsewhere.iterdir())


def test_a_store_takes_no_path_outside(tmp_path):
    with pytest.raises(DataError, match="no path inside the site"):
        Store(tmp_path / "site").put("../a.txt", "a")
    assert list(tmp_path.iterdir()) == []


# --- templates --------------------------------------------------------------------------------------------------------


def test_templates_and_styles_of_ones_own_replace_the_same_names(make, build, tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    (own / "site.css").write_text("body { color: teal }")
    (own / "page.html").write_text(
        '{% extends "base.html" %}{% block title %}t{% endblock %}{% block main %}<h1>{{ page.card.title }}</h1>'
        "<p>Own words for {{ page.name }}.</p>{% endblock %}"
    )
    built = build([make.bar_card("A < B")], templates=own)
    assert (built.folder / "assets/site.css").read_text() == "body { color: teal }"
    text = (built.folder / "charts/a-b.html").read_text()
    assert "Own words for a-b." in text
    assert "A &lt; B" in text
    assert make.check_links(built.folder) == 2


def test_a_folder_of_templates_that_is_not_there_is_an_error(make, build, tmp_path):
    with pytest.raises(DataError, match="templates"):
        build([make.bar_card()], templates=tmp_path / "nowhere")
