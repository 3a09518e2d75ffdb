//! Whose the state directory is.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::caller::user_name;

/// Files that root makes in another user's state directory would lock that user's service out.
pub(super) fn refuse_root_in_somebody_elses_state(directory: &Path) -> Result<(), String> {
    let Ok(facts) = std::fs::metadata(directory) else { return Ok(()) };
    if !rustix::process::geteuid().is_root() || facts.uid() == 0 {
        return Ok(());
    }
    let owner = user_name(facts.uid()).unwrap_or_else(|| format!("'#{}'", facts.uid()));
    let words: Vec<String> = std::env::args().skip(1).collect();
    Err(format!(
        "{} belongs to {owner}: a run as root would leave files there that {owner} cannot use\nhelp: sudo -u {owner} \
         rosterd {}",
        directory.display(),
        words.join(" ")
    ))
}
