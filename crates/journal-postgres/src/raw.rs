//! Measures what PostgreSQL itself can do: the limit that the journal is compared with.
