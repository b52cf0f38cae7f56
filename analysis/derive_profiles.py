"""Makes every shipped hardware profile again from the public data.

    python analysis/derive_profiles.py [NAME...] [--data ../shared/data] [--write | --check]

There is one rule per profile, in `device_rules/`. A rule fits, computes or quotes each number and says in its source
which; it also asks, where something was measured, how wrong the rule is. The script says of each profile whether the
shipped file equals what the rule makes, and what its held-out errors are. With --write the files are written; with
--check the exit code is 1 if a file differs. Numbers of a fit may differ by 0.2 %: linear algebra is not the
same on all machines.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from device_rules.boards import CPUS
from device_rules.jetsons import JETSONS
from device_rules.phones import PHONES
from device_rules.public import Public
from device_rules.servers import SERVERS

from gapslsim.data.source import public_data_folder
from gapslsim.hardware.devices import known_devices, load_profile
from gapslsim.hardware.profile import HeldOutError, Profile, profile_schema
from gapslsim.hardware.profile_file import profile_text

HEADER = (
    "# A shipped device profile, made by analysis/derive_profiles.py; format and rules in docs/hardware.md.\n"
)
PROFILES = Path(__file__).resolve().parent.parent / "hardware_profiles"
TOLERANCE = 2e-3
RULES: dict[str, Callable[[Public], Profile]] = {**JETSONS, **CPUS, **PHONES, **SERVERS}
"""One rule per profile."""


def same(one: Profile, other: Profile) -> bool:
    """Equal, texts letter by letter, numbers to 0.2 %."""
    return _alike(*(profile_schema().dump_python(profile) for profile in (one, other)))


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_alike(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(_alike(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=TOLERANCE)
    return bool(one == other)


def held_out(profile: Profile) -> tuple[HeldOutError, ...]:
    """Errors on what was measured on the device and not used."""
    fitted = profile.calibration.held_out if profile.calibration else ()
    return fitted + (profile.evidence.held_out_errors if profile.evidence else ())


def described(error: HeldOutError) -> str:
    """One error in a line."""
    return (
        f"    {100 * error.mape:5.1f} % (median {100 * error.median:.1f}, 95th percentile {100 * error.p95:.1f}, "
        f"n {error.n_points}): {error.split}; {error.group or 'all'}"
    )


def main() -> int:
    """Compares or writes; returns the exit code."""
    parser = argparse.ArgumentParser(
        description="Makes the shipped hardware profiles again from the public data."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="profiles; all unless given")
    parser.add_argument(
        "--data", type=Path, default=None, help="the public data; as for gapslsim unless given"
    )
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--write", action="store_true", help="write the files that differ")
    action.add_argument("--check", action="store_true", help="exit code 1 if a file differs or has no rule")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in RULES]
    if unknown:
        parser.error(f"no rule for {', '.join(unknown)}; known: {', '.join(RULES)}")
    folder = options.data or public_data_folder()
    if folder is None or not (folder / "device_specs.csv").is_file():
        parser.error(
            f"no public data in {folder or '../shared/data'}; give the folder with --data or GAPSLSIM_DATA"
        )
    public = Public(folder)
    wrong = [] if options.names else [name for name in known_devices() if name not in RULES]
    for name in wrong:
        print(f"{name}: has no rule")
    for name in options.names or RULES:
        profile, path = RULES[name](public), PROFILES / f"{name}.yaml"
        equal = path.is_file() and same(load_profile(str(path)), profile)
        print(f"{name}: {'same' if equal else 'different' if path.is_file() else 'not shipped'}")
        errors = held_out(profile)
        assert profile.evidence is not None
        print(f"  held out: {profile.evidence.held_out}", *[described(error) for error in errors], sep="\n")
        if profile.evidence.rule_errors:
            rules = [described(error) for error in profile.evidence.rule_errors]
            print("  its rules, where the outcome is known:", *rules, sep="\n")
        if not equal:
            wrong.append(name)
            if options.write:
                path.write_text(HEADER + profile_text(profile), encoding="utf-8")
    return int(bool(wrong)) if options.check else 0


if __name__ == "__main__":
    sys.exit(main())
