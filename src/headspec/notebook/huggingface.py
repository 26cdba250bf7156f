"""Recording a training of the Hugging Face Trainer."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping
from typing import Any

from headspec.errors import MissingPackageError
from headspec.notebook.probing import Measuring, Probe, numbers_of
from headspec.sources.recorder import Recorder

_SUMMARY = ("train_runtime", "train_samples_per_second", "train_steps_per_second", "total_flos", "train_loss")


def huggingface_callback(
    recorder: Recorder,
    *,
    heads: Probe | None = None,
    gradients: bool | Mapping[str, Any] = False,
    every: int = 100,
) -> Any:
    """Return a ``TrainerCallback`` that records a training: ``Trainer(…, callbacks=[huggingface_callback(recorder)])``.

    Parameters
    ----------
    recorder
        Where to. The callback does not close it, so that several trainings can follow each other.
    heads
        A function of the model that returns ``{measure: [layer, head]}``; it is called in evaluation mode, without
        gradients and with the random numbers set back afterwards, so that the training is the same with it and without.
    gradients
        Record the gradient norm of each head as ``gradient_norm``; a dict holds arguments of `calculate_gradient_norms`.
    every
        Steps between two measurements of heads.

    Returns
    -------
    transformers.TrainerCallback
        What the trainer logs (every ``logging_steps``) goes to the history under the trainer's names, ``loss`` and
        ``eval_loss`` say; the averages that it reports at the end go to `Recorder.meta`.

    Raises
    ------
    MissingPackageError
        transformers is not installed.
    DataError, KindError
        No recorder, no function, no number of steps.

    Notes
    -----
    The trainer tells of gradients after it has clipped them (``max_grad_norm``, 1.0 by default): the norms are those
    that the update uses. They are recorded under the number of the update that they make, as the trainer's own log is.

    A training that goes on from a checkpoint takes the recording back to the checkpoint's step. Only the main process of
    several records. A measurement that fails is left out from then on, with a warning.

    Examples
    --------
    >>> from headspec.notebook.huggingface import huggingface_callback
    >>> def entropies(model):
    ...     attentions = model(batch, output_attentions=True).attentions
    ...     return {"entropy": headspec.calculate_entropy(attentions)}
    >>> # Trainer(model, args, callbacks=[huggingface_callback(recorder, heads=entropies)])
    """
    measuring = Measuring(recorder, heads, gradients, every)
    return _callback_class()(measuring)


@functools.cache
def _callback_class() -> type[Any]:
    """Return the class, made when it is first asked for: transformers takes seconds to import."""
    try:
        base: Any = importlib.import_module("transformers").TrainerCallback
    except ImportError as error:
        raise MissingPackageError(
            "transformers is needed to record a training of its Trainer: pip install 'transformers[torch]'"
        ) from error

    class HeadspecCallback(base):  # type: ignore[misc]
        """Records what the trainer logs, and the heads."""

        def __init__(self, measuring: Measuring) -> None:
            self._measuring = measuring
            self._main = True

        def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
            self._main = state.is_world_process_zero
            if not self._main:
                return
            if state.global_step:  # from a checkpoint
                self._measuring.recorder.rewind(state.global_step)
            kind = getattr(getattr(model, "config", None), "model_type", None)
            self._measuring.recorder.meta(
                model=kind or type(model).__name__, steps=int(state.max_steps), seed=args.seed
            )

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if not self._main or not logs:
                return
            if "train_runtime" in logs:  # the report at the end: averages over all steps, not of this one
                self._measuring.recorder.meta(**{name: logs[name] for name in _SUMMARY if name in logs})
                return
            self._measuring.recorder.log(state.global_step, **numbers_of(logs))

        def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
            if self._main and model is not None:
                self._measuring.gradients(state.global_step + 1, model)

        def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
            if self._main and model is not None:
                self._measuring.heads(state.global_step, model)

    return HeadspecCallback
