"""What the callbacks of training libraries share: looking at a model without leaving a trace in its training."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from headspec.arrays import kind_of
from headspec.errors import DataError, HeadspecError, HeadspecWarning, KindError
from headspec.measures.gradients import calculate_gradient_norms
from headspec.sources.recorder import Recorder
from headspec.text import clean

Probe: TypeAlias = Callable[..., Mapping[str, Any]]


def check_options(recorder: Any, heads: Any, every: Any) -> None:
    """Refuse at once what would end a training later."""
    if not isinstance(recorder, Recorder):
        raise KindError(f"recorder is {kind_of(recorder)}; expected a headspec.Recorder")
    if heads is not None and not callable(heads):
        raise KindError(f"heads is {kind_of(heads)}; expected a function that returns {{measure: [layer, head]}}")
    if isinstance(every, bool) or not isinstance(every, int) or every < 1:
        raise DataError(f"every={clean(repr(every))}: a whole number of steps from 1")


@contextlib.contextmanager
def untouched(model: Any) -> Iterator[None]:
    """Look at a model in evaluation mode, without gradients and without moving its random numbers on."""
    import torch

    modes = {module: module.training for module in model.modules()}
    devices = sorted({p.device.index or 0 for p in model.parameters() if p.device.type == "cuda"})
    try:
        with torch.random.fork_rng(devices=devices), torch.no_grad():
            model.eval()
            yield
    finally:
        for module, training in modes.items():
            module.training = training  # each as it was: model.train() would also wake what is kept frozen


class Measuring:
    """Measures heads for a recorder while a model trains; one that fails is said once and left out from then on."""

    def __init__(
        self, recorder: Recorder, heads: Probe | None, gradients: bool | Mapping[str, Any], every: int
    ) -> None:
        check_options(recorder, heads, every)
        self.recorder, self.every = recorder, every
        self._heads = heads
        self._gradients = gradients is not False
        self._options = dict(gradients) if isinstance(gradients, Mapping) else {}

    def gradients(self, step: int, model: Any) -> None:
        """Record the gradient norm of each head, if it is time for it."""
        if self._gradients and step % self.every == 0:
            try:
                self.recorder.heads(step, gradient_norm=calculate_gradient_norms(model, **self._options))
            except HeadspecError as error:
                self._gradients = False
                _say("gradient norms of heads", error)

    def heads(self, step: int, model: Any, *more: Any) -> None:
        """Record what the user's function measures, if it is time for it."""
        if self._heads is not None and step % self.every == 0:
            try:
                with untouched(model):
                    found = self._heads(model, *more)
                if found:
                    self.recorder.heads(step, **found)
            except Exception as error:  # a function of the user's: whatever it raises, the training goes on
                self._heads = None
                _say("heads=", error)


def _say(what: str, error: Exception) -> None:
    warnings.warn(
        f"{what} could not be measured and are left out from here on ({type(error).__name__}: {clean(error)}); the training goes on",
        HeadspecWarning,
        stacklevel=4,
    )


def numbers_of(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metrics that a recorder takes: one number each."""
    return {
        name: value
        for name, value in metrics.items()
        if name not in ("run", "step", "metric", "value") and (_is_number(value) or getattr(value, "shape", None) == ())
    }


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
