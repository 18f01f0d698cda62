//! What `cargo xtask test` and its relatives were asked for.

use crate::step::Step;
use anyhow::Result;
use lexopt::{Arg, Parser, ValueExt};

pub struct Options {
    /// The steps to run, in order.
    pub steps: Vec<Step>,
    /// Steps among them that are to be left out.
    pub skip: Vec<Step>,
    /// Every adapter that there is, not one software adapter alone.
    pub all: bool,
    /// Install what is missing where that is possible.
    pub install: bool,
    /// Take a faster software driver from Debian's backports where that is possible.
    pub backports: bool,
}

impl Options {
    /// Reads the rest of the command line of a command that runs some steps by default.
    pub fn parse(parser: &mut Parser, steps: &[Step]) -> Result<Self> {
        let mut options = Self { steps: steps.to_vec(), skip: vec![], all: false, install: true, backports: true };
        // Of the tests, a step that is named is run, whatever its tier.
        let has_tiers = steps == Step::QUICK;
        let mut only = None;
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Long("all") if has_tiers => options.all = true,
                Arg::Long("only") => only = Some(Step::parse_list(&parser.value()?.string()?)?),
                Arg::Long("skip") => options.skip.extend(Step::parse_list(&parser.value()?.string()?)?),
                Arg::Long("no-install") => options.install = false,
                Arg::Long("no-backports") => options.backports = false,
                // The default; earlier versions had to be asked.
                Arg::Long("install-backports") => options.backports = true,
                other => return Err(other.unexpected().into()),
            }
        }
        if options.all || has_tiers && only.is_some() {
            options.steps = Step::ALL.to_vec();
        }
        if let Some(only) = only {
            options.steps.retain(|step| only.contains(step));
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options> {
        Options::parse(&mut Parser::from_args(arguments), &Step::QUICK)
    }

    #[test]
    fn the_quick_tier_is_the_default() {
        let options = parse(&[]).unwrap();
        assert_eq!(options.steps, Step::QUICK);
        assert!(!options.all && options.install && options.backports);
        let options = parse(&["--all", "--no-install", "--no-backports", "--skip", "msrv"]).unwrap();
        assert_eq!(options.steps, Step::ALL);
        assert_eq!(options.skip, [Step::RustVersion]);
        assert!(options.all && !options.install && !options.backports);
    }

    #[test]
    fn a_step_that_is_named_runs_in_either_tier() {
        assert_eq!(parse(&["--only", "msrv,fmt"]).unwrap().steps, [Step::Format, Step::RustVersion]);
        assert_eq!(parse(&["--only", "burn", "--all"]).unwrap().steps, [Step::Burn]);
    }

    #[test]
    fn an_option_that_there_is_not_is_an_error() {
        assert!(parse(&["--everything"]).is_err());
        assert!(Options::parse(&mut Parser::from_args(["--all"]), &[Step::Setup]).is_err());
    }
}
