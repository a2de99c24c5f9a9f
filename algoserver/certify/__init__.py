"""The certification script: a client's FIX desk plays its part against a running server and reads what passed.

Rule: nothing here imports the rest of algoserver. A check that shared the server's code would share its mistakes.
"""
