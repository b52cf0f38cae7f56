from typing import Annotated, Any

import pytest
from pydantic import TypeAdapter, ValidationError

from gapslsim.frameworks.rules.gapsl_options import GapslOptions, LeaderOptions
from gapslsim.frameworks.slots import server_updates
from gapslsim.learning.rules import ServerUpdate
from gapslsim.registry import settings_of

ADAPTER: TypeAdapter[Any] = TypeAdapter(Annotated[ServerUpdate, server_updates])


def test_lambda_is_written_without_underscore_in_files() -> None:
    rule = ADAPTER.validate_python({"kind": "gapsl", "lambda": 0.25})
    assert rule.lambda_ == 0.25
    assert rule == server_updates["gapsl"](lambda_=0.25)
    written = settings_of(rule)
    assert written["lambda"] == 0.25
    assert "lambda_" not in written
    assert ADAPTER.validate_python(written) == rule


def test_the_schema_of_files_says_lambda() -> None:
    properties = TypeAdapter(server_updates["gapsl"]).json_schema()["properties"]
    assert "lambda" in properties
    assert "lambda_" not in properties
    assert properties["eta"]["description"].startswith("eta of Eq. (6)")


def test_defaults_are_the_paper_and_the_readings_of_the_project() -> None:
    assert settings_of(server_updates["gapsl"]()) == {
        "kind": "gapsl",
        "leader": "lgi",
        "k_min": 0.2,
        "k_max": 0.8,
        "leader_ratio": None,
        "leader_client": None,
        "planned_rounds": None,
        "eta": 0.1,
        "lambda": 5e-4,
        "gradient": "detached",
        "reduction": "mean",
        "length": "own",
        "on_empty": "nearest",
        "excluded": "freeze",
        "admission": "adaptive",
        "threshold_rad": None,
        "compare": "shared",
    }


def test_options_carry_over_from_one_component_to_another() -> None:
    rule = server_updates["gapsl"](eta=0.7, leader="single", leader_client=2)
    assert server_updates["gapsl"](**rule.options()) == rule
    leader = server_updates["leader"](k_min=0.5)
    assert server_updates["leader"](**leader.options()) == leader
    assert "kind" not in rule.options()
    assert issubclass(server_updates["gapsl"], GapslOptions)
    assert issubclass(GapslOptions, LeaderOptions)


def test_whether_the_number_of_rounds_is_needed() -> None:
    needed = {
        kind: server_updates["leader"](leader=kind).needs_planned_rounds for kind in ("lgi", "random", "mean")
    }
    assert needed == {"lgi": True, "random": True, "mean": False}


def test_a_leader_beyond_the_fleet_is_a_problem() -> None:
    rule = server_updates["leader"](leader="single", leader_client=10)
    assert rule.leader_problems(11) == []
    (problem,) = rule.leader_problems(10)
    assert "leader_client is 10, but there are 10 clients; choose from 0 to 9" in problem


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"k_min": 0.9, "k_max": 0.5}, "k_min must not be above k_max; found k_min 0.9 and k_max 0.5"),
        ({"k_min": 0}, "greater than 0"),
        ({"k_max": 1.5}, "less than or equal to 1"),
        ({"eta": -1e9}, "greater than or equal to -1000"),
        ({"length": "mean", "reduction": "sum"}, "'reduction: sum' has no effect with 'length: mean'"),
        ({"eta": float("nan")}, "finite"),
        ({"lambda": -1}, "greater than or equal to 0"),
        ({"planned_rounds": 0}, "greater than 0"),
        ({"leader": "fixed_ratio"}, "needs leader_ratio; add it, for instance 0.33"),
        ({"leader_ratio": 0.5}, "leader_ratio has no effect with 'leader: lgi'"),
        ({"leader_client": 1}, "leader_client has no effect with 'leader: lgi'"),
        ({"admission": "fixed_threshold"}, "needs threshold_rad; add it, for instance 0.36"),
        ({"threshold_rad": 0.3}, "threshold_rad has no effect with 'admission: adaptive'"),
        ({"admission": "fixed_threshold", "threshold_rad": 4}, "less than or equal to 3.14"),
        ({"gradient": "exat"}, "'detached', 'exact' or 'steer'"),
        ({"etta": 0.5}, "etta"),
    ],
)
def test_wrong_options_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ADAPTER.validate_python({"kind": "gapsl", **settings})
