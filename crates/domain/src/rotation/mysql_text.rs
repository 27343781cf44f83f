//! Reading what MySQL and MariaDB print of accounts: words, quoted texts, marks.

/// What was printed cannot be read. It is not repeated: it may hold a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server describes {0} in a way that is not known")]
pub struct Unreadable(pub &'static str);

/// A piece of a printed statement, with its place in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) kind: Kind,
    pub(crate) raw: &'a str,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A keyword, a number, a hexadecimal literal.
    Word,
    /// In backticks, single or double quotes.
    Quoted,
    /// One character: a comma, a parenthesis, `@`, `.`, `*`.
    Mark,
}

impl Token<'_> {
    pub(crate) fn is_word(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.raw.eq_ignore_ascii_case(word)
    }

    pub(crate) fn is_mark(&self, mark: &str) -> bool {
        self.kind == Kind::Mark && self.raw == mark
    }
}

/// The tokens of a printed statement. A user may be called ` TO `: what is quoted is one token.
pub(crate) fn tokens<'a>(text: &'a str, what: &'static str) -> Result<Vec<Token<'a>>, Unreadable> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..) {
        let Some(first) = rest.chars().next() else {
            return Ok(tokens);
        };
        let (kind, length) = match first {
            c if c.is_whitespace() => {
                at += c.len_utf8();
                continue;
            }
            '`' | '\'' | '"' => {
                let length = quoted_length(rest, first).ok_or(Unreadable(what))?;
                (Kind::Quoted, length)
            }
            c if is_word(c) => (Kind::Word, rest.find(|c| !is_word(c)).unwrap_or(rest.len())),
            c => (Kind::Mark, c.len_utf8()),
        };
        let raw = rest.get(..length).ok_or(Unreadable(what))?;
        tokens.push(Token {
            kind,
            raw,
            start: at,
            end: at + length,
        });
        at += length;
    }
    Ok(tokens)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$' | '-')
}

/// Bytes of a quoted text, both quotes counted. A quote within is doubled.
fn quoted_length(text: &str, quote: char) -> Option<usize> {
    let mut rest = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = rest.next() {
        if c == quote && rest.next_if(|(_, next)| *next == quote).is_none() {
            return Some(at + c.len_utf8());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quoted_is_one_token() {
        let text = "GRANT x ON `a``b` TO ` TO '`@'%''' ,( 0x1f)";
        let raw: Vec<_> = tokens(text, "t").unwrap().iter().map(|t| t.raw).collect();
        let expected = [
            "GRANT", "x", "ON", "`a``b`", "TO", "` TO '`", "@", "'%'''", ",", "(", "0x1f", ")",
        ];
        assert_eq!(raw, expected);
        assert_eq!(tokens("`open", "t"), Err(Unreadable("t")));
        assert_eq!(tokens("  ", "t"), Ok(Vec::new()));
    }
}
