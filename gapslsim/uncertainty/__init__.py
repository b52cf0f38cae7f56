"""How sure simulated times and energies are: Monte Carlo over the figures that they rest on."""
