"""Any aggregator of TorchJD as the server's rule."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from pydantic import Field, model_validator

from gapslsim.errors import NumericalError, did_you_mean
from gapslsim.frameworks.rules.costs import average_cost, gram_cost
from gapslsim.frameworks.slots import server_updates
from gapslsim.learning.rules import Compared, Decision, Gradients, ServerUpdate
from gapslsim.registry import component
from gapslsim.work import Cost

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["TorchjdUpdate", "aggregators"]

_MOST_TRIED: Final = 64
"""Participants with which an aggregator is tried before the run; many more would take long with some."""


@server_updates.register
@component
class TorchjdUpdate(ServerUpdate):
    """An aggregator of the library TorchJD, applied to the matrix of the clients' gradients.

    It is made anew in every round, so that deciding stays a pure function. What it remembers of former rounds
    (ExcessMTL, GradVac, NashMTL, PCD) is kept with the server's state, as an optimizer's is. What it draws (GradDrop,
    GradVac, PCGrad, Random) comes from this round's own stream. Where all gradients are zero so is the update, and
    nothing is remembered of the round.
    """

    kind: Literal["torchjd"] = "torchjd"
    aggregator: str
    """Name of a class in `torchjd.aggregation`, for instance UPGrad, MGDA, PCGrad, Krum, ConFIG. CAGrad, DualProj,
    NashMTL and UPGrad need solvers: pip install "gapslsim[torchjd]"."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """Its keyword parameters, for instance `{n_byzantine: 1}` for Krum; a list of numbers becomes a tensor. `n_tasks`
    of NashMTL is the number of participants unless given."""
    length: Literal["own", "mean"] = "own"
    """Length of the update. `own`: as the aggregator gives it; some sum over clients (PCGrad, GradVac, GradDrop),
    others average. `mean`: that of the mean gradient, so that aggregators differ from the mean in direction alone."""

    compare: Compared = "shared"
    """What is aggregated where client groups are cut unlike: the gradients of those of the server's blocks that all
    clients go through there (its other blocks get their mean), or of all its blocks, with zeros where a client has a
    block itself (`own`)."""

    def __hash__(self) -> int:
        return hash((self.aggregator, repr(sorted(self.parameters.items())), self.length, self.compare))

    @property
    def compares(self) -> Compared:
        """As chosen."""
        return self.compare

    @model_validator(mode="after")
    def _check(self) -> Self:
        """Makes it once, so that a wrong name, parameter or a missing package shows when the scenario is read."""
        import torch

        self._make(torch.zeros(2, 1))
        return self

    def problems(self, n_clients: int, n_at_once: int) -> list[str]:
        """Too few clients for the aggregator, a parameter of the wrong length, memory where clients come and go."""
        import torch

        from gapslsim.frameworks.rules._torchjd_memory import MEMORIES

        found = []
        if self.aggregator in MEMORIES and n_at_once < n_clients:
            found.append(
                f"server_update: aggregator {self.aggregator} remembers each client's gradients, so all must take part "
                "in every round; use 'participation: everyone' or an aggregator without memory, for instance PCGrad."
            )
        if n_at_once <= _MOST_TRIED:
            # With a seed of its own: whether a scenario passes must not depend on luck. Eight parameters show
            # what many would.
            trial = torch.randn(n_at_once, 8, generator=torch.Generator().manual_seed(0))
            try:
                self._aggregate(trial, {}, seed=0)
            except Exception as error:  # Each aggregator and solver has errors of its own.
                found.append(
                    f"server_update: aggregator {self.aggregator} does not work with the gradients of {n_at_once} "
                    f"clients in a round. {_words(error)}"
                )
        return found

    def decide(self, gradients: Gradients) -> Decision:
        """The aggregation of the rows; everyone trains.

        Raises:
            NumericalError: if a gradient is NaN or infinite, or the aggregator finds no update.
        """
        import torch

        from gapslsim.frameworks.rules._lgi import refuse_non_finite

        refuse_non_finite(gradients)
        update, memory = torch.zeros_like(gradients.matrix[0]), dict(gradients.memory)
        # Many aggregators divide by a norm.
        if bool(gradients.matrix.any()):
            # Drawn even where the aggregator draws nothing: which ones do is TorchJD's business and may
            # change.
            seed = int(gradients.random.integers(2**63))
            try:
                update, memory = self._aggregate(gradients.matrix, gradients.memory, seed)
            except Exception as error:  # Each aggregator and solver has errors of its own.
                raise self._no_update(gradients, _words(error)) from error
            if not bool(update.isfinite().all()):
                raise self._no_update(gradients, "Its result is NaN or infinite.")
        return Decision(
            update=update,
            fates=tuple("train" for _ in gradients.clients),
            losses=gradients.losses,
            memory=memory,
        )

    def cost(self, n_clients: int, n_parameters: int) -> Cost:
        """Gram matrix and one combination of the rows; the small S x S problem in between is neglected."""
        return Cost((gram_cost(n_clients, n_parameters), average_cost(n_clients, n_parameters)))

    def _aggregate(
        self, matrix: Tensor, memory: Mapping[str, Tensor], seed: int
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The update [d] and what is remembered."""
        from gapslsim.frameworks.rules._torchjd_memory import MEMORIES
        from gapslsim.learning.torch_random import drawing

        aggregator, keeper = self._make(matrix), MEMORIES.get(self.aggregator)
        if keeper is not None and memory:
            keeper.put_back(aggregator, memory, matrix)
        with drawing(seed, matrix.device), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Solvers warn of how they work; what they find is checked.
            update = aggregator(matrix).detach().clone()
        if self.length == "mean":
            own, wanted = update.double().norm(), matrix.double().mean(0).norm()
            # A zero update has no direction to keep; it stays zero.
            update = update * (wanted / own if own > 0 else own).to(update.dtype)
        return update, keeper.take(aggregator) if keeper is not None else {}

    def _no_update(self, gradients: Gradients, why: str) -> NumericalError:
        return NumericalError(
            f"round {gradients.round}: TorchJD's {self.aggregator} finds no update. {why} "
            "Lower the learning rates, or choose another aggregator."
        )

    def _make(self, matrix: Tensor) -> Any:
        """A fresh aggregator for such gradients.

        Raises:
            ValueError: if there is none of this name, with these parameters, or without a further package.
        """
        cls = self._class()
        known = inspect.signature(cls).parameters
        for name in self.parameters:
            if name not in known:
                raise ValueError(
                    f"parameters.{name}: unknown parameter of TorchJD's {self.aggregator}; "
                    f"known: {', '.join(known) or 'none'}.{did_you_mean(name, known)}"
                )
        import torch

        values = {
            name: torch.tensor(value, dtype=matrix.dtype, device=matrix.device)
            if isinstance(value, list)
            else value
            for name, value in self.parameters.items()
        }
        if "n_tasks" in known:
            values.setdefault("n_tasks", len(matrix))
        try:
            made = cls(**values)
        except ImportError as error:
            raise ValueError(
                f"aggregator {self.aggregator}: a package that it needs is missing. {error}, "
                'or all solvers at once: pip install "gapslsim[torchjd]"'
            ) from error
        except (TypeError, AttributeError) as error:
            raise ValueError(f"parameters of TorchJD's {self.aggregator}: {error}") from error
        from gapslsim.frameworks.rules._torchjd_memory import MEMORIES

        # Refused rather than run without its memory, which would be another algorithm under its name.
        if hasattr(made, "reset") and self.aggregator not in MEMORIES:
            raise ValueError(
                f"aggregator {self.aggregator} remembers former rounds in a way that is not known here; known: "
                f"{', '.join(sorted(MEMORIES))}, and all without memory, for instance UPGrad, MGDA or PCGrad."
            )
        return made

    def _class(self) -> Any:
        known = aggregators()
        if self.aggregator not in known:
            raise ValueError(
                f"aggregator {self.aggregator!r} is not one of TorchJD's; known: {', '.join(sorted(known))}."
                f"{did_you_mean(self.aggregator, known)}"
            )
        return known[self.aggregator]


def aggregators() -> dict[str, type[Any]]:
    """TorchJD's aggregators by name.

    Raises:
        ValueError: if the package is not installed.
    """
    try:
        from torchjd import aggregation
    except ImportError as error:
        raise ValueError(
            "the rule 'torchjd' needs the package torchjd; install it: pip install torchjd"
        ) from error
    classes = {name: getattr(aggregation, name) for name in aggregation.__all__}
    return {
        name: cls
        for name, cls in classes.items()
        if issubclass(cls, aggregation.Aggregator)
        # Base classes are exported beside the aggregators.
        and not inspect.isabstract(cls)
        and not name.endswith("Aggregator")
    }


def _words(error: Exception) -> str:
    return f"{str(error).rstrip('. ')}."
