"""`python -m app` is the `steper` command."""

from app.cli import main

main()
