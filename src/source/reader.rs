//! The reader: one page ahead of its caller, and the only maker of a [`CompleteRead`].
//!
//! What lives here: the hand-over between the task that fetches and decodes and the caller that maps. What must
//! not: any vendor's paging.

use std::future::Future;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::{CompleteRead, Page, SourceError};
use crate::model::order::Observation;

/// What a vendor's walk found when it reached its own end mark with every count agreeing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Totals {
    pub(super) users: u64,
    pub(super) pages: u64,
    pub(super) started_at: Observation,
}

enum Step {
    Page(Page),
    End(Result<Totals, SourceError>),
}

/// Where a walk puts its pages.
pub(super) struct PageSink(mpsc::Sender<Step>);

/// A place for one page: taken before the page is fetched, so that at most one waits.
pub(super) struct Slot<'a>(mpsc::Permit<'a, Step>);

impl PageSink {
    /// Waits until there is room; `None` = nobody reads any more.
    pub(super) async fn slot(&self) -> Option<Slot<'_>> {
        self.0.reserve().await.ok().map(Slot)
    }
}

impl Slot<'_> {
    pub(super) fn fill(self, page: Page) {
        self.0.send(Step::Page(page));
    }
}

/// The error of a walk whose reader is gone; nobody sees it.
pub(super) fn abandoned() -> SourceError {
    SourceError::Incomplete("the read was given up".to_owned())
}

enum Progress {
    Reading,
    Failed(SourceError),
    Ended(Totals),
}

/// Reads everybody who is assigned, page by page.
pub struct Reader {
    steps: mpsc::Receiver<Step>,
    walk: JoinHandle<()>,
    progress: Progress,
}

impl Reader {
    /// Starts a walk. It runs by itself, one page ahead.
    pub(super) fn start<F, W>(walk: F) -> Reader
    where
        F: FnOnce(PageSink) -> W,
        W: Future<Output = Result<Totals, SourceError>> + Send + 'static,
    {
        let (sender, steps) = mpsc::channel(1);
        let pages = walk(PageSink(sender.clone()));
        let walk = tokio::spawn(async move {
            let totals = pages.await;
            // Nobody to tell where the reader is gone.
            let _ = sender.send(Step::End(totals)).await;
        });
        Reader { steps, walk, progress: Progress::Reading }
    }

    /// The next page; `None` at the end of a complete read. After an error every call returns that error.
    pub async fn next(&mut self) -> Result<Option<Page>, SourceError> {
        match &self.progress {
            Progress::Reading => {}
            Progress::Failed(error) => return Err(error.clone()),
            Progress::Ended(_) => return Ok(None),
        }
        match self.steps.recv().await {
            Some(Step::Page(page)) => Ok(Some(page)),
            Some(Step::End(Ok(totals))) => {
                self.progress = Progress::Ended(totals);
                Ok(None)
            }
            Some(Step::End(Err(error))) => {
                self.progress = Progress::Failed(error.clone());
                Err(error)
            }
            None => {
                let error = SourceError::Incomplete("the read ended without an end mark".to_owned());
                self.progress = Progress::Failed(error.clone());
                Err(error)
            }
        }
    }

    /// The proof that everything was read. An error before [`Reader::next`] returned `None`.
    pub fn finish(self) -> Result<CompleteRead, SourceError> {
        match &self.progress {
            Progress::Ended(Totals { users, pages, started_at }) => {
                Ok(CompleteRead { users: *users, pages: *pages, started_at: *started_at })
            }
            Progress::Failed(error) => Err(error.clone()),
            Progress::Reading => {
                Err(SourceError::Incomplete("the read was stopped before its end".to_owned()))
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.walk.abort();
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reader")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> Page {
        Page { identities: Vec::new(), observation: Observation::now() }
    }

    fn totals() -> Totals {
        Totals { users: 2, pages: 2, started_at: Observation::now() }
    }

    #[tokio::test]
    async fn a_read_that_was_not_read_to_its_end_is_not_complete() {
        let mut reader = Reader::start(|sink| async move {
            for _ in 0..2 {
                sink.slot().await.ok_or_else(abandoned)?.fill(page());
            }
            Ok(totals())
        });
        assert!(reader.next().await.unwrap().is_some());
        assert!(matches!(reader.finish(), Err(SourceError::Incomplete(_))));
    }

    #[tokio::test]
    async fn an_error_stays_and_there_is_no_complete_read_after_it() {
        let mut reader = Reader::start(|sink| async move {
            sink.slot().await.ok_or_else(abandoned)?.fill(page());
            Err(SourceError::Unavailable("gone".to_owned()))
        });
        assert!(reader.next().await.unwrap().is_some());
        for _ in 0..2 {
            assert!(matches!(reader.next().await, Err(SourceError::Unavailable(_))));
        }
        assert!(matches!(reader.finish(), Err(SourceError::Unavailable(_))));
    }

    #[tokio::test]
    async fn a_walk_that_panics_is_not_a_complete_read() {
        let mut reader = Reader::start(|sink| async move {
            sink.slot().await.ok_or_else(abandoned)?.fill(page());
            panic!("a defect in a walk");
        });
        assert!(reader.next().await.unwrap().is_some());
        assert!(matches!(reader.next().await, Err(SourceError::Incomplete(_))));
    }

    #[tokio::test]
    async fn the_end_is_told_once_everything_was_handed_over() {
        let mut reader = Reader::start(|sink| async move {
            sink.slot().await.ok_or_else(abandoned)?.fill(page());
            Ok(totals())
        });
        assert!(reader.next().await.unwrap().is_some());
        assert!(reader.next().await.unwrap().is_none());
        assert_eq!(reader.finish().unwrap().users(), 2);
    }
}
