"""The command line and the dashboard: the only place that knows every layer."""
