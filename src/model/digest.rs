//! Keyed digests: equal inputs give equal digests, and the input cannot be guessed back without the key.

use serde::{Deserialize, Serialize};

/// 128 bits of a keyed BLAKE3 hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Digest(pub [u8; 16]);

/// The key of one state directory's digests.
#[derive(Clone)]
pub struct DigestKey([u8; 32]);

impl DigestKey {
    /// Wraps key material.
    pub fn new(bytes: [u8; 32]) -> DigestKey {
        DigestKey(bytes)
    }

    /// A digest over parts, each length-prefixed so that no two lists of parts collide by concatenation.
    pub fn digest<'a>(&self, parts: impl IntoIterator<Item = &'a [u8]>) -> Digest {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let mut short = [0u8; 16];
        short.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        Digest(short)
    }
}

impl std::fmt::Debug for DigestKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DigestKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_together() {
        let key = DigestKey::new([7; 32]);
        assert_ne!(key.digest([b"ab".as_slice(), b"c"]), key.digest([b"a".as_slice(), b"bc"]));
    }
}
