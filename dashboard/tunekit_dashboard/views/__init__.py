"""The pages, one file each: `show` draws it, `VIEW` says where it stands.

A page of a study is `show(study: StudyFrame) -> None`, drawn below the header of the study:

- `study.record`, `study.place`, `study.filters`, `study.metric`, `study.lower_is_better`;
- `study.chart("history", HistoryChart, points=500)`: the data of a chart under the filters,
  `study.read("/events", EventPage, after=0)`: any other route, both from the cache while the
  study stands still;
- `study.link("trial", "Trial 3", trial="3")` and `study.open_trial(3)`: other pages, which keep
  study and filters;
- `study.may_edit`: whether to draw what changes something, and `study.reader.change("POST",
  f"{study.place.path}/trials:enqueue", Enqueue(...))`, which sends it.

It raises: the frame turns an error into a card with a retry. It runs again when the study moves;
a dialog calls `hold_live()` first. A user's text goes through `texts.plain` where Streamlit reads
Markdown. Times go through `times.shown_time`.
"""

from tunekit_dashboard.navigation import GeneralPage, StudyPage
from tunekit_dashboard.views import (
    admin,
    compare,
    knobs,
    law,
    overview,
    parameters,
    progress,
    proposers,
    space,
    stops,
    studies,
    tradeoffs,
    tree,
    trial,
    trials,
    workers,
)

GENERAL_VIEWS: tuple[GeneralPage, ...] = (studies.VIEW, compare.VIEW, admin.VIEW)
"""Pages about all studies or the service, in the order of their links; the first is the start."""

STUDY_VIEWS: tuple[StudyPage, ...] = (
    overview.VIEW,
    progress.VIEW,
    tree.VIEW,
    parameters.VIEW,
    trials.VIEW,
    trial.VIEW,
    stops.VIEW,
    tradeoffs.VIEW,
    proposers.VIEW,
    law.VIEW,
    knobs.VIEW,
    workers.VIEW,
    space.VIEW,
)
"""Pages of a study, in the order of their links."""
