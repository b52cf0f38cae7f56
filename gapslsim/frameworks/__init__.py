"""Protocols of split learning and the rules in their slots, written for an abstract stage."""
