"""Studios' databases: which windows are captured, and what becomes of the captured rows."""
