//! The client's half of SCRAM (RFC 5802, 7677), as Kafka's brokers take it: without channel binding and without SASLprep.

use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SecureRandom as _;
use ring::{digest, hmac, pbkdf2, rand};

/// Fewer are none (RFC 7677); more would hold the caller's thread (brokers take 16,384 at most).
const ITERATIONS: std::ops::RangeInclusive<u32> = 4_096..=100_000;
/// What brokers send is longer than this only by mistake, or worse.
const MESSAGE_BYTES_MAX: usize = 4_096;

/// Which hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::kafka) enum Hash {
    Sha256,
    Sha512,
}

impl Hash {
    fn hmac(self) -> hmac::Algorithm {
        match self {
            Hash::Sha256 => hmac::HMAC_SHA256,
            Hash::Sha512 => hmac::HMAC_SHA512,
        }
    }

    fn digest(self) -> &'static digest::Algorithm {
        match self {
            Hash::Sha256 => &digest::SHA256,
            Hash::Sha512 => &digest::SHA512,
        }
    }

    fn pbkdf2(self) -> pbkdf2::Algorithm {
        match self {
            Hash::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
            Hash::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
        }
    }
}

/// One exchange: what was said so far.
pub(super) struct Scram {
    hash: Hash,
    nonce: String,
    /// The client's first message, without its head.
    first: String,
    /// What the server must prove to know, and by what; none before its first message.
    expected: Option<(hmac::Key, String)>,
}

/// 144 random bits.
pub(super) fn nonce() -> Result<String, String> {
    let mut bytes = [0; 18];
    rand::SystemRandom::new().fill(&mut bytes).map_err(|_| "the system has no random numbers".to_owned())?;
    Ok(STANDARD.encode(bytes))
}

impl Scram {
    pub(super) fn new(hash: Hash, user: &str, nonce: String) -> Self {
        let name = user.replace('=', "=3D").replace(',', "=2C");
        Scram { hash, first: format!("n={name},r={nonce}"), nonce, expected: None }
    }

    /// What the client says first.
    pub(super) fn first(&self) -> Vec<u8> {
        format!("n,,{}", self.first).into_bytes()
    }

    /// What the client answers; none when the server has proved that it knows the password too. Errors are for people.
    pub(super) fn answer(&mut self, password: &str, server: &[u8]) -> Result<Option<Vec<u8>>, String> {
        let server = std::str::from_utf8(server).ok().filter(|text| text.len() <= MESSAGE_BYTES_MAX);
        let server = server.ok_or("it is no message of SCRAM")?;
        if let Some((key, signed)) = &self.expected {
            let proof = field(server, "v").and_then(|proof| STANDARD.decode(proof).ok()).ok_or("it proves nothing")?;
            hmac::verify(key, signed.as_bytes(), &proof).map_err(|_| "it does not know the password itself")?;
            return Ok(None);
        }
        let both = server.split(',').next().and_then(|nonce| nonce.strip_prefix("r=")).ok_or("it has no nonce")?;
        // Longer than ours, or whoever answers has only listened.
        if !both.starts_with(&self.nonce) || both.len() == self.nonce.len() {
            return Err("it answers with another nonce".to_owned());
        }
        let salt = field(server, "s").and_then(|salt| STANDARD.decode(salt).ok()).ok_or("it has no salt")?;
        let iterations = field(server, "i").and_then(|count| count.parse().ok()).filter(|count| ITERATIONS.contains(count));
        let (least, most) = (ITERATIONS.start(), ITERATIONS.end());
        let iterations = iterations.and_then(NonZeroU32::new).ok_or(format!("iterations are not from {least} to {most}"))?;
        let last = format!("c=biws,r={both}");
        let signed = format!("{},{server},{last}", self.first);
        let mut salted = vec![0; self.hash.digest().output_len()];
        pbkdf2::derive(self.hash.pbkdf2(), iterations, &salt, password.as_bytes(), &mut salted);
        let salted = hmac::Key::new(self.hash.hmac(), &salted);
        let client_key = hmac::sign(&salted, b"Client Key");
        let stored = digest::digest(self.hash.digest(), client_key.as_ref());
        let signature = hmac::sign(&hmac::Key::new(self.hash.hmac(), stored.as_ref()), signed.as_bytes());
        let proof: Vec<u8> = client_key.as_ref().iter().zip(signature.as_ref()).map(|(key, signature)| key ^ signature).collect();
        let server_key = hmac::Key::new(self.hash.hmac(), hmac::sign(&salted, b"Server Key").as_ref());
        self.expected = Some((server_key, signed));
        Ok(Some(format!("{last},p={}", STANDARD.encode(proof)).into_bytes()))
    }
}

/// The value of a field of a message.
fn field<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    message.split(',').find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
    const FIRST: &str = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    const PROOF: &str = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    const LAST: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

    fn begun(first: &str) -> (Scram, Result<Option<Vec<u8>>, String>) {
        let mut scram = Scram::new(Hash::Sha256, "user", NONCE.to_owned());
        assert_eq!(scram.first(), b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let answer = scram.answer("pencil", first.as_bytes());
        (scram, answer)
    }

    /// The example of RFC 7677.
    #[test]
    fn it_says_what_the_rfc_says() {
        let (mut scram, answer) = begun(FIRST);
        let expected = format!("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p={PROOF}");
        assert_eq!(answer, Ok(Some(expected.into_bytes())));
        assert_eq!(scram.answer("pencil", LAST.as_bytes()), Ok(None));
    }

    #[test]
    fn names_are_escaped() {
        assert_eq!(Scram::new(Hash::Sha512, "a=b,c", "x".to_owned()).first(), b"n,,n=a=3Db=2Cc,r=x");
    }

    #[test]
    fn who_does_not_know_the_password_is_not_believed() {
        for last in
            ["", "v=", "e=other-error", "v=AAAA", "v=?", &LAST.replace('6', "7"), "V=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="]
        {
            let (mut scram, _) = begun(FIRST);
            assert!(scram.answer("pencil", last.as_bytes()).is_err(), "{last}");
        }
    }

    #[test]
    fn nor_who_says_what_cannot_be() {
        let wrong = [
            ("s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096".to_owned(), "it has no nonce"),
            ("m=more,".to_owned() + FIRST, "it has no nonce"),
            (FIRST.replace("rOprNG", "rOprNH"), "another nonce"),
            ("r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096".to_owned(), "another nonce"),
            (FIRST.replace("s=", "t="), "no salt"),
            (FIRST.replace("s=W", "s=?"), "no salt"),
            (FIRST.replace("4096", "4095"), "from 4096 to 100000"),
            (FIRST.replace("4096", "100001"), "from 4096 to 100000"),
            (FIRST.replace("4096", "-1"), "from 4096 to 100000"),
            (FIRST.replace("4096", "99999999999"), "from 4096 to 100000"),
            (format!("{FIRST},{}", "x".repeat(MESSAGE_BYTES_MAX)), "no message of SCRAM"),
        ];
        for (first, why) in wrong {
            let (_, answer) = begun(&first);
            assert!(answer.as_ref().is_err_and(|said| said.contains(why)), "{first}: {answer:?}");
        }
        let mut scram = Scram::new(Hash::Sha512, "user", NONCE.to_owned());
        assert!(scram.answer("pencil", &[0xff, 0xfe]).is_err());
    }

    #[test]
    fn a_nonce_is_long_and_new() {
        let (one, two) = (nonce().expect("random"), nonce().expect("random"));
        assert!(one != two && one.len() == 24 && !one.contains(','));
    }
}
