"""Who says he is whom in a Logon (A). Pure."""

from algoserver.fix import tags as t
from algoserver.fix.text import fields


def credentials(text: str) -> tuple[str, str]:
    """Username and password of a Logon, empty where there are none.

    553 and 554; FIX 4.2 has neither in its Logon: there RawData (96) is "username:password".
    """
    f = fields(text)
    if f.get(t.BEGIN_STRING) == "FIX.4.2":
        username, _, password = f.get(t.RAW_DATA, "").partition(":")
        return username, password
    return f.get(t.USERNAME, ""), f.get(t.PASSWORD, "")
