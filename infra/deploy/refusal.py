"""What ends a command: said in plain words, without a traceback."""

from __future__ import annotations


class Refusal(Exception):
    """The command cannot go on; the message says why, and what to do."""


class WrongArgument(Refusal):
    """An argument is missing or is not taken; the message says what is."""
