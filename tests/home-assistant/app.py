"""The files of the Home Assistant app against the rules by which the Supervisor reads them.

The Supervisor's schemas are no package; these are their rules for the keys that are used here, written down from
supervisor/addons/validate.py, addons/options.py and store/validate.py. A file that breaks one is skipped in silence
there. Runs in the Python of Home Assistant, which has voluptuous.
"""

import re
import sys
from pathlib import Path

import voluptuous as vol
import yaml

ELEMENT = re.compile(
    r"^(?:bool|email|url|port|str(?:\(\d*,\d*\))?|password(?:\(\d*,\d*\))?|int(?:\(-?\d*,-?\d*\))?"
    r"|float(?:\([-\d.]*,[-\d.]*\))?|match\(.*\)|list\(.+\))\??$"
)
CONFIG = vol.Schema({
    vol.Required("name"): str,
    # A number without quotes would be read as one.
    vol.Required("version"): vol.All(str, vol.Length(min=1)),
    vol.Required("slug"): vol.Match(r"^[-_.A-Za-z0-9]+$"),
    vol.Required("description"): str,
    vol.Required("arch"): [vol.In(["aarch64", "amd64"])],
    vol.Optional("services"): [vol.Match(r"^(mqtt|mysql):(provide|want|need)$")],
    vol.Optional("startup"): vol.In(["initialize", "system", "services", "application", "once"]),
    vol.Optional("boot"): vol.In(["auto", "manual", "manual_only"]),
    vol.Optional("video"): bool,
    vol.Optional("map"): [{
        vol.Required("type"): vol.In(["data", "config", "ssl", "addons", "backup", "share", "media",
                                      "homeassistant_config", "all_addon_configs", "addon_config"]),
        vol.Optional("read_only"): bool,
        vol.Optional("path"): str,
    }],
    vol.Optional("options"): dict,
    vol.Optional("schema"): {str: vol.Match(ELEMENT)},
})
TRANSLATIONS = vol.Schema({"configuration": {str: {vol.Required("name"): str, vol.Optional("description"): str}}})
REPOSITORY = vol.Schema({vol.Required("name"): str, vol.Optional("url"): vol.Url(), vol.Optional("maintainer"): str})


def read(path: Path):
    return yaml.safe_load(path.read_text())


folder = Path(sys.argv[1])
REPOSITORY(read(folder / "repository.yaml"))
config = CONFIG(read(folder / "emotiond/config.yaml"))
translations = TRANSLATIONS(read(folder / "emotiond/translations/en.yaml"))
assert set(config["options"]) == set(config["schema"]) == set(translations["configuration"])
for name, kind in config["schema"].items():
    if kind.startswith("match("):
        assert re.fullmatch(kind[len("match("):-1], config["options"][name]), name
    if kind.startswith("list("):
        assert config["options"][name] in kind[len("list("):-1].split("|"), name
print("the app's files are as the Supervisor reads them")
