"""What a real testbed measured, beside what a scenario of it gives."""
