import math

import pytest

from tunekit import Categorical, Space
from tunekit.errors import InvalidArgument
from tunekit.records import ObjectiveSpec, StudyRecord, StudySpec, StudyState
from tunekit_dashboard.filters import Filters, filters_in
from tunekit_dashboard.places import StudyPlace, place_in, trial_in


def record():
    spec = StudySpec("s", (ObjectiveSpec("loss"),), space=Space(model=Categorical(["a", "b"])))
    return StudyRecord(3, spec, StudyState.ACTIVE, 9, 2, 1, 0.0)


def test_an_address_names_the_study_of_a_project_and_is_written_back_as_it_was():
    place = place_in({"project": "vision", "study": "3"})
    assert place == StudyPlace("vision", 3)
    assert place_in(place.query) == place
    assert place.path == "/projects/vision/studies/3"


def test_a_project_cannot_leave_its_segment_of_the_path():
    with pytest.raises(InvalidArgument):
        place_in({"project": "../users?x=", "study": "3"})
    place = place_in({"project": "..?x=", "study": "3"})
    assert place.path == "/projects/..%3Fx%3D/studies/3"


def test_a_share_link_hides_project_and_study():
    place = place_in({"share": "ab12", "project": "vision", "study": "3"})
    assert place == StudyPlace(share="ab12")
    assert place.path == "/shared"


@pytest.mark.parametrize(
    "query",
    [{"study": "-1"}, {"study": "x"}, {"study": "9" * 40}, {"study": "1.5"}, {"study": "\u0663"},
     {"share": "../x"}, {"share": "a" * 41}],
)  # fmt: skip
def test_an_address_made_by_hand_is_refused_in_a_sentence(query):
    with pytest.raises(InvalidArgument):
        place_in(query)


@pytest.mark.parametrize("text", ["-3", "abc", "1e3", "9" * 17])
def test_a_trial_that_is_no_number_is_refused(text):
    with pytest.raises(InvalidArgument):
        trial_in({"trial": text})


def test_filters_of_an_address_are_written_back_as_they_were():
    query = {"branch": "model=a", "state": "complete,failed", "low": "0.5"}
    filters = filters_in(query, record())
    assert filters == Filters("model=a", ("complete", "failed"), low=0.5)
    assert filters.address == query


def test_filters_that_do_not_fit_the_study_are_left_out():
    query = {"branch": "nothing", "state": "complete,<b>", "metric": "acc", "low": "nan"}
    assert filters_in(query, record()) == Filters(states=("complete",))
    assert filters_in({"high": str(math.inf)}, record()) == Filters()
