//! PDF to text.
//!
//! A PDF says where glyphs stand, not what words, lines and paragraphs they make; that is guessed from their places
//! ([`layout`]), in the order in which the page draws them, which is the order of reading in nearly all files. Pages end with form feeds,
//! so that chunks know theirs. Text that is drawn invisibly, as over scanned pages, counts.
//!
//! Files that were made to exhaust whoever reads them are refused: what is compressed is measured before anything is parsed
//! ([`streams`]), a page is left as soon as time or text is beyond its bound, and the parser runs on a thread of its own, whose panics
//! are nobody else's. That is no bound of memory, nor of the stack, since what streams hold is not always known before they are read, nor
//! how long a chain of objects is: of both, a process of its own is the bound ([`program`]), which the server's program has. Where there is no such
//! program, the thread has a stack that chains as long as files have them fit in, and a file that was made for it can still end the process.
//! What cannot be read is an error that says why: a password, pages that are only pictures, fonts that do not say which characters
//! their glyphs are.

mod layout;
mod program;
mod streams;

use std::fmt;
use std::time::{Duration, Instant};

use hayro_interpret::font::GlyphRun;
use hayro_interpret::hayro_syntax::{DecryptionError, LoadPdfError, Pdf};
use hayro_interpret::kurbo::{BezPath, Rect};
use hayro_interpret::{
    BlendMode, ClipPath, Context, Device, DrawMode, DrawProps, Image, ImageDrawProps, InterpreterCache,
    InterpreterSettings, SoftMask, TransformExt, interpret_page,
};

use self::layout::PageText;
pub use self::program::{PdfProgram, answer_pdf};
use super::outline::PAGE_END;
use crate::embed::Wanted;
use crate::error::Error;
use crate::limits::DOCUMENT_BYTES_MAX;

/// Time to read a file in; a thousand pages take a second or two.
const READ_TIME_MAX: Duration = Duration::from_secs(30);
/// Bytes of stack for the parser, which recurses into what the file nests: address space, of which memory is taken as it is needed.
const STACK_BYTES: usize = if cfg!(target_pointer_width = "64") { 512 << 20 } else { 16 << 20 };

/// Why there is no text of a PDF.
#[derive(Debug)]
pub(super) enum Unread {
    /// For what the file is.
    Refused(String),
    /// What reads it failed; the file may be sound.
    Failed(String),
    /// For so long its turn did not come.
    Busy(Duration),
    /// Nobody waits for it any more.
    Unwanted(Error),
}

impl Unread {
    /// The error of the document that it is about.
    pub(super) fn of(self, document: &str) -> Error {
        let document = document.to_owned();
        match self {
            Unread::Refused(reason) => Error::NotText { document, reason },
            Unread::Failed(reason) => Error::PdfReader { document, reason },
            Unread::Busy(waited) => Error::PdfReaderBusy { document, waited },
            Unread::Unwanted(error) => error,
        }
    }
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unread::Refused(reason) | Unread::Failed(reason) => f.write_str(reason),
            Unread::Busy(waited) => write!(f, "its turn did not come in {} s", waited.as_secs()),
            Unread::Unwanted(error) => write!(f, "{error}"),
        }
    }
}

/// The text of a PDF's pages, or why there is none; read by the program, if there is one. Without one, whoever waits does so to the end.
pub(super) fn to_text(
    content: &[u8],
    program: Option<&PdfProgram>,
    wanted: Wanted<'_>,
) -> Result<String, Unread> {
    match program {
        Some(program) => program.to_text(content, wanted),
        None => here(content, STACK_BYTES),
    }
}

/// Reads it in this process.
fn here(content: &[u8], stack_bytes: usize) -> Result<String, Unread> {
    streams::check(content).map_err(Unread::Refused)?;
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("ragstone-pdf".to_owned()).stack_size(stack_bytes);
        let reading = thread
            .spawn_scoped(scope, || read(content))
            .map_err(|error| Unread::Failed(format!("there is no thread to read it with: {error}")))?;
        let read = reading.join().unwrap_or_else(|panic| {
            Err(match panic.downcast::<Stop>() {
                Ok(stop) => stop.0,
                Err(_) => "it is damaged in a way that the reader of PDFs does not cope with".to_owned(),
            })
        });
        read.map_err(Unread::Refused)
    })
}

/// Ends the reading from within a callback of the interpreter.
struct Stop(String);

fn read(content: &[u8]) -> Result<String, String> {
    let pdf = Pdf::new(content.to_vec()).map_err(|error| match error {
        LoadPdfError::Decryption(DecryptionError::PasswordProtected) => {
            "it is encrypted and needs a password; save it without one".to_owned()
        }
        LoadPdfError::Decryption(error) => {
            format!("it is encrypted in a way that is not understood ({error:?})")
        }
        LoadPdfError::Invalid => "it is no PDF, or too damaged to find its pages".to_owned(),
    })?;
    let cache = InterpreterCache::new();
    let mut reader = Reader { began: Instant::now(), page: PageText::default(), bytes: 0, nameless: 0 };
    let mut pages: Vec<String> = Vec::new();
    for page in pdf.pages().iter() {
        let (width, height) = page.render_dimensions();
        let area = Rect::new(0.0, 0.0, width.into(), height.into());
        let placed = page.initial_transform(true).to_kurbo();
        let mut context = Context::new(placed, area, &cache, pdf.xref(), InterpreterSettings::default());
        interpret_page(page, &mut context, &mut reader);
        let text = std::mem::take(&mut reader.page).finish();
        reader.bytes += text.len() + PAGE_END.len_utf8();
        pages.push(text);
    }
    if pages.iter().all(|page| page.trim().is_empty()) {
        return Err(match (pages.len(), reader.nameless) {
            (0, _) => "it has no pages".to_owned(),
            (pages, 0) => format!("its {pages} pages hold no text, only pictures; run it through OCR first"),
            (pages, _) => {
                format!("the fonts of its {pages} pages do not say which characters their glyphs are")
            }
        });
    }
    Ok(pages.join(&format!("\n{PAGE_END}")))
}

struct Reader {
    began: Instant,
    page: PageText,
    /// Of the pages that are done.
    bytes: usize,
    /// Glyphs of which no font says what they are.
    nameless: usize,
}

impl Reader {
    /// Ends the reading if it takes too long or gives too much.
    fn look_up(&self) {
        let reason = if self.began.elapsed() > READ_TIME_MAX {
            format!("reading it takes more than {} s", READ_TIME_MAX.as_secs())
        } else if self.bytes + self.page.len() > DOCUMENT_BYTES_MAX {
            format!("its text is beyond the limit DOCUMENT_BYTES_MAX = {DOCUMENT_BYTES_MAX}")
        } else {
            return;
        };
        // Not a panic: nothing is wrong, and nobody is told but who joins this thread.
        std::panic::resume_unwind(Box::new(Stop(reason)));
    }
}

impl Device<'_> for Reader {
    fn draw_glyph_run(&mut self, run: &GlyphRun<'_, '_>, props: DrawProps<'_>, _: &DrawMode) {
        self.look_up();
        for glyph in run.glyphs() {
            match layout::Glyph::of(glyph, props.transform) {
                Some(glyph) => self.page.add(&glyph),
                None => self.nameless += 1,
            }
        }
    }

    fn draw_path(&mut self, _: &BezPath, _: DrawProps<'_>, _: &DrawMode) {
        self.look_up();
    }

    fn push_clip_path(&mut self, _: &ClipPath) {
        self.look_up();
    }

    fn push_transparency_group(&mut self, _: f32, _: Option<SoftMask<'_>>, _: BlendMode) {
        self.look_up();
    }

    fn draw_image(&mut self, _: Image<'_, '_>, _: ImageDrawProps<'_>) {
        self.look_up();
    }

    fn pop_clip(&mut self) {}

    fn pop_transparency_group(&mut self) {}
}

#[cfg(test)]
mod tests;
