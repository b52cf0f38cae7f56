"""From measurement tables to hardware profiles: reading, fitting, choosing, reporting errors on held-out rows."""
