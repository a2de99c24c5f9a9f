"""A FIX-native execution algorithm server."""

__version__ = "0.1.0"
