//! Keys that several tables have.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use crate::publish::settings::{Credentials, Password};

/// An address and a port. `example` is told to whoever has written something else.
pub(super) fn address(key: &str, text: &str, example: &str) -> Result<SocketAddr> {
    text.parse()
        .with_context(|| format!("`{key}` is {text:?}; write an address and a port, for example {example:?}"))
}

/// The keys `username` and `password_file` of a table.
pub(super) fn credentials(
    table: &str,
    username: Option<String>,
    file: Option<PathBuf>,
) -> Result<Option<Credentials>> {
    match (username, file) {
        (Some(username), Some(file)) => {
            let password = Password::read(&file).with_context(|| format!("`{table}.password_file`"))?;
            Ok(Some(Credentials { username, password }))
        }
        (None, None) => Ok(None),
        (Some(_), None) => {
            bail!("`{table}.username` needs `{table}.password_file`: a file that holds the password")
        }
        (None, Some(_)) => bail!("`{table}.password_file` needs `{table}.username`"),
    }
}
