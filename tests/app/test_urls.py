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


def test_an_event_with_the_url_of_before_the_last_change_does_not_undo_it() -> None:
    def script() -> None:
        import dataclasses

        import streamlit as st
        from streamlit.runtime.scriptrunner import get_script_run_ctx

        from app.state import RunsState, TrainingState
        from app.urls import enter, read, write

        before = {"sort": ["em"]}
        st.query_params.from_dict(before)
        write(dataclasses.replace(read(RunsState), text="ona"))
        # What the browser sends next may be from before it heard of that.
        st.query_params.from_dict(before)
        assert read(RunsState) == RunsState(text="ona", sort="em")
        write(dataclasses.replace(read(RunsState), ticked=("t",)))
        st.query_params.from_dict(before)
        assert enter(RunsState) == RunsState(text="ona", sort="em", ticked=("t",))
        assert st.query_params["tick"] == "t"
        # What is written back is no longer something of before, and nothing else is either.
        write(RunsState(sort="em"))
        assert read(RunsState) == RunsState(sort="em")
        st.query_params.from_dict({"sort": ["f1"]})
        assert read(RunsState) == RunsState(sort="f1")
        st.query_params.from_dict({"tick": ["t"], "sort": ["em"], "text": ["ona"]})
        assert read(TrainingState) == TrainingState.parse({"tick": ["t"], "sort": ["em"], "text": ["ona"]})
        # What the browser's own back shows is wanted, and so is what is done there.
        st.query_params.from_dict(before)
        write(dataclasses.replace(read(RunsState), text="ona"))
        st.query_params.from_dict(before)
        get_script_run_ctx().is_history_navigation = True
        assert read(RunsState) == RunsState(sort="em")
        get_script_run_ctx().is_history_navigation = False
        assert read(RunsState) == RunsState(sort="em")
        write(RunsState(sort="f1"))
        # A while later a URL is what the reader wants.
        last = st.session_state["written_url"]
        st.session_state["written_url"] = dataclasses.replace(last, at=last.at - 60)
        st.query_params.from_dict(before)
        assert read(RunsState) == RunsState(sort="em")
        st.text("all held")

    test = AppTest.from_function(script).run()
    assert not test.exception and test.text[0].value == "all held"
