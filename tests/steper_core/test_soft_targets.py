"""Stored log-probabilities: as good as the teacher at hand, resumable, and refused where they do not belong."""

from __future__ import annotations

import copy
import dataclasses
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from steper_core.errors import UserError
from steper_core.examples import ChainRows
from steper_core.locks import lock_within
from steper_core.losses import target_logits
from steper_core.packing import TokenExample, collate, pack
from steper_core.path_attention import load_with_paths
from steper_core.soft_targets import SoftSettings, attach, store_soft_targets, stored_digest, targets_digest

SETTINGS = SoftSettings(teacher="t", vocabulary_digest="v", vocabulary=257, temperature=2.0, top_k=5)


def examples(number: int) -> list[TokenExample]:
    shared = list(range(3 + number, 20 + number))
    return [TokenExample(shared[:8], [40, 41], 0), TokenExample(shared, [40, 41, 42 + number], 1)]


def chains(count: int, *, packed: bool = True) -> list[ChainRows]:
    return [
        ChainRows(f"q{n}", (pack(examples(n)),) if packed else tuple(pack([each]) for each in examples(n)))
        for n in range(count)
    ]


@pytest.fixture(scope="module")
def teacher(tiny_model: Path) -> Any:
    return load_with_paths(tiny_model).eval()


def test_what_is_stored_is_what_the_teacher_says_at_its_temperature(tmp_path: Path, teacher: Any) -> None:
    assert store_soft_targets(tmp_path, SETTINGS, teacher, chains(3)) == 3
    attached = attach(tmp_path, chains(3), "v", 2.0)
    with torch.no_grad():
        for chain in attached:
            (row,) = chain.rows
            expected = torch.log_softmax(target_logits(teacher, collate([row], torch.device("cpu"))) / 2, -1).topk(5)
            assert row.soft is not None
            assert np.array_equal(row.soft[0], expected.indices.numpy())
            assert np.allclose(row.soft[1], expected.values.numpy(), atol=1e-5)


def test_one_storage_serves_both_layouts(tmp_path: Path, teacher: Any) -> None:
    store_soft_targets(tmp_path, SETTINGS, teacher, chains(2))
    together, apart = (attach(tmp_path, chains(2, packed=packed), "v", 2.0) for packed in (True, False))
    for one, other in zip(together, apart, strict=True):
        first = collate(one.rows, torch.device("cpu")).soft
        second = collate(other.rows, torch.device("cpu")).soft
        assert first is not None and second is not None
        assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    # A forward takes rows in another order: what was stored goes with them.
    turned = collate([together[1].rows[0], together[0].rows[0]], torch.device("cpu"))
    straight = collate([together[0].rows[0], together[1].rows[0]], torch.device("cpu"))
    assert turned.soft is not None and straight.soft is not None
    half = len(turned.targets) // 2
    assert torch.equal(turned.soft[0][:half], straight.soft[0][half:])


def test_a_kill_in_the_middle_leaves_what_a_second_run_completes(tmp_path: Path, teacher: Any) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    store_soft_targets(whole, SETTINGS, teacher, chains(3))
    store_soft_targets(cut, SETTINGS, teacher, chains(2))
    with (cut / "ids.bin").open("ab") as stream:
        stream.write(b"half a chain")
    with (cut / "index.jsonl").open("a") as stream:
        stream.write('{"question_id": "q2", "sta')
    assert store_soft_targets(cut, SETTINGS, teacher, chains(3)) == 1
    for name in ("ids.bin", "log_probs.bin", "index.jsonl"):
        assert (cut / name).read_bytes() == (whole / name).read_bytes()


def test_two_processes_do_not_store_into_one_folder(tmp_path: Path, teacher: Any) -> None:
    with (tmp_path / ".lock").open("w") as lock:
        assert lock_within(lock.fileno(), 0)
        with pytest.raises(UserError, match="another process stores into it"):
            store_soft_targets(tmp_path, SETTINGS, teacher, chains(1))
    assert store_soft_targets(tmp_path, SETTINGS, teacher, chains(1)) == 1


def test_what_is_stored_is_told_apart_from_what_is_stored_anew(tmp_path: Path, teacher: Any) -> None:
    def stored(settings: SoftSettings, asked: Any, count: int) -> str:
        store_soft_targets(tmp_path, settings, asked, chains(count))
        return stored_digest(tmp_path, {"q0", "q1", "q7"})

    before = stored(SETTINGS, teacher, 2)
    # Chains of other questions are added to a folder.
    assert stored(SETTINGS, teacher, 3) == before
    shutil.rmtree(tmp_path)
    assert stored(SETTINGS.model_copy(update={"top_k": 4}), teacher, 2) != before
    shutil.rmtree(tmp_path)
    # A teacher that learned more, under its old name.
    other = copy.deepcopy(teacher)
    with torch.no_grad():
        other.lm_head.weight.mul_(1.01)
    assert stored(SETTINGS, other, 2) != before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"teacher": "other"}, "another teacher (t, not other)"),
        ({"temperature": 1.0}, "another temperature (2.0, not 1.0)"),
        ({"top_k": 9}, "another top_k (5, not 9)"),
        ({"vocabulary_digest": "w"}, "another vocabulary"),
    ],
)
def test_storing_with_other_settings_into_the_same_folder_is_refused(
    tmp_path: Path, teacher: Any, change: dict[str, Any], words: str
) -> None:
    store_soft_targets(tmp_path, SETTINGS, teacher, chains(1))
    with pytest.raises(UserError) as caught:
        store_soft_targets(tmp_path, SETTINGS.model_copy(update=change), teacher, chains(1))
    assert words in str(caught.value)


def test_what_belongs_to_other_targets_is_refused_by_question(tmp_path: Path, teacher: Any) -> None:
    store_soft_targets(tmp_path, SETTINGS, teacher, chains(2))
    moved = dataclasses.replace(chains(2)[1], question_id="q0")
    with pytest.raises(UserError, match="'q0' belongs to other targets"):
        attach(tmp_path, [moved], "v", 2.0)
    with pytest.raises(UserError, match="nothing for question 'q2'"):
        attach(tmp_path, chains(3), "v", 2.0)
    with pytest.raises(UserError, match="another temperature"):
        attach(tmp_path, chains(2), "v", 1.0)
    with pytest.raises(UserError, match=r"another teacher \(t, not other\)"):
        attach(tmp_path, chains(2), "v", 2.0, "other")
    with pytest.raises(UserError, match="no stored log-probabilities"):
        attach(tmp_path / "elsewhere", chains(2), "v", 2.0)


@pytest.mark.parametrize("name", ["ids.bin", "log_probs.bin"])
@pytest.mark.parametrize("gone", [True, False])
def test_a_file_that_lost_its_end_is_named_and_not_filled_up(
    tmp_path: Path, teacher: Any, name: str, gone: bool
) -> None:
    store_soft_targets(tmp_path, SETTINGS, teacher, chains(2))
    file = tmp_path / name
    kept = file.read_bytes()[:-4]
    file.unlink() if gone else file.write_bytes(kept)
    with pytest.raises(UserError, match=f"{re.escape(name)} is missing or shorter"):
        store_soft_targets(tmp_path, SETTINGS, teacher, chains(3))
    with pytest.raises(UserError, match=f"{re.escape(name)} is missing or shorter"):
        attach(tmp_path, chains(2), "v", 2.0)
    assert not file.exists() if gone else file.read_bytes() == kept


def test_damaged_settings_are_told_apart_from_none(tmp_path: Path) -> None:
    (tmp_path / "soft.json").write_text("{")
    with pytest.raises(UserError, match=r"soft\.json is damaged: delete"):
        attach(tmp_path, chains(2), "v", 2.0)


def test_a_folder_without_chains_says_so(tmp_path: Path, teacher: Any) -> None:
    store_soft_targets(tmp_path, SETTINGS, teacher, [])
    with pytest.raises(UserError, match=r"holds no chain: repeat steper soft-targets"):
        attach(tmp_path, chains(1), "v", 2.0)


def test_the_digest_knows_prompts_places_and_tasks() -> None:
    (chain,) = chains(1)
    first, second = examples(0)
    later = ChainRows("q0", (pack([TokenExample([1, *first.prompt], first.target, 0), second]),))
    other_task = ChainRows("q0", (pack([dataclasses.replace(first, task=1), second]),))
    swapped = ChainRows(
        "q0",
        (
            pack(
                [
                    dataclasses.replace(each, prompt=[each.prompt[1], each.prompt[0], *each.prompt[2:]])
                    for each in (first, second)
                ]
            ),
        ),
    )
    assert len({targets_digest(each) for each in (chain, later, other_task, swapped)}) == 4
    apart = ChainRows("q0", (pack([first]), pack([second])))
    assert targets_digest(apart) == targets_digest(chain)
