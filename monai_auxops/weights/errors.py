"""The one error of this package."""

from __future__ import annotations


class WeightsError(ValueError):
    """The weights cannot be used; the message says in one sentence why, and what to do."""
