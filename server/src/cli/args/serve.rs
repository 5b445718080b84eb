//! `ragstone serve`, whose flags are made from the table of settings.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::ValueParser;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, FromArgMatches, Subcommand};
use ragstone_server::settings::{self, CONFIG_VARIABLE, Resolved, Setting, SettingsError, Sources};

/// The flag that names the file.
const CONFIG: &str = "config";

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Show what `ragstone serve` would run with, given the same flags: each setting, its value and where that comes from. If it would not
    /// start: every mistake with its place, and exit code 1.
    Check(ServeArgs),
}

/// What is typed.
#[derive(Debug)]
pub(crate) struct ServeArgs {
    config: Option<PathBuf>,
    /// By the keys of settings.
    flags: Vec<(&'static str, Vec<OsString>)>,
}

impl ServeArgs {
    /// What holds, with what the environment and the file say.
    pub(crate) fn resolve(self) -> Result<Resolved, SettingsError> {
        settings::resolve(Sources { file: self.config, environment: &environment, flags: self.flags })
    }

    /// Takes those of the flags of every command that are settings of a server, if they are typed.
    pub(super) fn take_global(&mut self, matches: &ArgMatches) {
        for setting in settings::all().filter(|setting| setting.is_global()) {
            let id = global_id(setting);
            if super::source(matches, &id) == Some(ValueSource::CommandLine)
                && let Some(typed) = matches.get_raw(&id)
            {
                self.flags.push((setting.key(), typed.map(OsString::from).collect()));
            }
        }
    }
}

fn environment(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// What the flag of every command is called that is this setting of a server.
pub(super) fn global_id(setting: &Setting) -> String {
    setting.key().replace('.', "_")
}

impl Args for ServeArgs {
    fn augment_args(command: clap::Command) -> clap::Command {
        let file = Arg::new(CONFIG)
            .long(CONFIG)
            .value_name("FILE")
            .value_parser(ValueParser::path_buf())
            .help(format!(
                "Read settings from this TOML file; every flag below is a setting [env: {CONFIG_VARIABLE}=]"
            ));
        settings::GROUPS.iter().fold(command.arg(file), |command, group| {
            let own = group.settings.iter().filter(|setting| !setting.is_global());
            command.args(own.map(|setting| flag(setting).help_heading(group.title)))
        })
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

/// The environment is not clap's to read here: whether it or the file holds is decided in one place.
fn flag(setting: &'static Setting) -> Arg {
    let variables: Vec<String> = setting.variables().map(|name| format!("{name}=")).collect();
    let help =
        format!("{} [env: {}] [default: {}]", setting.help(), variables.join(", "), setting.default_shown());
    let flag = Arg::new(setting.key())
        .long(setting.flag())
        .value_name(setting.value_name())
        .value_parser(ValueParser::os_string())
        .help(help);
    let field = setting.field();
    if field.is_switch() {
        return flag
            .action(ArgAction::Set)
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true");
    }
    flag.action(if field.is_list() { ArgAction::Append } else { ArgAction::Set })
}

impl FromArgMatches for ServeArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let own = settings::all().filter(|setting| !setting.is_global());
        let flags = own.filter_map(|setting| {
            let typed = matches.get_many::<OsString>(setting.key())?;
            Some((setting.key(), typed.cloned().collect()))
        });
        Ok(ServeArgs { config: matches.get_one::<PathBuf>(CONFIG).cloned(), flags: flags.collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
