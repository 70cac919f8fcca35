"""Serves the dashboard; what pages need is loaded while the browser still opens, so the first visitor waits less.

python -m app.serve --server.port=8501 ...      takes the options of `streamlit run`
"""

from __future__ import annotations

import gc
import importlib
import sys
import threading
from pathlib import Path

_NEEDED = (
    "pandas",
    "pyarrow",
    "app.comparison",
    "app.pareto_chart",
    "app.training_charts",
    "app.agreeing",
    "app.annotation_progress",
    "app.views.chain",
    "app.views.annotate_work",
)
"""Streamlit itself loads the first two with the first page it draws."""


def main() -> None:
    """Run streamlit in this process."""
    from streamlit.web import cli

    # Loading takes a second of one core and hinders nobody who is not there yet.
    threading.Thread(target=_load, daemon=True).start()
    script = Path(__file__).parent / "streamlit_app.py"
    sys.argv = ["streamlit", "run", str(script), *sys.argv[1:]]
    sys.exit(cli.main(prog_name="streamlit"))


def _load() -> None:
    for name in _NEEDED:
        importlib.import_module(name)
    # What is loaded stays: searched for garbage at every visit, it would double the time of a page with many labels.
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    main()
