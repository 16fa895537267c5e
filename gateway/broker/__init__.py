"""The embedded MQTT 3.1.1 broker: amqtt's configuration and listeners, our sessions and routing."""
