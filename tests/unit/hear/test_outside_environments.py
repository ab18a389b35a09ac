"""Interpreters of other environments: where they are looked for, what is said of those that are not there."""

import re
from pathlib import Path

import pytest
import yaml

from earmark.config.environments import OUTSIDE, find_environments, missing_environment
from earmark.errors import ConfigError


@pytest.fixture
def make_python(tmp_path):
    def make_python(place: str) -> str:
        path = tmp_path / place
        path.parent.mkdir(parents=True)
        path.touch()
        return str(path)

    return make_python


def test_no_environment_is_installed(tmp_path):
    assert find_environments(tmp_path, {}) == {}
    assert find_environments(tmp_path, {"environments": {}, "representations": {}}) == {}


def test_a_path_of_the_user_comes_before_the_folder_of_the_checkout(tmp_path, make_python):
    in_checkout = {name: make_python(f".envs/{name}/bin/python") for name in ("hear_openl3", "hear_trill")}
    elsewhere = make_python("elsewhere/bin/python")
    assert find_environments(tmp_path, {}) == in_checkout
    found = find_environments(tmp_path, {"environments": {"hear_openl3": elsewhere, "mine": "elsewhere/bin/python"}})
    assert found == {**in_checkout, "hear_openl3": elsewhere, "mine": elsewhere}


def test_an_environment_that_only_a_representation_names(tmp_path, make_python):
    python = make_python(".envs/mine/bin/python")
    make_python(".envs/not_declared/bin/python")
    own = {"representations": {"a": {"environment": "mine"}, "b": {"environment": "absent"}, "c": {"name": "C"}}}
    assert find_environments(tmp_path, own) == {"mine": python}


def test_the_link_of_a_virtual_environment_is_kept(tmp_path, make_python):
    python = Path(make_python("usr/bin/python3"))
    link = tmp_path / ".envs" / "hear_coala" / "bin" / "python"
    link.parent.mkdir(parents=True)
    link.symlink_to(python)
    assert find_environments(tmp_path, {}) == {"hear_coala": str(link)}


def test_a_path_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ConfigError, match=r"environments\.hear_trill: no file .*/no/python; wanted the Python"):
        find_environments(tmp_path, {"environments": {"hear_trill": "no/python"}})


def test_reasons_name_what_to_install():
    assert missing_environment("hear_trill") == "needs envs/hear_trill.yaml, not installed: see config/README.md"
    assert "envs/" not in missing_environment("mine") and "environment mine" in missing_environment("mine")


@pytest.mark.parametrize("name", OUTSIDE)
def test_files_of_environments_pin_every_version(root, name):
    content = yaml.safe_load((root / "envs" / f"{name}.yaml").read_text(encoding="utf-8"))
    plain = [entry for entry in content["dependencies"] if isinstance(entry, str) and entry != "pip"]
    inner = next(entry["pip"] for entry in content["dependencies"] if isinstance(entry, dict))
    assert plain[0].startswith("python =3.") and all(re.fullmatch(r"[\w-]+ =[\d.]+", entry) for entry in plain)
    assert all(re.fullmatch(r"[\w-]+==[\d.]+", entry) for entry in inner)
    assert any(entry.startswith("numpy") for entry in (*plain, *inner))
