//! When a schedule fires: cron expressions as people write them, evaluated on civil time.
//!
//! What lives here: reading an expression and the next firing after an instant. What must not: a clock, waiting,
//! jitter. The crate `cron` finds the next matching civil time; everything around it is ours, because it knows no
//! five-field form, counts weekdays the Quartz way (1 = Sunday), asks for day *and* weekday where cron has
//! always meant *or*, skips the day in a DST gap and fires twice in the fold.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Duration, NaiveDateTime, TimeZone, Utc};
use chrono_tz::Tz;

/// Firings whose distances are compared.
const FIRINGS_COMPARED: usize = 8;

/// A checked cron expression.
///
/// *Guarantees.* Firings are strictly increasing; every matching civil time fires once: a time that a zone skips
/// fires at the first instant after the gap (together with whatever else the gap swallowed), a time that a
/// zone repeats fires at its first occurrence only.
#[derive(Debug, Clone)]
pub struct Schedule {
    expression: String,
    /// One, or two where day of month and weekday are alternatives.
    alternatives: Vec<cron::Schedule>,
}

/// Why an expression is no schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct ScheduleError {
    /// What is wrong, a lower-case fragment.
    pub problem: String,
    /// What to write instead, where that is known.
    pub help: Option<String>,
}

impl ScheduleError {
    fn new(problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), help: None }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl Schedule {
    /// Reads five fields (minute, hour, day of month, month, weekday) or six (seconds first).
    ///
    /// Lists, ranges, steps, English names of months and weekdays, weekdays 0-7 with 0 and 7 = Sunday. Where both
    /// day of month and weekday are restricted either is enough, as in crontab(5).
    ///
    /// # Errors
    /// Says which field is wrong and why; an expression that can never fire (30 February) is one.
    pub fn parse(expression: &str) -> Result<Self, ScheduleError> {
        let fields = Fields::parse(expression)?;
        let schedule =
            Self { expression: expression.trim().to_owned(), alternatives: fields.alternatives()? };
        let never = ScheduleError::new("this never fires: no month has such a day")
            .help("\"0 3 28 * *\" is 03:00 on the 28th of each month");
        schedule.next_after(DateTime::UNIX_EPOCH, Tz::UTC).ok_or(never)?;
        Ok(schedule)
    }

    /// The first firing strictly after `instant`, in `zone`; `None` after the year 2100.
    pub fn next_after(&self, instant: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
        let mut civil = instant.with_timezone(&zone).naive_local();
        loop {
            civil = self.next_civil(civil)?;
            // Civil times of the fold's second pass resolve to the first pass, which is over: keep looking.
            let firing = first_instant(civil, zone)?;
            if firing > instant {
                return Some(firing);
            }
        }
    }

    /// The shortest time between two of the next firings after `instant`; `None` where there are not two.
    pub fn shortest_interval(&self, zone: Tz, instant: DateTime<Utc>) -> Option<std::time::Duration> {
        let mut last = self.next_after(instant, zone)?;
        let mut shortest: Option<std::time::Duration> = None;
        for _ in 1..FIRINGS_COMPARED {
            let next = self.next_after(last, zone)?;
            let gap = (next - last).to_std().ok()?;
            shortest = Some(shortest.map_or(gap, |known| known.min(gap)));
            last = next;
        }
        shortest
    }

    /// The expression as written.
    pub fn as_str(&self) -> &str {
        &self.expression
    }

    fn next_civil(&self, after: NaiveDateTime) -> Option<NaiveDateTime> {
        // UTC has neither gaps nor folds, so it stands in for civil time.
        let after = after.and_utc();
        self.alternatives.iter().filter_map(|one| one.after(&after).next()).min().map(|at| at.naive_utc())
    }
}

/// Two schedules are one where they are written alike.
impl PartialEq for Schedule {
    fn eq(&self, other: &Self) -> bool {
        self.expression == other.expression
    }
}

impl Eq for Schedule {}

impl fmt::Display for Schedule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.expression)
    }
}

impl FromStr for Schedule {
    type Err = ScheduleError;

    fn from_str(expression: &str) -> Result<Self, Self::Err> {
        Self::parse(expression)
    }
}

/// The first instant at which clocks in `zone` show `civil` or, where they never do, something later.
fn first_instant(civil: NaiveDateTime, zone: Tz) -> Option<DateTime<Utc>> {
    if let Some(at) = zone.from_local_datetime(&civil).earliest() {
        return Some(at.with_timezone(&Utc));
    }
    // In a gap: bisect for the jump. Offsets lie within a day, so these bounds are on either side of it.
    let shows_later = |at: DateTime<Utc>| at.with_timezone(&zone).naive_local() > civil;
    let mut before = civil.and_utc().checked_sub_signed(Duration::hours(26))?;
    let mut after = civil.and_utc().checked_add_signed(Duration::hours(26))?;
    while after - before > Duration::seconds(1) {
        let middle = before + Duration::seconds((after - before).num_seconds() / 2);
        if shows_later(middle) { after = middle } else { before = middle }
    }
    Some(after)
}

/// One field's numbers, and whether it restricts anything.
struct Field {
    numbers: BTreeSet<u32>,
    /// Written with a leading `*` or `?`: crontab(5) then does not count the field as a restriction.
    starred: bool,
}

struct Fields {
    second: Field,
    minute: Field,
    hour: Field,
    day: Field,
    month: Field,
    weekday: Field,
}

/// What a field may hold.
struct FieldKind {
    name: &'static str,
    low: u32,
    high: u32,
    names: &'static [&'static str],
    /// Number of the first name.
    names_from: u32,
}

const SECOND: FieldKind = FieldKind { name: "second", low: 0, high: 59, names: &[], names_from: 0 };
const MINUTE: FieldKind = FieldKind { name: "minute", low: 0, high: 59, names: &[], names_from: 0 };
const HOUR: FieldKind = FieldKind { name: "hour", low: 0, high: 23, names: &[], names_from: 0 };
const DAY: FieldKind = FieldKind { name: "day of month", low: 1, high: 31, names: &[], names_from: 0 };
const MONTH: FieldKind = FieldKind {
    name: "month",
    low: 1,
    high: 12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    names_from: 1,
};
const WEEKDAY: FieldKind = FieldKind {
    name: "weekday",
    low: 0,
    high: 7,
    names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
    names_from: 0,
};

impl Fields {
    fn parse(expression: &str) -> Result<Self, ScheduleError> {
        let mut words: Vec<&str> = expression.split_whitespace().collect();
        if let Some(nickname) = words.first().filter(|word| word.starts_with('@')) {
            return Err(ScheduleError::new(format!("nicknames such as `{nickname}` are not supported"))
                .help("write five fields: \"0 3 * * *\" is daily at 03:00"));
        }
        if words.len() == 5 {
            words.insert(0, "0");
        }
        let &[second, minute, hour, day, month, weekday] = words.as_slice() else {
            return Err(ScheduleError::new(format!(
                "a schedule has five fields, or six with seconds first, not {}",
                words.len()
            ))
            .help("minute, hour, day of month, month, weekday: \"*/15 * * * *\" is every 15 minutes"));
        };
        Ok(Self {
            second: SECOND.parse(second)?,
            minute: MINUTE.parse(minute)?,
            hour: HOUR.parse(hour)?,
            day: DAY.parse(day)?,
            month: MONTH.parse(month)?,
            weekday: WEEKDAY.parse(weekday)?,
        })
    }

    fn alternatives(&self) -> Result<Vec<cron::Schedule>, ScheduleError> {
        let everyday = "*".to_owned();
        let (day, weekday) = (self.day.render(|number| number), self.weekday.render(quartz_weekday));
        if self.day.starred || self.weekday.starred {
            return Ok(vec![self.compile(&day, &weekday)?]);
        }
        Ok(vec![self.compile(&day, &everyday)?, self.compile(&everyday, &weekday)?])
    }

    fn compile(&self, day: &str, weekday: &str) -> Result<cron::Schedule, ScheduleError> {
        let same = |number| number;
        let [second, minute, hour, month] =
            [&self.second, &self.minute, &self.hour, &self.month].map(|field| field.render(same));
        cron::Schedule::from_str(&format!("{second} {minute} {hour} {day} {month} {weekday}"))
            .map_err(|error| ScheduleError::new(error.to_string()))
    }
}

/// 0-7 from Sunday, as in crontab(5), to 1-7 from Sunday, as in Quartz.
fn quartz_weekday(weekday: u32) -> u32 {
    weekday % 7 + 1
}

impl Field {
    /// An explicit list, so that nothing is left for the crate to read differently.
    fn render(&self, number: impl Fn(u32) -> u32) -> String {
        let numbers: BTreeSet<u32> = self.numbers.iter().copied().map(number).collect();
        numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
    }
}

impl FieldKind {
    fn parse(&self, text: &str) -> Result<Field, ScheduleError> {
        let mut numbers = BTreeSet::new();
        for part in text.split(',') {
            numbers.extend(self.parse_part(part)?);
        }
        Ok(Field { numbers, starred: text.starts_with(['*', '?']) })
    }

    fn parse_part(&self, part: &str) -> Result<impl Iterator<Item = u32> + use<>, ScheduleError> {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(self.parse_step(step)?)),
            None => (part, None),
        };
        let (low, high) = if range == "*" || range == "?" {
            (self.low, self.high)
        } else if let Some((low, high)) = range.split_once('-') {
            self.parse_range(low, high)?
        } else {
            let number = self.parse_number(range)?;
            // `5/15` is `5-59/15`, as everywhere.
            (number, if step.is_some() { self.high } else { number })
        };
        Ok((low..=high).step_by(step.unwrap_or(1)))
    }

    fn parse_step(&self, step: &str) -> Result<usize, ScheduleError> {
        match step.parse::<usize>() {
            Ok(step) if (1..=self.high as usize).contains(&step) => Ok(step),
            _ => Err(ScheduleError::new(format!(
                "the step of the {} field must be a number from 1 to {}",
                self.name, self.high
            ))),
        }
    }

    fn parse_range(&self, low: &str, high: &str) -> Result<(u32, u32), ScheduleError> {
        let (first, last) = (self.parse_number(low)?, self.parse_number(high)?);
        // MON-SUN ends on the Sunday after, not before.
        let last = if self.name == WEEKDAY.name && last == 0 && first > 0 { 7 } else { last };
        if first > last {
            return Err(ScheduleError::new(format!("the {} range {low}-{high} runs backwards", self.name))
                .help(format!(
                    "write it as two: {low}-{},{}-{high}",
                    self.render_number(self.last_before_wrap()),
                    self.render_number(self.low)
                )));
        }
        Ok((first, last))
    }

    fn last_before_wrap(&self) -> u32 {
        if self.name == WEEKDAY.name { 6 } else { self.high }
    }

    fn render_number(&self, number: u32) -> String {
        match self.names.get((number - self.names_from.min(number)) as usize) {
            Some(name) => name.to_ascii_uppercase(),
            None => number.to_string(),
        }
    }

    fn parse_number(&self, text: &str) -> Result<u32, ScheduleError> {
        let lower = text.to_ascii_lowercase();
        // Three letters are the name; MONDAY and SEPT are understood too.
        let named = self.names.iter().zip(self.names_from..).find(|(name, _)| lower.starts_with(**name));
        if let Some((_, number)) = named.filter(|_| self.is_name(&lower)) {
            return Ok(number);
        }
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse::<u32>() {
            Ok(number) if digits && (self.low..=self.high).contains(&number) => Ok(number),
            _ => Err(self.not_a_value(text)),
        }
    }

    fn is_name(&self, lower: &str) -> bool {
        const LONG: &[&str] = &[
            "january",
            "february",
            "march",
            "april",
            "june",
            "july",
            "august",
            "sept",
            "september",
            "october",
            "november",
            "december",
            "sunday",
            "monday",
            "tues",
            "tuesday",
            "wednesday",
            "thur",
            "thurs",
            "thursday",
            "friday",
            "saturday",
        ];
        self.names.contains(&lower) || LONG.contains(&lower)
    }

    fn not_a_value(&self, text: &str) -> ScheduleError {
        let names = match (self.names.first(), self.names.last()) {
            (Some(_), Some(_)) if self.name == WEEKDAY.name => " (0 and 7 are Sunday) or MON-SUN".to_owned(),
            (Some(first), Some(last)) => {
                format!(" or {}-{}", first.to_ascii_uppercase(), last.to_ascii_uppercase())
            }
            _ => String::new(),
        };
        let given = if text.is_empty() { "is empty".to_owned() } else { format!("cannot be `{text}`") };
        ScheduleError::new(format!("the {} field {given}", self.name))
            .help(format!("it takes {}-{}{names}, `*`, lists, ranges and steps", self.low, self.high))
    }
}

#[cfg(test)]
mod tests;
