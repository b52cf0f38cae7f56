"""The walk along the schema."""

from gapslsim.scenario.fields import first_sentence, locate, type_words
from gapslsim.scenario.schema import ClientGroup, Evaluation, Scenario


def test_a_location_loses_the_tags_that_pydantic_puts_in():
    spot = locate(Scenario, ("training", "client", "sgd", "lr"))
    assert spot.path == ("training", "client", "lr")
    assert spot.owner is not None
    assert spot.owner.__name__.lower() == "sgd"


def test_a_location_goes_through_lists_and_presets():
    spot = locate(Scenario, ("clients", 1, "link", "uplink", "constant", "rate"))
    assert spot.path == ("clients", 1, "link", "uplink", "rate")


def test_an_unknown_key_keeps_its_place_and_owner():
    spot = locate(Scenario, ("clients", 0, "devise"))
    assert spot.path == ("clients", 0, "devise")
    assert spot.owner is ClientGroup


def test_an_alias_is_the_name_that_files_use():
    assert locate(Scenario, ("framework", "gapsl", "lambda")).field is not None


def test_types_are_said_in_words():
    from gapslsim.scenario.fields import fields_of

    words = {name: type_words(field) for name, field in fields_of(Evaluation).items()}
    assert words["views"] == "list of global | clients | ensemble | local"
    assert words["batch_size"] == "integer > 0"
    assert type_words(fields_of(Scenario)["network"]) == "network"


def test_a_sentence_does_not_end_at_an_abbreviation():
    assert first_sentence("As in Eq. (7) of Lin et al. 2026. More.") == "As in Eq. (7) of Lin et al. 2026."
    assert first_sentence("One line\nof two.\n\nMore.") == "One line of two."
