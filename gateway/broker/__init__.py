"""The embedded MQTT broker, versions 3.1.1 and 5: amqtt's configuration and listeners, our sessions."""
