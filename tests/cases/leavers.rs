//! A leaver who keeps access is seen: in the exit code, in what is owed, until it is done.
