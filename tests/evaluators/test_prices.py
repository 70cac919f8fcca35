from pathlib import Path

import pytest

from evaluators.prices import Price, price_of
from steper_core.errors import UserError


def test_a_cost_counts_prompt_and_output() -> None:
    # 2,000,000 at 0.5 and 100,000 at 4 dollars a million: 1.0 + 0.4.
    assert Price(prompt=0.5, output=4).cost(2_000_000, 100_000) == pytest.approx(1.4)


def test_the_table_that_comes_along_says_when_its_prices_held() -> None:
    known = price_of("gpt-4o-mini")
    assert known is not None and known.as_of and 0 < known.prompt < known.output


def test_an_unknown_model_has_no_price(tmp_path: Path) -> None:
    table = tmp_path / "prices.toml"
    table.write_text('[models."my-model"]\nprompt = 1\noutput = 2\n')
    assert price_of("my-model", table) == Price(prompt=1, output=2)
    assert price_of("gpt-4o-mini", table) is None and price_of("gpt-4o-mini-2", None) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[models."m"]\npromt = 1\noutput = 2\n', "unknown key 'models.m.promt'; did you mean 'prompt'?"),
        ('[model."m"]\nprompt = 1\noutput = 2\n', "unknown key 'model'; did you mean 'models'?"),
        ('[models."m"]\nprompt = -1\noutput = 2\n', "models.m.prompt"),
        ("[models\n", "line 1"),
    ],
)
def test_what_is_wrong_with_a_table_is_named(tmp_path: Path, text: str, said: str) -> None:
    table = tmp_path / "prices.toml"
    table.write_text(text)
    with pytest.raises(UserError) as caught:
        price_of("m", table)
    assert str(table) in str(caught.value) and said in str(caught.value)


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.toml"):
        price_of("m", tmp_path / "none.toml")
