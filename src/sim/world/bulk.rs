//! Many people at once, from a seed: names as they occur, with letters beyond ASCII and fields that are missing.

use super::{PersonId, World};
use chrono::Duration;

const FIRST_NAMES: [&str; 40] = [
    "Ann",
    "Bogdan",
    "Chiara",
    "David",
    "Élodie",
    "Fatima",
    "Göran",
    "Hannah",
    "Ines",
    "Jürgen",
    "Kwame",
    "Lucía",
    "Mateusz",
    "Ngozi",
    "Øystein",
    "Priya",
    "Quentin",
    "Rania",
    "Søren",
    "Thuỳ",
    "Umut",
    "Violeta",
    "Wei",
    "Ximena",
    "Yūki",
    "Zoë",
    "Андрей",
    "Ελένη",
    "李娜",
    "Seán",
    "Şebnem",
    "Łukasz",
    "Ana María",
    "Jean-Luc",
    "Mary Ann",
    "Óscar",
    "Dvořák",
    "Nadia",
    "Tom",
    "Aoife",
];
const LAST_NAMES: [&str; 40] = [
    "Anderson",
    "Bălan",
    "Conti",
    "Dubois",
    "Eriksson",
    "Fernández",
    "García",
    "Hansen",
    "Ivanova",
    "Jansen",
    "Kovács",
    "Lindqvist",
    "Müller",
    "Nguyễn",
    "O'Brien",
    "Papadopoulos",
    "Quispe",
    "Rossi",
    "Šimek",
    "Taylor",
    "Ünal",
    "van Dijk",
    "Weiß",
    "Xu",
    "Yamada",
    "Zieliński",
    "Петров",
    "de la Cruz",
    "Smith-Jones",
    "Þórsdóttir",
    "Ćosić",
    "Diallo",
    "Kim",
    "Abd el-Rahman",
    "Björk",
    "Çelik",
    "Nakamura",
    "Costa",
    "Brown",
    "Wójcik",
];
const TITLES: [&str; 8] = [
    "Engineer",
    "Senior Engineer",
    "Account Manager",
    "Director, Sales & Marketing",
    "Ingénieure",
    "Analyst",
    "Designer",
    "Head of \"Special\" Projects",
];
const DEPARTMENTS: [&str; 6] =
    ["Engineering", "Sales", "R&D", "Finance", "Human Resources", "Öffentlichkeitsarbeit"];

impl World {
    /// Adds so many people who are active and assigned directly, hired long ago (no events). Logins are
    /// `first.last.N@acme.example` with `N` the person's number in this world; the seed decides everything else.
    pub fn populate(&self, count: usize) -> Vec<PersonId> {
        self.with(|state| {
            let mut dice = fastrand::Rng::with_seed(state.seed ^ 0x9e37 ^ state.people.len() as u64);
            let now = state.now();
            let mut added = Vec::with_capacity(count);
            for _ in 0..count {
                let number = state.people.len() + 1;
                let first = FIRST_NAMES[dice.usize(..FIRST_NAMES.len())];
                let last = LAST_NAMES[dice.usize(..LAST_NAMES.len())];
                let email = format!("{}.{}.{number}@acme.example", ascii(first), ascii(last));
                let hired = now - Duration::days(dice.i64(30..2000));
                let id = state.add_person(&email, |person| {
                    person.first_name = Some(first.to_owned());
                    person.last_name = Some(last.to_owned());
                    // One in ten has no title, one in four no phone: absent attributes are the rule in directories.
                    person.title = (dice.u8(..10) > 0).then(|| TITLES[dice.usize(..TITLES.len())].to_owned());
                    person.department = Some(DEPARTMENTS[dice.usize(..DEPARTMENTS.len())].to_owned());
                    person.organization = Some("Acme".to_owned());
                    person.primary_phone =
                        (dice.u8(..4) > 0).then(|| format!("+1 555 {:07}", dice.u32(..10_000_000)));
                    person.direct = true;
                    (person.created, person.status_changed, person.assigned) = (hired, hired, hired);
                    person.updated = hired;
                });
                added.push(id);
            }
            added
        })
    }
}

/// The ASCII letters of a name in lower case; a name without any becomes `user`.
fn ascii(name: &str) -> String {
    let letters: String =
        name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect();
    if letters.is_empty() { "user".to_owned() } else { letters }
}
