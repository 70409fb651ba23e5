//! Receipts of held letters on disk: about 400 bytes each on AWS, too much memory for a large DLQ.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use drumline_dlq::letter_id::LetterId;
use tempfile::NamedTempFile;

use crate::format::now_ms;

/// The length of a record without its receipt: the id, the end of the hold, the receipt's length.
const HEAD: usize = 16 + 8 + 4;

/// A receipt is not used in the last seconds of its hold, because a call takes time.
const MARGIN_MS: u64 = 5_000;

/// A longer receipt means that the file is damaged. SQS's receipts are shorter than a kibibyte.
const LONGEST_RECEIPT: usize = 1 << 16;

/// The receipt of a held letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Receipt {
    pub(super) id: LetterId,
    /// The end of the hold, in milliseconds since the Unix epoch. The receipt must not be used after this time, because another
    /// receiver may then have the letter.
    pub(super) until: u64,
    pub(super) handle: String,
}

impl Receipt {
    /// Returns true if the letter is still held for long enough.
    pub(super) fn is_usable(&self) -> bool {
        now_ms() + MARGIN_MS < self.until
    }

    /// Returns the length of the receipt's record.
    fn length(&self) -> u64 {
        (HEAD + self.handle.len()) as u64
    }

    fn write(&self, writer: &mut impl Write) -> io::Result<()> {
        let length = u32::try_from(self.handle.len()).map_err(io::Error::other)?;
        writer.write_all(&self.id.to_u128().to_le_bytes())?;
        writer.write_all(&self.until.to_le_bytes())?;
        writer.write_all(&length.to_le_bytes())?;
        writer.write_all(self.handle.as_bytes())
    }
}

/// A file of receipts in the order of their receives, readable by its owner only.
#[derive(Debug)]
pub(super) struct Spool {
    file: File,
    /// `None` for a temporary file.
    path: Option<PathBuf>,
    length: u64,
    /// The number of records.
    count: usize,
}

impl Spool {
    /// Creates a temporary file without a name, which ends with the process.
    pub(super) fn temporary() -> io::Result<Self> {
        Ok(Self { file: tempfile::tempfile()?, path: None, length: 0, count: 0 })
    }

    /// Opens the file at this path with the receipts that an earlier process has left in it. An incomplete record is cut off.
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let (file, path) = (options.open(path)?, Some(path.to_owned()));
        let mut spool = Self { file, path, length: u64::MAX, count: 0 };
        let (mut length, mut count) = (0, 0);
        for record in spool.records()? {
            let (at, receipt) = record?;
            length = at + receipt.length();
            count += 1;
        }
        spool.file.set_len(length)?;
        (spool.length, spool.count) = (length, count);
        Ok(spool)
    }

    /// Appends receipts in one write, and returns the position of each.
    pub(super) fn append(&mut self, receipts: &[Receipt]) -> io::Result<Vec<u64>> {
        let mut bytes = Vec::new();
        let mut places = Vec::with_capacity(receipts.len());
        for receipt in receipts {
            places.push(self.length + bytes.len() as u64);
            receipt.write(&mut bytes)?;
        }
        self.file.seek(SeekFrom::Start(self.length))?;
        self.file.write_all(&bytes)?;
        self.length += bytes.len() as u64;
        self.count += receipts.len();
        Ok(places)
    }

    /// Returns the number of receipts, including those of letters that are no longer held.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Drops all receipts except those whose positions `is_needed` accepts, and returns the new position of each.
    ///
    /// # Errors
    ///
    /// Returns an error if they cannot be written to another file. The spool is then unchanged.
    pub(super) fn compact(
        &mut self,
        is_needed: impl Fn(u64, &Receipt) -> bool,
    ) -> io::Result<Vec<(LetterId, u64)>> {
        let folder = self.path.as_deref().map(|path| path.parent().unwrap_or(Path::new(".")));
        let named = folder.map(NamedTempFile::new_in).transpose()?;
        let file = named.as_ref().map_or_else(tempfile::tempfile, NamedTempFile::reopen)?;
        let mut writer = BufWriter::new(file);
        let (mut places, mut length) = (Vec::new(), 0);
        for record in self.records()? {
            let (place, receipt) = record?;
            if is_needed(place, &receipt) {
                receipt.write(&mut writer)?;
                places.push((receipt.id, length));
                length += receipt.length();
            }
        }
        let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
        if let (Some(named), Some(path)) = (named, &self.path) {
            named.persist(path)?;
        }
        (self.file, self.length, self.count) = (file, length, places.len());
        Ok(places)
    }

    /// Reads all receipts, each with its position.
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
                place += receipt.length();
                (at, receipt)
            }))
        }))
    }

    /// Drops all receipts.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        (self.length, self.count) = (0, 0);
        self.file.set_len(0)
    }
}

/// Reads a record. Returns `None` at the end, or if the last record is incomplete.
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

/// Fills `bytes`. Returns false if the reader ends earlier.
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
    fn receipts_are_read_in_order_and_at_their_positions() {
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
    fn receipts_that_are_not_needed_are_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.held");
        for mut spool in [Spool::temporary().unwrap(), Spool::at(&path).unwrap()] {
            let places = spool.append(&receipts(0..10)).unwrap();
            let moved = spool.compact(|place, _| place == places[3] || place == places[7]).unwrap();
            let expected = [receipts(3..4), receipts(7..8)].concat();
            assert_eq!((all(&mut spool), spool.count()), (expected.clone(), 2));
            let found: Vec<(LetterId, u64)> = spool
                .records()
                .unwrap()
                .map(Result::unwrap)
                .map(|(place, receipt)| (receipt.id, place))
                .collect();
            assert_eq!(found, moved);
            spool.append(&receipts(20..21)).unwrap();
            assert_eq!(all(&mut spool), [expected, receipts(20..21)].concat());
        }
        assert_eq!(all(&mut Spool::at(&path).unwrap()).len(), 3);
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
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
