//! What the process was started with, made injectable.
//!
//! What lives here: lookups of environment variables and of the directories that systemd names in them. What
//! must not: reading files, keeping secrets (the `Debug` form shows names only).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

/// Where variables are looked up: the process, or a fixed set in tests.
#[derive(Clone)]
pub struct Environment {
    variables: Variables,
    root: PathBuf,
}

#[derive(Clone)]
enum Variables {
    Process,
    Fixed(BTreeMap<OsString, OsString>),
}

impl Environment {
    /// The environment of this process.
    pub fn process() -> Self {
        Self { variables: Variables::Process, root: PathBuf::from("/") }
    }

    /// Only these variables.
    pub fn fixed<N: Into<OsString>, V: Into<OsString>>(variables: impl IntoIterator<Item = (N, V)>) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self { variables: Variables::Fixed(variables), root: PathBuf::from("/") }
    }

    /// Looks for the well-known credential directories (`/run/credentials/…`, `/etc/credstore`) below `root`.
    #[must_use]
    pub fn with_root(mut self, root: impl Into<PathBuf>) -> Self {
        self.root = root.into();
        self
    }

    /// A variable's value; an empty one counts as unset, as everywhere in systemd.
    pub fn variable(&self, name: &str) -> Option<OsString> {
        let value = match &self.variables {
            Variables::Process => std::env::var_os(name),
            Variables::Fixed(variables) => variables.get(std::ffi::OsStr::new(name)).cloned(),
        };
        value.filter(|value| !value.is_empty())
    }

    /// A directory that systemd hands over, for instance `STATE_DIRECTORY`: the first of a colon-separated list
    /// (systemd.exec(5), "RuntimeDirectory=").
    pub fn directory(&self, name: &str) -> Option<PathBuf> {
        let value = self.variable(name)?;
        std::env::split_paths(&value).find(|path| !path.as_os_str().is_empty())
    }

    /// Directories in which a credential is looked for, in order.
    pub fn credential_directories(&self) -> Vec<PathBuf> {
        let mut directories: Vec<PathBuf> = self.directory("CREDENTIALS_DIRECTORY").into_iter().collect();
        for well_known in ["run/credentials/rosterd.service", "etc/credstore"] {
            directories.push(self.root.join(Path::new(well_known)));
        }
        directories
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = match &self.variables {
            Variables::Process => Vec::new(),
            Variables::Fixed(variables) => variables.keys().collect(),
        };
        formatter.debug_struct("Environment").field("names", &names).field("root", &self.root).finish()
    }
}
