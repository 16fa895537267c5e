"""Where other brokers are known to leave the standard; such a test must fail, or the table is wrong."""

from dataclasses import dataclass

from tests.spec.mqtt.targets import MOSQUITTO, Target

MOSQUITTO_VERSION = "2.0.11"  # of which the table was made


@dataclass(frozen=True, slots=True)
class Deviation:
    reason: str
    is_strict: bool


_AT_TIMES = ", depending on the moment"
_FLAGS = "looks at the flags of SUBSCRIBE, UNSUBSCRIBE, PUBREL and DISCONNECT only"

# The beginning of a test's name, with its version and parameters as pytest prints them -> what
# mosquitto does instead.
_MOSQUITTO: dict[str, str] = {
    "test_reserved_flags_must_have_their_value[mosquitto-v3.1.1:MQTT-2.2.2-1+MQTT-2.2.2-2+MQTT-3.14.1-1-P": _FLAGS,
    "test_reserved_flags_must_have_their_value[mosquitto-v5.0:MQTT-2.1.3-1+MQTT-3.14.1-1-P": _FLAGS,
    "test_what_only_servers_send_ends_the_connection[mosquitto-9-v3.1.1": "ignores SUBACK",
    "test_what_only_servers_send_ends_the_connection[mosquitto-11-v3.1.1": "ignores UNSUBACK",
    "test_what_only_servers_send_ends_the_connection[mosquitto-13": "ignores PINGRESP",
    "test_qos_2_sent_again_before_pubrel_is_delivered_once[": "closes at the second repetition",
    "test_properties_that_contradict_the_standard_are_refused[mosquitto-v5.0:MQTT-3.1.4-1"
    "+MQTT-4.13.1-1-authentication data": "takes authentication data without a method",
    "test_properties_that_do_not_fit_end_the_connection[mosquitto-v5.0:MQTT-4.13.1-1-neither": "takes any payload format indicator",
    "test_clients_send_no_subscription_identifier[": "takes it",
    "test_a_response_topic_has_no_wildcards[": "takes wildcards in it",
    "test_a_client_that_exceeds_the_servers_quota_is_cut_off[": "takes more than it announced",
    "test_share_names_that_do_not_fit_are_refused[mosquitto-v5.0:MQTT-4.8.2-1+MQTT-4.8.2-2-$share//": "takes an empty share name",
    "test_share_names_that_do_not_fit_are_refused[mosquitto-v5.0:MQTT-4.8.2-1+MQTT-4.8.2-2-$share/+": "takes a wildcard as share name",
    "test_share_names_that_do_not_fit_are_refused[mosquitto-v5.0:MQTT-4.8.2-1+MQTT-4.8.2-2-$share/g": "takes a share name without a filter",
    "test_no_local_is_not_for_shared_subscriptions[": "takes no local there",
    "test_a_shared_subscription_brings_no_retained_message[": "sends retained messages",
    "test_a_message_once_sent_comes_again_even_after_its_time[": "drops it" + _AT_TIMES,
    "test_a_queue_of_messages_too_large_for_a_client_neither_stops": "stops",
    "test_the_end_of_the_session_ends_the_delay[": "waits for the delay nevertheless",
}


def known_deviation(target: Target, test: str) -> Deviation | None:
    """Return why this test is expected to fail against this broker."""
    if target.name != MOSQUITTO:
        return None
    for beginning, reason in _MOSQUITTO.items():
        if test.startswith(beginning):
            is_certain = target.version == MOSQUITTO_VERSION and not reason.endswith(_AT_TIMES)
            return Deviation(reason, is_certain)
    return None
