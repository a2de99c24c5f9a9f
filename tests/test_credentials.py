"""Passwords: what is stored is a salted hash, and only the right pair is let in."""

import pytest
from typer.testing import CliRunner

from algoserver.cli import app
from algoserver.config import load
from algoserver.credentials import Credential, hashed
from algoserver.desks import admission
from algoserver.fix.logon import credentials
from algoserver.settings import BadConfig
from tests.test_profiles import ROOT, configured

PASSWORD = "correct horse"


def test_only_the_right_pair_is_right():
    """Not the other's name, not a longer or an empty password, nothing that is no text."""
    credential = Credential("desk", hashed(PASSWORD))
    assert credential.is_right("desk", PASSWORD)
    for username, password in (("desk", "wrong"), ("Desk", PASSWORD), ("", ""), ("desk", PASSWORD + " "), ("desk", "x" * 500), ("\udcff", "\udcff")):
        assert not credential.is_right(username, password)


def test_equal_passwords_have_different_hashes():
    """Salted: a table of hashes is of no use."""
    assert hashed(PASSWORD) != hashed(PASSWORD)
    assert hashed(PASSWORD, b"0" * 16) == hashed(PASSWORD, b"0" * 16)


def test_a_session_without_a_password_may_always_log_on():
    """And one with a password only by its own."""
    admit = admission({"A": Credential("desk", hashed(PASSWORD))})
    logon = f"8=FIX.4.4|35=A|553=desk|554={PASSWORD}|".replace("|", "\x01")
    assert [admit("FIX.4.4:ALGO->A", logon), admit("FIX.4.4:ALGO->A", "8=FIX.4.4\x0135=A\x01"), admit("FIX.4.4:ALGO->B", "")] == [True, False, True]


def test_a_logon_says_who_it_is_in_its_versions_words():
    """553 and 554; in FIX 4.2, which has neither, RawData."""
    assert credentials("8=FIXT.1.1\x01553=u\x01554=p:q\x01") == ("u", "p:q")
    assert credentials("8=FIX.4.2\x0195=5\x0196=u:p:q\x01") == ("u", "p:q")
    assert credentials("8=FIX.4.2\x01553=u\x01554=p\x01") == ("", "")


def test_the_command_asks_twice_and_prints_what_the_configuration_takes(tmp_path):
    """Nothing of the password on the screen, and no option to give it by: others read command lines."""
    done = CliRunner().invoke(app, ["password"], input=f"{PASSWORD}\n{PASSWORD}\n")
    assert done.exit_code == 0
    printed = done.stdout.strip().splitlines()[-1]
    assert PASSWORD not in done.output
    configured(tmp_path, f'[[profiles]]\nclient = "CLIENT1"\nusername = "desk"\npassword = "{printed}"\n')
    (profile,) = load(tmp_path / "server.toml").server.profiles
    assert profile.credential is not None
    assert profile.credential.is_right("desk", PASSWORD)
    assert CliRunner().invoke(app, ["password", PASSWORD]).exit_code == 2


@pytest.mark.parametrize("password", ["short", "x" * 257, "tab\tinside", "ümlaut-word"])
def test_a_password_that_no_logon_can_carry_is_refused(password: str):
    """With what would be right."""
    done = CliRunner().invoke(app, ["password"], input=f"{password}\n{password}\n")
    assert done.exit_code == 2
    assert "a password has" in done.stderr


BAD = [
    ('password = "correct horse"\nusername = "desk"', "`algoserver password`"), ('username = "desk"', "come together"),
    ('password = "scrypt$4$8$1$MDEyMzQ1Njc4OWFiY2RlZg==$YQ=="\nusername = "desk"', "is no hash"),
    (f'password = "{hashed(PASSWORD)}"\nusername = "a:b"', "no colon"),
]  # fmt: skip


@pytest.mark.parametrize(("entry", "said"), BAD, ids=["clear", "alone", "weak", "colon"])
def test_a_bad_entry_is_named_without_its_secret(tmp_path, entry: str, said: str):
    """A password in clear is an error, and the error does not repeat it."""
    with pytest.raises(BadConfig) as found:
        configured(tmp_path, f'[[profiles]]\nclient = "CLIENT1"\n{entry}\n')
    assert "profiles 'CLIENT1'" in str(found.value)
    assert said in str(found.value)
    assert PASSWORD not in str(found.value)


def test_the_hash_does_not_reach_the_journal(tmp_path):
    """What the core is told has profiles, and no credentials in them."""
    configured(tmp_path, f'[[profiles]]\nclient = "CLIENT1"\nusername = "desk"\npassword = "{hashed(PASSWORD)}"\n')
    assert "scrypt" not in str(load(tmp_path / "server.toml").setup)
    assert "password" in (ROOT / "cfg" / "server.toml").read_text()
