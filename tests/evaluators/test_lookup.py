from evaluators.lookup import once_a_passage
from steper_core.records import Passage


def test_a_passage_is_derived_once_and_an_unknown_one_never() -> None:
    passage = Passage.of("Tiv", "A town.")
    seen = []

    def title_of(each: Passage) -> str:
        seen.append(each.id)
        return each.title

    look_up = once_a_passage({passage.id: passage}, title_of)
    assert [look_up(passage.id), look_up(passage.id), look_up("lost")] == ["Tiv", "Tiv", None]
    assert seen == [passage.id]


def test_two_lookups_share_nothing() -> None:
    passage = Passage.of("Tiv", "A town.")
    assert once_a_passage({passage.id: passage}, lambda each: each.title)(passage.id) == "Tiv"
    assert once_a_passage({passage.id: passage}, lambda each: each.text)(passage.id) == "A town."
