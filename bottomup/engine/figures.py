"""What tells that a head does not learn, though its loss falls."""

from __future__ import annotations

from collections.abc import Mapping

from bottomup.errors import warn
from bottomup.model import PoseModel

_PATIENCE = (200, 1000)  # steps, of short runs half; the tags of people who come apart at all have done so by then


class FigureWatch:
    """Warns, once, of a figure that has stayed below what its head says it must reach (``Head.least``).

    Call it with the figures of every step that is reported. A figure that has reached it once is not watched any more.
    """

    def __init__(self, model: PoseModel, steps: int) -> None:
        heads = ((name, model.stack(name).last) for name in model.trained)
        self.least = {f"{name}/{figure}": least for name, head in heads for figure, least in head.least.items()}
        self.patience = max(_PATIENCE[0], min(_PATIENCE[1], steps // 2))
        self._since: dict[str, int] = {}

    def __call__(self, step: int, figures: Mapping[str, float]) -> None:
        """Look at the figures of a step; one that no image of it has says nothing."""
        for name, least in list(self.least.items()):
            figure = figures.get(name, float("nan"))
            if figure >= least.value:
                del self.least[name]
            elif figure < least.value and step - self._since.setdefault(name, step) >= self.patience:
                del self.least[name]
                message = f"{name} is {figure:.2g} at step {step} and has been below {least.value:g} all along: {least.advice}"
                warn(message)
