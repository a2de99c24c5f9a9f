"""The house in order: what a reader relies on without looking."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def tracked(*patterns: str) -> list[Path]:
    """Files of the project: tracked, and new ones that are not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    return [ROOT / name for name in listed if (ROOT / name).exists()]


def test_no_room_is_longer_than_four_hundred_lines():
    """At 400 lines ask what the second thing is."""
    lengths = {p.relative_to(ROOT): len(p.read_text().splitlines()) for p in tracked("algoserver/*.py")}
    assert {str(p): n for p, n in lengths.items() if n > 400} == {}


def test_every_module_and_public_class_says_what_it_is():
    """A module begins with its docstring."""
    silent = [p for p in tracked("algoserver/*.py") if not p.read_text().lstrip().startswith('"""')]
    assert silent == []


def test_the_readme_fits_and_its_links_lead_somewhere():
    """At most 120 lines; every link is a file of the project."""
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 120
    assert [link for link in re.findall(r"\]\(([^)#]+)\)", text) if not link.startswith("http") and not (ROOT / link).exists()] == []


def test_every_configuration_key_has_its_comment():
    """A key without its unit beside it is a guess; entries of a list are commented once."""
    silent = []
    for path in tracked("cfg/*.toml"):
        seen: set[str] = set()
        for line in path.read_text().splitlines():
            key = re.match(r"(\w+) *=", line)
            if key and key[1] not in seen:
                seen.add(key[1])
                before = path.read_text().split(line)[0].rstrip().splitlines()
                if "#" not in line and not (before and before[-1].startswith("#")):
                    silent.append(f"{path.name}: {key[1]}")
    assert silent == []


def test_no_machine_is_named():
    """Files speak of the project alone."""
    named = [str(p) for p in tracked("*.py", "*.md", "*.toml", "*.cfg", "*.ipynb") if re.search(r"(?<![\w./-])/(work|root|home)/", p.read_text())]
    assert named == []
