//! Tokens to a tree, by recursive descent: a function a rule of the grammar (`mod.rs`).
//!
//! The recursion is bounded by what a filter may be deep: parentheses and `not`s are counted on the way in.

use super::error::Problem;
use super::lexer::{Lexeme, Lexer, Token};
use super::syntax::{
    Circle, Comparison, Condition, Literal, LiteralKind, Name, Node, NodeKind, Number, Span,
};
use super::time;
use crate::limits::{FILTER_DEPTH_MAX, FILTER_TERMS_MAX};

/// What a text that is no time gets.
pub(super) const NO_TIME: &str =
    "a time is written \"2024-05-01\" or \"2024-05-01T12:00:00Z\", with six digits of a second at most";

type Result<T> = std::result::Result<T, Problem>;

/// What may follow a field.
const OPERATORS: &str = "an operator: = != < <= > >= in between contains prefix match exists is within";

/// Reads a whole text.
pub(super) fn parse(text: &str) -> Result<Node> {
    let mut lexer = Lexer::new(text);
    let next = lexer.next()?;
    let mut parser = Parser { lexer, next, nested: 0, terms: 0 };
    let node = parser.disjunction()?;
    match parser.next.token {
        Token::End => Ok(node),
        _ => Err(parser.expected("`and`, `or` or the end")),
    }
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    /// The token that is read next.
    next: Lexeme<'a>,
    /// Parentheses and `not`s that are open.
    nested: usize,
    /// Nodes and values so far, as the limit counts them.
    terms: usize,
}

impl<'a> Parser<'a> {
    fn disjunction(&mut self) -> Result<Node> {
        self.chain("or", NodeKind::Or, Self::conjunction)
    }

    fn conjunction(&mut self) -> Result<Node> {
        self.chain("and", NodeKind::And, Self::negation)
    }

    /// One item, or several with a word between them.
    fn chain(
        &mut self,
        word: &str,
        kind: fn(Vec<Node>) -> NodeKind,
        item: fn(&mut Self) -> Result<Node>,
    ) -> Result<Node> {
        let span = self.next.span.clone();
        let first = item(self)?;
        if !self.is_word(word) {
            return Ok(first);
        }
        let mut nodes = vec![first];
        while self.takes_word(word)? {
            nodes.push(item(self)?);
        }
        self.node(kind(nodes), &span)
    }

    fn negation(&mut self) -> Result<Node> {
        let span = self.next.span.clone();
        if !self.takes_word("not")? {
            return self.primary();
        }
        let node = self.nested(&span, Self::negation)?;
        self.node(NodeKind::Not(Box::new(node)), &span)
    }

    fn primary(&mut self) -> Result<Node> {
        let span = self.next.span.clone();
        if self.takes_symbol("(")? {
            let node = self.nested(&span, Self::disjunction)?;
            self.symbol(")", "`and`, `or` or `)`")?;
            return Ok(node);
        }
        for (word, kind) in [("all", NodeKind::And as fn(Vec<Node>) -> NodeKind), ("any", NodeKind::Or)] {
            if self.is_word(word) && self.is_word_after("of")? {
                self.advance()?;
                self.advance()?;
                let nodes = self.nested(&span, |parser| parser.list(Self::disjunction))?;
                return self.node(kind(nodes), &span);
            }
        }
        if self.is_word("all") && self.is_word_after("tenants")? {
            self.advance()?;
            self.advance()?;
            return self.node(NodeKind::AllTenants, &span);
        }
        self.condition()
    }

    fn condition(&mut self) -> Result<Node> {
        let span = self.next.span.clone();
        let text = match &self.next.token {
            Token::Word(word) if !["and", "or", "not"].iter().any(|keyword| is(word, keyword)) => {
                (*word).to_owned()
            }
            Token::Name(name) => name.clone(),
            _ => return Err(self.expected("a condition")),
        };
        let name = Name { text, span: span.clone() };
        self.advance()?;
        let operator = self.next.clone();
        let is_negated = match operator.token {
            Token::Symbol(symbol @ ("=" | "==" | "!=" | "<>")) => {
                self.advance()?;
                let value = Condition::Eq(self.literal()?);
                let node = self.node(NodeKind::Condition(name, value), &span)?;
                return if symbol.starts_with('=') { Ok(node) } else { self.negated(node, &span) };
            }
            Token::Symbol(symbol) if Comparison::of_symbol(symbol).is_some() => {
                let range = self.range()?;
                return self.node(NodeKind::Condition(name, range), &span);
            }
            _ => self.takes_word("not")?,
        };
        let (condition, is_null) =
            if self.is_word("is") && !is_negated { self.presence()? } else { (self.worded()?, false) };
        let node = self.node(NodeKind::Condition(name, condition), &span)?;
        if is_negated || is_null { self.negated(node, &span) } else { Ok(node) }
    }

    fn negated(&mut self, node: Node, span: &Span) -> Result<Node> {
        self.node(node.not().kind, span)
    }

    /// A condition whose operator is a word.
    fn worded(&mut self) -> Result<Condition> {
        if self.takes_word("in")? {
            return Ok(Condition::In(self.list(Self::literal)?));
        }
        if self.takes_word("between")? {
            let low = self.literal()?;
            self.word("and")?;
            let high = self.literal()?;
            return Ok(Condition::Range(vec![
                (Comparison::GreaterOrEqual, low),
                (Comparison::LessOrEqual, high),
            ]));
        }
        if self.takes_word("contains")? {
            let texts = if self.takes_word("any")? { self.list(Self::text)? } else { vec![self.text()?] };
            return Ok(Condition::Contains(texts));
        }
        if self.takes_word("prefix")? {
            return Ok(Condition::Prefix(self.text()?));
        }
        if self.takes_word("match")? {
            return Ok(Condition::Match(self.text()?));
        }
        if self.takes_word("exists")? {
            return Ok(Condition::Exists);
        }
        if self.takes_word("within")? {
            return self.within();
        }
        Err(self.expected(OPERATORS))
    }

    /// `is null` and `is not null`; whether it is the former.
    fn presence(&mut self) -> Result<(Condition, bool)> {
        self.word("is")?;
        let is_null = !self.takes_word("not")?;
        self.word("null")?;
        Ok((Condition::Exists, is_null))
    }

    /// `500 m of (48.2, 16.37)`, from the distance on.
    fn within(&mut self) -> Result<Condition> {
        let mut metres = self.number("a distance")?;
        if self.takes_word("km")? {
            metres.value *= 1_000.0;
        } else if !self.takes_word("m")? {
            return Err(self.expected("`m` or `km`"));
        }
        self.word("of")?;
        self.symbol("(", "`(`")?;
        let lat = self.number("degrees of latitude")?;
        self.symbol(",", "`,`")?;
        let lon = self.number("degrees of longitude")?;
        self.symbol(")", "`)`")?;
        Ok(Condition::Within(Circle { lat, lon, metres }))
    }

    fn number(&mut self, what: &str) -> Result<Number> {
        let Token::Number(digits) = self.next.token else { return Err(self.expected(what)) };
        let (value, span) = (digits.parse().unwrap_or(f64::INFINITY), self.next.span.clone());
        if !value.is_finite() {
            return Err(Problem::new(&span, "this number is beyond 64 bits"));
        }
        self.advance()?;
        Ok(Number { value, span })
    }

    fn text(&mut self) -> Result<String> {
        let Token::Text(text) = &self.next.token else { return Err(self.expected("a string")) };
        let text = text.clone();
        self.count(1)?;
        self.advance()?;
        Ok(text)
    }

    /// `"2024-05-01T12:00:00Z"` or microseconds, behind the word `timestamp`.
    fn timestamp(&mut self) -> Result<LiteralKind> {
        self.advance()?;
        let moment = match &self.next.token {
            Token::Text(text) => time::parse(text),
            Token::Number(digits) => digits.parse().ok(),
            _ => return Err(self.expected("a time as text, or microseconds since 1970")),
        };
        let moment = moment.ok_or_else(|| Problem::new(&self.next.span, NO_TIME))?;
        Ok(LiteralKind::Timestamp(moment))
    }

    /// `< 1`, and further bounds: `and >= 0`.
    fn range(&mut self) -> Result<Condition> {
        let mut bounds: Vec<(Comparison, Literal)> = Vec::new();
        loop {
            let Token::Symbol(symbol) = self.next.token else { return Err(self.expected("a comparison")) };
            let Some(comparison) = Comparison::of_symbol(symbol) else {
                return Err(self.expected("one of < <= > >="));
            };
            if bounds.iter().any(|(other, _)| *other == comparison) {
                return Err(Problem::new(&self.next.span, format!("a second bound with {symbol}")));
            }
            self.advance()?;
            bounds.push((comparison, self.literal()?));
            let is_comparison =
                |token: &Token<'_>| matches!(token, Token::Symbol(s) if Comparison::of_symbol(s).is_some());
            if !self.is_word("and") || !is_comparison(&self.after_next()?.token) {
                return Ok(Condition::Range(bounds));
            }
            self.advance()?;
        }
    }

    fn literal(&mut self) -> Result<Literal> {
        let span = self.next.span.clone();
        let kind = match &self.next.token {
            Token::Word(word) if is(word, "timestamp") => self.timestamp()?,
            Token::Text(text) => LiteralKind::Text(text.clone()),
            Token::Number(digits) => LiteralKind::Number((*digits).to_owned()),
            Token::Word(word) if is(word, "true") => LiteralKind::Bool(true),
            Token::Word(word) if is(word, "false") => LiteralKind::Bool(false),
            Token::Word(word) if !is(word, "and") && !is(word, "or") => {
                let reason = format!("expected a value, found `{word}`: a string is written \"{word}\"");
                return Err(Problem::new(&self.next.span, reason));
            }
            _ => return Err(self.expected("a value")),
        };
        let literal = Literal { kind, span: span.start..self.next.span.end };
        self.count(1)?;
        self.advance()?;
        Ok(literal)
    }

    /// Items in parentheses with commas between them, or none.
    fn list<T>(&mut self, item: fn(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        self.symbol("(", "`(`")?;
        let mut items = Vec::new();
        if self.takes_symbol(")")? {
            return Ok(items);
        }
        loop {
            items.push(item(self)?);
            if !self.takes_symbol(",")? {
                self.symbol(")", "`,` or `)`")?;
                return Ok(items);
            }
        }
    }

    /// A finished node, if the tree may still have it; `span` is where it begins.
    fn node(&mut self, kind: NodeKind, span: &Span) -> Result<Node> {
        self.count(1)?;
        let node = Node::new(kind);
        check_depth(node.height, span)?;
        Ok(node)
    }

    /// Goes a level deeper.
    fn nested<T>(&mut self, span: &Span, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.nested += 1;
        check_depth(self.nested, span)?;
        let read = read(self);
        self.nested -= 1;
        read
    }

    fn count(&mut self, terms: usize) -> Result<()> {
        self.terms += terms;
        if self.terms > FILTER_TERMS_MAX {
            let reason = format!("the filter is beyond the limit FILTER_TERMS_MAX = {FILTER_TERMS_MAX}");
            return Err(Problem::new(&self.next.span, reason));
        }
        Ok(())
    }

    fn advance(&mut self) -> Result<()> {
        self.next = self.lexer.next()?;
        Ok(())
    }

    /// The token behind the next one.
    fn after_next(&self) -> Result<Lexeme<'a>> {
        self.lexer.clone().next()
    }

    fn is_word(&self, keyword: &str) -> bool {
        matches!(self.next.token, Token::Word(word) if is(word, keyword))
    }

    fn is_word_after(&self, keyword: &str) -> Result<bool> {
        Ok(matches!(self.after_next()?.token, Token::Word(word) if is(word, keyword)))
    }

    /// Reads over a keyword, if it comes next.
    fn takes_word(&mut self, keyword: &str) -> Result<bool> {
        let takes = self.is_word(keyword);
        if takes {
            self.advance()?;
        }
        Ok(takes)
    }

    fn word(&mut self, keyword: &str) -> Result<()> {
        if self.takes_word(keyword)? { Ok(()) } else { Err(self.expected(&format!("`{keyword}`"))) }
    }

    fn takes_symbol(&mut self, symbol: &str) -> Result<bool> {
        let takes = matches!(self.next.token, Token::Symbol(next) if next == symbol);
        if takes {
            self.advance()?;
        }
        Ok(takes)
    }

    fn symbol(&mut self, symbol: &str, expected: &str) -> Result<()> {
        if self.takes_symbol(symbol)? { Ok(()) } else { Err(self.expected(expected)) }
    }

    /// Something else was expected here.
    fn expected(&self, what: &str) -> Problem {
        let found = match &self.next.token {
            Token::End => "the end".to_owned(),
            Token::Text(_) => "a string".to_owned(),
            Token::Name(_) => "a name".to_owned(),
            Token::Word(text) | Token::Number(text) => format!("`{}`", shortened(text)),
            Token::Symbol(symbol) => format!("`{symbol}`"),
        };
        Problem::new(&self.next.span, format!("expected {what}, found {found}"))
    }
}

fn is(word: &str, keyword: &str) -> bool {
    word.eq_ignore_ascii_case(keyword)
}

/// A word as a message can have it.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn check_depth(depth: usize, span: &Span) -> Result<()> {
    if depth > FILTER_DEPTH_MAX {
        let reason = format!("the filter is nested beyond the limit FILTER_DEPTH_MAX = {FILTER_DEPTH_MAX}");
        return Err(Problem::new(span, reason));
    }
    Ok(())
}
