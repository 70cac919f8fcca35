"""The one exception that means "you can fix this": commands print it without a traceback and exit with code 2."""


class UserError(Exception):
    """A mistake in what the user gave. The message names the file, line or field, what is wrong and the way out."""
