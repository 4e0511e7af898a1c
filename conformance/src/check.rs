//! What a check is, and how it says what is wrong.

use std::fmt;

use crate::context::Context;

/// A claim of PROTOCOL.md, and how to find out whether a hub keeps it.
#[derive(Debug)]
pub(crate) struct Check {
    /// The claim, with underscores for spaces.
    pub(crate) name: &'static str,
    /// The section of PROTOCOL.md that makes the claim.
    pub(crate) section: &'static str,
    pub(crate) needs: Needs,
    pub(crate) run: fn(&Context<'_>) -> Claim,
}

/// What a check cannot do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// One client, in any mode.
    Client,
    /// Two clients, in any mode; the second may do everything.
    Clients,
    /// A hub in open mode, where new client ids cost nothing.
    Open,
    /// A hub that asks for credentials.
    Token,
    /// A hub that asks for credentials, and those of an admin.
    Admin,
}

/// Kept, or what was seen instead.
pub(crate) type Claim = Result<(), String>;

impl Check {
    /// Spaces and underscores are the same, so a line of the output may be pasted.
    pub(crate) fn named(&self, text: &str) -> bool {
        let text = text.replace('_', " ");
        self.to_string().contains(&text)
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}", self.section, self.name.replace('_', " "))
    }
}

/// The checks of one file: the section, then what each needs and the function whose name is the claim.
macro_rules! checks {
    ($($section:literal { $($needs:ident $name:ident,)* })*) => {
        pub(super) const CHECKS: &[$crate::check::Check] = &[$($(
            $crate::check::Check {
                name: stringify!($name),
                section: $section,
                needs: $crate::check::Needs::$needs,
                run: $name,
            },
        )*)*];
    };
}

/// Ends the check with the text unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($text:tt)+) => {
        if !$condition {
            return Err(format!($($text)+));
        }
    };
}

pub(crate) use {checks, ensure};

/// Ends the check unless both are equal; `what` names the value.
#[allow(
    clippy::needless_pass_by_value,
    reason = "a reference is a value, too, and reads better at the call"
)]
pub(crate) fn same<A, B>(what: &str, found: A, expected: B) -> Claim
where
    A: PartialEq<B> + fmt::Debug,
    B: fmt::Debug,
{
    if found == expected {
        Ok(())
    } else {
        Err(format!("{what} is {found:?}, expected {expected:?}"))
    }
}

/// Puts what was tried before a failure.
pub(crate) trait Trying<T> {
    fn trying(self, what: impl fmt::Display) -> Result<T, String>;
}

impl<T> Trying<T> for Result<T, String> {
    fn trying(self, what: impl fmt::Display) -> Result<T, String> {
        self.map_err(|error| format!("{what}: {error}"))
    }
}
