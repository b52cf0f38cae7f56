"""The rows that a run writes; one class per table. Units are in the names."""

from __future__ import annotations

import math
from typing import NamedTuple

__all__ = [
    "AlignmentRow", "AttendanceRow", "ClassRow", "ClientRow", "ConfusionRow", "DrawRow", "EvaluationRow",
    "GradientRow", "LossRow", "PairRow", "PredictionRow", "PresenceRow", "Progress", "RoundRow", "SpanRow",
    "StalenessRow", "UpdateRow",
]  # fmt: skip


class SpanRow(NamedTuple):
    """What one actor did between two instants.

    The spans of a client fill its time: their durations, each less its `overlap_s`, sum to the elapsed time.
    """

    actor: str
    """`client-3`, `server`, `parameter-server`."""
    client: int
    """Index of the client on whose behalf; -1 for a server's own span."""
    phase: str
    """`client_forward`, `uplink`, `server_queue`, `server_step`, `downlink`, `client_backward`, `waiting`, ...; what
    was cancelled is `cancelled_uplink` and so on, with what it used until then; `lost_uplink`, `corrupted_uplink`: a
    message that did not arrive, or damaged; `away`: the client was not there; `radio_tail`: what a
    radio takes on top behind a transfer, whose time other spans account for."""
    round: int
    """From 1; 0 is before the first round."""
    start_s: float
    end_s: float
    size_bytes: int = 0
    """Bytes moved; 0 for a computation."""
    work_flop: float = 0.0
    """Floating-point operations; 0 for a transfer."""
    energy_j: float = 0.0
    overlap_s: float = 0.0
    """Time of it that spans of the same client account for which ended before: it computes while it receives."""


class ClientRow(NamedTuple):
    """A client as the scenario made it: what a number such as `client-7` stands for."""

    client: int
    """Its index, from 0."""
    group: str
    """Name of its group: that in the scenario, else the device's; a number is added where two groups have one name."""
    device: str
    """Its hardware profile, with the power mode: `jetson-nano@5w`."""
    uplink_bit_per_s: float
    """Mean rate of its own link; NaN where it is not known beforehand."""
    downlink_bit_per_s: float
    """Likewise, towards the client."""
    latency_s: float
    """One way, the mean of both directions."""
    batch_size: int
    """Samples of its mini-batches."""
    n_samples: int
    """Of its training data."""
    labels: str
    """How many of which class, as JSON: `{"0": 12, "3": 40}`; empty where samples have no class."""
    cut: str
    """Where its model is cut, as `model.cut` says it; `whole` where clients hold all of it."""


class RoundRow(NamedTuple):
    """One training round."""

    round: int
    start_s: float
    end_s: float
    epoch: float
    """Samples processed so far over the size of the training set."""
    n_participants: int
    """Clients that took part."""
    loss: float
    """Mean training loss over the participants; NaN in a dry run."""
    bytes_up: int
    """Sent by clients."""
    bytes_down: int
    """Received by clients."""
    energy_j: float


class EvaluationRow(NamedTuple):
    """Test accuracy of one model at one instant. `client` is -1 for the global and ensemble views."""

    round: int
    time_s: float
    view: str
    """Whose accuracy: `global`, `clients`, `ensemble` or `local`."""
    client: int
    accuracy: float
    """Share of the test samples that are classified rightly."""
    loss: float
    """Behind it one column for each of `evaluation.metrics`."""


class ConfusionRow(NamedTuple):
    """How often a model said one class of test samples of another, or of the same; where never, there is no row.

    Only with `evaluation.per_class`. `client` is -1 for the global and ensemble views; the view `local` has the models
    of `clients`.
    """

    round: int
    time_s: float
    view: str
    """Whose model."""
    client: int
    label: int
    """The right class."""
    predicted: int
    """What the model said."""
    n_samples: int
    """How often."""


class ClassRow(NamedTuple):
    """Test accuracy of one model on one class; only with `evaluation.per_class`."""

    round: int
    time_s: float
    view: str
    """Whose model."""
    client: int
    label: int
    """The class."""
    n_samples: int
    """Test samples of it."""
    accuracy: float
    """Share of them that are classified rightly."""


class PredictionRow(NamedTuple):
    """What a model said of one test sample at the last evaluation; only with `evaluation.predictions`."""

    round: int
    view: str
    """Whose model."""
    client: int
    sample: int
    """Its place in the test set."""
    label: int
    """The right class."""
    predicted: int
    """The likeliest class."""
    probability: float
    """What the model gave to that class."""


class LossRow(NamedTuple):
    """Training loss of one client in one round, before the update."""

    round: int
    client: int
    loss: float
    n_samples: int
    """Samples in the batch."""


class AlignmentRow(NamedTuple):
    """Gradient geometry of one client in one round, as the server's rule saw it (NaN where it has no meaning)."""

    round: int
    client: int
    score_rad: float
    """Consistency score: mean angle to the other clients' gradients."""
    in_leader_set: bool
    """Whether the client is in the leader set."""
    angle_to_leader_rad: float
    """Angle to the leader gradient."""
    admitted: bool
    """Whether the client's gradient enters the update."""
    loss: float
    gradient_norm: float
    threshold_rad: float
    selection_ratio: float
    """K_t: share of the clients in the leader set."""
    dispersion_rad: float
    """nu: standard deviation of the consistency scores."""


class GradientRow(NamedTuple):
    """One client's server-side gradient in a round in which the geometry was measured."""

    round: int
    client: int
    gradient_norm: float
    score_rad: float
    """Mean angle to the other clients' gradients, Eq. (1)."""
    angle_to_mean_rad: float
    """To the mean of all gradients."""
    angle_to_update_rad: float
    """To the gradient handed to the server's optimizer; NaN where the server made no step."""
    in_leader_set: bool
    """False also where the rule has no leader set."""
    admitted: bool
    """True also where the rule admits everyone."""
    descends: bool
    """Whether the update lowers this client's loss to first order."""


class UpdateRow(NamedTuple):
    """The server's update in a round in which the geometry was measured (NaN where a figure has no meaning)."""

    round: int
    n_clients: int
    """Clients that took part."""
    n_leaders: int
    """0 where the rule has no leader set."""
    n_admitted: int
    """Clients that the rule admitted."""
    mean_angle_rad: float
    """Over all pairs of clients."""
    dispersion_rad: float
    """nu: standard deviation of the consistency scores."""
    selection_ratio: float
    """K_t."""
    threshold_rad: float
    conflicting_pairs: float
    """Share of the pairs whose angle is above 90 degrees."""
    mean_norm: float
    """Length of the mean gradient."""
    update_norm: float
    """Length of the update."""
    norm_ratio: float
    """Length of the update over that of the mean gradient."""
    cos_to_mean: float
    """Cosine of the angle between update and mean gradient."""
    descending_share: float
    """Share of the clients whose loss the update lowers to first order."""
    stable_rank: float
    """Of the clients' gradients: 1 if all are parallel, S if all are orthogonal."""
    effective_rank: float
    """Likewise, by the entropy of the singular values."""


class PairRow(NamedTuple):
    """Angle between the server-side gradients of two clients, `client` < `other`."""

    round: int
    client: int
    other: int
    """Index of the other client."""
    angle_rad: float
    """Angle between the two gradients."""


class AttendanceRow(NamedTuple):
    """What became of a client's part in what a framework gathers; only where somebody can be late, away or lost."""

    round: int
    time_s: float
    client: int
    phase: str
    """`upload`, `train`, `average`, `install`, `turn`."""
    outcome: str
    """`came`; `late`: it was waited for in vain; `stale`: what was late in an earlier round is used; `lost`: it can
    never come."""


class PresenceRow(NamedTuple):
    """An absence of a client, or of the server after a crash (-1)."""

    client: int
    left_s: float
    """When it went away."""
    back_s: float
    """When it came back; NaN if it was away at the end."""


class StalenessRow(NamedTuple):
    """A mini-batch that a server took, or dropped, in a protocol whose clients do not wait for one another."""

    round: int
    server_step: int
    """The step that took it, counted from 1; of a dropped one the step before."""
    client: int
    batch: int
    """Which of the client's mini-batches, from 0."""
    staleness: int
    """Updates of the server-side model between the client's forward pass and this step."""
    weight: float
    """Of its gradient; 0 if it was dropped."""


class DrawRow(NamedTuple):
    """One number of one draw of the figures that simulated time and energy rest on; see `uncertainty`."""

    draw: int
    """From 0. A draw with one number means the same boards and links in every run with as many draws."""
    quantity: str
    """`simulated_time_s`, `energy_j`, `time_to_accuracy_s 0.8` and `time_to_accuracy_after_s 0.8` (the evaluation
    before it), or `z` and a cause, as `z rates of jetson-nano`: the standard normal number that was drawn for it."""
    value: float
    """NaN where there is none."""


class LeakageRow(NamedTuple):
    """What the smashed data of one client-side model gives away; only with `evaluation.leakage` or `gapslsim leakage`.

    `client` is -1 for the mean of the client-side models. Every number has one beside it that knows nothing of the
    smashed data: of shuffled samples for a correlation, of the mean of the auxiliary data for a reconstruction.
    """

    client: int
    measure: str
    """`distance_correlation`, `corrected_distance_correlation`, `reconstructed` (share of a guess's error that
    reconstructions do without), `mse`, `psnr_db`, `ssim` or `right_tokens`."""
    value: float
    """Of the model's smashed data."""
    baseline_value: float
    """What who sees no smashed data comes to."""
    n_samples: int
    """Inputs that were attacked."""
    n_auxiliary: int
    """Inputs that the attacker knows."""
    known_from: str
    """Where these come from: `test`, `train` or `client`."""
    n_epochs: int
    """Of the training of the attacker's decoder."""


class PixelRow(NamedTuple):
    """A pixel of an input that was attacked, of what was made of it, and of what would be guessed, in 0..255."""

    client: int
    sample: int
    """The input's place in the test set."""
    channel: int
    """Of grey 0; of red, green and blue 0 to 2."""
    y: int
    """Row, from the top."""
    x: int
    """Column, from the left."""
    original: int
    """Of the input."""
    reconstruction: int
    """Of what the decoder makes of its smashed data."""
    guess: int
    """Of the mean of the auxiliary data."""


class Progress(NamedTuple):
    """How far a run has come; what `simulate` tells its observer after each round. Not stored."""

    round: int
    planned_rounds: int | None
    """Rounds of the stop condition; None if the run ends by another one."""
    simulated_time_s: float
    epoch: float
    accuracy: dict[str, float]
    """Latest per view (mean over clients where a view has one per client); empty before the first evaluation."""
    wall_time_s: float
    fraction: float | None
    """Estimated share of the run that is done, in [0, 1], from the stop condition; None if it gives no estimate."""
    loss: float = math.nan
    """Mean training loss of the round; NaN for a dry run."""
