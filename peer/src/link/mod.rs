//! The API of the grapes: announcing, looking up, storing.
