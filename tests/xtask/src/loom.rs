//! Tests of lock-free structures in every interleaving (`engine/kernels/src/sync.rs`), and the test of these tests.

use std::path::Path;
use std::process::Command;

use crate::command::{line, output, root, run, target};

/// A change to the sources that makes a protocol wrong.
struct Mutant {
    what: &'static str,
    file: &'static str,
    from: &'static str,
    to: &'static str,
}

const MUTANTS: &[Mutant] = &[
    Mutant {
        what: "the length of an arena does not publish its rows",
        file: "engine/kernels/src/arena.rs",
        from: "self.len.store(index + 1, Ordering::Release)",
        to: "self.len.store(index + 1, Ordering::Relaxed)",
    },
    Mutant {
        what: "a reader of an arena's length does not acquire its rows",
        file: "engine/kernels/src/arena.rs",
        from: "self.len.load(Ordering::Acquire)",
        to: "self.len.load(Ordering::Relaxed)",
    },
    Mutant {
        what: "writers of an arena do not take turns",
        file: "engine/kernels/src/arena.rs",
        from: "let _turn = self.writer.lock()",
        to: "let _ = self.writer.lock()",
    },
    Mutant {
        what: "an appended element's index is taken without an atomic step",
        file: "engine/src/segment/append.rs",
        from: "self.len.fetch_add(1, Ordering::Relaxed)",
        to: "{ let len = self.len.load(Ordering::Relaxed); self.len.store(len + 1, Ordering::Relaxed); len }",
    },
    Mutant {
        what: "a link does not publish the node that it leads to",
        file: "engine/src/graph/links.rs",
        from: "        list[length].store(link.encode(), Ordering::Release);",
        to: "        list[length].store(link.encode(), Ordering::Relaxed);",
    },
    Mutant {
        what: "a tree edge does not publish the node that it leads to",
        file: "engine/src/graph/links.rs",
        from: "list[edges].store(link.encode(), Ordering::Release)",
        to: "list[edges].store(link.encode(), Ordering::Relaxed)",
    },
    Mutant {
        what: "a walk does not acquire the nodes of its links",
        file: "engine/src/graph/links.rs",
        from: "        .map(|word| word.load(Ordering::Acquire))",
        to: "        .map(|word| word.load(Ordering::Relaxed))",
    },
    Mutant {
        what: "a new tree edge overwrites a link before that has its new place",
        file: "engine/src/graph/links.rs",
        from: "        list[length].store(list[edges].load(Ordering::Relaxed), Ordering::Release);\n        \
               list[edges].store(link.encode(), Ordering::Release);",
        to: "        let moved = list[edges].load(Ordering::Relaxed);\n        \
             list[edges].store(link.encode(), Ordering::Release);\n        \
             list[length].store(moved, Ordering::Release);",
    },
    Mutant {
        what: "pruning empties a list before it fills it",
        file: "engine/src/graph/links.rs",
        from: "    for (word, link) in list.iter().zip(new) {",
        to: "    list[0].store(0, Ordering::Release);\n    for (word, link) in list.iter().zip(new) {",
    },
    Mutant {
        what: "a parent links to a node before its record is written",
        file: "engine/src/graph/insert.rs",
        from: "            record[0].store(LIVE, Ordering::Release);\n            \
               if self.adopt(parent, slot, pairs, scratch) {",
        to: "            if self.adopt(parent, slot, pairs, scratch) {\n                \
             record[0].store(LIVE, Ordering::Release);",
    },
    Mutant {
        what: "the entry does not publish its node",
        file: "engine/src/graph/growing.rs",
        from: "u64::from(entry.node), Ordering::Release)",
        to: "u64::from(entry.node), Ordering::Relaxed)",
    },
    Mutant {
        what: "two first nodes both become the entry",
        file: "engine/src/graph/insert.rs",
        from: "        reaches_beyond().then_some(guard)",
        to: "        drop(guard);\n        None",
    },
    Mutant {
        what: "inserts write to a list without its lock",
        file: "engine/src/graph/insert.rs",
        from: "        let _lock = self.stripes.lock(0, parent);",
        to: "        let _ = self.stripes.lock(0, parent);",
    },
    Mutant {
        what: "a repair empties a list before it fills it",
        file: "engine/src/graph/repair.rs",
        from: "            rewrite(self.list(node), &list);",
        to: "            rewrite(self.list(node), &[]);\n            rewrite(self.list(node), &list);",
    },
    Mutant {
        what: "the number of nodes falls without publishing which are removed",
        file: "engine/src/graph/repair.rs",
        from: "self.live.fetch_sub(removed.count_ones(..), Ordering::AcqRel)",
        to: "self.live.fetch_sub(removed.count_ones(..), Ordering::Relaxed)",
    },
    Mutant {
        what: "a repair does not keep inserts out",
        file: "engine/src/graph/repair.rs",
        from: "let _alone = self.structure.write()",
        to: "let _ = self.structure.write()",
    },
];

/// Runs the tests.
pub(crate) fn check() -> Result<(), String> {
    run(&mut tests(&root()))
}

/// Runs the tests on a copy of the sources with each mutant in turn: each must make them fail.
pub(crate) fn mutants() -> Result<(), String> {
    let copy = target("loom-mutants").join("sources");
    copy_sources(&root(), &copy).map_err(|error| format!("copying the sources: {error}"))?;
    run(&mut tests(&copy))?;
    let mut survivors = Vec::new();
    for mutant in MUTANTS {
        let file = copy.join(mutant.file);
        let fault = |error| format!("{}: {error}", file.display());
        let whole = std::fs::read_to_string(&file).map_err(fault)?;
        if whole.matches(mutant.from).count() != 1 {
            return Err(format!("{}: this mutant's text is not there once:\n{}", mutant.file, mutant.from));
        }
        std::fs::write(&file, whole.replace(mutant.from, mutant.to)).map_err(fault)?;
        let mut built = tests(&copy);
        built.arg("--no-run").arg("--quiet");
        run(&mut built)?;
        let mut command = tests(&copy);
        println!("\n{}\n$ {}", mutant.what, line(&command));
        let output = output(&mut command)?;
        println!("{}", if output.status.success() { "SURVIVED" } else { "found" });
        if output.status.success() {
            survivors.push(mutant.what);
        }
        std::fs::write(&file, whole).map_err(fault)?;
    }
    if survivors.is_empty() {
        Ok(())
    } else {
        Err(format!("no test fails when {}", survivors.join("; when ")))
    }
}

/// The tests take seconds as they are; to optimise all that is compiled for them takes minutes. What runs them is worth it.
const OPT_LEVELS: [&str; 5] = [
    "profile.dev.opt-level=0",
    "profile.dev.package.ragstone.opt-level=0",
    "profile.dev.package.ragstone-kernels.opt-level=0",
    "profile.dev.package.loom.opt-level=1",
    "profile.dev.package.generator.opt-level=1",
];

/// The tests of a workspace: the modules named `interleavings`.
fn tests(workspace: &Path) -> Command {
    let mut command = Command::new("cargo");
    command.env("RUSTFLAGS", "--cfg ragstone_loom").current_dir(workspace);
    command.args(["test", "--locked", "--target-dir"]).arg(target("loom"));
    command.args(OPT_LEVELS.iter().flat_map(|&level| ["--config", level]));
    command.args(["-p", "ragstone-kernels", "-p", "ragstone", "--lib", "interleavings"]);
    command
}

/// Copies what cargo needs, but not what it made.
fn copy_sources(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == "target" || (name.as_encoded_bytes().starts_with(b".") && name != ".cargo") {
            continue;
        }
        let target = to.join(&name);
        if entry.file_type()?.is_dir() {
            copy_sources(&entry.path(), &target)?;
        } else if std::fs::read(&target).ok() != Some(std::fs::read(entry.path())?) {
            // Not where it is the same: cargo goes by the time of a file.
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
