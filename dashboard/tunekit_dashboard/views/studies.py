"""The page with all studies that the caller may see."""

from __future__ import annotations

import streamlit as st

from tunekit.storages.http.connection import quoted
from tunekit.storages.http.messages import StudyPage
from tunekit_dashboard.client import Reader
from tunekit_dashboard.navigation import GeneralView, link
from tunekit_dashboard.places import StudyPlace
from tunekit_dashboard.texts import plain


def show(reader: Reader) -> None:
    """Draw the studies of each project."""
    st.header("Studies", anchor=False)
    for project in reader.projects:
        page = reader.get(f"/projects/{quoted(project.name)}/studies", StudyPage)
        for record in page.studies:
            place = StudyPlace(project.name, record.id)
            link("overview", plain(record.spec.name), **place.query)


VIEW = GeneralView("studies", "Studies", ":material/list:", show)
