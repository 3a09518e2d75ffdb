//! Ids in the vendors' shapes, the same on every run with the same seed.

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// SplitMix64: spreads a counter over 64 bits, so that ids do not look like a sequence.
fn mix(mut value: u64) -> u64 {
    value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// An Okta id: a prefix of three characters (`00u` user, `0oa` app, `00g` group) and 17 of base 62.
pub(crate) fn okta_id(prefix: &str, seed: u64, counter: u64) -> String {
    let start = mix(mix(seed) ^ counter ^ u64::from_be_bytes(pad(prefix)));
    let mut bits = (u128::from(start) << 64) | u128::from(mix(start));
    let mut id = String::from(prefix);
    for _ in 0..17 {
        id.push(char::from(BASE62[(bits % 62) as usize]));
        bits /= 62;
    }
    id
}

/// A version 4 UUID from seed and counter.
pub(crate) fn account_id(seed: u64, counter: u64) -> String {
    let start = mix(mix(seed) ^ counter);
    let bits = (u128::from(start) << 64) | u128::from(mix(start));
    uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid().to_string()
}

fn pad(prefix: &str) -> [u8; 8] {
    let mut bytes = [0; 8];
    for (slot, byte) in bytes.iter_mut().zip(prefix.bytes()) {
        *slot = byte;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn okta_ids_have_the_vendors_shape_and_do_not_repeat() {
        let ids: std::collections::HashSet<_> =
            (0..10_000).map(|counter| okta_id("00u", 7, counter)).collect();
        assert_eq!(ids.len(), 10_000);
        assert!(ids.iter().all(|id| id.len() == 20 && id.starts_with("00u")));
        assert_eq!(okta_id("00u", 7, 1), okta_id("00u", 7, 1));
        assert_ne!(okta_id("00u", 7, 1), okta_id("00u", 8, 1));
    }
}
