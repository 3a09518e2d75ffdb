//! What is a proof, and until when.
