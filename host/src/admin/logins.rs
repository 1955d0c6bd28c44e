//! Logins: the proof of a person, bounded against guessing.
//!
//! The hash of a password is slow to compute on purpose. So few are computed at once, and each
//! client and all of them together have a rate of wrong tries: a guesser is answered 429 before
//! anything is computed.

use std::net::IpAddr;
use std::sync::Arc;

use argon2::{Argon2, PasswordVerifier};
use parking_lot::{Mutex, RwLock};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::caller::Role;
use super::tries::Tries;
use crate::config::{ADMIN_TOKEN, Secret, User, Users};

/// Hashes that are computed at once.
const AT_ONCE: usize = 2;
/// A hash of nothing, so that an unknown name costs as much as a known one.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm8gc3VjaCB1c2VyLi4$Yp6SLxMrjJ2m6DHkWsaXrNJxKVvyEN4wLPjuG2mrXlM";

/// The people who can log in, and the bounds on their tries.
pub struct Logins {
    people: RwLock<Arc<People>>,
    tries: Mutex<Tries>,
    turns: Semaphore,
}

/// The people whom a configuration knows.
#[derive(Debug, PartialEq, Eq)]
pub struct People {
    /// Any one of these stands for an operator.
    tokens: Vec<Secret>,
    users: Users,
}

impl People {
    fn of(tokens: &[Secret], users: &Users) -> Self {
        Self {
            tokens: tokens.to_vec(),
            users: users.clone(),
        }
    }

    /// Returns the users.
    pub fn users(&self) -> &Users {
        &self.users
    }

    /// Returns whether a caller must have a credential.
    pub fn ask(&self) -> bool {
        !self.tokens.is_empty() || !self.users.is_empty()
    }

    /// Returns whether there is a password to ask for.
    pub fn have_passwords(&self) -> bool {
        self.users.list.iter().any(|user| user.password.is_some())
    }

    /// Returns whether there is anything to log in with.
    pub fn can_log_in(&self) -> bool {
        let can = |user: &User| user.password.is_some() || !user.tokens.is_empty();
        !self.tokens.is_empty() || self.users.list.iter().any(can)
    }

    /// Returns the holder of a token.
    pub fn by_token(&self, shown: &str) -> Option<(String, Role)> {
        let is_one = |tokens: &[Secret]| {
            // All of them are compared, so that the time tells nothing.
            let matching = tokens.iter().filter(|one| one.matches(shown.as_bytes()));
            matching.count() > 0
        };
        let admin = is_one(&self.tokens).then(|| (ADMIN_TOKEN.to_owned(), Role::Operator));
        let users = self.users.list.iter().filter(|user| is_one(&user.tokens));
        let users: Vec<_> = users.map(|user| (user.name.clone(), role(user))).collect();
        admin.or_else(|| users.into_iter().next())
    }

    /// Returns whether `now` knows a person by every credential that this one does, with the same
    /// rights.
    pub fn stays(&self, who: &str, now: &Self) -> bool {
        let all = |before: &[Secret], now: &[Secret]| before.iter().all(|one| now.contains(one));
        let of = |people: &Self| {
            people
                .users
                .list
                .iter()
                .find(|user| user.name == who)
                .cloned()
        };
        let user_stays = match (of(self), of(now)) {
            (None, None) => true,
            (Some(before), Some(now)) => {
                before.operates == now.operates
                    && before.password == now.password
                    && all(&before.tokens, &now.tokens)
            }
            _ => false,
        };
        user_stays && (who != ADMIN_TOKEN || all(&self.tokens, &now.tokens))
    }
}

/// The outcome of a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Login {
    /// The person and the rights.
    Known(String, Role),
    /// Name or secret are wrong.
    Wrong,
    /// Too many were wrong before. The seconds to wait.
    TooMany(u64),
}

impl std::fmt::Debug for Logins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[logins]")
    }
}

/// Returns the rights of a user.
pub fn role(user: &User) -> Role {
    if user.operates {
        Role::Operator
    } else {
        Role::Viewer
    }
}

impl Logins {
    /// Lets in the holders of these tokens, and these users.
    pub fn new(tokens: &[Secret], users: &Users) -> Self {
        Self {
            people: RwLock::new(Arc::new(People::of(tokens, users))),
            tries: Mutex::new(Tries::new(Instant::now())),
            turns: Semaphore::new(AT_ONCE),
        }
    }

    /// Returns those who can log in now.
    pub fn people(&self) -> Arc<People> {
        Arc::clone(&self.people.read())
    }

    /// Lets in other people from now on. Returns those before, and those now. The tries still count.
    pub fn replace(&self, tokens: &[Secret], users: &Users) -> (Arc<People>, Arc<People>) {
        let now = Arc::new(People::of(tokens, users));
        let mut people = self.people.write();
        let before = std::mem::replace(&mut *people, Arc::clone(&now));
        (before, now)
    }

    /// Returns the person who has this name and this password or token; a token needs no name. Only
    /// wrong tries count.
    pub async fn check(&self, name: &str, secret: &str, client: Option<IpAddr>) -> Login {
        let client = client.map_or(IpAddr::from([0, 0, 0, 0]), network);
        if let Err(early) = self.tries.lock().count(client, Instant::now()) {
            return Login::TooMany(early.as_secs() + 1);
        }
        let login = self.compared(name, secret).await;
        if matches!(login, Login::Known(..)) {
            self.tries.lock().give_back(client);
        }
        login
    }

    async fn compared(&self, name: &str, secret: &str) -> Login {
        let people = self.people();
        if let Some((who, role)) = people.by_token(secret)
            && (name.is_empty() || name == who)
        {
            return Login::Known(who, role);
        }
        let user = people.users.list.iter().find(|user| user.name == name);
        let hash = user.and_then(|user| user.password.as_ref());
        if hash.is_none() && !people.have_passwords() {
            return Login::Wrong;
        }
        let hash = hash.map_or(NOBODY, Secret::expose).to_owned();
        let secret = Secret::new(secret);
        let Ok(_turn) = self.turns.acquire().await else {
            return Login::Wrong;
        };
        let verified = tokio::task::spawn_blocking(move || {
            let argon2 = Argon2::default();
            PasswordVerifier::<str>::verify_password(&argon2, secret.expose().as_bytes(), &hash)
                .is_ok()
        });
        match (verified.await, user) {
            (Ok(true), Some(user)) if user.password.is_some() => {
                Login::Known(user.name.clone(), role(user))
            }
            _ => Login::Wrong,
        }
    }
}

/// Returns the network that one client can choose addresses from: 64 bits of an IPv6 address.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(six) => {
            let [a, b, c, d, ..] = six.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
    }
}

#[cfg(test)]
mod tests {
    use argon2::{Params, PasswordHasher};

    use super::super::tries::OF_CLIENT;
    use super::*;

    fn user(name: &str, password: Option<&str>, token: Option<&str>) -> User {
        let weak = Argon2::from(Params::new(8, 1, 1, None).unwrap());
        let hash = |password: &str| {
            let hash = weak.hash_password_with_salt(password.as_bytes(), b"0123456789abcdef");
            Secret::new(hash.unwrap().to_string())
        };
        User {
            name: name.to_owned(),
            operates: name == "kim",
            password: password.map(hash),
            tokens: token.map(Secret::new).into_iter().collect(),
        }
    }

    fn logins() -> Logins {
        let list = vec![
            user("kim", Some("correct horse"), None),
            user("lee", None, Some("lees-token")),
        ];
        Logins::new(
            &[Secret::new("the-admin-token")],
            &Users { header: None, list },
        )
    }

    #[tokio::test]
    async fn person_is_known_by_password_or_token() {
        let logins = logins();
        let known = |who: &str, role| Login::Known(who.to_owned(), role);
        for (number, (name, secret, outcome)) in [
            ("kim", "correct horse", known("kim", Role::Operator)),
            ("kim", "correct hors", Login::Wrong),
            ("kim", "", Login::Wrong),
            ("", "correct horse", Login::Wrong),
            ("nobody", "correct horse", Login::Wrong),
            ("lee", "lees-token", known("lee", Role::Viewer)),
            ("", "lees-token", known("lee", Role::Viewer)),
            ("kim", "lees-token", Login::Wrong),
            ("", "the-admin-token", known(ADMIN_TOKEN, Role::Operator)),
            ("lee", "the-admin-token", Login::Wrong),
            ("", "", Login::Wrong),
        ]
        .into_iter()
        .enumerate()
        {
            let client = Some(IpAddr::from([192, 0, 2, number as u8]));
            assert_eq!(logins.check(name, secret, client).await, outcome, "{name}");
        }
    }

    #[tokio::test]
    async fn guesser_is_slowed_down_and_others_are_not() {
        let logins = logins();
        let guesser = |last: u16| Some(IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last]));
        for number in 0..OF_CLIENT.most {
            let tried = logins.check("kim", "guess", guesser(number as u16)).await;
            assert_eq!(tried, Login::Wrong);
        }
        let tried = logins.check("kim", "correct horse", guesser(99)).await;
        assert!(matches!(tried, Login::TooMany(1..=11)), "{tried:?}");
        let other = Some(IpAddr::from([192, 0, 2, 1]));
        for _ in 0..2 * OF_CLIENT.most {
            let tried = logins.check("kim", "correct horse", other).await;
            assert_eq!(tried, Login::Known("kim".to_owned(), Role::Operator));
        }
    }

    #[test]
    fn person_stays_with_the_same_rights_and_every_credential() {
        let of = |tokens: &[&str], list: Vec<User>| {
            let tokens: Vec<_> = tokens.iter().copied().map(Secret::new).collect();
            People::of(&tokens, &Users { header: None, list })
        };
        let lee = |token: &str| user("lee", None, Some(token));
        let before = of(&["a"], vec![lee("l")]);
        let mut promoted = lee("l");
        promoted.operates = true;
        let mut more = lee("l");
        more.tokens.push(Secret::new("l2"));
        for (now, admin, user) in [
            (of(&["a"], vec![lee("l")]), true, true),
            (of(&["b", "a"], vec![more]), true, true),
            (of(&["b"], vec![lee("m")]), false, false),
            (of(&[], vec![promoted]), false, false),
            (of(&["a"], vec![]), true, false),
        ] {
            assert_eq!(before.stays(ADMIN_TOKEN, &now), admin, "{now:?}");
            assert_eq!(before.stays("lee", &now), user, "{now:?}");
            assert!(before.stays("a name of the proxy's", &now));
        }
    }

    #[test]
    fn hash_of_nobody_is_a_hash() {
        assert!(argon2::password_hash::phc::PasswordHash::new(NOBODY).is_ok());
    }
}
