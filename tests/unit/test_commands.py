"""Commands are argv lists: a value stays one word, whatever is in it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_pipeline.domain.commands import fill, hyperparameter_words
from ml_pipeline.domain.errors import ConfigurationError
from ml_pipeline.domain.policies.training import HyperparameterStyle


@given(st.text())
def test_a_value_never_becomes_more_than_one_word(value: str) -> None:
    assert fill(["run", "--data={data}", "x"], data=value) == ("run", f"--data={value}", "x")


def test_a_placeholder_without_a_meaning_is_named_with_those_that_have_one() -> None:
    with pytest.raises(ConfigurationError) as error:
        fill(["run", "{dta}"], data="a", output="b")
    assert "{dta}" in str(error.value)
    assert "{data}" in error.value.remedy


@pytest.mark.parametrize(
    ("style", "words"),
    [
        (HyperparameterStyle.DASHED, ("--max-depth", "3", "--verbose")),
        (HyperparameterStyle.UNDERSCORED, ("--max_depth", "3", "--verbose")),
        (HyperparameterStyle.ASSIGNED, ("max_depth=3", "verbose=True", "quiet=False")),
    ],
)
def test_hyperparameters_become_options_in_the_projects_style(style, words) -> None:
    values = {"max_depth": 3, "verbose": True, "quiet": False}
    assert hyperparameter_words(values, style) == words
