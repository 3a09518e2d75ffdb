//! References to secrets and their resolution. A secret's value never lives in the configuration.
//!
//! What lives here: finding a secret, refusing one that others can read, and saying what to do about it. What
//! must not: keeping a value, putting any part of one into an error.

use std::ffi::OsString;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::environment::Environment;

/// No token or key is longer; a larger file is the wrong file.
pub const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// Where a secret is to be found: never the secret itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretRef {
    /// A systemd credential by name.
    Credential(String),
    /// A file that nobody else may read.
    File(PathBuf),
    /// An environment variable.
    Env(String),
}

/// Why a secret cannot be used. Names where it was looked for, never what was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}\nhelp: {help}")]
pub struct SecretError {
    /// What was tried, on what, and why it failed.
    pub problem: String,
    /// What to do.
    pub help: String,
}

impl SecretError {
    fn new(problem: impl Into<String>, help: impl Into<String>) -> Self {
        Self { problem: problem.into(), help: help.into() }
    }
}

impl SecretRef {
    /// Reads the secret now; callers keep it no longer than they need it.
    ///
    /// One trailing line end is dropped. A credential is a file in `$CREDENTIALS_DIRECTORY`, else in
    /// `/run/credentials/rosterd.service/`, else in `/etc/credstore/`.
    ///
    /// # Errors
    /// Missing, empty, unreadable, not a regular file, readable by others, over 64 KiB, or not one line of text
    /// (PEM and JSON may have several).
    pub fn resolve(&self, environment: &Environment) -> Result<SecretString, SecretError> {
        match self {
            Self::Credential(name) => resolve_credential(name, environment),
            Self::File(path) => {
                let in_credentials = environment
                    .credential_directories()
                    .iter()
                    .any(|dir| path.parent() == Some(dir.as_path()));
                read_file(path, in_credentials)?.ok_or_else(|| {
                    SecretError::new(
                        format!("cannot read the secret in {}: no such file", path.display()),
                        format!(
                            "write the secret into it as the user rosterd runs as: \
                             install -m 600 /dev/stdin {}",
                            path.display()
                        ),
                    )
                })
            }
            Self::Env(name) => resolve_variable(name, environment),
        }
    }

    /// Whether `name` can be a credential: a file name and nothing else.
    pub fn is_credential_name(name: &str) -> bool {
        let plain = |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
        !name.is_empty() && name.len() <= 255 && !name.starts_with('.') && name.chars().all(plain)
    }

    /// Whether `name` can be an environment variable (POSIX names).
    pub fn is_variable_name(name: &str) -> bool {
        let plain = |character: char| character.is_ascii_alphanumeric() || character == '_';
        !name.is_empty() && !name.starts_with(|first: char| first.is_ascii_digit()) && name.chars().all(plain)
    }
}

impl std::fmt::Display for SecretRef {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Credential(name) => write!(formatter, "credential {name}"),
            Self::File(path) => write!(formatter, "file {}", path.display()),
            Self::Env(name) => write!(formatter, "environment variable {name}"),
        }
    }
}

fn resolve_credential(name: &str, environment: &Environment) -> Result<SecretString, SecretError> {
    let directories = environment.credential_directories();
    if !SecretRef::is_credential_name(name) {
        return Err(SecretError::new(
            "cannot read a credential: its name is not a plain file name",
            "name the credential as in LoadCredential=, or use { file = \"/path\" }",
        ));
    }
    for directory in &directories {
        if let Some(secret) = read_file(&directory.join(name), true)? {
            return Ok(secret);
        }
    }
    let places: Vec<_> = directories.iter().map(|directory| directory.display().to_string()).collect();
    Err(SecretError::new(
        format!("cannot read credential {name}: not in {}", places.join(", nor in ")),
        format!(
            "add LoadCredential={name}:/path/to/file to the unit, or put the secret into \
             /etc/credstore/{name} (mode 600)"
        ),
    ))
}

fn resolve_variable(name: &str, environment: &Environment) -> Result<SecretString, SecretError> {
    let what = format!("the environment variable {name}");
    let Some(value) = environment.variable(name) else {
        return Err(SecretError::new(
            format!("cannot read the secret in {what}: it is not set, or empty"),
            format!("set {name} for the service, or use {{ file = \"…\" }} or {{ credential = \"…\" }}"),
        ));
    };
    check_content(value, &what)
}

/// `None` where there is no such file.
fn read_file(path: &Path, in_credentials: bool) -> Result<Option<SecretString>, SecretError> {
    let shown = path.display();
    let unreadable = |error: &io::Error| {
        SecretError::new(
            format!("cannot read the secret in {shown}: {error}"),
            "make it readable for the user rosterd runs as, and for nobody else",
        )
    };
    // Opening a FIFO would wait for a writer for ever.
    let flags = (rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::CLOEXEC).bits();
    let file = match OpenOptions::new().read(true).custom_flags(flags.cast_signed()).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(&error)),
    };
    let metadata = file.metadata().map_err(|error| unreadable(&error))?;
    check_metadata(path, &metadata, in_credentials)?;
    let bytes = read_bounded(file).map_err(|error| unreadable(&error))?;
    if bytes.len() as u64 > MAX_SECRET_BYTES {
        return Err(too_large(path));
    }
    check_content(os_string(bytes), &shown.to_string()).map(Some)
}

fn read_bounded(file: File) -> io::Result<Vec<u8>> {
    // Room for all of it at once: growing would leave copies behind.
    let mut bytes = Vec::with_capacity(MAX_SECRET_BYTES as usize + 1);
    file.take(MAX_SECRET_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn os_string(bytes: Vec<u8>) -> OsString {
    std::os::unix::ffi::OsStringExt::from_vec(bytes)
}

fn too_large(path: &Path) -> SecretError {
    SecretError::new(
        format!("cannot use {} as a secret: it is larger than 64 KiB", path.display()),
        "is it the right file? it must hold the secret and nothing else",
    )
}

fn check_metadata(path: &Path, metadata: &Metadata, in_credentials: bool) -> Result<(), SecretError> {
    let shown = path.display();
    if !metadata.is_file() {
        return Err(SecretError::new(
            format!("cannot use {shown} as a secret: it is not a regular file"),
            "name the file that holds the secret",
        ));
    }
    // systemd owns what it puts there and lets the service in by an ACL, which shows as group bits.
    let placed_by_systemd = in_credentials && metadata.uid() == 0;
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 && !placed_by_systemd {
        return Err(SecretError::new(
            format!("refusing the secret in {shown}: mode {mode:04o} lets others at it"),
            format!("chmod 600 {shown} (owned by the user rosterd runs as)"),
        ));
    }
    if metadata.len() > MAX_SECRET_BYTES {
        return Err(too_large(path));
    }
    Ok(())
}

fn check_content(value: OsString, place: &str) -> Result<SecretString, SecretError> {
    let refuse =
        |why: &str, help: &str| SecretError::new(format!("cannot use the secret in {place}: {why}"), help);
    let only_the_secret = "it must hold the secret and nothing else, in one line";
    let mut text = value.into_string().map_err(|_| refuse("it is not UTF-8 text", only_the_secret))?;
    for line_end in ["\n", "\r"] {
        if text.ends_with(line_end) {
            text.truncate(text.len() - line_end.len());
        }
    }
    if text.trim().is_empty() {
        return Err(refuse("it is empty", "write the secret into it"));
    }
    let several_lines = text.starts_with("-----BEGIN ") || text.trim_start().starts_with('{');
    if several_lines {
        return Ok(SecretString::from(text));
    }
    if text.starts_with('\u{feff}') {
        return Err(refuse("it starts with a byte order mark", "save it as plain UTF-8 without one"));
    }
    if text.contains(char::is_control) {
        return Err(refuse("it has several lines or control characters", only_the_secret));
    }
    if text.trim() != text {
        return Err(refuse("it starts or ends with white space", only_the_secret));
    }
    Ok(SecretString::from(text))
}

#[cfg(test)]
mod tests;
