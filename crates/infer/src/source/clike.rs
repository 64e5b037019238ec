//! Java, Kotlin, JavaScript and their like: strings, numbers and names, statement by statement.
//!
//! A lexer and a count of braces, no parser: decompiled code often does not parse.

use std::sync::Arc;

use super::unit::{Corpus, Spot, Unit, What};
use super::urls::Urls;

/// Deepest nesting of classes that is told apart.
const MOST_CLASSES: usize = 64;
/// Longest string that can be a URL, bytes.
const MOST_STRING: usize = 1024;

/// How languages differ, as far as that matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Language {
    /// A line's end ends a statement outside parentheses.
    lines: bool,
    /// `'…'` is a string, not a character.
    single: bool,
}

impl Language {
    /// The language of files with an extension.
    pub(super) fn of(extension: &str) -> Option<Self> {
        Some(match extension {
            "java" | "c" | "cc" | "cpp" | "h" | "hpp" | "cs" | "m" | "mm" | "rs" => {
                Language { lines: false, single: false }
            }
            "kt" | "kts" | "swift" | "go" | "scala" => Language { lines: true, single: false },
            "js" | "mjs" | "ts" | "jsx" | "tsx" | "json" | "dart" => {
                Language { lines: false, single: true }
            }
            "py" | "lua" | "groovy" => Language { lines: true, single: true },
            _ => return None,
        })
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Token<'a> {
    Word(&'a str),
    Text(String),
    Number(u64),
    Sign(char),
    Line,
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    language: Language,
    line: u32,
    line_start: usize,
}

impl<'a> Lexer<'a> {
    fn spot(&self, at: usize) -> Spot {
        let column = self.text.get(self.line_start..at).map_or(0, |front| front.chars().count());
        Spot { line: self.line, column: column as u32 + 1 }
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        if c == '\n' {
            self.line = self.line.saturating_add(1);
            self.line_start = self.at;
        }
        Some(c)
    }

    /// Goes to behind the next `end`, or to the end of the text.
    fn skip_past(&mut self, end: &str) {
        let to =
            self.text[self.at..].find(end).map_or(self.text.len(), |n| self.at + n + end.len());
        while self.at < to {
            self.bump();
        }
    }

    fn string(&mut self, quote: char) -> String {
        let triple = ['"', '"', '"'].iter().collect::<String>();
        if quote == '"' && self.text[self.at..].starts_with("\"\"") {
            self.at += 2;
            if self.peek() != Some('"') {
                return String::new();
            }
            self.at += 1;
            let start = self.at;
            self.skip_past(&triple);
            let inside = &self.text[start..self.at];
            let inside = inside.strip_suffix(&triple).unwrap_or(inside);
            return inside.trim().chars().take(MOST_STRING).collect();
        }
        let mut out = String::new();
        while let Some(c) = self.peek() {
            if c == '\n' && quote != '`' {
                break;
            }
            self.bump();
            if c == quote {
                break;
            }
            let c = if c == '\\' { self.escape() } else { Some(c) };
            if out.len() < MOST_STRING {
                out.extend(c);
            }
        }
        out
    }

    fn escape(&mut self) -> Option<char> {
        let digits = match self.bump()? {
            'n' => return Some('\n'),
            't' => return Some('\t'),
            'u' => 4,
            'x' => 2,
            c => return Some(c),
        };
        let code = self.text.get(self.at..self.at + digits)?;
        let code = u32::from_str_radix(code, 16).ok().and_then(char::from_u32)?;
        self.at += digits;
        Some(code)
    }

    /// A number that starts with a digit; `None` for fractions and what is too large.
    fn number(&mut self) -> Option<u64> {
        let rest = &self.text[self.at..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let word = &rest[..end.unwrap_or(rest.len())];
        self.at += word.len();
        let fraction = self.text[self.at..]
            .strip_prefix('.')
            .and_then(|rest| rest.bytes().next())
            .is_some_and(|next| next.is_ascii_digit());
        if fraction {
            self.at += 1;
            self.number();
            return None;
        }
        let word = word.replace('_', "");
        let word = word.trim_end_matches(['L', 'l', 'u', 'U', 'n']);
        match word.get(..2) {
            Some("0x" | "0X") => u64::from_str_radix(&word[2..], 16).ok(),
            Some("0b" | "0B") => u64::from_str_radix(&word[2..], 2).ok(),
            _ => word.parse().ok(),
        }
    }

    fn next(&mut self) -> Option<(Token<'a>, Spot)> {
        loop {
            let start = self.at;
            let spot = self.spot_cheap();
            let c = self.peek()?;
            let rest = &self.text[start..];
            if rest.starts_with("//") {
                self.skip_to_line_end();
            } else if rest.starts_with("/*") {
                self.at += 2;
                self.skip_past("*/");
            } else if c == '\n' {
                self.bump();
                return Some((Token::Line, spot));
            } else if c.is_whitespace() {
                self.bump();
            } else if c == '"' || c == '`' || (c == '\'' && self.language.single) {
                let spot = self.spot(start);
                self.bump();
                return Some((Token::Text(self.string(c)), spot));
            } else if c == '\'' {
                self.bump();
                if self.peek() == Some('\\') {
                    self.bump();
                }
                self.bump();
                if self.peek() == Some('\'') {
                    self.bump();
                }
            } else if c.is_ascii_digit() {
                let spot = self.spot(start);
                if let Some(number) = self.number() {
                    return Some((Token::Number(number), spot));
                }
            } else if c.is_alphabetic() || c == '_' || c == '$' {
                let word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
                let end = rest.find(|c| !word(c)).unwrap_or(rest.len());
                self.at += end;
                return Some((Token::Word(&rest[..end]), spot));
            } else {
                self.bump();
                return Some((Token::Sign(c), spot));
            }
        }
    }

    /// Line only, where the column is seldom needed: counting characters costs the line.
    fn spot_cheap(&self) -> Spot {
        Spot { line: self.line, column: 0 }
    }

    fn skip_to_line_end(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.find('\n').unwrap_or(rest.len());
    }
}

/// What was written of the statement so far.
#[derive(Default)]
struct Statement<'a> {
    tokens: usize,
    /// `final`, `const` or `static` stands in it.
    constant: bool,
    /// `fun` stands in it.
    function: bool,
    /// The name before `=`.
    assigned: Option<&'a str>,
    /// The last words: `Cmd`, `X` of `Cmd.X`.
    name: Vec<&'a str>,
    class: Option<&'a str>,
    awaits_class: bool,
}

pub(super) fn read(path: &str, text: &str, language: Language, urls: &Urls, corpus: &mut Corpus) {
    let file: Arc<str> = path.into();
    let mut lexer = Lexer { text, at: 0, language, line: 1, line_start: 0 };
    // Open classes, with the depth of braces at which their bodies lie.
    let mut open = vec![(Unit::new(&file, ""), 0_usize)];
    let (mut depth, mut parentheses) = (0_usize, 0_usize);
    let mut statement = Statement::default();
    let (mut before, mut last) = (None::<Token<'_>>, None::<Token<'_>>);
    let mut next = lexer.next();
    while let Some((token, spot)) = next {
        next = lexer.next();
        let follows = next.as_ref().map(|(token, _)| token);
        let classes = open.len();
        let Some((unit, body)) = open.last_mut() else { break };
        if token != Token::Line {
            statement.tokens += 1;
        }
        let mut ends = false;
        // A dotted name ends where something else than its next part comes.
        let goes_on = matches!(token, Token::Word(_) | Token::Sign('.'));
        if !goes_on {
            let calls = token == Token::Sign('(');
            name_ends(unit, &mut statement, spot, calls || token == Token::Sign('='));
        }
        match &token {
            Token::Word(word) => {
                unit.token();
                let mut is_name = true;
                match *word {
                    "final" | "const" | "static" => statement.constant = true,
                    "fun" | "func" => statement.function = true,
                    "class" | "interface" | "enum" | "object" | "struct"
                        if last != Some(Token::Sign('.')) =>
                    {
                        statement.awaits_class = true;
                    }
                    _ if statement.awaits_class => {
                        statement.awaits_class = false;
                        statement.class = Some(word);
                        is_name = false;
                    }
                    _ => {}
                }
                if last != Some(Token::Sign('.')) {
                    statement.name.clear();
                }
                if is_name {
                    statement.name.push(word);
                }
            }
            Token::Text(text) => {
                let found = urls.find(text).map(What::Url);
                let number = language.single && !text.is_empty() && text.len() < 10;
                let number = number.then(|| text.parse().ok()).flatten().map(What::Number);
                match found.or(number) {
                    Some(what) => {
                        defined(&statement, &what, follows, unit, corpus);
                        unit.push(what, spot, false);
                    }
                    None => unit.token(),
                }
            }
            Token::Number(number) => {
                let negative = last == Some(Token::Sign('-'))
                    && !matches!(before, Some(Token::Word(_) | Token::Number(_)));
                if negative {
                    unit.token();
                } else {
                    let what = What::Number(*number);
                    let constant = defined(&statement, &what, follows, unit, corpus);
                    let returned = last == Some(Token::Word("return"))
                        && matches!(before, Some(Token::Sign('{') | Token::Line));
                    let expression = statement.function && last == Some(Token::Sign('='));
                    let alone = constant || expression || (returned && statement.tokens == 2);
                    unit.push(what, spot, alone);
                }
            }
            Token::Sign('(' | '[') => parentheses += 1,
            Token::Sign(')' | ']') => parentheses = parentheses.saturating_sub(1),
            Token::Sign('{') => {
                depth += 1;
                parentheses = 0;
                match statement.class.take() {
                    Some(name) if classes < MOST_CLASSES => {
                        open.push((Unit::new(&file, name), depth));
                    }
                    _ => {}
                }
                ends = true;
            }
            Token::Sign('}') => {
                depth = depth.saturating_sub(1);
                parentheses = 0;
                ends = true;
                let closed = classes > 1 && depth < *body;
                if closed && let Some((unit, _)) = open.pop() {
                    corpus.close(unit, Some(text));
                }
                if let Some((unit, body)) = open.last_mut()
                    && depth <= *body
                {
                    unit.member();
                }
            }
            Token::Sign(';') => {
                ends = true;
                if depth <= *body {
                    unit.member();
                }
            }
            Token::Line if language.lines && parentheses == 0 && statement.tokens > 0 => {
                ends = true;
                if depth <= *body {
                    unit.member();
                }
            }
            Token::Sign('=') => {
                statement.assigned = match last {
                    Some(Token::Word(word)) => Some(word),
                    _ => statement.assigned,
                };
            }
            _ => {}
        }
        if ends {
            statement = Statement::default();
            if let Some((unit, _)) = open.last_mut() {
                unit.statement();
            }
        }
        if token != Token::Line || language.lines {
            before = last.replace(token);
        }
    }
    while let Some((unit, _)) = open.pop() {
        let only_names = unit.items.iter().all(|item| matches!(item.what, What::Name(_)));
        if !only_names {
            corpus.close(unit, Some(text));
        }
    }
}

/// Records a name that was written out, unless it is called or assigned to.
fn name_ends(unit: &mut Unit, statement: &mut Statement<'_>, spot: Spot, leave: bool) {
    let parts = std::mem::take(&mut statement.name);
    // Methods are named by what stands before their parentheses.
    if leave {
        if statement.tokens > 1
            && let Some(name) = parts.last()
        {
            let member = unit.current_member();
            unit.members.entry(member).or_insert_with(|| (*name).into());
        }
        return;
    }
    let Some(last) = parts.last() else { return };
    if last.chars().any(|c| c.is_ascii_uppercase()) {
        let from = parts.len().saturating_sub(2);
        unit.push(What::Name(parts[from..].join(".").into()), spot, false);
    }
}

/// Remembers `final … NAME = value;`, and says whether it is one.
fn defined(
    statement: &Statement<'_>,
    what: &What,
    follows: Option<&Token<'_>>,
    unit: &Unit,
    corpus: &mut Corpus,
) -> bool {
    let ends = match follows {
        None | Some(Token::Line | Token::Sign(';' | ',' | '}')) => true,
        Some(_) => false,
    };
    match statement.assigned {
        Some(name) if statement.constant && ends => {
            corpus.constant(&unit.name, name, what.clone());
            true
        }
        _ => false,
    }
}
