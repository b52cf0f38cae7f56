"""The stages that frameworks act on: simulated devices and network, and this machine timed."""
