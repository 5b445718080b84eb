//! Conversations: what was said before a question, and by whom.
//!
//! A request is a conversation whose last message is the question. Instructions of the caller (role system) are kept apart from what was
//! said, and what was said is cut into turns, a question and what was answered to it, as only whole turns make sense to a model.

use super::{check_max, check_text};
use crate::error::{Error, Result};
use crate::limits::{CHAT_MESSAGES_MAX, TEXT_BYTES_MAX};

/// Who says a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChatRole {
    /// Whoever runs the application: instructions to the model.
    System,
    /// The person who asks.
    User,
    /// The model.
    Assistant,
}

impl ChatRole {
    /// Every role.
    pub const ALL: [ChatRole; 3] = [Self::System, Self::User, Self::Assistant];

    /// Its name, as chat endpoints have it, which it is parsed from.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

impl std::fmt::Display for ChatRole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for ChatRole {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name).ok_or_else(|| Error::Invalid {
            field: "role".to_owned(),
            reason: format!("there is no role `{name}`; there are system, user and assistant"),
        })
    }
}

/// A message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatMessage {
    /// Who says it.
    pub role: ChatRole,
    /// What is said.
    pub content: String,
}

impl ChatMessage {
    /// A message of the person who asks.
    pub fn user(content: impl Into<String>) -> Self {
        Self { role: ChatRole::User, content: content.into() }
    }

    /// A message of the model.
    pub fn assistant(content: impl Into<String>) -> Self {
        Self { role: ChatRole::Assistant, content: content.into() }
    }

    /// Instructions to the model.
    pub fn system(content: impl Into<String>) -> Self {
        Self { role: ChatRole::System, content: content.into() }
    }
}

/// A conversation, taken apart.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Conversation<'a> {
    /// The caller's own instructions, in order.
    pub(crate) instructions: Vec<&'a str>,
    /// What was said before the question, oldest first. A turn begins with a message of the user's, but for a first one that does not.
    pub(crate) turns: Vec<&'a [ChatMessage]>,
    /// The last message.
    pub(crate) question: &'a str,
}

impl<'a> Conversation<'a> {
    /// Takes messages apart, oldest first. `said` is what remains of them without instructions.
    ///
    /// # Errors
    /// [`Error::Invalid`] without messages, or with a last one that is empty or not the user's; [`Error::Limit`] of too many or too
    /// long ones. Both name `messages[i]`, or `question` if that is all there is.
    pub(crate) fn of(messages: &'a [ChatMessage], said: &'a [ChatMessage]) -> Result<Conversation<'a>> {
        check(messages)?;
        let instructions =
            messages.iter().filter(|message| message.role == ChatRole::System).map(|it| it.content.as_str());
        // The last message is the user's, so it is the last that was said as well.
        let (question, before) = match said.split_last() {
            Some((last, before)) => (last.content.as_str(), before),
            None => ("", said),
        };
        Ok(Conversation { instructions: instructions.collect(), turns: turns(before), question })
    }

    /// The user's messages, the question last.
    pub(crate) fn asked(&self) -> Vec<&'a str> {
        let of_user = |message: &&ChatMessage| message.role == ChatRole::User;
        let before = self.turns.iter().flat_map(|turn| turn.iter()).filter(of_user);
        before.map(|message| message.content.as_str()).chain([self.question]).collect()
    }
}

impl Conversation<'_> {
    /// The caller's instructions and the template's, as one message, if there are any: some models take only one.
    pub(crate) fn system_message(&self, of_template: &str) -> Option<ChatMessage> {
        let all = self.instructions.iter().copied().chain([of_template]);
        let told: Vec<&str> = all.filter(|text| !text.trim().is_empty()).collect();
        (!told.is_empty()).then(|| ChatMessage::system(told.join("\n\n")))
    }
}

/// A conversation without instructions.
pub(crate) fn said(messages: &[ChatMessage]) -> Vec<ChatMessage> {
    messages.iter().filter(|message| message.role != ChatRole::System).cloned().collect()
}

fn turns(mut messages: &[ChatMessage]) -> Vec<&[ChatMessage]> {
    let mut turns = Vec::new();
    while !messages.is_empty() {
        let next = messages.iter().skip(1).position(|message| message.role == ChatRole::User);
        let (turn, rest) = messages.split_at(next.map_or(messages.len(), |at| at + 1));
        turns.push(turn);
        messages = rest;
    }
    turns
}

/// Refuses a conversation that ends with no question, and one beyond the limits.
fn check(messages: &[ChatMessage]) -> Result<()> {
    check_max("messages", messages.len(), "CHAT_MESSAGES_MAX", CHAT_MESSAGES_MAX)?;
    let invalid = |field: &str, reason: &str| {
        Err(Error::Invalid { field: field.to_owned(), reason: reason.to_owned() })
    };
    let Some((last, before)) = messages.split_last() else {
        return invalid("question", "it must not be empty");
    };
    for (at, message) in before.iter().enumerate() {
        check_max(
            &format!("messages[{at}].content"),
            message.content.len(),
            "TEXT_BYTES_MAX",
            TEXT_BYTES_MAX,
        )?;
    }
    let field = format!("messages[{}]", before.len());
    if last.role != ChatRole::User {
        return invalid(
            &format!("{field}.role"),
            "the last message is the question, so it must be the user's",
        );
    }
    // A question alone was given as such.
    let field = if before.is_empty() { "question".to_owned() } else { format!("{field}.content") };
    check_text(&field, &last.content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_have_names() {
        for role in ChatRole::ALL {
            assert_eq!(role.to_string().parse::<ChatRole>().unwrap(), role);
        }
        assert!("tool".parse::<ChatRole>().is_err_and(|error| error.to_string().contains("`tool`")));
    }

    #[test]
    fn a_conversation_is_taken_apart() {
        let messages = [
            ChatMessage::assistant("Hello"),
            ChatMessage::system("Be brief."),
            ChatMessage::user("One?"),
            ChatMessage::assistant("1"),
            ChatMessage::assistant("more"),
            ChatMessage::user("Two?"),
            ChatMessage::system("In German."),
            ChatMessage::user("Three?"),
        ];
        let said = said(&messages);
        let conversation = Conversation::of(&messages, &said).unwrap();
        assert_eq!(conversation.instructions, ["Be brief.", "In German."]);
        let turns: Vec<Vec<&str>> = conversation
            .turns
            .iter()
            .map(|turn| turn.iter().map(|message| message.content.as_str()).collect())
            .collect();
        assert_eq!(turns, [vec!["Hello"], vec!["One?", "1", "more"], vec!["Two?"]]);
        assert_eq!(conversation.question, "Three?");
        assert_eq!(conversation.asked(), ["One?", "Two?", "Three?"]);
    }

    #[test]
    fn what_is_no_question_is_refused_by_its_place() {
        let long = "x".repeat(TEXT_BYTES_MAX + 1);
        let many = vec![ChatMessage::user("x"); CHAT_MESSAGES_MAX + 1];
        for (messages, field) in [
            (vec![], "question"),
            (vec![ChatMessage::user(" \n")], "question"),
            (vec![ChatMessage::user("x"), ChatMessage::user("")], "messages[1].content"),
            (vec![ChatMessage::user("x"), ChatMessage::assistant("y")], "messages[1].role"),
            (vec![ChatMessage::system("x")], "messages[0].role"),
            (vec![ChatMessage::assistant(long), ChatMessage::user("x")], "messages[0].content"),
            (many, "messages"),
        ] {
            let error = Conversation::of(&messages, &[]).unwrap_err();
            let (Error::Invalid { field: named, .. } | Error::Limit { field: named, .. }) = &error else {
                panic!("{error}");
            };
            assert_eq!(named, field);
        }
    }
}
