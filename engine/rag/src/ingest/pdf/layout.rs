//! Glyphs and their places to words, lines and paragraphs.
//!
//! Glyphs come in the order in which a page draws them. Where the next one stands, seen from where the last one ended, along and across
//! the line and measured in the size of the letters, says what is between them: nothing, a space, the end of a line, or that of a
//! paragraph. Text drawn twice at one place, which is how some programs make it bold, is taken once.

use std::collections::HashSet;

use hayro_interpret::font;
use hayro_interpret::hayro_cmap::BfString;
use hayro_interpret::kurbo::{Affine, Point, Vec2};

/// Units of a glyph's own coordinates in an em.
const UNITS_PER_EM: f64 = 1000.0;
/// What a glyph is taken to be wide whose font does not say, in ems.
const USUAL_WIDTH: f64 = 0.5;
/// Between words there are at least so many ems; kerning moves letters by less.
const WORD_GAP: f64 = 0.15;
/// Raised and lowered letters stay within so many ems of their line.
const LINE_SHIFT_MAX: f64 = 0.5;
/// Who goes back by so many ems on the same line begins another.
const BACK_MAX: f64 = 1.0;
/// Lines of a paragraph are at most so many ems apart, or so many times as far as those before.
const LINE_GAP_MAX: f64 = 1.75;
const LINE_GAP_GROWTH: f64 = 1.3;
/// Letters so many times as large as those of the last line begin a paragraph: they were a heading, or are one.
const RESIZED: f64 = 1.15;
/// Places of a letter within an em that count as one.
const SAME_PLACE: f64 = 0.1;

/// A glyph, where it stands and what it is.
pub(super) struct Glyph {
    text: String,
    /// On the page, with y pointing down.
    origin: Point,
    /// To where the next glyph of the line is expected.
    advance: Vec2,
    /// Height of an em on the page.
    size: f64,
}

impl Glyph {
    /// A glyph as a page draws it; `None` if its font does not say what it is.
    pub(super) fn of(glyph: &font::PositionedGlyph<'_>, page: Affine) -> Option<Glyph> {
        let text = match glyph.as_unicode()? {
            BfString::Char(character) => character.to_string(),
            BfString::String(text) => text,
        };
        let width = match &**glyph {
            font::Glyph::Outline(outline) => outline.advance_width(),
            font::Glyph::Type3(drawn) => drawn.advance_width(),
        };
        let [a, b, c, d, x, y] = (page * glyph.transform()).as_coeffs();
        let units = width.map_or(USUAL_WIDTH * UNITS_PER_EM, f64::from);
        let size = Vec2::new(c, d).hypot() * UNITS_PER_EM;
        let is_sane = [a, b, x, y, size, units].iter().all(|number| number.is_finite()) && size > 0.0;
        is_sane.then(|| Glyph { text, origin: Point::new(x, y), advance: Vec2::new(a, b) * units, size })
    }
}

/// The text of a page so far.
#[derive(Default)]
pub(super) struct PageText {
    text: String,
    last: Option<Last>,
    /// From the last line to the one before, if they are of one paragraph.
    line_gap: Option<f64>,
    /// Letters and their places, in steps of [`SAME_PLACE`].
    seen: HashSet<(String, i64, i64)>,
}

/// What the next glyph is seen from.
struct Last {
    end: Point,
    /// Along the line, of length 1.
    direction: Vec2,
    size: f64,
}

impl PageText {
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    pub(super) fn add(&mut self, glyph: &Glyph) {
        let step = |at: f64| (at / (glyph.size * SAME_PLACE)).round() as i64;
        let is_blank = glyph.text.chars().all(is_space);
        if !is_blank && !self.seen.insert((glyph.text.clone(), step(glyph.origin.x), step(glyph.origin.y))) {
            return;
        }
        let length = glyph.advance.hypot();
        let direction = if length > 0.0 { glyph.advance / length } else { Vec2::new(1.0, 0.0) };
        if let Some(last) = self.last.take() {
            self.separate(&last, glyph, direction);
        }
        for character in glyph.text.chars() {
            self.push(character);
        }
        self.last = Some(Last { end: glyph.origin + glyph.advance, direction, size: glyph.size });
    }

    /// Writes what stands between two glyphs.
    fn separate(&mut self, last: &Last, next: &Glyph, direction: Vec2) {
        let size = last.size.max(next.size);
        let step = next.origin - last.end;
        // Down is where the next line is expected, a quarter turn clockwise from the line as y points down.
        let down = Vec2::new(-last.direction.y, last.direction.x);
        let (along, across) = (step.dot(last.direction) / size, step.dot(down) / size);
        let is_turned = last.direction.dot(direction) < 0.9;
        if !is_turned && across.abs() < LINE_SHIFT_MAX && along > -BACK_MAX {
            if along > WORD_GAP {
                self.push(' ');
            }
            return;
        }
        let usual = self.line_gap.map_or(LINE_GAP_MAX, |gap| LINE_GAP_MAX.max(gap * LINE_GAP_GROWTH));
        let is_resized = size > RESIZED * last.size.min(next.size);
        if is_turned || is_resized || across < 0.0 || across > usual {
            self.end_line();
            self.text.push_str(if self.text.is_empty() { "" } else { "\n\n" });
            self.line_gap = None;
        } else {
            self.end_line();
            let before = self.text.len();
            if self.is_hyphenated(next) {
                self.text.pop();
            } else if before > 0 && !self.text.ends_with('\n') {
                self.text.push('\n');
            }
            self.line_gap = Some(across);
        }
    }

    /// Whether the line ends within a word that the next one goes on with.
    fn is_hyphenated(&self, next: &Glyph) -> bool {
        let mut end = self.text.chars().rev();
        matches!(end.next(), Some('-' | '\u{ad}' | '\u{2010}'))
            && end.next().is_some_and(char::is_lowercase)
            && next.text.chars().next().is_some_and(char::is_lowercase)
    }

    fn end_line(&mut self) {
        let end = self.text.trim_end_matches(' ').len();
        self.text.truncate(end);
    }

    fn push(&mut self, character: char) {
        match character {
            character if is_space(character) => {
                if !self.text.is_empty() && !self.text.ends_with([' ', '\n']) {
                    self.text.push(' ');
                }
            }
            // Ligatures: words are searched for by their letters.
            '\u{fb00}' => self.text.push_str("ff"),
            '\u{fb01}' => self.text.push_str("fi"),
            '\u{fb02}' => self.text.push_str("fl"),
            '\u{fb03}' => self.text.push_str("ffi"),
            '\u{fb04}' => self.text.push_str("ffl"),
            '\u{fb05}' | '\u{fb06}' => self.text.push_str("st"),
            character => self.text.push(character),
        }
    }

    /// The page's text, without white space around it.
    pub(super) fn finish(self) -> String {
        self.text.trim().to_owned()
    }
}

/// White space, and what some fonts have in its place.
fn is_space(character: char) -> bool {
    character.is_whitespace() || character.is_control()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes lines of a font of 10 points, each letter 5 wide, at (x, y).
    fn page(lines: &[(f64, f64, &str)]) -> String {
        let mut page = PageText::default();
        for (x, y, line) in lines {
            for (at, letter) in line.chars().enumerate() {
                let origin = Point::new(x + 5.0 * at as f64, *y);
                let (text, advance) = (letter.to_string(), Vec2::new(5.0, 0.0));
                page.add(&Glyph { text, origin, advance, size: 10.0 });
            }
        }
        page.finish()
    }

    #[test]
    fn places_say_what_stands_between_glyphs() {
        assert_eq!(page(&[(0.0, 0.0, "one"), (15.5, 0.0, "word")]), "oneword", "kerning");
        assert_eq!(page(&[(0.0, 0.0, "two"), (18.0, 0.0, "words")]), "two words");
        assert_eq!(page(&[(0.0, 0.0, "two "), (20.0, 0.0, " words")]), "two words", "one space is enough");
        assert_eq!(page(&[(0.0, 0.0, "E=mc"), (20.0, -4.0, "2")]), "E=mc2", "raised");
        assert_eq!(page(&[(0.0, 0.0, "a line"), (0.0, 12.0, "another")]), "a line\nanother");
        assert_eq!(page(&[(0.0, 0.0, "title"), (0.0, 30.0, "text")]), "title\n\ntext");
        assert_eq!(page(&[(0.0, 90.0, "left"), (50.0, 0.0, "right")]), "left\n\nright", "columns");
        assert_eq!(page(&[(90.0, 0.0, "b"), (0.0, 0.0, "a")]), "b\na", "back on one line");
    }

    #[test]
    fn a_heading_is_a_paragraph_however_near() {
        let mut page = PageText::default();
        for (y, size, letter) in [(0.0, 18.0, "H"), (20.0, 10.0, "t"), (32.0, 10.0, "t")] {
            let (origin, advance) = (Point::new(0.0, y), Vec2::new(5.0, 0.0));
            page.add(&Glyph { text: letter.to_owned(), origin, advance, size });
        }
        assert_eq!(page.finish(), "H\n\nt\nt");
    }

    #[test]
    fn lines_far_apart_are_one_paragraph_if_all_are() {
        let double = [(0.0, 0.0, "a"), (0.0, 17.0, "b"), (0.0, 36.0, "c"), (0.0, 70.0, "d")];
        assert_eq!(page(&double), "a\nb\nc\n\nd");
    }

    #[test]
    fn words_are_whole_and_bold_ones_stand_once() {
        assert_eq!(page(&[(0.0, 0.0, "exam-"), (0.0, 12.0, "ple")]), "example");
        assert_eq!(page(&[(0.0, 0.0, "Anglo-"), (0.0, 12.0, "Saxon")]), "Anglo-\nSaxon");
        assert_eq!(page(&[(0.0, 0.0, "bold"), (0.0, 0.0, "bold")]), "bold");
        assert_eq!(page(&[(0.0, 0.0, "o\u{fb03}ce\u{0}now")]), "office now");
    }
}
