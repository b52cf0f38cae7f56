"""The flow engine: from shared links and their flows to when each flow ends. Knows neither SimPy nor messages."""
