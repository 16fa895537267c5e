"""Device profiles: YAML that says what a device's registers, messages or frames mean. No code in them."""
