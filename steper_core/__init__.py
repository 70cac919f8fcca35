"""The core: data, retrieval, reasoning, teaching, training. Knows no score, no database, no page."""
