//! The tables of `server/CONFIGURATION.md`.

use super::{VARIABLES, all};

/// All settings and variables as Markdown. What stands in the documentation between its two marks is this.
pub fn markdown() -> String {
    let mut text = String::from(
        "| in the file | flag | environment | type | default | what it is |\n|---|---|---|---|---|---|\n",
    );
    for setting in all() {
        let value =
            if setting.field().is_switch() { String::new() } else { format!(" {}", setting.value_name()) };
        let variables: Vec<String> = setting.variables().map(|name| format!("`{name}`")).collect();
        let row = [
            format!("`{}`", setting.key()),
            format!("`--{}{value}`", setting.flag()),
            variables.join(", "),
            setting.field().kind().to_owned(),
            format!("`{}`", setting.default_shown()),
            setting.help().to_owned(),
        ];
        text.push_str(&format!("| {} |\n", row.join(" | ")));
    }
    text.push_str("\nFrom the environment alone:\n\n| variable | what it is |\n|---|---|\n");
    for variable in VARIABLES {
        text.push_str(&format!("| `{}` | {} |\n", variable.name, variable.help));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const BEGIN: &str = "<!-- settings: made by the test `settings::docs` -->\n";
    const END: &str = "<!-- end of settings -->\n";

    /// `RAGSTONE_WRITE_GOLDEN=1 cargo test -p ragstone-server settings::docs` writes the tables anew.
    #[test]
    fn the_documentation_has_every_setting() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("CONFIGURATION.md");
        let text = std::fs::read_to_string(&path).unwrap();
        let (before, rest) = text.split_once(BEGIN).unwrap();
        let (tables, after) = rest.split_once(END).unwrap();
        if std::env::var_os("RAGSTONE_WRITE_GOLDEN").is_some() {
            std::fs::write(&path, format!("{before}{BEGIN}\n{}\n{END}{after}", markdown())).unwrap();
            return;
        }
        for (line, expected) in tables.trim().lines().zip(markdown().trim().lines()) {
            assert_eq!(line, expected);
        }
        assert_eq!(tables.trim(), markdown().trim(), "rows are missing, or too many");
    }
}
