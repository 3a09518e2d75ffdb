//! The control read: whether the source answers at all, before one person's failure is taken for everybody's.
//!
//! What lives here: the judgement, and how long a control read that passed is good for. What must not: the request
//! itself (each vendor makes its own).

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::SourceError;
use super::fault::{Failure, Reach};

/// How long a control read that passed answers for the people who are asked for after it.
const PASSED_FOR: Duration = Duration::from_secs(30);

/// One kind of control read, and when it last passed.
#[derive(Debug, Clone, Default)]
pub(super) struct Control(Arc<Mutex<Option<Instant>>>);

impl Control {
    /// What a failed request about one person says about that person alone. An error where it concerns everybody:
    /// nobody accepts the credentials, or the control read, which is `asked` only where it is needed, fails as well.
    pub(super) async fn judge(
        &self,
        failure: Failure,
        asked: impl Future<Output = Result<(), SourceError>>,
    ) -> Result<String, SourceError> {
        let told = match failure {
            Failure { reach: Reach::Everything, error } => return Err(error),
            // There was an answer, and it cannot be used.
            Failure { error: SourceError::Incomplete(why), reach: Reach::Object } => return Ok(why),
            Failure { error, reach: Reach::Object } => error.to_string(),
        };
        self.pass(asked).await?;
        let why = told.split_once("; help: ").map_or(told.as_str(), |(why, _)| why);
        Ok(format!("{why}; the source answers otherwise, so this is about what was asked for"))
    }

    /// Asks, unless it passed a moment ago. Whoever comes meanwhile waits for the same answer.
    pub(super) async fn pass(
        &self,
        asked: impl Future<Output = Result<(), SourceError>>,
    ) -> Result<(), SourceError> {
        let mut passed = self.0.lock().await;
        if passed.is_some_and(|at| at.elapsed() < PASSED_FOR) {
            return Ok(());
        }
        *passed = None;
        asked.await?;
        *passed = Some(Instant::now());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn failure(error: SourceError, reach: Reach) -> Failure {
        Failure { error, reach }
    }

    fn unavailable() -> Failure {
        failure(SourceError::Unavailable("HTTP 503; help: wait".to_owned()), Reach::Object)
    }

    #[tokio::test(start_paused = true)]
    async fn a_control_read_that_passed_is_good_for_half_a_minute() {
        let (control, asked) = (Control::default(), AtomicU32::new(0));
        let ask = || async {
            asked.fetch_add(1, Ordering::Relaxed);
            Ok(())
        };
        for (wait, times) in [(0, 1), (29, 1), (2, 2), (5, 2)] {
            tokio::time::advance(Duration::from_secs(wait)).await;
            let why = control.judge(unavailable(), ask()).await.unwrap();
            assert!(why.contains("503") && !why.contains("help"), "{why}");
            assert_eq!(asked.load(Ordering::Relaxed), times, "after {wait} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn where_the_control_read_fails_as_well_its_own_error_is_everybodys() {
        let control = Control::default();
        let refused = async { Err(SourceError::Credentials("401".to_owned())) };
        assert!(matches!(control.judge(unavailable(), refused).await, Err(SourceError::Credentials(_))));
        let gone = async { Err(SourceError::Unavailable("no".to_owned())) };
        assert!(matches!(control.judge(unavailable(), gone).await, Err(SourceError::Unavailable(_))));
        assert!(control.judge(unavailable(), async { Ok(()) }).await.is_ok(), "a failure is not remembered");
    }

    #[tokio::test]
    async fn refused_credentials_and_an_answer_that_cannot_be_used_need_no_control_read() {
        let never = async { panic!("nobody is asked") };
        let refused = failure(SourceError::Credentials("401".to_owned()), Reach::Everything);
        assert!(matches!(Control::default().judge(refused, never).await, Err(SourceError::Credentials(_))));
        let never = async { panic!("nobody is asked") };
        let strange = failure(SourceError::Incomplete("a web page".to_owned()), Reach::Object);
        assert_eq!(Control::default().judge(strange, never).await.unwrap(), "a web page");
    }
}
