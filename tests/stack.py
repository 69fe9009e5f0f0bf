"""Fixtures that need the whole running product."""
