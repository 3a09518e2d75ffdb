//! same_words
