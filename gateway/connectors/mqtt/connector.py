"""Turns messages of devices into what was measured."""

from collections.abc import Sequence

from gateway.model.device import DeviceConfig
from gateway.ports import DeviceMessages, MeasuredSink
from gateway.profiles.json_batch import decode_together
from gateway.profiles.json_payload import JsonDecoder, JsonProfile
from gateway.profiles.profile import Profile


class MqttConnector:
    """Decodes each message by its device's profile. It is a `TelemetrySink`."""

    def __init__(self, devices: Sequence[tuple[DeviceConfig, Profile]], sink: MeasuredSink) -> None:
        meanings = {profile.hash: JsonProfile(profile) for _, profile in devices}
        self._decoders = {
            config.name: JsonDecoder(profile, config.name, meanings[profile.hash])
            for config, profile in devices
        }
        self._sink = sink

    def accept(self, messages: Sequence[DeviceMessages]) -> None:
        """Hand what messages measured to the store; their sources are told when it is on disk.

        A known topic that carries no readings is answered in its turn.
        """
        self._sink.take(messages, decode_together(messages, self._decoders))
