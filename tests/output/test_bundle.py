from __future__ import annotations

import pytest

from headspec.errors import RenderError
from headspec.output import bundle, render


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """An empty cache folder, and a bundler that counts."""
    made = []

    def source() -> str:
        made.append(1)
        return "const bundle = 'é';"

    monkeypatch.setattr(render, "bundle_source", source)
    monkeypatch.setenv("HEADSPEC_CACHE", str(tmp_path / "cache" / "deep"))
    bundle.javascript_bundle.cache_clear()
    yield made
    bundle.javascript_bundle.cache_clear()


def again() -> str:
    bundle.javascript_bundle.cache_clear()
    return bundle.javascript_bundle()


def test_it_is_made_once_and_then_read(fresh, tmp_path):
    assert again() == again() == again() == "const bundle = 'é';"
    assert len(fresh) == 1
    (kept,) = (tmp_path / "cache" / "deep").iterdir()
    assert kept.name.startswith("vega-")
    assert kept.read_text(encoding="utf-8") == "const bundle = 'é';"


@pytest.mark.parametrize("damage", [b"const bundle = 'e';", b"", b"\xff\xfe", b"const bundle"])
def test_a_damaged_file_is_not_used_and_is_replaced(fresh, tmp_path, damage):
    again()
    (kept,) = (tmp_path / "cache" / "deep").iterdir()
    kept.write_bytes(damage)
    assert again() == "const bundle = 'é';"
    assert len(fresh) == 2
    assert again() == "const bundle = 'é';"
    assert len(fresh) == 2


def test_another_version_is_another_file(fresh, monkeypatch):
    again()
    monkeypatch.setattr(bundle, "_key", lambda: "vega-99-9")
    again()
    assert len(fresh) == 2


def test_without_a_place_to_keep_it_it_is_made_anew(fresh, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("x")
    for place in (str(tmp_path / "file" / "under"), ""):
        monkeypatch.setenv("HEADSPEC_CACHE", place)
        assert again() == "const bundle = 'é';"
    assert len(fresh) == 2


def test_text_that_would_end_its_script_is_refused(fresh, monkeypatch):
    for text in ("a = '</Script>'", "<!-- x"):
        monkeypatch.setattr(render, "bundle_source", lambda text=text: text)
        with pytest.raises(RenderError, match="this vl-convert is not supported"):
            again()


def test_the_folder_is_the_platforms_own(monkeypatch, tmp_path):
    monkeypatch.delenv("HEADSPEC_CACHE")
    monkeypatch.setattr(bundle.sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert bundle.cache_folder() == tmp_path / "headspec"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert bundle.cache_folder() == tmp_path / ".cache" / "headspec"
    monkeypatch.setattr(bundle.sys, "platform", "darwin")
    assert bundle.cache_folder() == tmp_path / "Library" / "Caches" / "headspec"


def test_the_real_one_defines_what_pages_use():
    bundle.javascript_bundle.cache_clear()
    text = bundle.javascript_bundle()
    assert len(text) > 500_000
    assert "vegaEmbed" in text
    assert "</script" not in text.lower()
