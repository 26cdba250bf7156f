"""``headspec report``: runs become a site, their charts linked, what could not be used named."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import headspec
from headspec.catalog import CHARTS
from headspec.cli import main
from headspec.errors import DataError
from headspec.site import pictures
from headspec.site.compare import comparisons
from headspec.site.maps import side_by_side
from headspec.site.report import build_report
from headspec.site.run_attention import sharpest
from headspec.site.run_cards import drafts_of
from headspec.sources.recording import gallery_folder
from headspec.sources.run_arrays import Attention
from headspec.sources.run_folder import read_run


def write_run(folder: Path, seed: int = 0, *, small: bool = False) -> Path:
    """Write a small run: measures of 3 × 4 heads over two steps, events, a history, attention."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    steps = np.array([0, 40])
    np.savez(
        folder / "heads.npz",
        steps=steps,
        entropy=rng.random((2, 3, 4)) + 0.5,
        gradient_norm=rng.random((2, 3, 4)) + 0.01,
    )
    if small:
        return folder
    events = [(10, 0, 1, "pruned"), (20, 2, 3, "pruned"), (30, 0, 1, "revived")]
    pd.DataFrame(events, columns=["step", "layer", "head", "event"]).to_csv(folder / "events.csv", index=False)
    history = pd.DataFrame(
        {"step": range(0, 41, 2), "train_loss": 2 + rng.random(21), "sparsity": np.linspace(0, 0.1, 21)}
    )
    history.to_csv(folder / "history.csv", index=False)
    weights = np.exp(rng.normal(size=(3, 4, 5, 5)))
    np.savez(
        folder / "attention.npz", attention=weights / weights.sum(-1, keepdims=True), tokens=np.array(list("a<b>c"))
    )
    (folder / "broken.csv").write_text("step,loss\n1\n")
    return folder


def write_tiny(folder: Path, seed: int = 0) -> Path:
    """Write a run of one measure, for what does not depend on the charts."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "entropy.npy", np.random.default_rng(seed).random((3, 4)))
    return folder


@pytest.fixture(scope="session")
def report(tmp_path_factory) -> Any:
    """A site of one run and what the build said."""
    place = tmp_path_factory.mktemp("report")
    write_run(place / "my run")
    said: list[str] = []
    built = build_report([place / "my run"], place / "site", title="My <report>", say=said.append)
    return built, said, place


@pytest.fixture(scope="session")
def two(tmp_path_factory) -> Any:
    """A site of two small runs."""
    place = tmp_path_factory.mktemp("two")
    for seed, name in enumerate(("a/run", "b/run")):
        write_run(place / name, seed, small=True)
    built = build_report([place / "a/run", place / "b/run"], place / "site")
    return built, place


def test_a_run_becomes_a_site(report, make):
    built, said, _ = report
    assert built.failed == []
    text = "\n".join(said)
    for line in (
        "  heads.npz: entropy and gradient_norm of 3 layers × 4 heads at 2 steps",
        "  history.csv: metrics history (21 steps: train_loss and sparsity)",
        "  events.csv: event list (3 events of 2 heads)",
        "  attention.npz: attention (layer, head, query, key: 3 × 4 × 5 × 5)",
        "  not drawn: broken.csv:",
    ):
        assert line in text
    assert make.check_links(built.folder) == built.pages + 2
    page = (built.folder / "runs/my-run.html").read_text(encoding="utf-8")
    assert "broken.csv" in page
    assert "My &lt;report&gt;" in page
    assert f"[{built.pages}/{built.pages}] drawing" in said[-1]


def test_the_charts_follow_from_the_files(report):
    _, _, place = report
    functions = {draft.function for draft in drafts_of(read_run(place / "my run"))}
    wanted = {
        "visualize_training_progress",
        "visualize_entropy_heatmap",
        "visualize_gradient_norms",
        "plot_head_gradients_with_overlays",
        "visualize_entropy_vs_gradient",
        "visualize_attention_matrix",
        "visualize_normalized_entropy",
    }
    assert wanted <= functions
    newer = {
        "visualize_head_timeline",
        "visualize_head_difference",
        "visualize_attention_heads",
        "visualize_head_explorer",
    }
    assert newer & {entry.name for entry in CHARTS} <= functions


def test_every_chart_of_the_recorded_run_can_be_drawn():
    run = read_run(gallery_folder() / "run")
    drafts = drafts_of(run)
    functions = {draft.function for draft in drafts}
    assert {entry.name for entry in CHARTS} <= functions
    assert len({draft.name for draft in drafts}) == len(drafts)
    other = next(draft for draft in drafts if "minilm" in draft.name)
    assert "events" not in other.options  # another model's heads are not those of the events


def test_only_the_changed_run_is_drawn_again(tmp_path, monkeypatch):
    runs = [write_tiny(tmp_path / name, seed) for seed, name in enumerate(("one", "two"))]
    first = build_report(runs, tmp_path / "site")
    again = build_report(runs, tmp_path / "site")
    assert (again.written, again.removed) == (0, 0)
    before = {path: path.stat().st_mtime_ns for path in (first.folder / "charts").glob("one-*")}
    assert len(before) == 6
    drawn = []
    real = pictures.draw_export
    monkeypatch.setattr(pictures, "draw_export", lambda taken: drawn.append(taken) or real(taken))
    write_tiny(runs[1], seed=7)
    build_report(runs, tmp_path / "site")
    files = {path: stamp for path, stamp in before.items() if path.suffix != ".html"}
    assert {path: path.stat().st_mtime_ns for path in files} == files
    assert len(drawn) == 2 * 3  # light and dark of its map, the maps side by side, and the difference


def test_two_runs_are_compared(two, make):
    built, _ = two
    assert built.failed == []
    names = {path.name for path in (built.folder / "runs").iterdir()}
    assert names == {"a-run.html", "b-run.html", "comparison.html"}
    charts = {path.name for path in (built.folder / "charts").glob("*.html")}
    assert {"compare-entropy.html", "compare-gradient.html", "a-run-entropy-heatmap.html"} <= charts
    assert make.check_links(built.folder) == built.pages + 4
    text = (built.folder / "charts/difference-entropy-a-run-b-run.html").read_text(encoding="utf-8")
    assert "b/run − a/run" in text


def test_side_by_side_shares_one_scale():
    chart = side_by_side({"a": [[1.0, 2.0]], "b": [[10.0, 3.0]]}, title="T", measure="entropy", unit_name="nats")
    spec = headspec.to_spec(chart)
    domains = set()

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            if "domain" in node and "scheme" in str(node) + str(node.get("range")):
                domains.add(str(node["domain"]))
            for item in node.values():
                walk(item)
        elif isinstance(node, list):
            for item in node:
                walk(item)

    walk(spec["concat"])
    assert domains == {"[0.0, 10.0]"}
    assert "a: entropy of 1 layer" in headspec.summary(chart)
    with pytest.raises(DataError, match="maps is empty"):
        side_by_side({}, title="T")


def test_histories_of_several_runs_share_their_axes(tmp_path):
    runs = [read_run(write_run(tmp_path / name, seed)) for seed, name in enumerate(("one", "two"))]
    title, _, make_card = next(iter(comparisons(runs)))
    assert title == "Training of 2 runs"
    drawn = headspec.to_table(make_card().chart)
    assert set(drawn["run"].dropna()) == {"one", "two"}


def test_the_sharpest_head_is_found():
    weights = np.full((2, 3, 4, 4), 0.25)
    weights[1, 2] = np.eye(4)[[0, 0, 1, 2]]  # each looks at the one before
    weights[0, 0] = np.eye(4)  # itself: not counted
    weights[0, 1] = np.eye(4)[[0, 0, 0, 0]]  # the first: not counted
    assert sharpest(Attention("a", "a.npz", ("a",), "layers", (weights,))) == (1, 2)
    weights[0, 2, :, :] = np.eye(4)[[3, 3, 3, 2]]  # sharper still, but at padding and from it
    mask = np.array([[1, 1, 1, 0]])
    assert sharpest(Attention("a", "a.npz", ("a",), "layers", (weights,), mask=mask)) == (1, 2)


def test_one_bad_run_does_not_take_the_others_with_it(tmp_path, capsys):
    good = write_tiny(tmp_path / "good")
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "notes.md").write_text("nothing")
    code = main(["report", str(good), str(bad), "-o", str(tmp_path / "site")])
    out, err = capsys.readouterr()
    assert code == 1
    assert "nothing that can be drawn" in err
    assert "Open file://" in out
    assert (tmp_path / "site/index.html").is_file()


@pytest.mark.parametrize("case", ["none", "missing", "foreign", "same"])
def test_what_cannot_be_built_is_said_in_one_line(tmp_path, capsys, case):
    run = write_tiny(tmp_path / "run")
    empty = tmp_path / "empty"
    empty.mkdir()
    target = tmp_path / "site"
    if case == "foreign":
        target.mkdir()
        (target / "mine.txt").write_text("mine")
    arguments = {"none": [empty], "missing": [tmp_path / "nowhere"], "foreign": [run], "same": [run]}[case]
    code = main(["report", *map(str, arguments), "-o", str(run if case == "same" else target)])
    err = capsys.readouterr().err
    assert code == 2
    assert err.startswith("headspec: ")
    assert err.count("\n") == 1
    assert (target / "mine.txt").is_file() == (case == "foreign")


@pytest.mark.parametrize("name", ["q\"uo'te & <script>window.pwned=1</script>", "🙂 run", "a..b"])
def test_hostile_names_of_runs_and_files(tmp_path, make, name):
    folder = tmp_path / name.replace("/", "∕")
    folder.mkdir()
    np.savez(folder / f"{folder.name}.npz", **{"entropy": np.ones((2, 2)), "entropy <b>": np.eye(2)})
    built = build_report([folder], tmp_path / "site")
    assert built.failed == []
    assert make.check_links(built.folder) == built.pages + 2
    for page in built.folder.rglob("*.html"):
        assert "<script>window" not in page.read_text(encoding="utf-8")


# --- in the browser -----------------------------------------------------------------------------------------------------


def picks(opened) -> list[Any]:
    return opened.js(
        "headspec.views.map(view => { try { const tuple = view.data('head_pick_store')[0]; "
        "return tuple ? [].concat(...tuple.values) : null } catch (error) { return 'none' } })"
    )


@pytest.mark.browser
def test_a_head_picked_in_one_chart_is_picked_in_all(report, open_page):
    built, _, _ = report
    opened = open_page(built.folder / "runs/my-run.html", allow=built.folder.as_uri(), size=(1300, 900)).wait()
    page = opened.page
    assert opened.state == "drawn"
    assert len([pick for pick in picks(opened) if pick != "none"]) >= 4
    place = page.locator(".wall section", has_text="Attention entropy").locator(".live")
    place.scroll_into_view_if_needed()
    cell = place.locator("svg g.mark-rect.role-mark path").nth(6)
    box = cell.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    opened.until("document.querySelector('.picked').textContent === 'Picked: L1 H2.'")
    opened.until(
        "headspec.views.every(view => { try { return [].concat(...view.data('head_pick_store')[0].values).join() === '1,2' } "
        "catch (error) { return !error.message.includes('undefined') } })"
    )
    assert {str(pick) for pick in picks(opened)} <= {"[1, 2]", "none"}
    page.click("[data-theme-choice=dark]")
    opened.until("document.documentElement.dataset.theme === 'dark'")
    page.wait_for_timeout(1500)
    assert {str(pick) for pick in picks(opened)} <= {"[1, 2]", "none"}
    assert opened.messages == []


@pytest.mark.browser
def test_the_pages_of_a_report_say_nothing_in_the_console(report, two, open_page):
    for built in (report[0], two[0]):
        pages = [*sorted((built.folder / "runs").glob("*.html")), *sorted((built.folder / "charts").glob("*.html"))]
        for path in pages:
            opened = open_page(path, allow=built.folder.as_uri(), dark=True).wait()
            assert (opened.state, opened.messages) == ("drawn", []), path.name
            assert all(url.startswith(built.folder.as_uri()) for url in opened.requests)
    assert os.fspath(built.folder)


@pytest.mark.browser
def test_the_index_of_several_runs_is_filtered_by_run(two, open_page):
    built, _ = two
    page = open_page(built.index, allow=built.folder.as_uri()).page
    shown = page.locator(".cards > li:visible strong")
    page.click("[data-filter=run] [data-value=b-run]")
    assert shown.count() > 0
    assert all(title.endswith(" · b/run") for title in shown.all_text_contents())
    page.click("[data-filter=category] [data-value=Comparison]")
    assert shown.count() == 0
    page.click(".reset")
    assert shown.count() == built.pages


@pytest.mark.browser
def test_without_scripts_a_run_shows_its_pictures(report, open_page):
    built, _, _ = report
    page = open_page(built.folder / "runs/my-run.html", allow=built.folder.as_uri(), scripts=False).page
    assert page.locator("figure img:visible").count() >= 4
    assert page.locator(".hint").is_hidden()
    phone = open_page(built.folder / "runs/my-run.html", allow=built.folder.as_uri(), size=(360, 740)).wait().page
    assert phone.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.browser
def test_axe_finds_nothing_serious_on_the_pages_of_a_run(report, two, axe, open_page):
    for built, name in ((report[0], "runs/my-run.html"), (report[0], "index.html"), (two[0], "runs/comparison.html")):
        opened = open_page(built.folder / name, allow=built.folder.as_uri(), size=(1300, 900))
        if name != "index.html":
            opened.wait()
        opened.page.evaluate(axe)
        found = opened.page.evaluate("axe.run()")["violations"]
        serious = [item["id"] for item in found if item["impact"] in ("serious", "critical")]
        assert serious == [], (name, [node["html"][:150] for item in found for node in item["nodes"]][:5])
