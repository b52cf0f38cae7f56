"""The tensors' side of a run: a learner's keyed operations, the engine that does them, the journal that knows them."""
