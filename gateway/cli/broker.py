"""`broker`: the MQTT broker alone, and its users."""

import argparse
import os

from gateway.app.broker import BrokerPlan, check_plan, check_user_name, run_broker
from gateway.app.credentials import CredentialFile
from gateway.broker.certificates import CertificateFolder
from gateway.cli.output import emit, home_of, table
from gateway.cli.services import run_until_signalled
from gateway.clock import SystemClock
from gateway.errors import SettingsError
from gateway.sd_notify import Notifier
from gateway.settings import BrokerSection, Home, editing


def serve(options: argparse.Namespace) -> int:
    """Serve until told to stop; one line tells the real addresses when ready."""
    section = BrokerSection(
        listen=options.listen,
        tls=options.tls,
        websocket=options.ws,
        websocket_tls=options.wss,
        origins=tuple(options.origin),
        certificate_names=tuple(options.certificate_name),
        client_certificates="required" if options.client_certificates else "off",
    )
    has_home = options.home is not None or bool(os.environ.get("SMARTSHARE_HOME"))
    home = home_of(options) if has_home else None
    plan = BrokerPlan(section, home, is_anonymous=options.anonymous)
    check_plan(plan)

    def tell(addresses: tuple[str, ...]) -> None:
        print(f"broker ready: {' '.join(addresses)}", flush=True)

    return run_until_signalled(lambda stop: run_broker(plan, Notifier(os.environ), stop, tell))


def add_user(options: argparse.Namespace) -> int:
    """Give a user a new password, which is shown this once."""
    check_user_name(options.name)
    home = _create_home(options)
    with editing(home):
        password = CredentialFile(home).set_new_password(options.name)
    emit(
        options,
        {"username": options.name, "password": password},
        f"user      {options.name}\npassword  {password}   (shown this once)",
    )
    return 0


def list_users(options: argparse.Namespace) -> int:
    """List the users."""
    names = sorted(CredentialFile(home_of(options)).hashes())
    emit(options, names, table(("USER",), [(name,) for name in names]))
    return 0


def remove_user(options: argparse.Namespace) -> int:
    """Remove a user; a running broker ends its sessions."""
    home = home_of(options)
    if options.name not in CredentialFile(home).hashes():
        raise SettingsError(f"no user {options.name!r} in {home.path}")
    with editing(home):
        CredentialFile(home).remove(options.name)
    emit(options, {"removed": options.name}, f"user {options.name} is removed")
    return 0


def user_certificate(options: argparse.Namespace) -> int:
    """Write a client certificate for a user."""
    home = home_of(options)
    if options.name not in CredentialFile(home).hashes():
        raise SettingsError(f"no user {options.name!r} in {home.path}")
    return write_certificate(options, home)


def write_certificate(options: argparse.Namespace, home: Home) -> int:
    """Write a key and certificate for `options.name` to `options.output`."""
    folder = CertificateFolder(home.certificates)
    folder.issue_client(options.name, options.output, SystemClock().now_ms())
    emit(
        options,
        {"certificate": str(options.output), "authority": str(folder.authority)},
        f"{options.output} holds key and certificate of {options.name}; the client also needs "
        f"{folder.authority}",
    )
    return 0


def _create_home(options: argparse.Namespace) -> Home:
    home = home_of(options)
    if home.settings.exists():
        raise SettingsError(
            f"{home.path} is a gateway's home: its users are devices, see `smartshare device add`"
        )
    home.secrets.mkdir(mode=0o700, parents=True, exist_ok=True)
    return home
