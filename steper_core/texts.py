"""Cleaning texts that come from files, servers and models."""

from __future__ import annotations


def one_line(text: str) -> str:
    """The text on one line, whitespace collapsed, without what databases and encoders refuse (NUL, lone surrogates)."""
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return " ".join(text.replace("\0", " ").split())
