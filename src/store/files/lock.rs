//! The lock on a state directory: one writer at a time, and a name for whoever holds it.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::FlockOperation;

use crate::store::StoreError;

const LOCK_FILE: &str = "rosterd.lock";

/// An exclusive lock, held until dropped. The kernel drops it with the process, so a crash leaves none behind.
#[derive(Debug)]
pub struct StateLock {
    file: File,
}

impl StateLock {
    /// Takes the lock or says who has it.
    pub fn take(directory: &Path) -> Result<StateLock, StoreError> {
        let path = directory.join(LOCK_FILE);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|error| StoreError::io("open", &path, &error))?;
        if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut holder = String::new();
            // Only a name for the message; unreadable is no reason to fail differently.
            file.read_to_string(&mut holder).unwrap_or_default();
            return Err(StoreError::Busy {
                holder: holder.trim().to_owned(),
                directory: directory.to_owned(),
            });
        }
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "pid {}", std::process::id())
        };
        write(&mut file).map_err(|error| StoreError::io("write", &path, &error))?;
        Ok(StateLock { file })
    }

    /// Whether a living process holds the lock. Changes nothing on disk.
    pub fn is_held(directory: &Path) -> bool {
        match File::open(directory.join(LOCK_FILE)) {
            Ok(file) => rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared).is_err(),
            Err(_) => false,
        }
    }
}

impl Drop for StateLock {
    /// Let go of by name: between fork and exec a child process has a copy of the open file, and closing ours would leave
    /// the lock with it.
    fn drop(&mut self) {
        // Where that fails, the lock goes with the file.
        let _ = rustix::fs::flock(&self.file, FlockOperation::Unlock);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_of_the_open_file_in_a_child_does_not_keep_the_lock() {
        let directory = tempfile::tempdir().unwrap();
        let lock = StateLock::take(directory.path()).unwrap();
        // What a child process has between fork and exec.
        let copy = lock.file.try_clone().unwrap();
        drop(lock);
        assert!(!StateLock::is_held(directory.path()));
        StateLock::take(directory.path()).unwrap();
        drop(copy);
    }
}
