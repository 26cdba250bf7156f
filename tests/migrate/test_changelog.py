"""The version is counted up once, and the changelog goes on in its own style."""

from __future__ import annotations

import pytest

from headspec.migrate.version import next_number

F = "visualize_entropy_heatmap"
ENTRY = f"Plots are drawn with headspec: `{F}`"
GONE = f"Removed the inline matplotlib definition of `{F}`"
BOTH = f"{ENTRY}; removed the inline matplotlib definition of `{F}`"


@pytest.fixture
def texts(migrate, imports, entropy):
    """Return what cells become in a notebook whose plotting code is migrated."""

    def of(*cells, **options):
        made = [cell if isinstance(cell, tuple) else ("markdown", cell) for cell in cells]
        done = migrate(*made, imports, entropy, f"{F}(e)", **options)
        assert done.removed == {F}
        return done.cells[: len(made)], done.report

    return of


def test_the_last_component_is_counted_up() -> None:
    assert [next_number(text) for text in ("0.0.56", "1.2", "3", "0.09", "1.0.99")] == [
        "0.0.57",
        "1.3",
        "4",
        "0.10",
        "1.0.100",
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# Demo (v0.0.56)", "# Demo (v0.0.57)"),
        ("# Demo v1.2 of Mistral-7B-v0.1 (v1.9)\ntext", "# Demo v1.2 of Mistral-7B-v0.1 (v1.10)\ntext"),
        ("# Demo\n\nVersion: 3\n", "# Demo\n\nVersion: 4\n"),
        ("# Demo\n\n**Version:** 0.3.9 (beta)", "# Demo\n\n**Version:** 0.3.10 (beta)"),
        ("Demo: V2\n=======\n", "Demo: V3\n=======\n"),
        ("# Pruning Llama v2 (v1.4)", "# Pruning Llama v2 (v1.5)"),
        ("# Pruning of heads, version 7", "# Pruning of heads, version 8"),
        ("# Demo (v0.0.56 2025-04-19 22:18:01)", "# Demo (v0.0.57 2025-04-19 22:18:01)"),
        ("# Demo (v0.0.56-beta)", "# Demo (v0.0.57-beta)"),
        ("<h1>Demo v1.0</h1>", "<h1>Demo v1.1</h1>"),
        (
            "# Demo v1.0\n\nCurrent version: v1.0\n\nNew since v1.0: nothing",
            "# Demo v1.1\n\nCurrent version: v1.1\n\nNew since v1.0: nothing",
        ),
    ],
)
def test_the_version_of_the_title(texts, old, new) -> None:
    cells, report = texts(old)
    assert cells == [new]
    assert report.version is not None
    assert any("no changelog" in note for note in report.notes)


@pytest.mark.parametrize(
    "text",
    [
        "# YOLOv5 and GPT-2 with Python 3.11",
        "# Demo",
        "plain text, v1.2",
        "## 2.1 Results (see v)",
        "# Demo\n\nUses torch 2.1.0",
        "# Pruning Llama v2",
        "# Heads of Mistral v0.1",
        "# Demo v2",
        "# Demo\n\nVersion 2 of the model is used.\n",
    ],
)
def test_no_version_is_invented(texts, text) -> None:
    cells, report = texts(text)
    assert cells == [text]
    assert report.version is None
    assert any("none was invented" in note or "left alone" in note for note in report.notes)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            "# T (v0.0.2)\n\n### New in v0.0.2:\n- a\n- b\n\n### Previous in v0.0.1:\n- c\n\n## Next\n",
            f"# T (v0.0.3)\n\n### New in v0.0.3:\n- {ENTRY}\n- {GONE}\n\n### New in v0.0.2:\n- a\n- b\n\n"
            "### Previous in v0.0.1:\n- c\n\n## Next\n",
        ),
        (
            "# T v1.1\n## Changelog\n### 1.1 (2024-01-31)\n\n* a\n\n### 1.0 (2024-01-01)\n\n* b",
            f"# T v1.2\n## Changelog\n### 1.2 (2031-05-07)\n\n* {ENTRY}\n* {GONE}\n\n### 1.1 (2024-01-31)\n\n* a\n\n"
            "### 1.0 (2024-01-01)\n\n* b",
        ),
        (
            "# T v1.1\n## Changelog\n### v1.0\n+ b\n\n### v1.1\n+ a",
            f"# T v1.2\n## Changelog\n### v1.0\n+ b\n\n### v1.1\n+ a\n\n### v1.2\n+ {ENTRY}\n+ {GONE}",
        ),
        (
            "# T v1.1\n\n**v1.1** Better plots\n\n**v1.0** First\n",
            f"# T v1.2\n\n**v1.2** {BOTH}\n\n**v1.1** Better plots\n\n**v1.0** First\n",
        ),
        (
            "# T v0.3\n\nHistory\n\n- v0.1: first\n- v0.2: second\n- v0.3: third\n\nText.\n",
            f"# T v0.4\n\nHistory\n\n- v0.1: first\n- v0.2: second\n- v0.3: third\n- v0.4: {BOTH}\n\nText.\n",
        ),
        (
            "# T v0.3\n## Version history\n1. **v0.3** (Jan 3, 2024) – third\n2. **v0.2** (Jan 2, 2024) – second",
            f"# T v0.4\n## Version history\n1. **v0.4** (May 7, 2031) – {BOTH}\n"
            "1. **v0.3** (Jan 3, 2024) – third\n2. **v0.2** (Jan 2, 2024) – second",
        ),
        (
            "# T v0.3\n\n| Version | Date | What |\n|---|---|---|\n| v0.2 | 2024-01-01 | a |\n| v0.3 | 2024-01-02 | b |\n",
            "# T v0.4\n\n| Version | Date | What |\n|---|---|---|\n| v0.2 | 2024-01-01 | a |\n| v0.3 | 2024-01-02 | b |\n"
            f"| v0.4 | 2031-05-07 | {BOTH} |\n",
        ),
        (
            "# T v0.3\n\n| Version | Change |\n|---|---|\n| 0.3 | b |\n| 0.2 | a |\n",
            f"# T v0.4\n\n| Version | Change |\n|---|---|\n| 0.4 | {BOTH} |\n| 0.3 | b |\n| 0.2 | a |\n",
        ),
        (
            "# T v0.3\n\n| Epoch | Loss |\n|---|---|\n| 0.3 | b |\n",
            "# T v0.4\n\n| Epoch | Loss |\n|---|---|\n| 0.3 | b |\n",
        ),
        (
            "# T v0.3\n## History\n* 2024-01-02 – first\n* 2024-05-06 – second\n\nText",
            f"# T v0.4\n## History\n* 2024-01-02 – first\n* 2024-05-06 – second\n* 2031-05-07 – {BOTH}\n\nText",
        ),
        (
            "# T\n## Changes\n### **6 May 2024**\n- a\n\n### **2 Jan 2024**\n- b\n",
            f"# T\n## Changes\n### **7 May 2031**\n- {ENTRY}\n- {GONE}\n\n### **6 May 2024**\n- a\n\n"
            "### **2 Jan 2024**\n- b\n",
        ),
        (
            "# T\n## Schedule\n* 2024-01-02 – first\n## Log of 2024\n* in 2024-05-06 – second",
            "# T\n## Schedule\n* 2024-01-02 – first\n## Log of 2024\n* in 2024-05-06 – second",
        ),
        (
            "# T v0.3-beta\n\n- v0.3-beta: b\n- v0.2-rc.1: a\n",
            f"# T v0.4-beta\n\n- v0.4-beta: {BOTH}\n- v0.3-beta: b\n- v0.2-rc.1: a\n",
        ),
        (
            "# T v0.3\r\n## Changelog\r\n### v0.3\r\n- a\r\n",
            f"# T v0.4\r\n## Changelog\r\n### v0.4\r\n- {ENTRY}\r\n- {GONE}\r\n\r\n### v0.3\r\n- a\r\n",
        ),
        (
            "# T v0.3\n## Changelog\n### v0.3 - Faster\n1. a\n2. b\n",
            f"# T v0.4\n## Changelog\n### v0.4 - {ENTRY}\n1. {GONE}\n\n### v0.3 - Faster\n1. a\n2. b\n",
        ),
        (
            "# T v0.3\n## Changelog\n### v0.3\nText alone.\n",
            f"# T v0.4\n## Changelog\n### v0.4\n{ENTRY}. {GONE}.\n\n### v0.3\nText alone.\n",
        ),
        (
            "# T v0.3\n```\n### v0.1\n- in code\n```\n## v2 of the model\n",
            "# T v0.4\n```\n### v0.1\n- in code\n```\n## v2 of the model\n",
        ),
    ],
)
def test_an_entry_in_the_style_of_the_notebook(texts, old, new) -> None:
    cells, _ = texts(old)
    assert cells == [new]


def test_old_headings_and_entries_stay_letter_for_letter(texts) -> None:
    old = "# T (v0.0.42)\n\n### New in v0.0.42:\n- x\n\n### New in v0.0.42:\n- x\n\n### Previous in v0.0.41:\n- y"
    cells, _ = texts(old)
    assert cells[0].endswith(old.removeprefix("# T (v0.0.42)\n\n"))
    assert cells[0].startswith("# T (v0.0.43)\n\n### New in v0.0.43:\n- ")


@pytest.mark.parametrize(("title", "heading"), [("v0.0.55", "v0.0.57"), ("v0.0.57", "v0.0.55")])
def test_where_title_and_changelog_disagree_the_higher_counts(texts, title, heading) -> None:
    cells, report = texts(f"# T ({title})\n\n### New in {heading}:\n- a\n")
    assert cells[0].startswith("# T (v0.0.58)\n\n### New in v0.0.58:\n- ")
    assert f"### New in {heading}:\n- a\n" in cells[0]
    assert any("was taken as the current one" in note for note in report.notes)


def test_a_changelog_in_another_cell_and_a_version_in_several_places(texts) -> None:
    cells, report = texts(
        "# T (v0.0.9)",
        (
            "code",
            "VERSION = 'v0.0.9'\n__version__ = \"0.0.9\"\nmin_version = '0.0.9'\nprint(f'Demo v0.0.9 {x}')\nother('v0.0.9')\n",
        ),
        "Fixed in v0.0.9: nothing.\n\n**Version**: 0.0.9\n",
        "## Changelog\n\n- v0.0.8 - older\n- v0.0.9 - newer\n",
    )
    assert cells[0] == "# T (v0.0.10)"
    assert (
        cells[1]
        == "VERSION = 'v0.0.10'\n__version__ = \"0.0.10\"\nmin_version = '0.0.9'\nprint(f'Demo v0.0.10 {x}')\nother('v0.0.9')\n"
    )
    assert cells[2] == "Fixed in v0.0.9: nothing.\n\n**Version**: 0.0.10\n"
    assert cells[3] == f"## Changelog\n\n- v0.0.8 - older\n- v0.0.9 - newer\n- v0.0.10 - {BOTH}\n"
    assert report.version == ("0.0.9", "0.0.10")


def test_a_changelog_without_a_title_goes_on(migrate, imports, entropy) -> None:
    done = migrate(imports, entropy, f"{F}(e)", ("markdown", "## Changelog\n- v1.2: a\n- v1.1: b\n"))
    assert done.cells[3].startswith("## Changelog\n- v1.3: ")
    done = migrate(imports, entropy, f"{F}(e)")
    assert "no title cell" in done.report.text()


def test_a_heading_cell_of_nbformat_3_is_a_title(make, migrate_data, imports, entropy) -> None:
    data = make(("heading", "Demo v1.4"), imports, entropy, f"{F}(e)", nbformat=3)
    assert migrate_data(data).cells[0] == "Demo v1.5"


def test_the_version_can_be_left_alone(texts) -> None:
    old = "# T (v1.0)\n\n### New in v1.0:\n- a\n"
    cells, report = texts(old, version=False)
    assert cells == [old]
    assert report.version is None


def test_nothing_is_counted_up_where_no_code_changed(migrate, imports, entropy) -> None:
    done = migrate(("markdown", "# T (v1.0)"), imports, entropy.replace("return fig", "return 3"), f"{F}(e)")
    assert not done.changed


def test_a_bare_number_in_the_title_counts_if_other_places_know_it(texts) -> None:
    cells, _ = texts("# Demo v2", ("code", "NOTEBOOK_VERSION = '2'"))
    assert cells == ["# Demo v3", "NOTEBOOK_VERSION = '3'"]
    cells, _ = texts("# Demo v2\n\n### Changes in v2:\n- a\n")
    assert cells[0].startswith("# Demo v3\n\n### Changes in v3:\n- ")


def test_two_changelogs_that_are_kept_go_on_both_and_an_old_one_stays(texts) -> None:
    title = "# T (v1.2)\n\n### New in v1.2:\n- a\n"
    cells, _ = texts(title, "## Version history\n\n- v1.2: a\n- v1.1: b\n", "## Old history\n\n- v1.0: c\n- v0.9: d\n")
    assert cells[0].startswith("# T (v1.3)\n\n### New in v1.3:\n- ")
    assert cells[1].startswith(f"## Version history\n\n- v1.3: {BOTH}\n- v1.2: a\n")
    assert cells[2] == "## Old history\n\n- v1.0: c\n- v0.9: d\n"
