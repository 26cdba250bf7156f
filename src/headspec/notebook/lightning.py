"""Recording a training of Lightning."""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Mapping
from typing import Any

from headspec.errors import MissingPackageError
from headspec.notebook.probing import Measuring, Probe, numbers_of
from headspec.sources.recorder import Recorder

_PACKAGES = ("lightning.pytorch", "pytorch_lightning")


def lightning_callback(
    recorder: Recorder,
    *,
    heads: Probe | None = None,
    gradients: bool | Mapping[str, Any] = False,
    every: int = 100,
    loss: str | None = "train_loss",
) -> Any:
    """Return a Lightning ``Callback`` that records a training: ``Trainer(callbacks=[lightning_callback(recorder)])``.

    Parameters
    ----------
    recorder
        Where to. The callback does not close it.
    heads
        A function of the module, the outputs of its ``training_step`` and the batch that returns
        ``{measure: [layer, head]}``. It is called in evaluation mode, without gradients and with the random numbers set
        back afterwards.
    gradients
        Record the gradient norm of each head as ``gradient_norm``; a dict holds arguments of `calculate_gradient_norms`.
    every
        Steps between two measurements of heads.
    loss
        The name under which the loss that ``training_step`` returns is recorded, every ``log_every_n_steps``, unless the
        module logs one of that name itself; None leaves it out.

    Returns
    -------
    lightning.pytorch.Callback
        What the module logs (``self.log``) goes to the history as Lightning gives it to its loggers, with its steps,
        which count from 0, and ``epoch``.

    Raises
    ------
    MissingPackageError
        Neither ``lightning`` nor ``pytorch_lightning`` is installed.
    DataError, KindError
        No recorder, no function, no number of steps.

    Notes
    -----
    Gradients are measured before Lightning clips them, and after a gradient scaler was taken off. Values of heads of step n
    are those of the model after n updates.

    A training that goes on from a checkpoint takes the recording back to the checkpoint's step. Only the main process of
    several records. A measurement that fails is left out from then on, with a warning.

    Examples
    --------
    >>> from headspec.notebook.lightning import lightning_callback
    >>> # Trainer(callbacks=[lightning_callback(recorder, gradients={"num_heads": 8})])
    """
    measuring = Measuring(recorder, heads, gradients, every)
    return _callback_class()(measuring, loss)


@functools.cache
def _callback_class() -> type[Any]:
    """Return the class, made when it is first asked for: Lightning takes seconds to import."""
    package = _package()
    base = importlib.import_module(package)
    logger_base = importlib.import_module(f"{package}.loggers").Logger

    class HeadspecLogger(logger_base):  # type: ignore[misc,valid-type]
        """Takes what Lightning logs: it knows best which values are new, and of which step."""

        def __init__(self, recorder: Recorder) -> None:
            super().__init__()
            self._recorder = recorder

        @property
        def name(self) -> str:
            return "headspec"

        @property
        def version(self) -> str:
            return self._recorder.run

        def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
            found = numbers_of(metrics)
            if set(found) - {"epoch"}:
                self._recorder.log(step or 0, **found)

        def log_hyperparams(self, *_: Any, **__: Any) -> None:
            pass

    class HeadspecCallback(base.Callback):  # type: ignore[misc,name-defined]
        """Records what the module logs, the loss, and the heads."""

        def __init__(self, measuring: Measuring, loss: str | None) -> None:
            self._measuring, self._loss = measuring, loss
            self._logger = HeadspecLogger(measuring.recorder)
            self._step = 0

        def on_train_start(self, trainer: Any, pl_module: Any) -> None:
            if not trainer.is_global_zero:
                return
            # after the setup: where checkpoints go depends on the loggers that there are by then
            trainer.loggers = [*trainer.loggers, self._logger]
            self._step = trainer.global_step
            if self._step:  # from a checkpoint
                self._measuring.recorder.rewind(self._step)
            self._measuring.recorder.meta(model=type(pl_module).__name__)

        def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
            if trainer.is_global_zero:
                self._measuring.gradients(trainer.global_step, pl_module)

        def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
            step = trainer.global_step
            if not trainer.is_global_zero or step == self._step:  # a batch that accumulates is no step
                return
            self._step = step
            # the batch counts from 0 in Lightning's logs, and every n-th is logged
            if self._loss is not None and outputs is not None and step % max(trainer.log_every_n_steps, 1) == 0:
                value = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
                if value is not None and not {self._loss, f"{self._loss}_step"} & set(trainer.callback_metrics):
                    self._measuring.recorder.log(step - 1, epoch=trainer.current_epoch, **{self._loss: value})
            self._measuring.heads(step, pl_module, outputs, batch)

        def on_train_end(self, trainer: Any, pl_module: Any) -> None:
            self._leave(trainer)

        def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
            self._leave(trainer)

        def _leave(self, trainer: Any) -> None:
            trainer.loggers = [logger for logger in trainer.loggers if logger is not self._logger]

    return HeadspecCallback


def _package() -> str:
    """Return the one of the two packages that is in use, or that is installed: their classes do not mix."""
    for package in sorted(_PACKAGES, key=lambda name: name not in sys.modules):
        try:
            importlib.import_module(package)
        except ImportError:
            continue
        return package
    raise MissingPackageError("lightning is needed to record a training of it: pip install lightning")
