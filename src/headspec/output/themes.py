"""Which theme an output is drawn under: a name of Altair's registry, one of headspec's own, or a dict."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, TypeAlias

import altair as alt

from headspec.errors import DataError, KindError
from headspec.text import clean, listing

Theme: TypeAlias = str | Mapping[str, Any] | None

OWN = ("light", "dark", "paper")


def theme_dict(theme: Theme) -> dict[str, Any]:
    """Return what a theme adds to a spec.

    Parameters
    ----------
    theme
        ``"light"``, ``"dark"`` or ``"paper"``: headspec's own; another name of `altair.theme.names`; a dict, either
        ``{"config": {…}}`` or the config itself; or None: the theme that is enabled in Altair or, where nothing was
        chosen there (Altair's ``"default"``), headspec's ``"light"``, whose named styles headspec's charts are made for.

    Raises
    ------
    DataError
        If no theme has that name.
    """
    if theme is None:
        theme = chosen() or "light"
    elif isinstance(theme, Mapping):
        given = copy.deepcopy(dict(theme))
        return given if "config" in given or not given else {"config": given}
    elif not isinstance(theme, str):
        raise KindError(f"theme is the name of a theme or a dict, not {type(theme).__name__}")
    if theme == alt.theme.active:  # with the options that it was enabled with
        return _made(alt.theme.get())
    if theme not in _own:
        try:
            with alt.theme.enable(f"headspec_{theme}" if theme in OWN else theme):
                function = alt.theme.get()
        except Exception as err:  # Altair's error for an unknown name is of no public kind
            if theme in OWN or theme in alt.theme.names():
                raise
            raise _unknown(theme) from err
        if theme not in OWN:
            return _made(function)
        _own[theme] = function  # finding an entry point costs as much as drawing a small chart
    return _made(_own[theme])


_own: dict[str, Any] = {}


def chosen() -> str | None:
    """Return the theme that the user enabled in Altair, None where it is Altair's default."""
    active = str(alt.theme.active)
    return None if active == "default" else active


def _made(function: Any) -> dict[str, Any]:
    return copy.deepcopy(dict(function())) if function is not None else {}


def _unknown(theme: str) -> DataError:
    return DataError(
        f"there is no theme {clean(theme)!r}; there are {listing([*OWN, *alt.theme.names()], limit=40)}, "
        "or give a dict such as {'config': {…}}"
    )


def merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return two nested dicts as one; where both have a value, the second one's holds."""
    out = dict(under)
    for key, value in over.items():
        below = out.get(key)
        out[key] = merged(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return out
