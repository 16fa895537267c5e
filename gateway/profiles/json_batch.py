"""Messages of many devices at once: those that are written alike are decoded together."""

from collections.abc import Mapping, Sequence

from gateway.errors import Rejected, RejectReason
from gateway.model.observation import Decoded
from gateway.ports import DeviceMessages
from gateway.profiles.json_payload import JsonDecoder
from gateway.profiles.json_template import JsonTemplate


def decode_together(
    messages: Sequence[DeviceMessages], decoders: Mapping[str, JsonDecoder]
) -> list[Sequence[Decoded]]:
    """Return what the `JsonDecoder` of each device would say of each of its messages."""
    templates: list[JsonTemplate | None] = []
    alike: dict[JsonTemplate, list[bytes]] = {}
    for one in messages:
        decoder = decoders.get(one.device)
        template = None
        if decoder is not None and one.topic in decoder.known_topics:
            template = decoder.template
        templates.append(template)
        if template is not None:
            alike.setdefault(template, []).extend(one.payloads)
    found = {template: template.decode_all(payloads) for template, payloads in alike.items()}
    incomplete = {template for template, all_decoded in found.items() if not all(all_decoded)}
    taken = dict.fromkeys(found, 0)
    results: list[Sequence[Decoded]] = []
    for one, template in zip(messages, templates, strict=True):
        if template is None:
            results.append(_decode_singly(one, decoders.get(one.device)))
            continue
        start = taken[template]
        taken[template] = end = start + len(one.payloads)
        decoded = found[template][start:end]
        if template in incomplete:
            results.append(_complete(decoders[one.device], one.payloads, decoded))
        else:
            results.append(decoded)
    return results


def _decode_singly(one: DeviceMessages, decoder: JsonDecoder | None) -> Sequence[Decoded]:
    if decoder is None:
        refusal = Rejected(RejectReason.UNKNOWN_DEVICE, f"{one.device}: no such MQTT device")
        return [refusal] * len(one.payloads)
    return [decoder.decode(one.topic, payload) for payload in one.payloads]


def _complete(
    decoder: JsonDecoder, payloads: Sequence[bytes], decoded: Sequence[Decoded]
) -> Sequence[Decoded]:
    """Decode what a template left to the long way."""
    return [
        decoder.decode_another(payload) if one is None else one
        for payload, one in zip(payloads, decoded, strict=True)
    ]
