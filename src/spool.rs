//! A spool: records in the order they came, in memory while they are few and in an unlinked temporary file
//! beyond that, so that memory does not grow with the size of a plan.

use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tempfile::SpooledTempFile;

/// Bytes held in memory before a spool moves to disk.
const MEMORY_LIMIT_BYTES: usize = 1 << 20;

/// Bytes in front of each record that tell its length.
const LENGTH_BYTES: usize = 4;

/// A sequence of records that is written once and read as often as wanted.
#[derive(Debug)]
pub struct Spool<T> {
    file: SpooledTempFile,
    end: u64,
    /// Whether the file stands at `end`: a run of pushes is then one write each.
    at_end: bool,
    len: u64,
    record: PhantomData<T>,
}

/// Where a record stands in its spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SpoolOffset(u64);

impl<T> Default for Spool<T> {
    fn default() -> Self {
        Spool {
            file: SpooledTempFile::new(MEMORY_LIMIT_BYTES),
            end: 0,
            at_end: true,
            len: 0,
            record: PhantomData,
        }
    }
}

impl<T: Serialize + DeserializeOwned> Spool<T> {
    /// Appends a record.
    pub fn push(&mut self, record: &T) -> io::Result<SpoolOffset> {
        let mut framed = vec![0u8; LENGTH_BYTES];
        serde_json::to_writer(&mut framed, record).map_err(io::Error::other)?;
        let body = u32::try_from(framed.len() - LENGTH_BYTES).map_err(io::Error::other)?;
        framed[..LENGTH_BYTES].copy_from_slice(&body.to_le_bytes());
        let at = SpoolOffset(self.end);
        if !self.at_end {
            self.file.seek(SeekFrom::Start(self.end))?;
        }
        // A write that stops half-way leaves the file elsewhere; the next push then looks for the end again.
        self.at_end = false;
        self.file.write_all(&framed)?;
        self.at_end = true;
        self.end += framed.len() as u64;
        self.len += 1;
        Ok(at)
    }

    /// Records.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Reads one record.
    pub fn get(&mut self, offset: SpoolOffset) -> io::Result<T> {
        self.at_end = false;
        self.file.seek(SeekFrom::Start(offset.0))?;
        read_record(&mut self.file)
    }

    /// Reads all records in order.
    pub fn iter(&mut self) -> io::Result<SpoolIter<'_, T>> {
        self.at_end = false;
        self.file.seek(SeekFrom::Start(0))?;
        Ok(SpoolIter {
            reader: BufReader::with_capacity(1 << 16, &mut self.file),
            left: self.len,
            record: PhantomData,
        })
    }
}

/// Iterates over a spool.
#[derive(Debug)]
pub struct SpoolIter<'a, T> {
    reader: BufReader<&'a mut SpooledTempFile>,
    left: u64,
    record: PhantomData<T>,
}

impl<T: DeserializeOwned> Iterator for SpoolIter<'_, T> {
    type Item = io::Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        Some(read_record(&mut self.reader))
    }
}

fn read_record<T: DeserializeOwned>(reader: &mut impl Read) -> io::Result<T> {
    let mut length = [0u8; LENGTH_BYTES];
    reader.read_exact(&mut length)?;
    let mut body = vec![0u8; u32::from_le_bytes(length) as usize];
    reader.read_exact(&mut body)?;
    serde_json::from_slice(&body).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_in_order_whether_in_memory_or_on_disk() {
        for size in [10usize, 300_000] {
            let mut spool = Spool::default();
            let mut offsets = Vec::new();
            for number in 0..8u32 {
                offsets.push(spool.push(&(number, "x".repeat(size))).unwrap());
            }
            assert_eq!(spool.get(offsets[5]).unwrap().0, 5);
            spool.push(&(8, String::new())).unwrap();
            let numbers: Vec<u32> = spool.iter().unwrap().map(|record| record.unwrap().0).collect();
            assert_eq!(numbers, (0..9).collect::<Vec<_>>());
            assert_eq!(spool.len(), 9);
        }
    }
}
