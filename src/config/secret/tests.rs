//! Secrets are read from where they may be, and refused with what to do.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use secrecy::ExposeSecret;

use super::*;

const CANARY: &str = "00canaryCANARY1234567890";

struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>, mode: u32) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    fn environment(&self) -> Environment {
        Environment::fixed([("CREDENTIALS_DIRECTORY", self.directory.path().join("credentials"))])
            .with_root(self.directory.path())
    }

    fn refusal(&self, secret: &SecretRef) -> SecretError {
        let error = secret.resolve(&self.environment()).map(|_| ()).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
        assert!(!error.help.is_empty());
        error
    }
}

fn exposed(secret: Result<SecretString, SecretError>) -> String {
    secret.unwrap().expose_secret().to_owned()
}

#[test]
fn a_private_file_gives_its_content_without_the_last_line_end() {
    let place = Place::new();
    for content in [CANARY.to_owned(), format!("{CANARY}\n"), format!("{CANARY}\r\n")] {
        let path = place.file("token", content, 0o600);
        assert_eq!(exposed(SecretRef::File(path).resolve(&place.environment())), CANARY);
    }
}

#[test]
fn a_file_that_others_can_reach_is_refused_with_the_chmod_to_run() {
    let place = Place::new();
    for mode in [0o640, 0o604, 0o620, 0o602, 0o644, 0o610] {
        let path = place.file("token", CANARY, mode);
        let error = place.refusal(&SecretRef::File(path.clone()));
        assert!(error.problem.contains(&format!("mode {mode:04o} lets others at it")), "{error}");
        assert!(error.help.starts_with(&format!("chmod 600 {}", path.display())), "{error}");
    }
}

#[test]
fn what_is_no_single_secret_is_refused_without_showing_it() {
    let place = Place::new();
    let cases: [(&[u8], &str); 8] = [
        (b"", "it is empty"),
        (b"\n", "it is empty"),
        (b"  \n", "it is empty"),
        (b"canary\nsecond", "it has several lines or control characters"),
        (b"canary\n\n", "it has several lines or control characters"),
        (b"canary\x07", "it has several lines or control characters"),
        (b"\xef\xbb\xbfcanary", "it starts with a byte order mark"),
        (b"canary \n", "it starts or ends with white space"),
    ];
    for (content, why) in cases {
        let error = place.refusal(&SecretRef::File(place.file("token", content, 0o600)));
        assert!(error.problem.ends_with(why), "{error}");
    }
    let error = place.refusal(&SecretRef::File(place.file("token", b"canary\xff", 0o600)));
    assert!(error.problem.ends_with("it is not UTF-8 text"), "{error}");
}

#[test]
fn pem_and_json_may_have_several_lines() {
    let place = Place::new();
    for content in ["-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----", "{\n \"kty\": \"EC\"\n}"]
    {
        let path = place.file("key", format!("{content}\n"), 0o400);
        assert_eq!(exposed(SecretRef::File(path).resolve(&place.environment())), content);
    }
}

#[test]
fn a_file_too_large_for_a_secret_is_refused() {
    let place = Place::new();
    let path = place.file("token", "a".repeat(64 * 1024 + 1), 0o600);
    assert!(place.refusal(&SecretRef::File(path)).problem.contains("larger than 64 KiB"));
    let path = place.file("token", "a".repeat(64 * 1024), 0o600);
    assert_eq!(exposed(SecretRef::File(path).resolve(&place.environment())).len(), 64 * 1024);
}

#[test]
fn only_a_regular_file_is_a_secret() {
    let place = Place::new();
    let directory = place.directory.path().join("directory");
    fs::create_dir(&directory).unwrap();
    assert!(place.refusal(&SecretRef::File(directory)).problem.contains("not a regular file"));
    // Nobody writes into this one: opening it the usual way would wait for ever.
    let fifo = place.directory.path().join("fifo");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    assert!(place.refusal(&SecretRef::File(fifo)).problem.contains("not a regular file"));
    assert!(place.refusal(&SecretRef::File("/dev/null".into())).problem.contains("not a regular file"));
}

#[test]
fn a_missing_file_says_how_to_make_it() {
    let place = Place::new();
    let error = place.refusal(&SecretRef::File(place.directory.path().join("none")));
    assert!(error.problem.ends_with("no such file"), "{error}");
    assert!(error.help.contains("install -m 600 /dev/stdin"), "{error}");
}

#[test]
fn a_credential_is_looked_for_in_three_places_in_order() {
    let place = Place::new();
    let secret = SecretRef::Credential("okta-token".to_owned());
    let error = place.refusal(&secret);
    for directory in ["credentials", "run/credentials/rosterd.service", "etc/credstore"] {
        let directory = place.directory.path().join(directory).display().to_string();
        assert!(error.problem.contains(&directory), "{error}");
    }
    for (directory, value) in
        [("etc/credstore", "third"), ("run/credentials/rosterd.service", "second"), ("credentials", "first")]
    {
        place.file(&format!("{directory}/okta-token"), value, 0o600);
        assert_eq!(exposed(secret.resolve(&place.environment())), value);
    }
}

#[test]
fn a_credential_that_root_placed_may_show_group_bits() {
    let place = Place::new();
    let path = place.file("credentials/okta-token", CANARY, 0o440);
    let by_root = fs::metadata(&path).unwrap().uid() == 0;
    for secret in [SecretRef::Credential("okta-token".to_owned()), SecretRef::File(path)] {
        // Whoever runs the tests: root's file is accepted, anybody else's is not.
        assert_eq!(secret.resolve(&place.environment()).is_ok(), by_root);
    }
}

#[test]
fn a_credential_name_is_never_a_way_out_of_its_directory() {
    let place = Place::new();
    place.file("secret", CANARY, 0o600);
    for name in ["", "../secret", "a/b", "/etc/passwd", ".", "..", ".hidden", "a b", "a\0b", "ä"] {
        assert!(!SecretRef::is_credential_name(name), "{name}");
        let error = place.refusal(&SecretRef::Credential(name.to_owned()));
        assert!(error.problem.contains("not a plain file name"), "{error}");
    }
}

#[test]
fn a_variable_must_be_set_and_filled() {
    let secret = SecretRef::Env("OKTA_TOKEN".to_owned());
    assert_eq!(exposed(secret.resolve(&Environment::fixed([("OKTA_TOKEN", CANARY)]))), CANARY);
    for environment in [Environment::fixed([("OTHER", CANARY)]), Environment::fixed([("OKTA_TOKEN", "")])] {
        let error = secret.resolve(&environment).map(|_| ()).unwrap_err();
        assert!(error.problem.contains("OKTA_TOKEN: it is not set, or empty"), "{error}");
    }
    let several = Environment::fixed([("OKTA_TOKEN", "canary\nsecond")]);
    let error = secret.resolve(&several).map(|_| ()).unwrap_err();
    assert!(error.problem.ends_with("several lines or control characters"), "{error}");
    assert!(!format!("{several:?}").contains("canary"));
}
