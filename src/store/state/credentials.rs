//! Since when the secrets of both sides are in use, told by keyed digests: nothing can be read from them.

use rusqlite::{OptionalExtension, Transaction, params};

use crate::model::digest::Digest;
use crate::model::status::CredentialAges;
use crate::model::time::Millis;
use crate::store::{Store, StoreError};

/// Digests over the secrets as they are now; `None` = it cannot be read just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecretDigests {
    /// The identity provider's: a token, a client's secret or a private key.
    pub source: Option<Digest>,
    /// The workspace's.
    pub target: Option<Digest>,
}

impl Store {
    /// Notes with which secrets a run went: another one than before is in use since now.
    pub async fn note_credentials(
        &self,
        sync: &str,
        digests: SecretDigests,
        now: Millis,
    ) -> Result<(), StoreError> {
        let sync = sync.to_owned();
        self.snapshot
            .transact(move |transaction| {
                for (side, digest) in [("source", digests.source), ("target", digests.target)] {
                    let Some(digest) = digest else { continue };
                    let sql = format!(
                        "UPDATE sync SET {side}_secret = ?2, {side}_secret_since = ?3
                         WHERE name = ?1 AND {side}_secret IS NOT ?2"
                    );
                    transaction.execute(&sql, params![sync, digest.0.as_slice(), now.0])?;
                }
                Ok(())
            })
            .await
    }
}

pub(crate) fn credential_ages(
    transaction: &Transaction<'_>,
    sync: &str,
) -> Result<CredentialAges, StoreError> {
    let ages = transaction
        .query_row(
            "SELECT source_secret_since, target_secret_since FROM sync WHERE name = ?1",
            [sync],
            |row| {
                let at = |index| row.get::<_, Option<i64>>(index).map(|at| at.map(Millis));
                Ok(CredentialAges { source_since: at(0)?, target_since: at(1)? })
            },
        )
        .optional()?;
    Ok(ages.unwrap_or_default())
}
