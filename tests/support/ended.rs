//! What a test asks of a run that ended.

use super::*;

/// As short as a failing test can be read.
impl std::fmt::Debug for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "exit {} {:?} passes {}", self.code, self.facts.result, self.facts.passes)?;
        writeln!(f, "  {:?}", self.facts.summary)?;
        for record in &self.records {
            let about = format!("{}; {}", record.reason, record.detail.as_deref().unwrap_or_default());
            writeln!(f, "  {} ({}): {about}", line(record), record.situation.as_str())?;
        }
        write!(f, "  {}", self.problems())
    }
}

impl Ended {
    /// The one line about this login.
    pub fn of(&self, name: &str) -> &ActionRecord {
        let login = mail(name);
        let lines: Vec<_> =
            self.records.iter().filter(|line| line.user.eq_ignore_ascii_case(&login)).collect();
        assert_eq!(lines.len(), 1, "one line about {login}: {self:#?}");
        lines[0]
    }

    /// Whether the report has a line about this login.
    pub fn tells_of(&self, name: &str) -> bool {
        let login = mail(name);
        self.records.iter().any(|line| line.user.eq_ignore_ascii_case(&login))
    }

    /// Everybody but the unchanged: `deactivate ann@acme.example applied`, sorted.
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.records.iter().map(line).collect();
        lines.sort();
        lines
    }

    /// Reason and detail in one text, to look for words in.
    pub fn words_of(&self, name: &str) -> String {
        let line = self.of(name);
        format!("{}; {}", line.reason, line.detail.as_deref().unwrap_or_default())
    }

    /// The run told again from what is on record lists the same people with the same ends.
    pub async fn check_history(&self, snapshot: &Snapshot) {
        let Some(number) = self.facts.run else { return };
        let mut again = snapshot.run_again(number).await.unwrap().expect("the run is on record");
        let key = |record: &ActionRecord| {
            let id = record.source_id.as_ref().map(ToString::to_string).unwrap_or_default();
            (id, record.action, record.outcome.as_str())
        };
        let sorted = |mut keys: Vec<_>| {
            keys.sort();
            keys
        };
        let told: Vec<ActionRecord> = again.records.iter().unwrap().collect::<Result<_, _>>().unwrap();
        let (told, listed) =
            (sorted(told.iter().map(key).collect()), sorted(self.records.iter().map(key).collect()));
        assert_eq!(told, listed, "history --run {number} of {self:#?}");
    }

    #[track_caller]
    pub fn assert_line(&self, name: &str, verb: Verb, outcome: Outcome) {
        let line = self.of(name);
        assert_eq!((line.action, line.outcome), (verb, outcome), "{self:?}");
    }

    #[track_caller]
    pub fn assert_end(&self, code: u8, result: RunResult) {
        assert_eq!((self.code, self.facts.result), (code, result), "{self:#?}");
    }

    /// `path: from -> to` of every change of one person, sorted.
    pub fn changes_of(&self, name: &str) -> Vec<String> {
        let shown = |value: &Option<rosterd::model::attributes::Scalar>| {
            value.as_ref().map_or("-".to_owned(), |value| value.as_text().into_owned())
        };
        let mut changes: Vec<String> = self
            .of(name)
            .changes
            .iter()
            .map(|change| format!("{}: {} -> {}", change.path, shown(&change.from), shown(&change.to)))
            .collect();
        changes.sort();
        changes
    }

    /// Whatever a reader is told about source and target as a whole.
    pub fn problems(&self) -> String {
        let parts = [self.facts.source.problem.clone(), self.facts.target.problem.clone()];
        parts.into_iter().flatten().chain(self.facts.notes.clone()).collect::<Vec<_>>().join("\n")
    }

    /// The summary counts each line once, whatever became of it.
    pub fn check_sums(&self) {
        let mut counted =
            rosterd::model::report::Summary { unchanged: self.facts.summary.unchanged, ..Default::default() };
        for line in &self.records {
            counted.count(line.action, line.outcome);
        }
        assert_eq!(counted, self.facts.summary, "{self:#?}");
        let mut people: Vec<_> = self.records.iter().filter_map(|line| line.source_id.clone()).collect();
        let lines = people.len();
        people.sort();
        people.dedup();
        assert_eq!(people.len(), lines, "each person has one line: {self:#?}");
    }
}
