//! The stable hashes: the hash slot of a subject id, and 64-bit content hashes.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Hash slots, as in Redis Cluster.
pub const HASH_SLOTS: u16 = 16_384;

/// Hash slot of a subject id: CRC16 (XMODEM) mod 16384, the hash of Redis Cluster.
#[must_use]
pub fn hash_slot(subject_id: &str) -> u16 {
    crc16(subject_id.as_bytes()) % HASH_SLOTS
}

/// Partition of a subject id among `partitions` (at least 1).
#[must_use]
pub fn partition(subject_id: &str, partitions: u16) -> u16 {
    hash_slot(subject_id) % partitions
}

/// Content hash of some bytes.
#[must_use]
pub fn content(bytes: &[u8]) -> u64 {
    xxh3_64(bytes)
}

/// Content hash of some bytes under a domain, so that equal bytes of two kinds differ.
#[must_use]
pub fn keyed(domain: u64, bytes: &[u8]) -> u64 {
    xxh3_64_with_seed(bytes, domain)
}

/// CRC16 with polynomial 0x1021, start 0 (XMODEM), as in the Redis Cluster specification; four bytes at a time, since
/// each step waits for the one before.
fn crc16(bytes: &[u8]) -> u16 {
    let [last, third, second, first] = &CRC16;
    let (quads, rest) = bytes.as_chunks();
    let crc = quads.iter().fold(0_u16, |crc, [a, b, c, d]| {
        let [high, low] = crc.to_be_bytes();
        let carried = first[usize::from(a ^ high)] ^ second[usize::from(b ^ low)];
        carried ^ third[usize::from(*c)] ^ last[usize::from(*d)]
    });
    rest.iter().fold(crc, |crc, byte| (crc << 8) ^ last[usize::from((crc >> 8) as u8 ^ byte)])
}

/// What each byte does to the CRC16 when none, one, two or three more follow.
static CRC16: [[u16; 256]; 4] = crc16_tables();

const fn crc16_tables() -> [[u16; 256]; 4] {
    let mut tables = [[0; 256]; 4];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u16) << 8;
        let mut bit = 0;
        while bit < 8 * tables.len() {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
            bit += 1;
            if bit.is_multiple_of(8) {
                tables[bit / 8 - 1][byte] = crc;
            }
        }
        byte += 1;
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc16_matches_the_redis_cluster_specification() {
        assert_eq!(crc16(b"123456789"), 0x31C3);
        assert_eq!(hash_slot("123456789"), 12_739);
    }

    #[test]
    fn crc16_of_any_length_is_that_of_its_bits() {
        let bit_by_bit = |bytes: &[u8]| {
            bytes.iter().fold(0_u16, |crc, byte| {
                let shifted = |crc: u16| if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
                (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| shifted(crc))
            })
        };
        let bytes: Vec<u8> = (0..200_u8).map(|byte| byte.wrapping_mul(151) ^ 0x5a).collect();
        for end in 0..=bytes.len() {
            assert_eq!(crc16(&bytes[..end]), bit_by_bit(&bytes[..end]), "{end} bytes");
        }
    }
}
