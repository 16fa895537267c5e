"""The demonstration: a meter, a plug, a tariff, a bill and a receipt, with real processes."""
