//! The file of tokens: one table a token, for its owner's eyes only, written whole or not at all.

use std::collections::BTreeMap;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use ringmaster_schemas::json::time::{parse_timestamp, put_timestamp};
use ringmaster_schemas::names::{hex, unhex};
use serde::{Deserialize, Serialize};

use super::{ID_BYTES, Known, PREFIX, Role, SECRET_BYTES, State, hash, random};

/// More than anybody needs; a file of tokens is read whole every second.
const TOKENS_MAX: usize = 1_000;
const FILE_BYTES_MAX: u64 = 1 << 20;
/// What is no longer good is listed for so long, in milliseconds; then the next write leaves it out.
const LISTED_FOR_MS: i64 = 30 * 86_400_000;

const HEAD: &str =
    "# Tokens of Ringmaster's HTTP port, as `ringmaster token create`, `list` and `revoke` write and read them. Secrets are not
# here, only their SHA-256. What is changed holds within a second, without a restart.

";

/// A table of the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    roles: Vec<String>,
    secret_sha256: String,
    created: String,
    expires: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked: Option<String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tables {
    #[serde(default)]
    token: BTreeMap<String, Row>,
}

/// A file of tokens. Errors of all it does are for people, and name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenFile(PathBuf);

/// A token that was just made.
pub struct Made {
    /// What is known of it from now on.
    pub known: Known,
    /// The token itself: nobody can say it a second time.
    pub token: String,
}

impl TokenFile {
    /// This one, whether it is there or not.
    pub fn new(path: impl Into<PathBuf>) -> TokenFile {
        TokenFile(path.into())
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// All tokens, by their IDs; none of a file that is not there.
    pub fn read(&self) -> Result<Vec<Known>, String> {
        self.text()?.map_or(Ok(Vec::new()), |text| self.parse(&text))
    }

    /// Makes a token that is good until then, and writes it down.
    pub fn create(&self, name: &str, roles: &[Role], now: i64, expires: i64) -> Result<Made, String> {
        let secret = hex(&random::<SECRET_BYTES>()?);
        let known = Known {
            id: hex(&random::<ID_BYTES>()?),
            name: name.to_owned(),
            roles: roles.to_vec(),
            hash: hash(&secret),
            created: now,
            expires,
            revoked: None,
        };
        self.change(now, |all| {
            if all.len() >= TOKENS_MAX {
                return Err(format!("{}: it has {TOKENS_MAX} tokens; revoke those that nobody needs", self.0.display()));
            }
            all.push(known.clone());
            Ok(())
        })?;
        let token = format!("{PREFIX}{}_{secret}", known.id);
        Ok(Made { known, token })
    }

    /// Says of a token that it is good no more; false if there is none of this ID.
    pub fn revoke(&self, id: &str, now: i64) -> Result<bool, String> {
        self.change(now, |all| {
            let found = all.iter_mut().find(|known| known.id == id);
            Ok(found.map(|known| known.revoked.get_or_insert(now)).is_some())
        })
    }

    /// Its text; none if it is not there. It must be for its owner alone.
    pub(super) fn text(&self) -> Result<Option<String>, String> {
        let named = |why: &dyn std::fmt::Display| format!("{}: {why}", self.0.display());
        let meta = match std::fs::metadata(&self.0) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|error| named(&error))?,
        };
        private(&meta).map_err(|why| named(&why))?;
        if meta.len() > FILE_BYTES_MAX {
            return Err(named(&"it is too large to be a file of tokens"));
        }
        std::fs::read_to_string(&self.0).map(Some).map_err(|error| named(&error))
    }

    pub(super) fn parse(&self, text: &str) -> Result<Vec<Known>, String> {
        let tables: Tables = toml::from_str(text).map_err(|error| format!("{}: {}", self.0.display(), error.message()))?;
        let known = |(id, row): (String, Row)| {
            let wrong = |what: &str| format!("{}: token.{id}: {what}", self.0.display());
            if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                return Err(wrong("an ID is letters and digits"));
            }
            let time =
                |text: &str| parse_timestamp(text).map(|micros| micros.div_euclid(1_000)).ok_or_else(|| wrong("a time is not one"));
            let roles = row.roles.iter().map(|role| role.parse().map_err(|why: String| wrong(&why))).collect::<Result<_, _>>()?;
            let hash = unhex(&row.secret_sha256).ok_or_else(|| wrong("secret_sha256 is not 64 digits of 0-9 and a-f"))?;
            let (created, expires) = (time(&row.created)?, time(&row.expires)?);
            let revoked = row.revoked.as_deref().map(time).transpose()?;
            Ok(Known { name: row.name, roles, hash, created, expires, revoked, id })
        };
        tables.token.into_iter().map(known).collect()
    }

    /// Reads it, changes what was read, and puts the result in its place; one writer at a time.
    fn change<T>(&self, now: i64, change: impl FnOnce(&mut Vec<Known>) -> Result<T, String>) -> Result<T, String> {
        let failed = |error: std::io::Error| format!("{}: {error}", self.0.display());
        // A link stays one: what it leads to is replaced.
        let path = std::fs::canonicalize(&self.0).unwrap_or_else(|_| self.0.clone());
        let beside = |end: &str| {
            let mut name = path.as_os_str().to_owned();
            name.push(end);
            PathBuf::from(name)
        };
        let mut private = OpenOptions::new();
        private.write(true).create(true).truncate(true).mode(0o600);
        let lock = private.open(beside(".lock")).map_err(failed)?;
        lock.lock().map_err(failed)?;
        let mut all = self.read()?;
        all.retain(|known| known.state(now) == State::Good || known.revoked.unwrap_or(known.expires) > now - LISTED_FOR_MS);
        let result = change(&mut all)?;
        let new = beside(".new");
        // One that a killed writer left behind would keep its mode.
        match std::fs::remove_file(&new) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let mut file = private.open(&new).map_err(failed)?;
        file.write_all(written(&all).as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
        std::fs::rename(&new, &path).map_err(failed)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
        Ok(result)
    }
}

/// A file that says who somebody is, is for its owner's eyes only. The error says what to do.
pub(crate) fn private(meta: &Metadata) -> Result<(), String> {
    let mode = meta.permissions().mode() & 0o777;
    match mode & 0o077 {
        0 => Ok(()),
        _ => Err(format!("others than its owner can read or write it (mode {mode:04o}): chmod 600")),
    }
}

fn written(all: &[Known]) -> String {
    let row = |known: &Known| Row {
        name: known.name.clone(),
        roles: known.roles.iter().map(ToString::to_string).collect(),
        secret_sha256: hex(&known.hash),
        created: said(known.created),
        expires: said(known.expires),
        revoked: known.revoked.map(said),
    };
    let tables = Tables { token: all.iter().map(|known| (known.id.clone(), row(known))).collect() };
    format!("{HEAD}{}", toml::to_string(&tables).expect("texts and lists of texts can be written"))
}

/// A time as people read it.
fn said(millis: i64) -> String {
    let mut text = String::new();
    put_timestamp(millis.saturating_mul(1_000), &mut text);
    text
}
