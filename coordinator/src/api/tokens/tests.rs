//! Tokens, their file, and who is told apart by them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use ringmaster_schemas::names::hex;

use super::*;

const NOW: i64 = 1_800_000_000_000;
const DAY: i64 = 86_400_000;

fn file() -> (tempfile::TempDir, TokenFile, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("tokens.toml");
    (folder, TokenFile::new(&path), path)
}

fn create(file: &TokenFile, name: &str, role: &str) -> Made {
    file.create(name, &[role.parse().expect("a role")], NOW, NOW + DAY).expect("made")
}

#[test]
fn a_token_is_random_and_its_file_says_only_the_hash_to_its_owner() {
    let (_folder, file, path) = file();
    let made = [create(&file, "ann", "operator"), create(&file, "ann", "approver:risk")];
    let text = std::fs::read_to_string(&path).expect("written");
    for Made { known, token } in &made {
        let (id, secret) = split(token).expect("a token");
        assert_eq!((id, id.len(), secret.len()), (known.id.as_str(), 12, 64), "{token}");
        assert!(text.contains(id) && text.contains(&hex(&hash(secret))) && !text.contains(secret), "{text}");
    }
    assert_ne!(made[0].token, made[1].token);
    assert_eq!(std::fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o600);
    let mut expected = made.map(|made| made.known);
    expected.sort_by(|one, other| one.id.cmp(&other.id));
    assert_eq!(file.read().expect("right"), expected);
}

#[test]
fn only_a_token_that_is_good_tells_who_asks() {
    let (_folder, file, path) = file();
    let good = create(&file, "ann", "operator");
    let revoked = create(&file, "bob", "admin");
    assert!(file.revoke(&revoked.known.id, NOW).expect("written"));
    assert!(!file.revoke("unknown", NOW).expect("written"));
    let tokens = Tokens::open(&path).expect("right");
    let name = |token: &str, now| tokens.who(token, now).map(|principal| principal.name);
    assert_eq!(name(&good.token, NOW), Some("ann".to_owned()));
    assert_eq!(name(&good.token, NOW + DAY - 1), Some("ann".to_owned()));
    assert_eq!(name(&good.token, NOW + DAY), None, "its time is over");
    assert_eq!(name(&revoked.token, NOW), None);
    let (id, secret) = split(&good.token).expect("a token");
    let other = split(&revoked.token).expect("a token").1;
    let zero = "0".repeat(64);
    for wrong in ["", "rm_", "rm__", id, secret, &format!("rm_{id}_"), &format!("rm_{id}_{other}"), &format!("rm_unknown_{zero}")] {
        assert_eq!(name(wrong, NOW), None, "{wrong}");
    }
    assert_eq!(name(&format!("rm_{id}_{}", secret.to_uppercase()), NOW), None);
    let used: Vec<_> = tokens.list().into_iter().filter_map(|(known, used)| Some((known.id, used?))).collect();
    assert_eq!(used, [(id.to_owned(), NOW + DAY - 1)], "what was refused is no use");
}

#[test]
fn what_is_changed_in_the_file_holds_after_a_look() {
    let (_folder, file, path) = file();
    assert!(Tokens::open(&path).err().expect("it is not there").contains("ringmaster token create"));
    let one = create(&file, "ann", "viewer");
    let tokens = Tokens::open(&path).expect("right");
    let is_good = |made: &Made| {
        tokens.look();
        tokens.who(&made.token, NOW).is_some()
    };
    let two = create(&file, "bob", "viewer");
    assert!(is_good(&one) && is_good(&two));
    file.revoke(&one.known.id, NOW).expect("written");
    assert!(!is_good(&one) && is_good(&two));
    let text = std::fs::read_to_string(&path).expect("text");
    std::fs::write(&path, format!("{text}\n[token.1")).expect("written");
    assert!(is_good(&two) && !is_good(&one), "somebody is at work on it: what was known stays");
    std::fs::write(&path, &text).expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("set");
    assert!(is_good(&two), "the same");
    assert!(file.read().expect_err("others can read it").contains("(mode 0644): chmod 600"));
    std::fs::remove_file(&path).expect("removed");
    assert!(!is_good(&two), "who takes the file away means it");
}

#[test]
fn what_is_wrong_with_a_file_is_said() {
    let (_folder, file, path) = file();
    let hash = "a".repeat(64);
    let right = format!(
        "[token.a1]\nname = 'x'\nroles = ['viewer']\nsecret_sha256 = '{hash}'\ncreated = '2026-01-01T00:00:00Z'\nexpires = '2026-02-01T00:00:00Z'\n"
    );
    for (from, to, said) in [
        ("viewer", "root", "token.a1: 'root' is not a role"),
        (&*hash, "hunter2", "token.a1: secret_sha256 is not 64 digits"),
        ("2026-02-01T00:00:00Z", "soon", "token.a1: a time is not one"),
        ("expires", "until", "unknown field `until`"),
        ("[token.a1]", "[token.'a_1']", "token.a_1: an ID is letters and digits"),
        ("[token.a1]", "[tokn.a1]", "unknown field `tokn`"),
    ] {
        std::fs::write(&path, right.replace(from, to)).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("set");
        let why = file.read().expect_err(to);
        assert!(why.contains(said) && why.contains("tokens.toml") && !why.contains("hunter2"), "{why}");
        assert!(Tokens::open(&path).is_err(), "{to}");
    }
    std::fs::write(&path, right).expect("written");
    assert_eq!(file.read().expect("right").len(), 1);
}

/// Writers wait for each other: no token that somebody was given is lost.
#[test]
fn many_write_at_once_and_nothing_is_lost() {
    let (_folder, file, path) = file();
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let file = &file;
            scope.spawn(move || {
                for _ in 0..8 {
                    create(file, &format!("writer {writer}"), "viewer");
                }
            });
        }
    });
    assert_eq!(file.read().expect("right").len(), 64);
    assert!(!path.with_extension("toml.new").exists());
}

/// A file that is written for years does not grow for ever.
#[test]
fn what_is_good_no_more_is_left_out_after_a_month() {
    let (_folder, file, _path) = file();
    let (expires, revoked) = (create(&file, "expires", "viewer"), create(&file, "revoked", "viewer"));
    file.revoke(&revoked.known.id, NOW).expect("written");
    let known = |at: i64| {
        file.create("later", &[Role::Viewer], at, at + DAY).expect("made");
        let known = file.read().expect("right");
        [&expires, &revoked].map(|made| known.iter().any(|known| known.id == made.known.id))
    };
    assert_eq!(known(NOW + 30 * DAY - 1), [true, true]);
    assert_eq!(known(NOW + 30 * DAY), [true, false]);
    assert_eq!(known(NOW + 31 * DAY), [false, false]);
}
