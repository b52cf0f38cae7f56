"""Runs and studies as one HTML page that needs no network; reads records only."""
