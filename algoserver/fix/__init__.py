"""The only rooms that know QuickFIX and the text of FIX."""
