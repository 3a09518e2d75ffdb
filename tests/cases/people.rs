//! One person, one account, one record concerns one person.
