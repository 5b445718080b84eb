//! A conversation to a query, without a model.
//!
//! **Problem.** Somebody who asks on says "And when does it end?": words that find nothing, as what they are about was named before.
//!
//! **Rule.** A question that leans on what was said before gets the user's previous message before it; if that leans too, the one before
//! as well, and so on, up to [`MESSAGES_MAX`] messages. A question leans if
//! - it has at most [`SHORT_WORDS`] words,
//! - it begins with a word that goes on from something (*and*, *but*, *then* …), or with *what about* or *how about*,
//! - it holds a word that stands for something named before (*it*, *they*, *this* …), or ends with *that*, *there*, *one*, *so*.
//!
//! The words are those of English, German, French and Spanish which seldom mean anything else. What the model answered counts for nothing: it may
//! be wrong, and it names what was found already. Messages are taken whole, and none that would make the query longer than the embedding
//! model reads; the question itself is never changed.
//!
//! Pure: messages in, a query out.

/// Messages of which a query is made, at most.
const MESSAGES_MAX: usize = 4;
/// Words of a question that says too little by itself.
const SHORT_WORDS: usize = 3;
/// Characters of a query that is made of several messages.
const QUERY_CHARS_MAX: usize = 2_000;

/// Words that go on from what was said, at the beginning.
const GOING_ON: [&str; 18] = [
    "and", "but", "or", "so", "then", "also", "und", "aber", "oder", "dann", "et", "mais", "ou", "donc", "y",
    "pero", "o", "entonces",
];
/// The same, of two words.
const GOING_ON_PAIRS: [[&str; 2]; 3] = [["what", "about"], ["how", "about"], ["qué", "tal"]];
/// Words that stand for something named before.
const STANDING_FOR: [&str; 43] = [
    "it", "its", "itself", "they", "them", "their", "theirs", "he", "she", "him", "her", "his", "hers",
    "this", "these", "those", "ihn", "ihm", "diese", "dieser", "dieses", "diesem", "diesen", "davon",
    "damit", "dafür", "dazu", "daran", "darin", "darauf", "darüber", "cela", "ceci", "ça", "celui", "celle",
    "ceux", "eso", "esto", "ello", "ellos", "ellas", "aquello",
];
/// Words that do so at the end.
const STANDING_LAST: [&str; 5] = ["that", "there", "one", "ones", "so"];

/// What is searched for: the user's messages, oldest first, the question last, as far as the question needs them and `fits` the model.
pub(crate) fn condense(asked: &[&str], fits: &dyn Fn(&str) -> bool) -> String {
    let mut messages = asked.iter().rev().filter(|message| !message.trim().is_empty());
    let Some(question) = messages.next() else { return String::new() };
    let (mut query, mut leaning) = ((*question).to_owned(), leans(question));
    for message in messages.take(MESSAGES_MAX - 1) {
        if !leaning {
            break;
        }
        let longer = format!("{}\n{query}", message.trim());
        if longer.chars().count() > QUERY_CHARS_MAX || !fits(&longer) {
            break;
        }
        (query, leaning) = (longer, leans(message));
    }
    query
}

/// Whether a message says what it is about only together with what was said before.
fn leans(message: &str) -> bool {
    // Words in capitals are names, as IT is.
    let spelled = |word: &str| {
        if word.chars().count() > 1 && is_shouted(word) { word.to_owned() } else { word.to_lowercase() }
    };
    let words: Vec<String> =
        message.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(spelled).collect();
    let is_in = |list: &[&str], word: &String| list.contains(&word.as_str());
    let pair = words.get(..2).is_some_and(|two| GOING_ON_PAIRS.iter().any(|pair| two == pair));
    words.iter().map(|word| weight(word)).sum::<usize>() <= SHORT_WORDS
        || pair
        || words.first().is_some_and(|word| is_in(&GOING_ON, word))
        || words.last().is_some_and(|word| is_in(&STANDING_LAST, word))
        || words.iter().any(|word| is_in(&STANDING_FOR, word))
}

fn is_shouted(word: &str) -> bool {
    word.chars().all(char::is_uppercase)
}

/// How many words a run of letters is: in scripts without spaces about one for two characters.
fn weight(run: &str) -> usize {
    let spaceless = run.chars().filter(|c| is_spaceless(*c)).count();
    spaceless.div_ceil(2).max(1)
}

/// Thai and Lao, Burmese, Khmer, Chinese and Japanese.
fn is_spaceless(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}') || c >= '\u{2e80}'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_has_what_its_question_leans_on() {
        let lease = "When does the lease of the house end?";
        // asked, what becomes of it, of how many of its last messages
        for (asked, messages) in [
            (vec![lease], 1),
            (vec![lease, "Which plants grow in the garden?"], 1),
            (vec![lease, "And who signed the contract for the garden?"], 2),
            (vec![lease, "Can it be terminated before the end?"], 2),
            (vec![lease, "Why?"], 2),
            (vec![lease, "What about the deposit for the flat?"], 2),
            (vec![lease, "How high is the rent for that?"], 2),
            (vec![lease, "Is it long?", "And why?"], 3),
            (vec![lease, "Which plants grow in the garden?", "And do they need water?"], 2),
            (vec![lease, "Wer hat ihn für den Garten unterschrieben?"], 2),
            (vec![lease, "Who leads the IT department of the company?"], 1),
            (vec![lease, "Who dies first in the story of Hamlet?"], 1),
            (vec![lease, "¿Qué es un contrato de alquiler?"], 1),
            (vec![lease, "สัญญาเช่าบ้านสิ้นสุดเมื่อไหร่"], 1),
            (vec![lease, "Wie ändere ich das Passwort für den Zugang?"], 1),
            (vec![lease, "Combien de temps dure cela dans la pratique ?"], 2),
            (vec![lease, "¿Cuánto cuesta eso en la ciudad de Madrid?"], 2),
            (vec!["賃貸契約はいつ終わりますか。", "庭にはどんな植物がありますか。"], 1),
            (vec!["賃貸契約はいつ終わりますか。", "なぜ?"], 2),
            (vec!["a1?", "b2?", "c3?", "d4?", "e5?", "f6?"], MESSAGES_MAX),
            (vec![], 0),
        ] {
            let expected = asked[asked.len() - messages..].join("\n");
            assert_eq!(condense(&asked, &|_| true), expected, "{asked:?}");
        }
    }

    #[test]
    fn messages_that_the_model_cannot_read_are_left_out_whole() {
        let asked = ["one two three four five", "six seven it", "and it?"];
        let fits = |max: usize| move |query: &str| query.split_whitespace().count() <= max;
        assert_eq!(condense(&asked, &fits(10)), asked.join("\n"));
        assert_eq!(condense(&asked, &fits(9)), asked[1..].join("\n"));
        assert_eq!(condense(&asked, &fits(4)), "and it?");
        assert_eq!(condense(&["x", "and it?"], &fits(0)), "and it?", "the question stays");
        let long = "x ".repeat(QUERY_CHARS_MAX);
        assert_eq!(condense(&[&long, "and it?"], &|_| true), "and it?");
        assert_eq!(condense(&["a", "", "and it?"], &|_| true), "a\nand it?", "what is empty says nothing");
    }
}
