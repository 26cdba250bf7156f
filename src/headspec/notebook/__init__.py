"""Charts in notebooks: shown everywhere, live while a model trains. Importing it changes nothing; `enable` does."""

from headspec.notebook.display import disable, enable

__all__ = ["disable", "enable"]
