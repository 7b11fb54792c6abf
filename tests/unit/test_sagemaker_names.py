"""Names and labels on AWS: short enough, of allowed letters, and read back as given."""

import re

from hypothesis import given
from hypothesis import strategies as st

from ml_pipeline.adapters.sagemaker import names

IDS = st.from_regex(r"[a-z0-9][a-z0-9-]{0,62}", fullmatch=True)
ALLOWED = re.compile(r"[\w :./=+\-@]{1,256}")


@given(st.text(max_size=700))
def test_any_text_is_read_back_as_it_was_given(text):
    entries = names.spread({"verdict": text})
    assert all(ALLOWED.fullmatch(value) for value in entries.values())
    assert names.gathered(entries) == {"verdict": text}


@given(IDS, IDS, st.integers(1, 999_999))
def test_a_jobs_name_is_one_sagemaker_takes(project, run_id, attempt):
    name = f"{names.job_stem(project, run_id)}{attempt}"
    assert re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", name)
    assert name.startswith(names.job_family(project))


@given(IDS, IDS, IDS)
def test_runs_and_projects_that_begin_alike_do_not_share_jobs(project, one, other):
    if one != other:
        assert names.job_stem(project, one) != names.job_stem(project, other)
        assert names.job_family(one) != names.job_family(other)


@given(st.text(min_size=1, max_size=200), st.integers(12, 63))
def test_a_short_name_keeps_its_limit(text, limit):
    assert 0 < len(names.short(f"e{text}", limit)) <= limit


def test_shares_come_back_from_a_tag():
    shares = {"v1": 90, "v12": 10}
    assert names.split_shares(names.joined_shares(shares)) == shares
