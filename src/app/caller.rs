//! Who gave a command, for the record: the user that the kernel names. What the environment claims is noted as a claim.
//!
//! What lives here: names of uids and the login behind root. What must not: who may do what.

use crate::report::visible;

/// `loginuid` where nobody logged in.
const NO_LOGIN: u32 = u32::MAX;

/// A process that gave a command, as the kernel knows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller {
    /// Its real uid, or that of the socket's peer.
    pub uid: u32,
    /// The process at the other end of the socket; `None` = this one.
    pub pid: Option<i32>,
}

impl Caller {
    /// `ann (uid 1000)`; for root the login behind it where the kernel knows one; then what `SUDO_USER` claims.
    pub(super) fn describe(self, claim: Option<&str>) -> String {
        let login = if self.uid == 0 { self.login_uid() } else { None };
        describe(self.uid, login, claim, &user_name)
    }

    /// The user who logged in before becoming root; it is inherited and cannot be changed again without a privilege.
    fn login_uid(self) -> Option<u32> {
        let process = self.pid.map_or("self".to_owned(), |pid| pid.to_string());
        let text = std::fs::read_to_string(format!("/proc/{process}/loginuid")).ok()?;
        text.trim().parse().ok().filter(|uid| *uid != NO_LOGIN && *uid != 0)
    }
}

fn describe(
    uid: u32,
    login: Option<u32>,
    claim: Option<&str>,
    name_of: &dyn Fn(u32) -> Option<String>,
) -> String {
    let named = |uid: u32, more: &str| match name_of(uid) {
        Some(name) => format!("{} (uid {uid}{more})", visible(&name)),
        None => format!("uid {uid}{more}"),
    };
    let known = match login {
        Some(login) => named(login, ", as root"),
        None => named(uid, ""),
    };
    match claim.filter(|claim| !claim.is_empty()) {
        Some(claim) if login.and_then(name_of).as_deref() != Some(claim) => {
            format!("{known} [SUDO_USER says {}]", visible(claim))
        }
        Some(_) | None => known,
    }
}

/// The name of a uid in `/etc/passwd`.
pub(super) fn user_name(uid: u32) -> Option<String> {
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid.to_string()).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(uid: u32, login: Option<u32>, claim: Option<&str>) -> String {
        let names = |uid: u32| match uid {
            0 => Some("root".to_owned()),
            1000 => Some("ann".to_owned()),
            _ => None,
        };
        describe(uid, login, claim, &names)
    }

    #[test]
    fn who_gave_a_command_is_the_kernels_uid_with_its_name() {
        assert_eq!(of(1000, None, None), "ann (uid 1000)");
        assert_eq!(of(4711, None, Some("")), "uid 4711");
        assert_eq!(of(0, None, None), "root (uid 0)");
    }

    #[test]
    fn behind_root_the_login_is_named_where_the_kernel_knows_it() {
        assert_eq!(of(0, Some(1000), None), "ann (uid 1000, as root)");
        assert_eq!(of(0, Some(1000), Some("ann")), "ann (uid 1000, as root)");
    }

    #[test]
    fn what_the_environment_claims_is_recorded_as_a_claim() {
        assert_eq!(of(1000, None, Some("root")), "ann (uid 1000) [SUDO_USER says root]");
        assert_eq!(of(0, None, Some("x\u{1b}y")), "root (uid 0) [SUDO_USER says x\\u{1b}y]");
        assert_eq!(of(0, Some(1000), Some("ben")), "ann (uid 1000, as root) [SUDO_USER says ben]");
    }
}
