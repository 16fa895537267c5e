"""Turns messages of devices on the embedded broker into observations."""

from collections.abc import Sequence
from functools import partial

from gateway.errors import Rejected, RejectReason
from gateway.model.device import DeviceConfig
from gateway.model.observation import DeviceMessage, Observation, StoredReading
from gateway.ports import MessageDone, ObservationSink
from gateway.profiles.json_payload import JsonDecoder
from gateway.profiles.profile import Profile


class MqttConnector:
    """Decodes each message by its device's profile. It is a `TelemetrySink`."""

    def __init__(
        self, devices: Sequence[tuple[DeviceConfig, Profile]], sink: ObservationSink
    ) -> None:
        self._decoders = {
            config.name: JsonDecoder(profile, config.name) for config, profile in devices
        }
        self._sink = sink

    def accept(self, message: DeviceMessage, done: MessageDone) -> None:
        """Hand a message's reading to the store; `done` tells when it is on disk, or refused.

        A known topic that carries no readings is done at once.
        """
        decoder = self._decoders.get(message.device)
        if decoder is None:
            done(Rejected(RejectReason.UNKNOWN_DEVICE, f"{message.device}: no such MQTT device"))
            return
        decoded = decoder.decode(message.topic, message.payload)
        if decoded is None or isinstance(decoded, Rejected):
            done(decoded)
            return
        observation = Observation(message.device, decoded.quantities, decoded.source_time_ms)
        self._sink.submit(observation, partial(_finish, done))


def _finish(done: MessageDone, outcome: StoredReading | Rejected) -> None:
    done(outcome if isinstance(outcome, Rejected) else None)
