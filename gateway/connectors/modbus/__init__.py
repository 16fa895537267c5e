"""Polls Modbus TCP devices by their profiles. Read-only: functions 3 and 4, nothing else."""
