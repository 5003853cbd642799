"""Room 2: raw lines become distinct, conformed events, and events become sessions."""
