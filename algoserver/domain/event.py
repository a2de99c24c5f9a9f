"""What every event has, and what each that came as a message has besides: the bases of events.py."""

import msgspec


class Event(msgspec.Struct, frozen=True, tag=True, kw_only=True, gc=False):
    """What every event has."""

    seq: int = 0
    ts: int = 0


class Message(Event, frozen=True, kw_only=True):
    """An event that came as a FIX message on a session (a client's or a venue's short name)."""

    session: str
    msg_seq: int = 0
