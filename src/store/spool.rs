//! A spool: records in the order they came, in memory while they are few and in an unlinked temporary file
//! beyond that, so that memory does not grow with the size of a plan.

use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tempfile::SpooledTempFile;

/// Bytes held in memory before a spool moves to disk.
const MEMORY_LIMIT_BYTES: usize = 1 << 20;

/// A sequence of records that is written once and read as often as wanted.
#[derive(Debug)]
pub struct Spool<T> {
    file: SpooledTempFile,
    end: u64,
    len: u64,
    record: PhantomData<T>,
}

/// Where a record stands in its spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SpoolOffset(u64);

impl<T> Default for Spool<T> {
    fn default() -> Self {
        Spool { file: SpooledTempFile::new(MEMORY_LIMIT_BYTES), end: 0, len: 0, record: PhantomData }
    }
}

impl<T: Serialize + DeserializeOwned> Spool<T> {
    /// Appends a record.
    pub fn push(&mut self, record: &T) -> io::Result<SpoolOffset> {
        let body = serde_json::to_vec(record).map_err(io::Error::other)?;
        let at = SpoolOffset(self.end);
        self.file.seek(SeekFrom::Start(self.end))?;
        self.file.write_all(&(body.len() as u32).to_le_bytes())?;
        self.file.write_all(&body)?;
        self.end += 4 + body.len() as u64;
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
        self.file.seek(SeekFrom::Start(offset.0))?;
        read_record(&mut self.file)
    }

    /// Reads all records in order.
    pub fn iter(&mut self) -> io::Result<SpoolIter<'_, T>> {
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
    let mut length = [0u8; 4];
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
