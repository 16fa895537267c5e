"""`device add|list|remove|credential`: the devices of a gateway, also while it runs."""

import argparse

from gateway.app.credentials import CredentialFile
from gateway.app.registry import add_device, load_devices, remove_device
from gateway.cli.broker import write_certificate
from gateway.cli.output import emit, home_of, table
from gateway.errors import SettingsError
from gateway.model import topics
from gateway.model.device import DeviceConfig, parse_address
from gateway.profiles.library import ProfileLibrary
from gateway.settings import editing, load_settings


def add(options: argparse.Namespace) -> int:
    """Add a device; an MQTT device gets a password, which is shown this once."""
    home = home_of(options)
    settings = load_settings(home)
    if not topics.is_name(options.name):
        raise SettingsError(f"name {options.name!r} cannot name a device: use {topics.NAME_RULE}")
    profile = ProfileLibrary(home.profiles).get(options.profile)
    address = parse_address(options.address) if options.address is not None else None
    if profile.transport == "modbus" and address is None:
        raise SettingsError(
            f"{options.profile} is a Modbus profile: say where the device is with "
            "--address modbus-tcp://HOST:PORT?unit=1"
        )
    config = DeviceConfig(options.name, options.profile, address, options.interval_ms)
    config.check_against(profile.transport)
    with editing(home):
        add_device(home, options.name, options.profile, options.address, options.interval_ms)
    data: dict[str, object] = {"name": options.name, "profile": options.profile}
    lines = [f"device {options.name} is added; a running gateway takes it up by itself"]
    if profile.transport == "mqtt":
        publish = [
            topics.device(settings.name, options.name, "up"),
            *profile.publish_topics(options.name),
        ]
        data["topics"] = publish
        if settings.broker.url is None:
            with editing(home):
                password = CredentialFile(home).set_new_password(options.name)
            data |= {"username": options.name, "password": password}
            lines += _login_lines(settings.broker.listen, options.name, password)
        else:
            lines.append(f"  MQTT broker {settings.broker.url}, with a login of that broker")
        lines.append(f"  publish to {' or '.join(publish)}")
    emit(options, data, "\n".join(lines))
    return 0


def list_devices(options: argparse.Namespace) -> int:
    """List the devices."""
    entries = load_devices(home_of(options))
    rows = [
        (
            entry.config.name,
            entry.config.profile,
            str(entry.config.address) if entry.config.address is not None else "publishes itself",
            f"{entry.config.interval_ms} ms",
            ", ".join(binding.session for binding in entry.sessions) or "-",
        )
        for entry in entries
    ]
    data = [
        {
            "name": name,
            "profile": profile,
            "address": address,
            "interval": interval,
            "sessions": sessions,
        }
        for name, profile, address, interval, sessions in rows
    ]
    text = table(("NAME", "PROFILE", "ADDRESS", "INTERVAL", "SESSIONS"), rows)
    emit(options, data, text if rows else "no devices yet: add one with `smartshare device add`")
    return 0


def remove(options: argparse.Namespace) -> int:
    """Remove a device and its credential; its stored readings stay."""
    home = home_of(options)
    with editing(home):
        remove_device(home, options.name)
        CredentialFile(home).remove(options.name)
    emit(
        options,
        {"name": options.name},
        f"device {options.name} is removed; its stored readings stay",
    )
    return 0


def credential(options: argparse.Namespace) -> int:
    """Make a new password for an MQTT device; the old one stops working at once."""
    home = home_of(options)
    settings = load_settings(home)
    if settings.broker.url is not None:
        raise SettingsError(f"passwords are made at the external broker {settings.broker.url}")
    if all(entry.config.name != options.name for entry in load_devices(home)):
        raise SettingsError(f"no device {options.name!r}: see `smartshare device list`")
    with editing(home):
        password = CredentialFile(home).set_new_password(options.name)
    emit(
        options,
        {"username": options.name, "password": password},
        "\n".join(_login_lines(settings.broker.listen, options.name, password)),
    )
    return 0


def certificate(options: argparse.Namespace) -> int:
    """Write a TLS client certificate for a device."""
    home = home_of(options)
    if all(entry.config.name != options.name for entry in load_devices(home)):
        raise SettingsError(f"no device {options.name!r}: see `smartshare device list`")
    return write_certificate(options, home)


def _login_lines(listen: str, username: str, password: str) -> list[str]:
    return [
        f"  MQTT broker {listen}",
        f"  username   {username}",
        f"  password   {password}   (shown this once; make another with `device credential`)",
    ]
