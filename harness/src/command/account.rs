//! Finds who a user of the guest is: its name and its home, by passwd(5).

/// The home of a user that has none, as login(1) has it.
const NO_HOME: &str = "/";

/// A user's name and home.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) home: String,
}

impl Account {
    /// That of `root`.
    pub(super) fn root() -> Self {
        Self {
            name: "root".into(),
            home: "/root".into(),
        }
    }

    /// That of the user with this number, in a guest whose `/etc/passwd` has this text. A user who is not
    /// in it has its number for a name.
    pub(super) fn of(uid: u32, passwd: &str) -> Self {
        let number = uid.to_string();
        let found = passwd.lines().find_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            match fields[..] {
                [name, _, id, _, _, home, ..] if id == number => Some((name, home)),
                _ => None,
            }
        });
        let (name, home) = found.unwrap_or((&number, NO_HOME));
        // Debian's name for no directory.
        let is_none = home.is_empty() || home == "/nonexistent";
        Self {
            name: name.to_owned(),
            home: if is_none { NO_HOME } else { home }.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Account;

    #[test]
    fn an_account_is_what_passwd_says_or_a_number_without_a_home() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\n\
                      broken\n\
                      ann:x:1000:1000:Ann,,,:/home/ann:/bin/bash\n\
                      nobody:x:65534:65534:nobody:/nonexistent:/bin/false\n";
        let of = |uid| {
            let Account { name, home } = Account::of(uid, passwd);
            (name, home)
        };
        assert_eq!(of(1000), ("ann".into(), "/home/ann".into()));
        assert_eq!(of(65534), ("nobody".into(), "/".into()));
        assert_eq!(of(7), ("7".into(), "/".into()));
    }
}
