"""`profile list|show|check|test`: what devices are understood, and help with writing a profile."""

import argparse
import os
import sys

from gateway.cli.output import emit, home_of, table
from gateway.errors import ProfileError
from gateway.profiles.library import ProfileLibrary
from gateway.profiles.loading import load_profile
from gateway.profiles.profile import Measure, Profile
from gateway.profiles.samples import check_sample


def list_profiles(options: argparse.Namespace) -> int:
    """List the profiles that ship, and those in the home folder; exit 1 when one is malformed."""
    library = _library(options)
    profiles: list[Profile] = []
    problems: list[str] = []
    for name in library.names():
        try:
            profiles.append(library.get(name))
        except ProfileError as error:
            problems.append(str(error))
    rows = [(one.name, one.transport, f"{one.vendor} {one.model}") for one in profiles]
    data = [{"name": name, "transport": transport, "for": text} for name, transport, text in rows]
    emit(options, data, table(("NAME", "TRANSPORT", "FOR"), rows))
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


def _library(options: argparse.Namespace) -> ProfileLibrary:
    """Return the shipped profiles, and those of the home folder where one is named."""
    is_named = options.home is not None or os.environ.get("SMARTSHARE_HOME")
    return ProfileLibrary(home_of(options).profiles if is_named else None)


def show(options: argparse.Namespace) -> int:
    """Print what a profile measures."""
    profile = _library(options).get(options.name)
    data = {
        "name": profile.name,
        "vendor": profile.vendor,
        "model": profile.model,
        "description": profile.description,
        "transport": profile.transport,
        "hash": profile.hash.hex(),
        "topics": profile.publish_topics("{device}"),
        "quantities": [
            {"name": one.name, "unit": one.unit, "scale": one.scale} for one in profile.measures
        ],
    }
    emit(options, data, "\n".join(_describe(profile)))
    return 0


def _describe(profile: Profile) -> list[str]:
    lines = [
        f"{profile.name}: {profile.vendor} {profile.model}",
        profile.description,
        f"transport {profile.transport}, hash {profile.hash.hex()}",
        *(f"topic {topic}" for topic in profile.publish_topics("{device}")),
    ]
    rows = [(one.name, one.unit, _resolution(one)) for one in profile.measures]
    if not rows:
        return [*lines, "The device itself says what it measures."]
    return [*lines, table(("QUANTITY", "UNIT", "RESOLUTION"), rows)]


def _resolution(measure: Measure) -> str:
    return f"10^{measure.scale}" if measure.scale else "1"


def check(options: argparse.Namespace) -> int:
    """Check a profile file; a mistake is one line with file and line."""
    profile = load_profile(options.file)
    emit(
        options,
        {"name": profile.name, "hash": profile.hash.hex()},
        f"{options.file}: {profile.name} is a valid {profile.transport} profile; decode its "
        "samples with `smartshare profile test`",
    )
    return 0


def test(options: argparse.Namespace) -> int:
    """Decode a profile's samples and compare; exit 1 when one differs."""
    profile = load_profile(options.file)
    results = [(one.description, check_sample(profile, one)) for one in profile.samples]
    data = [{"sample": name, "problem": problem} for name, problem in results]
    lines = [f"{'FAIL' if problem else 'ok  '} {name}" for name, problem in results]
    details = [f"     {problem}" if problem else None for _, problem in results]
    text = [line for pair in zip(lines, details, strict=True) for line in pair if line is not None]
    emit(options, data, "\n".join(text))
    return 1 if any(problem for _, problem in results) else 0
