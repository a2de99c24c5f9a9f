"""The vocabulary: what everything is called and in which unit it is held. Imports nothing of ours."""
