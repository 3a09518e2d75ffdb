//! Opening a state directory, for writing and for reading without a trace.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Read;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use crate::model::digest::DigestKey;
use crate::store::files::migrations::{APPLICATION_ID, migrate, new_file, newest, rename_for_good};
use crate::store::{Snapshot, StateLock, Store, StoreError};

pub(crate) const DATABASE_FILE: &str = "rosterd.db";
/// Before 3.51.3 a WAL database can be corrupted by concurrent checkpoints.
const SQLITE_AT_LEAST: i32 = 3_051_003;

impl Store {
    /// Locks and opens `directory`, creating it where it does not exist. `take_over` accepts a directory that was
    /// last written on another machine.
    pub async fn open(directory: &Path, take_over: bool) -> Result<Store, StoreError> {
        let directory = directory.to_owned();
        let (connection, key, lock) =
            tokio::task::spawn_blocking(move || open_for_writing(&directory, take_over))
                .await
                .map_err(|error| StoreError::Database(error.to_string()))??;
        let snapshot = Snapshot { connection: connection.into(), key, exists: true, _copy: None };
        Ok(Store { snapshot, tenures: tokio::sync::Mutex::default(), _lock: lock })
    }

    /// A reader with a connection of its own beside this writer: whatever takes long there keeps no write waiting.
    pub async fn reader(&self) -> Result<Snapshot, StoreError> {
        let path = self.snapshot.connection.call(|connection| {
            connection
                .path()
                .map(str::to_owned)
                .ok_or_else(|| rusqlite::Error::InvalidPath(DATABASE_FILE.into()))
        });
        let path = path.await.map_err(|error| StoreError::Database(error.to_string()))?;
        let connection = tokio::task::spawn_blocking(move || {
            Connection::open_with_flags(
                path,
                OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
            )
        });
        let connection = connection.await.map_err(|error| StoreError::Database(error.to_string()))??;
        let key = self.snapshot.digest_key();
        Ok(Snapshot { connection: connection.into(), key, exists: true, _copy: None })
    }
}

impl Snapshot {
    /// Opens `directory` for reading and leaves every byte in it as it is. Without any state the snapshot is empty.
    pub async fn open(directory: &Path) -> Result<Snapshot, StoreError> {
        let directory = directory.to_owned();
        tokio::task::spawn_blocking(move || open_for_reading(&directory))
            .await
            .map_err(|error| StoreError::Database(error.to_string()))?
    }

    /// A snapshot of no state at all, whatever lies in the directory.
    pub fn empty() -> Result<Snapshot, StoreError> {
        nothing_there()
    }
}

fn open_for_writing(
    directory: &Path,
    take_over: bool,
) -> Result<(Connection, DigestKey, StateLock), StoreError> {
    assert_sqlite()?;
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|error| StoreError::io("create", directory, &error))?;
    refuse_network_file_systems(directory)?;
    let lock = StateLock::take(directory)?;
    let path = directory.join(DATABASE_FILE);
    refuse_what_is_no_database(&path)?;
    if !path.try_exists().map_err(|error| StoreError::io("look at", &path, &error))? {
        create_whole(&path)?;
    }
    // Who may not write is told so here, and not by the first transaction.
    OpenOptions::new().write(true).open(&path).map_err(|error| StoreError::io("open", &path, &error))?;
    let had_log = path.with_extension("db-wal").exists();
    let mut connection = Connection::open(&path)?;
    if let Err(trouble) = prepare(&mut connection, &path) {
        drop(connection);
        if !had_log {
            remove_empty_log(&path);
        }
        return Err(damage(trouble, &path));
    }
    let key = settle_identity(&connection, directory, take_over)?;
    Ok((connection, key, lock))
}

/// Creates a database that is whole from the moment it has its name: one that is empty was emptied by somebody else.
fn create_whole(path: &Path) -> Result<(), StoreError> {
    let new = path.with_extension("db.new");
    // Created by us, so that it and its WAL (which takes over its mode) are nobody else's to read.
    new_file(&new).map_err(|error| StoreError::io("create", &new, &error))?;
    let mut connection = Connection::open(&new)?;
    migrate(&mut connection, None)?;
    connection.close().map_err(|(_, error)| error)?;
    rename_for_good(&new, path).map_err(|error| StoreError::io("create", path, &error))
}

/// Refuses what SQLite would take for a new database, and whose write-ahead log it would then remove.
fn refuse_what_is_no_database(path: &Path) -> Result<(), StoreError> {
    // The format's name, and the size of a page (sqlite.org/fileformat2.html section 1.3).
    let mut head = [0u8; 18];
    let logged = std::fs::metadata(path.with_extension("db-wal")).is_ok_and(|facts| facts.len() > 0);
    let why = match std::fs::File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            logged.then_some("it is missing, and its write-ahead log is there")
        }
        Err(error) => return Err(StoreError::io("open", path, &error)),
        Ok(mut file) => match file.metadata().map_err(|error| StoreError::io("look at", path, &error))?.len()
        {
            0 => Some("the file is empty"),
            length => {
                let is_database =
                    file.read_exact(&mut head).is_ok() && head.starts_with(b"SQLite format 3\0");
                let page = match u64::from(u16::from_be_bytes([head[16], head[17]])) {
                    0 | 1 => 65536,
                    size => size,
                };
                // A write-ahead log may hold the whole of a page that is half written.
                let is_cut = is_database && !logged && !length.is_multiple_of(page);
                match (is_database, is_cut) {
                    (false, _) => Some("file is not a database"),
                    (true, true) => Some("it is cut off in the middle of a page"),
                    (true, false) => None,
                }
            }
        },
    };
    match why {
        Some(why) => Err(StoreError::Damaged { path: path.to_owned(), why: why.to_owned() }),
        None => Ok(()),
    }
}

/// Removes the write-ahead log that looking at a damaged database made, so that everything is as it was.
fn remove_empty_log(path: &Path) {
    let log = path.with_extension("db-wal");
    if std::fs::metadata(&log).is_ok_and(|facts| facts.len() == 0) {
        // Left behind they would do no harm: they hold nothing.
        let _ = std::fs::remove_file(log);
        let _ = std::fs::remove_file(path.with_extension("db-shm"));
    }
}

/// Sets a database up for writing. One that is damaged is refused, and stays with its write-ahead log as it is.
fn prepare(connection: &mut Connection, path: &Path) -> Result<(), Trouble> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    check_application(connection, path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // What is erased or pruned leaves no bytes behind in its page.
    connection.pragma_update(None, "secure_delete", true)?;
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        let why = verdict.lines().map(str::trim).collect::<Vec<_>>().join(" ");
        return Err(StoreError::Damaged { path: path.to_owned(), why }.into());
    }
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    migrate(connection, Some(path))?;
    Ok(())
}

/// What SQLite says, before it is known whether it means a damaged file.
enum Trouble {
    Store(StoreError),
    Sqlite(rusqlite::Error),
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Trouble {
        Trouble::Store(error)
    }
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Trouble {
        Trouble::Sqlite(error)
    }
}

fn damage(trouble: Trouble, path: &Path) -> StoreError {
    match trouble {
        Trouble::Store(error) => error,
        Trouble::Sqlite(error) => damage_of(error, path),
    }
}

/// Tells a damaged file from a disk that is full or a file that may not be read.
fn damage_of(error: rusqlite::Error, path: &Path) -> StoreError {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    match error.sqlite_error_code() {
        Some(DatabaseCorrupt | NotADatabase) => {
            StoreError::Damaged { path: path.to_owned(), why: error.to_string() }
        }
        Some(_) | None => error.into(),
    }
}

fn open_for_reading(directory: &Path) -> Result<Snapshot, StoreError> {
    assert_sqlite()?;
    let path = directory.join(DATABASE_FILE);
    refuse_what_is_no_database(&path)?;
    if !path.try_exists().map_err(|error| StoreError::io("look at", &path, &error))? {
        return nothing_there();
    }
    let (connection, copy) = open_beside_or_after_a_writer(directory, &path)?;
    let mut connection = connection;
    check_application(&connection, &path)?;
    let version: i64 = connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(|error| damage_of(error, &path))?;
    if version != newest() {
        if copy.is_none() {
            return Err(StoreError::Unusable(format!(
                "the state has schema version {version}, this rosterd reads {}\nhelp: a run that writes migrates an \
                 older state (after a backup); a newer one needs the newer rosterd",
                newest()
            )));
        }
        migrate(&mut connection, None)?;
    }
    let key = read_meta(&connection, "digest_key").map_err(|error| damage_of(error, &path))?;
    let key = key_of(key).unwrap_or_else(random_key);
    Ok(Snapshot { connection: connection.into(), key, exists: true, _copy: copy })
}

/// A snapshot without any state.
fn nothing_there() -> Result<Snapshot, StoreError> {
    let mut connection = Connection::open_in_memory()?;
    migrate(&mut connection, None)?;
    Ok(Snapshot { connection: connection.into(), key: random_key(), exists: false, _copy: None })
}

/// Opens the database in the way that leaves no trace: beside a living writer as usual, after a crash as a copy, else
/// as it lies there.
fn open_beside_or_after_a_writer(
    directory: &Path,
    path: &Path,
) -> Result<(Connection, Option<tempfile::TempDir>), StoreError> {
    let wal = directory.join(format!("{DATABASE_FILE}-wal"));
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if StateLock::is_held(directory) {
        // Beside a living writer: its WAL and shared memory exist, reading creates nothing.
        return Ok((Connection::open_with_flags(path, flags)?, None));
    }
    if wal.exists() {
        // A crash left a WAL. Opening it would replay it here, `immutable` would lose it: read a copy.
        let directory =
            tempfile::tempdir().map_err(|error| StoreError::io("create", &std::env::temp_dir(), &error))?;
        let twin = directory.path().join(DATABASE_FILE);
        std::fs::copy(path, &twin).map_err(|error| StoreError::io("copy", path, &error))?;
        match std::fs::copy(&wal, directory.path().join(format!("{DATABASE_FILE}-wal"))) {
            Ok(_) => return Ok((Connection::open(&twin)?, Some(directory))),
            // It was no crash: a writer that was about to end has ended meanwhile, and everything is in the file.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(StoreError::io("copy", &wal, &error)),
        }
    }
    let uri = url::Url::from_file_path(
        std::path::absolute(path).map_err(|error| StoreError::io("find", path, &error))?,
    )
    .map_err(|()| StoreError::Unusable(format!("cannot open {}", path.display())))?;
    Ok((Connection::open_with_flags(format!("{uri}?immutable=1"), flags)?, None))
}

fn assert_sqlite() -> Result<(), StoreError> {
    if rusqlite::version_number() < SQLITE_AT_LEAST {
        return Err(StoreError::Unusable(format!(
            "this rosterd was built with SQLite {}, which can corrupt a database in WAL mode\nhelp: build it with \
             the bundled SQLite",
            rusqlite::version()
        )));
    }
    Ok(())
}

fn check_application(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let one = |sql: &str| {
        connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(|error| damage_of(error, path))
    };
    let application = one("PRAGMA application_id")?;
    let tables = one("SELECT count(*) FROM sqlite_schema")?;
    if application == i64::from(APPLICATION_ID) || (application == 0 && tables == 0) {
        return Ok(());
    }
    let why = "it is a database of another program; does state_dir name a directory of ours?".to_owned();
    Err(StoreError::Damaged { path: path.to_owned(), why })
}

/// Records which state and machine this is, or compares with what is recorded.
fn settle_identity(
    connection: &Connection,
    directory: &Path,
    take_over: bool,
) -> Result<DigestKey, StoreError> {
    let key = match key_of(read_meta(connection, "digest_key")?) {
        Some(key) => key,
        None => {
            let bytes = random_bytes();
            // Both or neither: whoever finds the key takes it that the rest is there.
            let transaction = connection.unchecked_transaction()?;
            write_meta(&transaction, "digest_key", &bytes)?;
            write_meta(&transaction, "state_id", uuid::Uuid::now_v7().to_string().as_bytes())?;
            transaction.commit()?;
            DigestKey::new(bytes)
        }
    };
    let Some(here) = machine_id() else { return Ok(key) };
    // Kept as a digest: the machine id is not for others to read (man machine-id).
    let here = key.digest([b"machine".as_slice(), here.as_bytes()]).0.to_vec();
    match read_meta(connection, "machine_id")? {
        Some(recorded) if recorded != here && !take_over => Err(StoreError::Unusable(format!(
            "{} was last written on another machine: a copy that runs twice would undo each other's work\n\
             help: make sure that no other rosterd uses it, then run once with --take-over",
            directory.display()
        ))),
        Some(recorded) if recorded == here => Ok(key),
        Some(_) | None => {
            write_meta(connection, "machine_id", &here)?;
            Ok(key)
        }
    }
}

fn key_of(bytes: Option<Vec<u8>>) -> Option<DigestKey> {
    bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok()).map(DigestKey::new)
}

fn read_meta(connection: &Connection, key: &str) -> Result<Option<Vec<u8>>, rusqlite::Error> {
    connection.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0)).optional()
}

fn write_meta(connection: &Connection, key: &str, value: &[u8]) -> Result<(), StoreError> {
    connection
        .execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)", rusqlite::params![key, value])?;
    Ok(())
}

fn machine_id() -> Option<String> {
    let text = std::fs::read_to_string("/etc/machine-id").ok()?;
    let id = text.trim();
    (!id.is_empty() && id != "uninitialized").then(|| id.to_owned())
}

fn random_key() -> DigestKey {
    DigestKey::new(random_bytes())
}

/// 32 bytes from the operating system's generator, by way of random UUIDs hashed together.
fn random_bytes() -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for _ in 0..3 {
        hasher.update(uuid::Uuid::new_v4().as_bytes());
    }
    *hasher.finalize().as_bytes()
}

/// SQLite's locks do not hold on network file systems (sqlite.org/howtocorrupt.html section 2.1).
fn refuse_network_file_systems(directory: &Path) -> Result<(), StoreError> {
    const NETWORK: [(i64, &str); 6] = [
        (0x6969, "NFS"),
        (0x517B, "SMB"),
        (0xFF53_4D42, "CIFS"),
        (0xFE53_4D42, "SMB2"),
        (0x5346_414F, "AFS"),
        (0x00C3_6400, "Ceph"),
    ];
    let Ok(facts) = rustix::fs::statfs(directory) else { return Ok(()) };
    let kind = facts.f_type & 0xFFFF_FFFF;
    match NETWORK.iter().find(|(magic, _)| *magic == kind) {
        None => Ok(()),
        Some((_, name)) => Err(StoreError::Unusable(format!(
            "{} is on a network file system ({name}), where SQLite's locks do not hold\nhelp: set state_dir to a \
             local directory",
            directory.display()
        ))),
    }
}
