"""Chains and gold answers in, scores out."""
