"""Widgets act for the page they are drawn on only."""

from streamlit.testing.v1 import AppTest


def test_a_widget_acts_only_while_its_page_and_view_are_shown() -> None:
    def script() -> None:
        import streamlit as st

        from app.state import AnnotateState, RunsState
        from app.urls import enter, while_shown

        said: list[str] = []
        st.query_params["view"] = "disagreements"
        enter(AnnotateState)
        of_list = while_shown(lambda: said.append("list"))
        of_list()
        st.query_params["view"] = "history"
        enter(AnnotateState)
        of_list()
        while_shown(lambda: said.append("history"))()
        enter(RunsState)
        of_list()
        st.text(" ".join(said))

    assert AppTest.from_function(script).run().text[0].value == "list history"
