"""Simulated devices: real protocols with invented households behind them."""
