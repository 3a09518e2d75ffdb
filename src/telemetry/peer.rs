//! Which side of a sync a figure is about.

/// Which side of a sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Peer {
    /// The identity provider.
    Source,
    /// The workspace.
    Target,
}

impl Peer {
    /// The label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Peer::Source => "source",
            Peer::Target => "target",
        }
    }
}
