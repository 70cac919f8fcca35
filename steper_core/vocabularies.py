"""Whether a student and a teacher speak of the same tokens."""

from __future__ import annotations

from pathlib import Path

from steper_core.checkpoints import load_tokenizer
from steper_core.digests import digest_of
from steper_core.errors import UserError


def shared_vocabulary(student: Path, teacher: Path) -> int:
    """How many tokens two models have in common: all that their tokenizers know.

    Rows of their matrices behind that number pad them to a round size; two models with one tokenizer may differ there.

    Raises:
        UserError: they have different tokenizers, so that token n of one is not token n of the other.
    """
    own, other = _tokens(student), _tokens(teacher)
    if own == other:
        return max(own.values()) + 1
    reason = f"{len(own):,} tokens against {len(other):,}"
    if len(own) == len(other):
        token = next(token for token, number in own.items() if other.get(token) != number)
        reason = f"token {own[token]} is {token!r} in the student alone"
    raise UserError(
        f"{teacher} has another vocabulary than the student {student} ({reason}): logits and hidden states can only be "
        "followed within a family of models; take such a teacher, or a method that learns from its text"
    )


def vocabulary_digest(model: Path) -> str:
    """Equal for models with one tokenizer."""
    return digest_of(_tokens(model))


def _tokens(model: Path) -> dict[str, int]:
    return dict(load_tokenizer(model).get_vocab())
