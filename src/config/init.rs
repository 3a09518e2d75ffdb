//! Configurations to start from, as `rosterd init` prints them.
//!
//! What lives here: two short commented files that parse as they are. What must not: the full list of keys,
//! which is `config.toml.example`.

use crate::model::id::Vendor;

/// A short configuration for this identity provider and Wrike. It parses; addresses and ids are to be replaced.
pub fn starter(vendor: Vendor) -> &'static str {
    match vendor {
        Vendor::Okta => OKTA,
        Vendor::OneLogin => ONELOGIN,
    }
}

/// Rights and places: Okta's guide "Implement OAuth for Okta with a service app" and its API reference; Wrike's
/// help pages "SCIM API" and "Okta: automatic provisioning".
const OKTA: &str = r##"# rosterd: the people assigned to an app in Okta, as members of a Wrike workspace.
# Save as /etc/rosterd/config.toml, replace what is marked, then:
#   rosterd check        is everything readable, reachable and allowed?
#   rosterd --dry-run    what would be done, person by person; writes nothing
#   rosterd --reconcile-now

[[sync]]
name = "wrike"

[sync.source]
kind = "okta"
# REPLACE: your Okta address, without -admin.
url = "https://acme.okta.com"
# REPLACE: Admin Console > Applications > Applications > the app;
# the id is in the address of its page: /admin/app/NAME/instance/0oa.../
app_id = "0oa1b2c3d4"

# How to log in, one of two.
# 1. An API token: Admin Console > Security > API > Tokens > Create token. It has the rights of whoever makes it:
#    make it as a service user with the role "Read-only Administrator".
#    Then, as the user rosterd runs as:  install -m 600 /dev/stdin /etc/rosterd/okta.token
api_token = { file = "/etc/rosterd/okta.token" }
# 2. An OAuth service app, which Okta recommends: Applications > Create App Integration > API Services;
#    client authentication "Public key / Private key"; Okta API Scopes: grant okta.apps.read, okta.users.read,
#    okta.logs.read, and okta.groups.read where groups are used below; Admin roles: "Read-only Administrator".
# oauth = { client_id = "0oa...", private_key = { file = "/etc/rosterd/okta-key.pem" } }

[sync.target]
# REPLACE: Wrike > Apps & Integrations > Okta > SCIM tab, the base URL exactly as shown.
url = "https://www.wrike.com/REPLACE-WITH-THE-SCIM-BASE-URL"
# Wrike > Apps & Integrations > API > a permanent token, shown once. Whoever makes it must be an admin who may edit
# names and e-mails, export the user list, deactivate and delete users, configure advanced security settings,
# and grant admin rights (without that last one, updates of admins fail).
token = { file = "/etc/rosterd/wrike.token" }

[sync.scope]
# Wrike takes people of its approved e-mail domains only; list the same ones here. Empty = any.
domains = []

# Every other key, with its default: config.toml.example. What happens to whom: docs/semantics.md.
"##;

/// Rights and places: OneLogin's API documentation ("API Credentials", "List App Users"); Wrike's help pages
/// "SCIM API" and "OneLogin: automatic provisioning".
const ONELOGIN: &str = r##"# rosterd: the people assigned to an app in OneLogin, as members of a Wrike workspace.
# Save as /etc/rosterd/config.toml, replace what is marked, then:
#   rosterd check        is everything readable, reachable and allowed?
#   rosterd --dry-run    what would be done, person by person; writes nothing
#   rosterd --reconcile-now

[[sync]]
name = "wrike"

[sync.source]
kind = "onelogin"
# REPLACE: your OneLogin address.
url = "https://acme.onelogin.com"
# REPLACE: Administration > Applications > the app; the number in the address of its page: /apps/NUMBER/edit
app_id = "123456"
# REPLACE: Administration > Developers > API Credentials > New Credential, with the scope "Read All"
# (where groups are used below, reading the members of a role asks for "Manage All").
# The credentials stop working when the user who made them is deleted: make them as a service user.
client_id = "replace-with-the-client-id"
# The secret, as the user rosterd runs as:  install -m 600 /dev/stdin /etc/rosterd/onelogin.secret
client_secret = { file = "/etc/rosterd/onelogin.secret" }

[sync.target]
# REPLACE: Wrike > Apps & Integrations > OneLogin > SCIM tab, the base URL exactly as shown.
url = "https://www.wrike.com/REPLACE-WITH-THE-SCIM-BASE-URL"
# Wrike > Apps & Integrations > API > a permanent token, shown once. Whoever makes it must be an admin who may edit
# names and e-mails, export the user list, deactivate and delete users, configure advanced security settings,
# and grant admin rights (without that last one, updates of admins fail).
token = { file = "/etc/rosterd/wrike.token" }

[sync.scope]
# Wrike takes people of its approved e-mail domains only; list the same ones here. Empty = any.
domains = []

# Every other key, with its default: config.toml.example. What happens to whom: docs/semantics.md.
"##;
