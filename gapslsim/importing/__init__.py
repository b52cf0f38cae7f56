"""Logs and exports of measuring tools, as what gapslsim takes: traces, measurement tables, power."""
