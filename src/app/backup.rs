//! `rosterd backup`: a consistent copy of the state, beside whoever writes there.

use std::path::Path;

use super::command_context::CommandContext;
use super::command_error::{CommandError, state_complaint};
use crate::exit;

/// Copies the state into `file`, whole or not at all, mode 0600.
pub(super) async fn run(context: &CommandContext<'_>, file: &Path, force: bool) -> u8 {
    match copy(context, file, force).await {
        Ok(()) => {
            context.console.say(&format!(
                "backed up to {}; to restore it, stop rosterd, put it in the place of {} and remove the files beside it \
                 that begin with the same name",
                file.display(),
                context.config.state_dir.join("rosterd.db").display()
            ));
            exit::OK
        }
        Err(error) => context.report_error(error),
    }
}

async fn copy(context: &CommandContext<'_>, file: &Path, force: bool) -> Result<(), CommandError> {
    if context.cli.dry_run {
        let text =
            "--dry-run does not go with a backup, which writes nothing but the copy\nhelp: leave it out";
        return Err((text.to_owned(), exit::USAGE));
    }
    let there = || {
        let text = format!("{} is there already\nhelp: name another file, or add --force", file.display());
        (text, exit::USAGE)
    };
    if !force && file.symlink_metadata().is_ok() {
        return Err(there());
    }
    let snapshot = context.read().await?;
    if !snapshot.exists() {
        let text = format!("there is no state in {} to back up", context.config.state_dir.display());
        return Err((text, exit::FAILURE));
    }
    let failed = |error: std::io::Error| {
        let text = format!(
            "cannot write the backup {}: {error}\nhelp: check the directory and its rights",
            file.display()
        );
        (text, exit::FAILURE)
    };
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    // Mode 0600 from the beginning: the state names people.
    let whole = tempfile::NamedTempFile::new_in(directory.unwrap_or(Path::new("."))).map_err(failed)?;
    snapshot.copy_to(whole.path()).await.map_err(state_complaint)?;
    whole.as_file().sync_all().map_err(failed)?;
    if force {
        whole.persist(file).map_err(|error| failed(error.error))?;
        return Ok(());
    }
    match whole.persist_noclobber(file) {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => Err(there()),
        Err(error) => Err(failed(error.error)),
    }
}
