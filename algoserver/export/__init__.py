"""What a surveillance system and a regulator ask of a server's state directory, as tidy files. Read only; the server may run.

Read in this order: columns (what there is), texts, rows (how the journal becomes it), files (how it is written), page (docs/export.md).
"""
