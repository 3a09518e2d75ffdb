//! What a command could not do, and the exit code that says so.

use crate::exit;
use crate::store::StoreError;

/// What cannot be done, and the exit code that says so.
pub(super) type CommandError = (String, u8);

/// What is wrong with the state.
pub(super) fn state_complaint(error: StoreError) -> CommandError {
    let code = match &error {
        StoreError::Busy { .. } => exit::BUSY,
        StoreError::Unusable(_) | StoreError::Damaged { .. } => exit::CONFIG,
        StoreError::NoSuchHold(_) => exit::USAGE,
        StoreError::LostTenure(_)
        | StoreError::Refused(_)
        | StoreError::StillOwed(_)
        | StoreError::Database(_) => exit::FAILURE,
    };
    (error.to_string(), code)
}

/// What is wrong, without the help.
pub(super) fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// The help, without what is wrong.
pub(super) fn help_of(text: &str) -> String {
    text.lines().skip(1).collect::<Vec<_>>().join(" ").trim_start_matches("help: ").to_owned()
}
