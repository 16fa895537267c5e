"""Turns messages of devices into what was measured."""

from collections.abc import Sequence

from gateway.errors import Rejected, RejectReason
from gateway.model.device import DeviceConfig
from gateway.model.observation import Measured
from gateway.ports import MeasuredSink, StoreNote, TelemetrySource
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

    def accept(self, source: TelemetrySource, device: str, topic: str, payload: bytes) -> None:
        """Hand what a message measured to the store; `source` is told when it is on disk.

        A known topic that carries no readings is answered in its turn.
        """
        decoder = self._decoders.get(device)
        if decoder is None:
            refusal = Rejected(RejectReason.UNKNOWN_DEVICE, f"{device}: no such MQTT device")
            self._sink.pass_over(source, refusal)
            return
        measured = decoder.decode(topic, payload)
        if isinstance(measured, Measured):
            self._sink.take(source, device, measured)
        else:
            self._sink.pass_over(source, measured)

    def accept_once(
        self, source: TelemetrySource, device: str, topic: str, payload: bytes, note: StoreNote
    ) -> None:
        """Do the same; what `note` adds is on disk together with the reading."""
        decoder = self._decoders.get(device)
        measured = None if decoder is None else decoder.decode(topic, payload)
        if isinstance(measured, Measured):
            self._sink.take_once(source, device, measured, note)
        else:
            self.accept(source, device, topic, payload)  # there is nothing to note
