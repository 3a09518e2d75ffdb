//! How a SCIM server may behave beside the standard: each habit was seen on a real server. The presets name the
//! server; [`ScimQuirks::default`] keeps to RFC 7643 and RFC 7644.

/// What a server makes of `filter`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FilterHabit {
    /// RFC 7644 section 3.4.2.2.
    #[default]
    Full,
    /// Strings compare with their case.
    CaseSensitive,
    /// Everybody, whatever was asked.
    Ignored,
    /// Everybody, unless it is exactly `userName eq "…"`, compared with its case.
    UserNameOnly,
    /// Anything but one `userName eq "<address>"` is refused.
    EmailOnly,
    /// A quote or backslash in the value is refused with 400.
    NoEscapes,
}

/// What a server makes of `startIndex` and `count`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PagingHabit {
    /// RFC 7644 section 3.4.2.4.
    #[default]
    Full,
    /// Beyond the end the first page comes again.
    FirstPageBeyondEnd,
    /// Everybody at once, without `itemsPerPage` and `startIndex`.
    Ignored,
    /// `totalResults` is the size of the page, `startIndex` in the reply counts from 0.
    TotalIsPageSize,
    /// Any `count` gives 500.
    CountFails,
    /// Without both `startIndex` and `count` nobody is listed.
    OnlyWhenAsked,
}

/// What a server does about a userName that is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DuplicateHabit {
    /// 409 with `scimType` `uniqueness`.
    #[default]
    Conflict,
    /// 409 without `scimType`.
    BareConflict,
    /// 201: two accounts with one name.
    Accepted,
    /// Names that differ in case are two names.
    CaseSensitive,
    /// 500.
    ServerError,
}

/// What a server makes of PATCH.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PatchHabit {
    /// RFC 7644 section 3.5.2.
    #[default]
    Full,
    /// There is no PATCH: 405.
    Missing,
    /// 501, as the RFC suggests for a server without PATCH.
    NotImplemented,
    /// An operation without `path` is refused with 400.
    OnlyWithPath,
    /// An operation with `path` is refused with 501.
    OnlyWithoutPath,
    /// A path with a value filter is refused with 400.
    NoValueFilter,
    /// 200 with the unchanged resource.
    Ignored,
}

/// The form in which errors are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ErrorForm {
    /// RFC 7644 section 3.12.
    #[default]
    Scim,
    /// The same with `status` as a number.
    NumberStatus,
    /// `{"errorDescription": …, "error": …}`, as in Wrike's REST API.
    Wrike,
    /// `text/plain`.
    PlainText,
    /// An HTML page.
    Html,
    /// No body.
    Empty,
}

/// What a server does with attributes that its schemas do not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownHabit {
    /// Dropped without a word.
    #[default]
    Dropped,
    /// Stored like any other.
    Stored,
    /// 400 that names it.
    Refused,
}

/// The SCIM server's behaviour.
#[derive(Clone, Debug)]
pub struct ScimQuirks {
    /// The bearer token it takes.
    pub token: String,
    /// What it makes of `filter`.
    pub filter: FilterHabit,
    /// What it makes of paging.
    pub paging: PagingHabit,
    /// Rows a page has at most.
    pub page_cap: Option<usize>,
    /// Rows a page has when `count` is not given.
    pub default_page: Option<usize>,
    /// What it does about a taken userName.
    pub duplicates: DuplicateHabit,
    /// 201 without an `id`, and a `Location` that ends in `undefined`.
    pub create_without_id: bool,
    /// No `Location` header, and `meta.location` is relative.
    pub vague_location: bool,
    /// `meta.location` and `Location` point at this origin.
    pub foreign_location: Option<String>,
    /// The account's id is its userName.
    pub id_is_user_name: bool,
    /// DELETE answers 204 and the account stays: GET finds it, POST is 409.
    pub soft_delete: bool,
    /// DELETE is 405.
    pub without_delete: bool,
    /// DELETE with a `Content-Type` and no body is 400.
    pub picky_delete: bool,
    /// What it makes of PATCH.
    pub patch: PatchHabit,
    /// PATCH answers 204 and no body.
    pub patch_without_content: bool,
    /// PUT is 405.
    pub without_put: bool,
    /// PUT without `name` is 500.
    pub put_needs_name: bool,
    /// What it does with unknown attributes and schemas.
    pub unknown: UnknownHabit,
    /// Attribute paths it drops without a word, such as `title`, `name.familyName` or
    /// `urn:…:User:department`.
    pub drops: Vec<String>,
    /// Attribute paths it refuses with a 400 that names them.
    pub refuses: Vec<String>,
    /// A phone number that is not `+` and digits is refused with 400.
    pub strict_phone_numbers: bool,
    /// `null` in a request is refused with 400.
    pub refuses_null: bool,
    /// userName and addresses come back in lower case, phone numbers as digits.
    pub normalises: bool,
    /// `active` is always shown as true, whatever is stored.
    pub active_never_false: bool,
    /// `active` is never shown.
    pub active_hidden: bool,
    /// `active: false` is accepted with 200 and not stored.
    pub ignores_deactivation: bool,
    /// A filter that finds nobody is answered 404, as some servers do instead of an empty list.
    pub nobody_is_404: bool,
    /// Filters do not find inactive accounts, a GET by id does.
    pub inactive_invisible: bool,
    /// The connection is closed after every reply.
    pub closes_connections: bool,
    /// Discovery is 404.
    pub without_discovery: bool,
    /// The form of errors.
    pub errors: ErrorForm,
    /// Requests a minute before 429.
    pub requests_per_minute: Option<u64>,
    /// `Retry-After` is sent with that 429.
    pub tells_retry_after: bool,
    /// `/Me` tells this account (its id) as the owner of the token; without it there is no such endpoint.
    pub token_owner: Option<String>,
    /// Every request is answered 300: the account lives in another data centre.
    pub wrong_data_centre: bool,
    /// userName has to be an e-mail address (Wrike uses it as the login).
    pub user_name_is_email: bool,
}

impl Default for ScimQuirks {
    fn default() -> Self {
        Self {
            token: "sim-scim-token-0123456789".to_owned(),
            filter: FilterHabit::Full,
            paging: PagingHabit::Full,
            page_cap: Some(1000),
            default_page: None,
            duplicates: DuplicateHabit::Conflict,
            create_without_id: false,
            vague_location: false,
            foreign_location: None,
            id_is_user_name: false,
            soft_delete: false,
            without_delete: false,
            picky_delete: false,
            patch: PatchHabit::Full,
            patch_without_content: false,
            without_put: false,
            put_needs_name: false,
            unknown: UnknownHabit::Dropped,
            drops: Vec::new(),
            refuses: Vec::new(),
            strict_phone_numbers: false,
            refuses_null: false,
            normalises: false,
            active_never_false: false,
            active_hidden: false,
            ignores_deactivation: false,
            nobody_is_404: false,
            inactive_invisible: false,
            closes_connections: false,
            without_discovery: false,
            errors: ErrorForm::Scim,
            requests_per_minute: None,
            tells_retry_after: false,
            token_owner: None,
            wrong_data_centre: false,
            user_name_is_email: false,
        }
    }
}

impl ScimQuirks {
    /// Wrike, as far as its pages say: search by e-mail only, 400 requests a minute, REST-style errors.
    pub fn wrike() -> Self {
        Self {
            filter: FilterHabit::EmailOnly,
            errors: ErrorForm::Wrike,
            requests_per_minute: Some(400),
            user_name_is_email: true,
            ..Self::default()
        }
    }

    /// scim2-server: strict, closes connections.
    pub fn scim2_server() -> Self {
        Self { unknown: UnknownHabit::Refused, closes_connections: true, page_cap: None, ..Self::default() }
    }

    /// scimmy on express 4: case-sensitive filter, first page again beyond the end, 20 rows by default.
    pub fn scimmy() -> Self {
        Self {
            filter: FilterHabit::CaseSensitive,
            paging: PagingHabit::FirstPageBeyondEnd,
            default_page: Some(20),
            vague_location: true,
            ..Self::default()
        }
    }

    /// @better-auth/scim: 100 rows at most, refuses null.
    pub fn better_auth() -> Self {
        Self { page_cap: Some(100), default_page: Some(100), refuses_null: true, ..Self::default() }
    }

    /// scimgateway: ids are userNames, names that differ in case are two.
    pub fn scimgateway() -> Self {
        Self {
            filter: FilterHabit::NoEscapes,
            duplicates: DuplicateHabit::CaseSensitive,
            default_page: Some(200),
            id_is_user_name: true,
            ..Self::default()
        }
    }

    /// django-scim2-server: keeps what it deletes, ignores PATCH.
    pub fn django_scim2_server() -> Self {
        Self {
            soft_delete: true,
            patch: PatchHabit::Ignored,
            unknown: UnknownHabit::Refused,
            closes_connections: true,
            filter: FilterHabit::NoEscapes,
            ..Self::default()
        }
    }

    /// canaille: filter ignored, `count` fails, duplicates accepted.
    pub fn canaille() -> Self {
        Self {
            filter: FilterHabit::Ignored,
            paging: PagingHabit::CountFails,
            duplicates: DuplicateHabit::Accepted,
            unknown: UnknownHabit::Refused,
            ..Self::default()
        }
    }

    /// The sample server that Okta publishes.
    pub fn okta_sample() -> Self {
        Self {
            filter: FilterHabit::UserNameOnly,
            paging: PagingHabit::TotalIsPageSize,
            duplicates: DuplicateHabit::ServerError,
            without_delete: true,
            without_discovery: true,
            put_needs_name: true,
            ..Self::default()
        }
    }

    /// The sample server that OneLogin publishes.
    pub fn onelogin_sample() -> Self {
        Self {
            filter: FilterHabit::UserNameOnly,
            paging: PagingHabit::Ignored,
            duplicates: DuplicateHabit::Accepted,
            foreign_location: Some("https://example.com".to_owned()),
            picky_delete: true,
            patch: PatchHabit::Missing,
            put_needs_name: true,
            active_never_false: true,
            without_discovery: true,
            ..Self::default()
        }
    }

    /// Every preset with its name, for table tests.
    pub fn presets() -> Vec<(&'static str, Self)> {
        vec![
            ("rfc", Self::default()),
            ("wrike", Self::wrike()),
            ("scim2-server", Self::scim2_server()),
            ("scimmy", Self::scimmy()),
            ("better-auth", Self::better_auth()),
            ("scimgateway", Self::scimgateway()),
            ("django-scim2-server", Self::django_scim2_server()),
            ("canaille", Self::canaille()),
            ("okta-sample", Self::okta_sample()),
            ("onelogin-sample", Self::onelogin_sample()),
        ]
    }
}
