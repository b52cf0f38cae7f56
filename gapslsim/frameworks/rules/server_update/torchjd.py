"""Any aggregator of TorchJD as the server's rule."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, model_validator

from gapslsim.errors import did_you_mean
from gapslsim.frameworks.rules.costs import average_cost, gram_cost
from gapslsim.frameworks.slots import server_updates
from gapslsim.learning.rules import Decision, Gradients, ServerUpdate
from gapslsim.registry import component
from gapslsim.work import Cost

if TYPE_CHECKING:
    import torch

__all__ = ["TorchjdUpdate"]


@server_updates.register
@component
class TorchjdUpdate(ServerUpdate):
    """An aggregator of the library TorchJD, applied to the matrix of the clients' gradients.

    It is made anew in every round, so that deciding stays a pure function; aggregators that remember former rounds
    (those with `reset`, for instance GradVac and NashMTL) are refused. Those that draw numbers (for instance PCGrad)
    draw from this round's own stream.
    """

    kind: Literal["torchjd"] = "torchjd"
    aggregator: str
    """Name of a class in `torchjd.aggregation`, for instance UPGrad, MGDA, PCGrad, Krum, ConFIG. Some need an
    extra of the package, UPGrad for one: pip install "torchjd[quadprog_projector]"."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """Its keyword parameters, for instance `{n_byzantine: 1}` for Krum; a list of numbers becomes a tensor."""

    def __hash__(self) -> int:
        return hash((self.aggregator, repr(sorted(self.parameters.items()))))

    @model_validator(mode="after")
    def _check(self) -> Self:
        """Makes it once, so that a wrong name, parameter or a missing package shows when the scenario is read."""
        import torch

        self._make(torch.float32, torch.device("cpu"))
        return self

    def decide(self, gradients: Gradients) -> Decision:
        """The aggregation of the rows; everyone trains.

        Raises:
            NumericalError: if a gradient is NaN or infinite.
        """
        import torch

        from gapslsim.frameworks.rules.lgi import refuse_non_finite

        refuse_non_finite(gradients)
        matrix = gradients.matrix
        aggregator = self._make(matrix.dtype, matrix.device)
        with torch.random.fork_rng(devices=[matrix.device] if matrix.device.type == "cuda" else []):
            torch.manual_seed(int(gradients.random.integers(2**63)))
            update = aggregator(matrix).detach()
        return Decision(
            update=update.clone(), fates=tuple("train" for _ in gradients.clients), losses=gradients.losses
        )

    def cost(self, n_clients: int, n_parameters: int) -> Cost:
        """Gram matrix and one combination of the rows; the small S x S problem in between is neglected."""
        return Cost((gram_cost(n_clients, n_parameters), average_cost(n_clients, n_parameters)))

    def _make(self, dtype: torch.dtype, device: torch.device) -> Any:
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
            name: torch.tensor(value, dtype=dtype, device=device) if isinstance(value, list) else value
            for name, value in self.parameters.items()
        }
        try:
            made = cls(**values)
        except ImportError as error:
            raise ValueError(
                f"aggregator {self.aggregator}: a package that it needs is missing. {error}"
            ) from error
        except (TypeError, AttributeError) as error:
            raise ValueError(f"parameters of TorchJD's {self.aggregator}: {error}") from error
        if hasattr(made, "reset"):
            raise ValueError(
                f"aggregator {self.aggregator} remembers former rounds, which a rule here must not; "
                "choose one without memory, for instance UPGrad, MGDA or PCGrad."
            )
        return made

    def _class(self) -> Any:
        try:
            from torchjd import aggregation
        except ImportError as error:
            raise ValueError(
                "the rule 'torchjd' needs the package torchjd; install it: pip install torchjd"
            ) from error
        classes = {name: getattr(aggregation, name) for name in aggregation.__all__}
        known = {
            name: cls
            for name, cls in classes.items()
            if issubclass(cls, aggregation.Aggregator) and not inspect.isabstract(cls) and not _is_base(name)
        }
        if self.aggregator not in known:
            raise ValueError(
                f"aggregator {self.aggregator!r} is not one of TorchJD's; known: {', '.join(sorted(known))}."
                f"{did_you_mean(self.aggregator, known)}"
            )
        return known[self.aggregator]


def _is_base(name: str) -> bool:
    return name.endswith("Aggregator")
