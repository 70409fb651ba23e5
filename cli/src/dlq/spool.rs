//! Receipts of held letters on disk: some 400 bytes each on AWS, too many for memory where a DLQ is large.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use drumline_dlq::letter_id::LetterId;

use crate::format::now_ms;

/// The length of a record before its receipt: the id, the end of the hold, the receipt's length.
const HEAD: usize = 16 + 8 + 4;

/// A receipt is not used in the last seconds of its hold, while a call may be on its way.
const MARGIN_MS: u64 = 5_000;

/// A longer receipt is damage. SQS's are shorter than a kibibyte.
const LONGEST_RECEIPT: usize = 1 << 16;

/// The receipt of a held letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Receipt {
    pub(super) id: LetterId,
    /// The end of the hold, in milliseconds since the Unix epoch. The receipt is not used after it: the letter may be another
    /// receiver's by then.
    pub(super) until: u64,
    pub(super) handle: String,
}

impl Receipt {
    /// Returns true if the letter is still held, and for long enough.
    pub(super) fn is_usable(&self) -> bool {
        now_ms() + MARGIN_MS < self.until
    }
}

/// A file of receipts in the order of their receives, readable by its owner only.
#[derive(Debug)]
pub(super) struct Spool {
    file: File,
    length: u64,
}

impl Spool {
    /// A file without a name, which ends with the process.
    pub(super) fn temporary() -> io::Result<Self> {
        Ok(Self { file: tempfile::tempfile()?, length: 0 })
    }

    /// The file of this name, with what an earlier process has left in it. A record that it did not finish is cut off.
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut spool = Self { file: options.open(path)?, length: u64::MAX };
        let mut length = 0;
        for record in spool.records()? {
            let (at, receipt) = record?;
            length = at + (HEAD + receipt.handle.len()) as u64;
        }
        spool.file.set_len(length)?;
        spool.length = length;
        Ok(spool)
    }

    /// Appends receipts in one write, and returns the place of each.
    pub(super) fn append(&mut self, receipts: &[Receipt]) -> io::Result<Vec<u64>> {
        let mut bytes = Vec::new();
        let mut places = Vec::with_capacity(receipts.len());
        for receipt in receipts {
            let length = u32::try_from(receipt.handle.len()).map_err(io::Error::other)?;
            places.push(self.length + bytes.len() as u64);
            bytes.extend(receipt.id.to_u128().to_le_bytes());
            bytes.extend(receipt.until.to_le_bytes());
            bytes.extend(length.to_le_bytes());
            bytes.extend(receipt.handle.as_bytes());
        }
        self.file.seek(SeekFrom::Start(self.length))?;
        self.file.write_all(&bytes)?;
        self.length += bytes.len() as u64;
        Ok(places)
    }

    /// Reads all receipts, each with its place.
    pub(super) fn records(
        &mut self,
    ) -> io::Result<impl Iterator<Item = io::Result<(u64, Receipt)>> + use<'_>> {
        self.file.seek(SeekFrom::Start(0))?;
        let mut reader = BufReader::new((&self.file).take(self.length));
        let mut place = 0;
        Ok(std::iter::from_fn(move || {
            let record = read(&mut reader).transpose()?;
            Some(record.map(|receipt| {
                let at = place;
                place += (HEAD + receipt.handle.len()) as u64;
                (at, receipt)
            }))
        }))
    }

    /// Drops all receipts.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        self.length = 0;
        self.file.set_len(0)
    }
}

/// Reads a record. `None` at the end, also if the last one is torn.
fn read(reader: &mut impl Read) -> io::Result<Option<Receipt>> {
    let mut head = [0; HEAD];
    if !fill(reader, &mut head)? {
        return Ok(None);
    }
    let (id, rest) = head.split_at(16);
    let (until, length) = rest.split_at(8);
    let id = LetterId::from(u128::from_le_bytes(id.try_into().expect("it has 16 bytes")));
    let until = u64::from_le_bytes(until.try_into().expect("it has 8 bytes"));
    let length = u32::from_le_bytes(length.try_into().expect("it has 4 bytes")) as usize;
    if length > LONGEST_RECEIPT {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a receipt of the spool is too long"));
    }
    let mut handle = vec![0; length];
    if !fill(reader, &mut handle)? {
        return Ok(None);
    }
    let handle =
        String::from_utf8(handle).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    Ok(Some(Receipt { id, until, handle }))
}

/// Fills `bytes`. False if the reader ends before.
fn fill(reader: &mut impl Read, bytes: &mut [u8]) -> io::Result<bool> {
    match reader.read_exact(bytes) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn receipts(range: std::ops::Range<u64>) -> Vec<Receipt> {
        let receipt = |n: u64| Receipt {
            id: LetterId::from(u128::from(n)),
            until: n * 1_000,
            handle: format!("AQEB{}", "x".repeat(usize::try_from(n).unwrap_or_default())),
        };
        range.map(receipt).collect()
    }

    fn all(spool: &mut Spool) -> Vec<Receipt> {
        spool.records().unwrap().map(|record| record.unwrap().1).collect()
    }

    #[test]
    fn receipts_come_back_in_order_and_at_their_places() {
        let mut spool = Spool::temporary().unwrap();
        let mut places = spool.append(&receipts(0..10)).unwrap();
        assert_eq!(all(&mut spool), receipts(0..10));
        places.extend(spool.append(&receipts(10..20)).unwrap());
        let found: Vec<(u64, Receipt)> = spool.records().unwrap().map(Result::unwrap).collect();
        assert_eq!(found, places.into_iter().zip(receipts(0..20)).collect::<Vec<_>>());
        spool.clear().unwrap();
        assert!(all(&mut spool).is_empty());
        spool.append(&receipts(5..6)).unwrap();
        assert_eq!(all(&mut spool), receipts(5..6));
    }

    #[test]
    fn a_named_spool_keeps_what_a_killed_process_has_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.held");
        Spool::at(&path).unwrap().append(&receipts(0..3)).unwrap();
        let whole = std::fs::metadata(&path).unwrap().len();
        for torn in [1, 10, HEAD as u64 + 2] {
            let file = File::options().write(true).open(&path).unwrap();
            file.set_len(whole).unwrap();
            file.set_len(whole - torn).unwrap();
            let mut spool = Spool::at(&path).unwrap();
            assert_eq!(all(&mut spool), receipts(0..2), "{torn} bytes are missing");
            spool.append(&receipts(2..3)).unwrap();
            assert_eq!(all(&mut spool), receipts(0..3));
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
