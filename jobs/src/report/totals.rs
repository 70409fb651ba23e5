//! The totals of each group, few enough to be kept in a checkpoint.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use drumline::Failure;
use drumline::core::MAX_CHECKPOINT_BYTES;

/// The largest number of groups of a report: far more than people read.
pub(super) const MAX_GROUPS: usize = 1_000;

/// The largest total size of all groups' names in bytes, as JSON with quotes and commas. Names may be of any length, so the
/// number of groups alone would not bound a checkpoint.
pub(super) const MAX_NAMES_BYTES: usize = 16_000;

/// The size of the other parts of a checkpoint: the version and the positions in the source.
const REST_BYTES: usize = 1_500;

/// The packed size of a group's totals. It is constant, so only the names determine if a checkpoint fits.
const PACKED_BYTES: usize = 36;

// Three bytes become four base64 characters.
const _: () = assert!(PACKED_BYTES.is_multiple_of(3));
const _: () =
    assert!(MAX_GROUPS * PACKED_BYTES / 3 * 4 + MAX_NAMES_BYTES + REST_BYTES <= MAX_CHECKPOINT_BYTES);

/// The totals of one group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Total {
    pub(super) count: u64,
    /// The sum in millionths, like the other values.
    pub(super) sum: i128,
    pub(super) min: i64,
    pub(super) max: i64,
}

impl Total {
    fn of(value: i64) -> Self {
        Self { count: 1, sum: value.into(), min: value, max: value }
    }

    /// Returns the totals of both parts.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            count: self.count + other.count,
            sum: self.sum + other.sum,
            min: self.min.min(other.min),
            max: self.max.max(other.max),
        }
    }
}

/// All groups by their names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    groups: BTreeMap<Box<str>, Total>,
    names_bytes: usize,
}

impl Totals {
    /// Adds a value to a group, and creates the group if it is new.
    pub(super) fn add(&mut self, name: &str, value: i64) -> Result<(), Failure> {
        let one = Total::of(value);
        if let Some(total) = self.groups.get_mut(name) {
            *total = total.and(one);
            return Ok(());
        }
        self.names_bytes += json_bytes(name);
        if self.groups.len() == MAX_GROUPS {
            return Err(Failure::reject(format_args!("there are more than {MAX_GROUPS} groups")));
        }
        if self.names_bytes > MAX_NAMES_BYTES {
            return Err(Failure::reject(format_args!(
                "the names of the groups have more than {MAX_NAMES_BYTES} bytes together"
            )));
        }
        self.groups.insert(name.into(), one);
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.groups.len()
    }

    /// Returns the totals in the byte order of their names.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, Total)> {
        self.groups.iter().map(|(name, total)| (&**name, *total))
    }

    /// Returns the names, and the totals in the same order.
    pub(super) fn pack(&self) -> (Vec<String>, String) {
        let names = self.groups.keys().map(|name| name.clone().into_string()).collect();
        let packed: Vec<u8> = self.groups.values().copied().flat_map(pack).collect();
        (names, STANDARD.encode(packed))
    }

    /// Returns `None` if the data was not made by [`pack`](Self::pack).
    pub(super) fn unpack(names: Vec<String>, packed: &str) -> Option<Self> {
        let packed = STANDARD.decode(packed).ok()?;
        let (totals, rest) = packed.as_chunks::<PACKED_BYTES>();
        if totals.len() != names.len() || !rest.is_empty() {
            return None;
        }
        let names_bytes = names.iter().map(|name| json_bytes(name)).sum();
        let groups = names.into_iter().map(String::into_boxed_str).zip(totals.iter().map(unpack)).collect();
        Some(Self { groups, names_bytes })
    }
}

/// Returns the length of a text as JSON, with quotes and a comma.
fn json_bytes(text: &str) -> usize {
    let of = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 8 | 12 => 2,
        0..32 => 6,
        _ => 1,
    };
    text.bytes().map(of).sum::<usize>() + 3
}

/// Packs the count into 6 bytes, the sum into 14, the minimum and the maximum into 8 each. This is enough for 2^48 values, more
/// than the largest object has bytes: their sum has 60 + 48 bits, and a sign.
fn pack(total: Total) -> [u8; PACKED_BYTES] {
    let mut packed = [0; PACKED_BYTES];
    packed[..6].copy_from_slice(&total.count.to_le_bytes()[..6]);
    packed[6..20].copy_from_slice(&total.sum.to_le_bytes()[..14]);
    packed[20..28].copy_from_slice(&total.min.to_le_bytes());
    packed[28..].copy_from_slice(&total.max.to_le_bytes());
    packed
}

fn unpack(packed: &[u8; PACKED_BYTES]) -> Total {
    let mut count = [0; 8];
    count[..6].copy_from_slice(&packed[..6]);
    // The higher bits repeat the sign.
    let mut sum = if packed[19] & 0x80 == 0 { [0; 16] } else { [0xFF; 16] };
    sum[..14].copy_from_slice(&packed[6..20]);
    let long = |at: usize| i64::from_le_bytes(packed[at..at + 8].try_into().expect("eight bytes"));
    Total { count: u64::from_le_bytes(count), sum: i128::from_le_bytes(sum), min: long(20), max: long(28) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn too_many_groups_are_rejected() {
        let mut totals = Totals::default();
        for group in 0..MAX_GROUPS {
            totals.add(&group.to_string(), 1).unwrap();
        }
        totals.add("7", 1).unwrap();
        let failure = totals.add("one more", 1).unwrap_err();
        assert!(failure.reason().contains("more than 1000 groups"), "{failure}");

        let mut totals = Totals::default();
        let name = |n: usize| format!("{n:0>37}");
        for group in 0..400 {
            totals.add(&name(group), 1).unwrap();
        }
        let failure = totals.add("", 1).unwrap_err();
        assert!(failure.reason().contains("more than 16000 bytes"), "{failure}");
    }

    #[test]
    fn names_are_measured_as_json() {
        for name in ["", "a", "\"\\/", "ä€😀", "\u{0}\u{1}\u{8}\u{c}\u{1f}\n\r\t", "\u{7f}\u{2028}"] {
            assert_eq!(json_bytes(name), serde_json::to_string(name).unwrap().len() + 1, "{name:?}");
        }
    }

    fn any_total() -> impl Strategy<Value = Total> {
        let sum = -(1_i128 << 110)..1_i128 << 110;
        (0..1_u64 << 48, sum, any::<i64>(), any::<i64>()).prop_map(|(count, sum, min, max)| Total {
            count,
            sum,
            min,
            max,
        })
    }

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked(groups in prop::collection::btree_map(".*", any_total(), 0..20)) {
            let groups: BTreeMap<Box<str>, Total> =
                groups.into_iter().map(|(name, total)| (name.into_boxed_str(), total)).collect();
            let names_bytes = groups.keys().map(|name| json_bytes(name)).sum();
            let totals = Totals { groups, names_bytes };
            let (names, packed) = totals.pack();
            prop_assert_eq!(Totals::unpack(names, &packed), Some(totals));
        }
    }

    #[test]
    fn what_was_not_packed_here_is_no_totals() {
        assert_eq!(Totals::unpack(vec!["a".into()], ""), None);
        assert_eq!(Totals::unpack(vec![], "AAAA"), None);
        assert_eq!(Totals::unpack(vec![], "!"), None);
    }
}
