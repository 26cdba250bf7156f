"""The exceptions and warnings of headspec: one family, and each also a built-in kind."""

from __future__ import annotations


class HeadspecError(Exception):
    """Base of every error that headspec raises on purpose."""


class DataError(HeadspecError, ValueError):
    """The argument is of the right kind, but its value cannot be used."""


class KindError(HeadspecError, TypeError):
    """The argument is of a kind that cannot be used."""


class MissingPackageError(HeadspecError, ImportError):
    """An optional package is needed for this and is not installed."""


class RenderError(HeadspecError, RuntimeError):
    """A chart could not be turned into the output that was asked for."""


class HeadspecWarning(UserWarning):
    """Something was drawn, and the reader should know this about it."""


def need(module: str, *, extra: str, purpose: str) -> MissingPackageError:
    """Return the error that says how to install an optional package.

    Parameters
    ----------
    module
        The package that is missing, ``"torch"`` say.
    extra
        The extra of headspec that brings it.
    purpose
        What it is needed for, as the end of "… is needed".
    """
    return MissingPackageError(f"{module} is needed {purpose}: pip install 'headspec[{extra}]'")
