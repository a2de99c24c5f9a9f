"""The other side of the street: venues with price-time books, their background flow, and a FIX 4.4 face."""
