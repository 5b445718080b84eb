use proptest::prelude::*;

use super::*;
use crate::ingest::Chunk;
use crate::prompt::chat::{ChatRole, said};
use crate::prompt::marking::DataMarking;
use crate::retrieve::{DropReason, StageScores};

fn words(text: &str) -> usize {
    text.split_whitespace().count()
}

/// A tokenizer whose parts do not add up: a letter for each token, and pairs of vowels are one.
fn odd(text: &str) -> usize {
    let letters: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
    let pairs = letters.windows(2).filter(|two| two.iter().all(|c| "aeiou".contains(*c))).count();
    letters.len() - pairs / 2
}

fn found(document: &str, at: usize, text: &str) -> RetrievedChunk {
    let chunk = Chunk {
        document: document.to_owned(),
        ordinal: at,
        heading: "Heading".to_owned(),
        start: 1_000 * at,
        end: 1_000 * at + text.chars().count(),
        tokens: words(text),
        text: text.to_owned(),
        content_sha256: String::new(),
    };
    RetrievedChunk {
        chunk,
        score: 1.0 / (1 + at) as f32,
        scores: StageScores::default(),
        beside: None,
        gap: None,
    }
}

/// Chunks of so many words each, all different.
fn chunks(lengths: &[usize]) -> Vec<RetrievedChunk> {
    let text = |at: usize, length: usize| {
        (0..length).map(|word| format!("w{at}x{word}")).collect::<Vec<_>>().join(" ")
    };
    lengths
        .iter()
        .enumerate()
        .map(|(at, length)| found(&format!("d{at}.md"), 2 * at, &text(at, *length)))
        .collect()
}

/// What a conversation and chunks become within a budget.
fn assembled(
    messages: &[ChatMessage],
    chunks: Vec<RetrievedChunk>,
    (template, budget): (Option<&str>, usize),
    count: &dyn Fn(&str) -> usize,
) -> Result<Assembled> {
    let spoken = said(messages);
    let conversation = Conversation::of(messages, &spoken)?;
    let spotlight = Spotlight { delimiter: "passage-0".to_owned(), marking: DataMarking::Lines, mark: '^' };
    let template = Template::new(template)?;
    let assembly = Assembly {
        conversation: &conversation,
        template: &template,
        spotlight: &spotlight,
        budget,
        count,
        check_wanted: &wanted,
    };
    assembly.of(chunks)
}

fn wanted() -> Result<()> {
    Ok(())
}

fn cost(messages: &[ChatMessage], count: &dyn Fn(&str) -> usize) -> usize {
    messages.iter().map(|message| MESSAGE_TOKENS + count(&message.content)).sum()
}

fn shown(messages: &[ChatMessage]) -> Vec<(ChatRole, &str)> {
    messages.iter().map(|message| (message.role, message.content.as_str())).collect()
}

#[test]
fn a_question_with_passages_is_two_messages() {
    let messages = [ChatMessage::user("Why?")];
    let result = assembled(&messages, chunks(&[3, 2]), (None, 500), &words).unwrap();
    assert_eq!(result.citations.len(), 2);
    let [(ChatRole::System, system), (ChatRole::User, user)] = shown(&result.messages)[..] else {
        panic!("{:?}", result.messages);
    };
    assert!(system.starts_with("Answer the user's question"), "{system}");
    assert!(
        user.starts_with("begin passage-0\n^[1] d0.md > ^Heading\n\n^w0x0 w0x1 w0x2\nend passage-0"),
        "{user}"
    );
    assert!(user.ends_with("Question: Why?"), "{user}");
    let tokens = result.tokens;
    assert_eq!(tokens.total, cost(&result.messages, &words));
    assert_eq!(tokens.instructions + tokens.context + tokens.history + tokens.question, tokens.total);
    assert_eq!((tokens.question, tokens.history, tokens.budget), (1, 0, 500));
    // Five words of text, and eight around each; less the four that stand there where nothing was found.
    assert_eq!(tokens.context, 5 + 2 * 8 - 4, "{tokens:?}");
}

#[test]
fn instructions_of_the_callers_come_first_and_history_stands_between() {
    let messages = [
        ChatMessage::system("Be brief."),
        ChatMessage::user("One?"),
        ChatMessage::assistant("1"),
        ChatMessage::user("Two?"),
    ];
    let template = "{% system %}\nCite.\n{% user %}\nQ: {{ question }}";
    let result = assembled(&messages, Vec::new(), (Some(template), 100), &words).unwrap();
    assert_eq!(
        shown(&result.messages),
        [
            (ChatRole::System, "Be brief.\n\nCite."),
            (ChatRole::User, "One?"),
            (ChatRole::Assistant, "1"),
            (ChatRole::User, "Q: Two?"),
        ]
    );
    let alone = assembled(&messages[3..], Vec::new(), (Some("{{ question }}"), 100), &words).unwrap();
    assert_eq!(shown(&alone.messages), [(ChatRole::User, "Two?")], "no empty message");
}

/// By a template of one line: four tokens a message, one a word.
#[test]
fn what_fits_is_packed_best_first_and_the_newest_turns_beside_it() {
    let template = "{% for c in citations %}{{ c.text }} {% endfor %}{{ question }}";
    let turn = |words: &str| [ChatMessage::user(words), ChatMessage::assistant(words)];
    let mut messages = turn("old words of the user").to_vec();
    messages.extend(turn("new words"));
    messages.push(ChatMessage::user("Why?"));
    // The question takes 5; the new turn 12, the old one 18.
    for (budget, citations, history_messages, dropped) in [
        (5, vec![], 0, 4),
        (16, vec![0], 0, 4),
        // What is smaller still fits.
        (21, vec![0, 2], 0, 4),
        (30, vec![0, 1, 2], 0, 4),
        (41, vec![0, 1, 2], 0, 4),
        // A quarter of the room would not hold a turn; what passages leave does.
        (42, vec![0, 1, 2], 2, 2),
        (59, vec![0, 1, 2], 2, 2),
        (60, vec![0, 1, 2], 4, 0),
    ] {
        let result = assembled(&messages, chunks(&[10, 10, 5]), (Some(template), budget), &words).unwrap();
        let cited: Vec<usize> =
            result.citations.iter().map(|citation| citation.chunks[0].ordinal / 2).collect();
        assert_eq!(cited, citations, "{budget}: {:?}", result.tokens);
        assert_eq!(result.messages.len(), 1 + history_messages, "{budget}: {:?}", result.tokens);
        assert_eq!(result.tokens.history_messages_dropped, dropped, "{budget}");
        assert!(result.tokens.total <= budget);
        assert!(result.dropped.iter().all(|dropped| dropped.reason == DropReason::Budget));
        assert_eq!(result.dropped.len(), 3 - citations.len(), "{budget}");
    }
    // A quarter of the room is for history, though another passage would fit.
    let result = assembled(&messages, chunks(&[20, 20, 20]), (Some(template), 53), &words).unwrap();
    assert_eq!((result.citations.len(), result.messages.len()), (1, 3), "{:?}", result.tokens);
}

#[test]
fn a_budget_below_instructions_and_question_is_refused() {
    let messages = [ChatMessage::user("one two three")];
    assert!(assembled(&messages, Vec::new(), (Some("{{ question }}"), 7), &words).is_ok());
    let error = assembled(&messages, Vec::new(), (Some("{{ question }}"), 6), &words).unwrap_err();
    assert!(
        matches!(&error, Error::Invalid { field, reason } if field == "token_budget" && reason.contains("take 7 tokens")),
        "{error}"
    );
}

#[test]
fn a_template_that_says_passages_twice_stays_within_the_budget() {
    let template = "{% for c in citations %}{{ c.text }} {% endfor %}{% for c in citations %}{{ c.text }} {% endfor %}{{ question }}";
    let messages = [ChatMessage::user("Why?")];
    let result = assembled(&messages, chunks(&[10; 20]), (Some(template), 105), &words).unwrap();
    assert!(result.tokens.total <= 105 && result.citations.len() >= 3, "{:?}", result.tokens);
    // A long passage does not keep out the short ones, though it is the best, nor makes them seem dearer.
    for (longest, budget) in [(60, 45), (30, 50)] {
        let chunks = chunks(&[longest, 3, 3, 3]);
        let result = assembled(&messages, chunks, (Some(template), budget), &words).unwrap();
        assert_eq!(result.citations.len(), 3, "{longest}: {:?}", result.tokens);
        assert!(result.tokens.total <= budget);
    }
}

/// A template may work on so much only: fewer passages then, and no error.
#[test]
fn as_many_passages_are_packed_as_the_template_may_work_on() {
    let messages = [ChatMessage::user("Why?")];
    let result = assembled(&messages, chunks(&[1; 9_000]), (None, 900_000), &words).unwrap();
    assert!(result.citations.len() > 1_000 && result.citations.len() < 9_000, "{}", result.citations.len());
}

#[test]
fn what_nobody_waits_for_ends() {
    let messages = [ChatMessage::user("Why?")];
    let spoken = said(&messages);
    let conversation = Conversation::of(&messages, &spoken).unwrap();
    let spotlight = Spotlight { delimiter: "passage-0".to_owned(), marking: DataMarking::Off, mark: '^' };
    let template = Template::new(None).unwrap();
    let cancelled = || Err(ragstone::Error::Cancelled.into());
    let assembly = Assembly {
        conversation: &conversation,
        template: &template,
        spotlight: &spotlight,
        budget: 1_000,
        count: &words,
        check_wanted: &cancelled,
    };
    assert!(matches!(assembly.of(chunks(&[3])), Err(Error::Engine(ragstone::Error::Cancelled))));
}

fn message() -> impl Strategy<Value = ChatMessage> {
    let role = prop::sample::select(ChatRole::ALL.to_vec());
    (role, "[a-e \n]{0,60}").prop_map(|(role, content)| ChatMessage { role, content })
}

proptest! {
    /// Whatever the conversation, the chunks, the template and the tokenizer: the messages count no more than the budget, as the report
    /// says, and every chunk is cited or dropped.
    #[test]
    fn prompts_stay_within_their_budget(
        history in proptest::collection::vec(message(), 0..8),
        texts in proptest::collection::vec("[a-z{}%#\n ]{1,80}", 0..10),
        budget in 1usize..900,
        template in prop::sample::select(vec![
            None,
            Some("{{ question }}"),
            Some("{% for c in citations %}[{{ c.index }}] {{ c.text }}{{ c.text }}{% endfor %}"),
            Some("{% system %}\nx\n{% user %}\n{% for c in citations %}{{ c.document|upper }}{% endfor %}{{ question }}"),
        ]),
        by_words in any::<bool>(),
    ) {
        let count: &dyn Fn(&str) -> usize = if by_words { &words } else { &odd };
        let mut messages = history;
        messages.push(ChatMessage::user("Why is it so?"));
        let hits: Vec<RetrievedChunk> =
            texts.iter().enumerate().map(|(at, text)| found(&format!("d{}", at % 3), 2 * at, text)).collect();
        let offered = hits.len();
        match assembled(&messages, hits.clone(), (template, budget), count) {
            Err(Error::Invalid { field, .. }) => prop_assert_eq!(field, "token_budget"),
            Err(other) => prop_assert!(false, "{}", other),
            Ok(result) => {
                let total = cost(&result.messages, count);
                prop_assert!(total <= budget, "{} > {}", total, budget);
                let report = &result.tokens;
                prop_assert_eq!(report.total, total);
                prop_assert_eq!(report.instructions + report.context + report.history + report.question, total);
                let cited: usize = result.citations.iter().map(|citation| citation.chunks.len()).sum();
                prop_assert_eq!(cited + result.dropped.len(), offered);
                for citation in &result.citations {
                    for chunk in &citation.chunks {
                        let of = hits.iter().find(|hit| hit.chunk.ordinal == chunk.ordinal).unwrap();
                        prop_assert!(citation.text.contains(&of.chunk.text));
                    }
                }
                let last = result.messages.last().unwrap();
                prop_assert_eq!(last.role, ChatRole::User);
                let history = result.messages.iter().filter(|message| message.role != ChatRole::System).count() - 1;
                let given = messages.iter().filter(|message| message.role != ChatRole::System).count() - 1;
                prop_assert_eq!(history + report.history_messages_dropped, given);
            }
        }
    }
}
