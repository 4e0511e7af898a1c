//! SPDX licence expressions, as far as crates use them: `OR`, `AND`, `WITH`, parentheses, and the old `/` for `OR`.

/// Whether the licences in `allowed` are enough to use what `expression` covers.
pub(crate) fn allowed(expression: &str, allowed: &[&str]) -> Result<bool, String> {
    let spaced = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut parser = Parser {
        tokens: &tokens,
        allowed,
    };
    let answer = parser.any()?;
    match parser.tokens {
        [] => Ok(answer),
        [extra, ..] => Err(format!("`{extra}` is one too many")),
    }
}

struct Parser<'a> {
    tokens: &'a [&'a str],
    allowed: &'a [&'a str],
}

impl<'a> Parser<'a> {
    /// `a OR b`, where AND binds tighter. Both sides are read even when the first decides, to get past them.
    fn any(&mut self) -> Result<bool, String> {
        let mut answer = self.all()?;
        while self.take("OR") {
            answer |= self.all()?;
        }
        Ok(answer)
    }

    fn all(&mut self) -> Result<bool, String> {
        let mut answer = self.one()?;
        while self.take("AND") {
            answer &= self.one()?;
        }
        Ok(answer)
    }

    fn one(&mut self) -> Result<bool, String> {
        if self.take("(") {
            let answer = self.any()?;
            return if self.take(")") {
                Ok(answer)
            } else {
                Err("a `(` is not closed".into())
            };
        }
        let licence = self.word()?;
        if self.take("WITH") {
            let exception = self.word()?;
            return Ok(self
                .allowed
                .contains(&format!("{licence} WITH {exception}").as_str()));
        }
        Ok(self.allowed.contains(&licence))
    }

    fn word(&mut self) -> Result<&'a str, String> {
        match self.tokens {
            [word, rest @ ..] if !["AND", "OR", "WITH", "(", ")"].contains(word) => {
                self.tokens = rest;
                Ok(word)
            }
            [other, ..] => Err(format!("`{other}` stands where a licence should")),
            [] => Err("it ends where a licence should stand".into()),
        }
    }

    fn take(&mut self, token: &str) -> bool {
        match self.tokens {
            [first, rest @ ..] if *first == token => {
                self.tokens = rest;
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(expression: &str, expected: bool) {
        let allowed = allowed(
            expression,
            &["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"],
        );
        assert_eq!(allowed, Ok(expected), "{expression}");
    }

    #[test]
    fn one_allowed_side_of_or_is_enough() {
        check("MIT", true);
        check("GPL-3.0-only", false);
        check("GPL-3.0-only OR MIT", true);
        check("Unlicense/MIT", true);
    }

    #[test]
    fn and_needs_both_sides_and_binds_tighter_than_or() {
        check("MIT AND GPL-3.0-only", false);
        check("MIT AND ISC", true);
        check("MIT OR GPL-3.0-only AND Zlib", true);
        check("(MIT OR GPL-3.0-only) AND Zlib", false);
    }

    #[test]
    fn an_exception_belongs_to_its_licence() {
        check("Apache-2.0 WITH LLVM-exception", true);
        check("Apache-2.0", false);
        check("MIT WITH LLVM-exception", false);
    }

    #[test]
    fn an_expression_that_cannot_be_read_is_an_error_and_never_allowed() {
        for expression in [
            "", "MIT MIT", "(MIT", "MIT)", "MIT OR", "AND MIT", "MIT WITH",
        ] {
            assert!(allowed(expression, &["MIT"]).is_err(), "{expression}");
        }
    }
}
