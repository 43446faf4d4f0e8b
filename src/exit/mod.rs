//! Exit codes after BSD's `sysexits.h`, so that systemd can tell "never try again" from "try again".

pub mod panics;

/// What went wrong, as a supervisor needs to know it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Code {
    /// `EX_DATAERR`: an input picture or stream is not what it should be.
    Data = 65,
    /// `EX_NOINPUT`: an input file does not exist or cannot be read.
    NoInput = 66,
    /// `EX_UNAVAILABLE`: something the daemon needs is not there (`check`: at least one thing does not work).
    Unavailable = 69,
    /// `EX_SOFTWARE`: an invariant was broken.
    Software = 70,
    /// `EX_CONFIG`: configuration or model is wrong; a restart cannot help (`RestartPreventExitStatus=78`).
    Config = 78,
}

/// An error that carries its exit code.
#[derive(Debug, thiserror::Error)]
#[error("{error:#}")]
pub struct Failure {
    /// The exit code.
    pub code: Code,
    /// The cause, with its chain.
    pub error: anyhow::Error,
}

/// Attaches an exit code to a result.
pub trait OrExit<T> {
    /// On an error, gives it the exit code.
    ///
    /// # Errors
    /// The same error, carrying `code`.
    fn or_exit(self, code: Code) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> OrExit<T> for Result<T, E> {
    fn or_exit(self, code: Code) -> Result<T, Failure> {
        self.map_err(|error| Failure { code, error: error.into() })
    }
}
