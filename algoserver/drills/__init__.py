"""Drills: what must hold when something breaks, tried for real on a street of our own."""
