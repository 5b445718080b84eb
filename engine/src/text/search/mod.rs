//! Which rows score best, exactly, without looking at all of them.
//!
//! **Idea.** MaxScore (Turtle and Flood, *Query evaluation: strategies and optimizations*, 1995) with the bounds of blocks (Ding and
//! Suel, *Faster top-k document retrieval using block-max indexes*, 2011), window by window of 4,096 rows:
//!
//! 1. In a window each clause has a bound: the greatest that it can contribute to a row there. If all bounds together do not reach the `k`-th best
//!    score so far, the window is passed over. Windows that promise most come first, so that score is high early.
//! 2. The clauses with the least bounds that together do not reach it are *optional*: a row that has none of the others
//!    cannot be among the best. The others are added up, each row's in its place of an array.
//! 3. Rows that can still be among the best are *candidates*; the optional clauses are asked for those alone, the one
//!    with the greatest bound first, and whoever falls too low is dropped on the way.
//!
//! Where a filter leaves few rows of a window, those are the candidates, and all clauses are optional.
//!
//! **Exact.** Only what cannot reach the `k`-th score is passed over, so the result is that of comparing all rows: the best by score,
//! and of equal ones those of lesser place. A row with a term of the query counts even if its score is zero or less,
//! as weights of sparse vectors may be.
//!
//! **Cost.** About two nanoseconds for each posting of the terms that are not optional.

mod clause;
mod top;
mod weighing;
mod window;

pub(super) use clause::Clause;
pub(super) use top::{Found, Top};
pub(super) use weighing::{Dot, Score, Weighing};
pub(super) use window::{Admitted, Scan, score_rows};
