"""MQTT packets as bytes, versions 3.1.1 and 5. Pure; anything a standard forbids is refused."""
