"""The network: flows that share links, topologies, and channels that change over time. Knows of simpy, not of torch."""
