//! How what a run found is shown and kept.
