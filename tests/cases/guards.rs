//! What waits for an approval waits, whoever comes by; and nothing else waits with it.
