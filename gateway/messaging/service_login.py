"""The logins of the gateway's own services: names, password files, and where the broker is."""

from pathlib import Path

from gateway.errors import SettingsError
from gateway.messaging.client import MqttLogin
from gateway.messaging.cluster_login import cluster_login
from gateway.settings import Home, Settings, broker_endpoint

LEDGER = "_ledger"  # a device's name cannot start with an underscore, so these cannot collide
OPERATOR = "_operator"


def service_password_file(home: Home, username: str) -> Path:
    """Return where a service's own password lies (mode 0600)."""
    return home.secrets / f"{username.lstrip('_')}.password"


def service_login(home: Home, settings: Settings, username: str, client_id: str) -> MqttLogin:
    """Return how a service of this node reaches its broker; raises `SettingsError`.

    At an external broker all of a node's services have one login, and its name in their client ids.
    """
    if settings.broker.url is not None:
        login = cluster_login(home, settings.broker, f"{settings.name}-{client_id}")
        return MqttLogin(
            login.host,
            login.port,
            login.username,
            login.password,
            settings.name,
            login.client_id,
            login.tls,
        )
    path = service_password_file(home, username)
    try:
        password = path.read_text().strip()
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from None
    host, port = broker_endpoint(settings)
    return MqttLogin(host, port, username, password, settings.name, client_id)
