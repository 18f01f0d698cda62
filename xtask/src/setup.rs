//! What the tests need from the system, and how to get it.

use crate::environment::{vulkan_manifests, TemporaryFolder};
use crate::options::Options;
use crate::process::{find_program, output, run};
use crate::{browser, say, wasm, web};
use anyhow::{bail, Context, Result};
use std::path::Path;
use std::process::Command;

/// Software Vulkan, and OpenGL ES through EGL; all built from Mesa, so all from one suite.
const DRIVERS: [&str; 5] = ["libvulkan1", "mesa-vulkan-drivers", "libegl1", "libgles2", "libgl1-mesa-dri"];
/// The oldest Mesa whose software Vulkan driver is fast.
const FAST_MESA: u32 = 24;

/// Installs what is missing, or says what is.
pub fn setup(options: &Options) -> Result<()> {
    let apt = Apt::find();
    if options.install {
        let from_packages = apt.as_ref().is_some_and(|apt| apt.distribution == "debian" && apt.root == Some(&[]));
        if let Err(error) = wasm::provide(from_packages) {
            say!("note: {error:#}; without it the steps `wasm` and `web` fail")?;
        }
    }
    if let Some(apt) = apt {
        return apt.setup(options);
    }
    // Windows and macOS bring an adapter of their own (WARP, Metal).
    if cfg!(target_os = "linux") && vulkan_manifests().is_empty() {
        say!("note: no Vulkan driver was found; the tests need one, a software one (Mesa's lavapipe) will do")?;
    }
    if browser::find().is_none() {
        say!("note: no Chromium, Chrome or Edge was found; the step `browser` needs one ({})", browser::VARIABLE)?;
    }
    advise_on_the_page()
}

/// Debian's and Ubuntu's package manager.
struct Apt {
    /// Words before a command that needs root; `None` if root cannot be had.
    root: Option<&'static [&'static str]>,
    /// `debian`, `ubuntu` or a relative.
    distribution: String,
    codename: String,
}

impl Apt {
    fn find() -> Option<Self> {
        find_program("apt-get")?;
        let is_root = output(Command::new("id").arg("-u")).is_some_and(|id| id.trim() == "0");
        let root: Option<&[&str]> = if is_root {
            Some(&[])
        } else {
            output(Command::new("sudo").args(["-n", "true"])).map(|_| ["sudo", "-n"].as_slice())
        };
        Some(Self { root, distribution: release_field("ID"), codename: release_field("VERSION_CODENAME") })
    }

    fn setup(&self, options: &Options) -> Result<()> {
        let machine = Machine {
            codename: self.codename.clone(),
            // Debian's browsers are packages; Ubuntu's are snaps, which this leaves to the user.
            is_debian: self.distribution == "debian",
            missing_drivers: DRIVERS.into_iter().filter(|package| installed(package).is_none()).collect(),
            has_slow_mesa: has_slow_mesa(),
            lacks_chromium: browser::find().is_none(),
            lacks_firefox: web::firefox().is_none(),
        };
        let mut plan = Plan::of(&machine, options.backports);
        if machine.lacks_chromium && !machine.is_debian {
            say!("note: no Chromium or Chrome was found; the step `browser` needs one: `snap install chromium`, for example")?;
        }
        if plan.is_empty() {
            say!("nothing is missing")?;
        } else if !options.install || self.root.is_none() {
            let reason = if options.install {
                "root is needed (no `sudo` without a password here)"
            } else {
                "not asked to install"
            };
            say!("note: {reason}; please run:\n{}", self.as_typed(&plan)?)?;
        } else {
            if plan.from_backports {
                if let Err(error) = self.add_backports() {
                    say!("note: Mesa is taken from the stable suite, since backports cannot be: {error:#}")?;
                    plan = Plan::of(&machine, false);
                }
            }
            match plan.commands(&self.codename).iter().try_for_each(|words| self.apt(words)) {
                Err(error) if machine.missing_drivers.is_empty() && plan.browsers.is_empty() => {
                    say!("note: Mesa stays as it is, since a newer one cannot be had: {error:#}")?;
                }
                installed => installed?,
            }
        }
        advise_on_mesa()?;
        advise_on_the_page()
    }

    /// The commands of a plan for a user who is root, with what adds the backports.
    fn as_typed(&self, plan: &Plan) -> Result<String> {
        let mut lines = vec![];
        if plan.from_backports {
            if let Some((entry, target)) = self.missing_backports()? {
                lines.push(format!("printf '{}' > {target}", entry.replace('\n', "\\n")));
            }
        }
        lines.extend(plan.commands(&self.codename).iter().map(|words| format!("apt-get {}", words.join(" "))));
        Ok(lines.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n"))
    }

    fn apt(&self, words: &[String]) -> Result<()> {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        run(&mut self.as_root(&[&["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"], &words[..]].concat()))
    }

    fn as_root(&self, words: &[&str]) -> Command {
        let words = [self.root.unwrap_or_default(), words].concat();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]);
        command
    }

    /// The source of this release's backports, of the mirror that the machine takes Debian from, and the file for it; `None` where they are
    /// a source already.
    fn missing_backports(&self) -> Result<Option<(String, String)>> {
        let suite = backports(&self.codename);
        let texts: Vec<String> = source_files().iter().filter_map(|path| std::fs::read_to_string(path).ok()).collect();
        if texts.iter().any(|text| has_suite(text, &suite)) {
            return Ok(None);
        }
        let entry = texts.iter().find_map(|text| suite_entry(text, &self.codename, &suite));
        let entry = entry.context("no source of Debian packages was found to take the backports from")?;
        let kind = if entry.starts_with("deb ") { "list" } else { "sources" };
        Ok(Some((entry, format!("/etc/apt/sources.list.d/{suite}.{kind}"))))
    }

    /// Adds the backports of this release.
    fn add_backports(&self) -> Result<()> {
        let Some((entry, target)) = self.missing_backports()? else { return Ok(()) };
        say!("adding {target}")?;
        let folder = TemporaryFolder::new("apt")?;
        let file = folder.path().join("source");
        std::fs::write(&file, entry)?;
        let Some(file) = file.to_str() else { bail!("{} is no text", file.display()) };
        run(&mut self.as_root(&["install", "-m", "644", file, &target]))
    }
}

/// What a Linux distribution says of itself, or nothing.
pub fn release_field(name: &str) -> String {
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let line = release.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    line.unwrap_or_default().trim_matches('"').to_string()
}

/// What a machine has, as far as it matters to the tests.
struct Machine {
    codename: String,
    is_debian: bool,
    missing_drivers: Vec<&'static str>,
    has_slow_mesa: bool,
    lacks_chromium: bool,
    lacks_firefox: bool,
}

/// What is to be installed: the same whoever installs it, this program (which CI runs too) or a user whom it tells.
#[derive(Debug, PartialEq)]
struct Plan {
    drivers: Vec<&'static str>,
    /// Whether the drivers come from the backports of the release.
    from_backports: bool,
    browsers: Vec<&'static str>,
}

impl Plan {
    /// `backports`: whether they may be used.
    fn of(machine: &Machine, backports: bool) -> Self {
        let needs_mesa = !machine.missing_drivers.is_empty() || machine.has_slow_mesa;
        let from_backports = backports && machine.codename == "bookworm" && needs_mesa;
        // The page's tests skip a browser that is not there.
        let browsers = [(machine.lacks_chromium, "chromium"), (machine.lacks_firefox, "firefox-esr")];
        Self {
            // One suite for all of Mesa, or its libraries don't fit together.
            drivers: if from_backports { DRIVERS.to_vec() } else { machine.missing_drivers.clone() },
            from_backports,
            browsers: browsers.iter().filter(|(lacks, _)| *lacks && machine.is_debian).map(|(_, name)| *name).collect(),
        }
    }

    fn is_empty(&self) -> bool {
        self.drivers.is_empty() && self.browsers.is_empty()
    }

    /// What `apt-get` is called with, in order.
    fn commands(&self, codename: &str) -> Vec<Vec<String>> {
        let install = |suite: &[String], packages: &[&str]| {
            let words = ["install", "--yes", "--quiet", "--no-install-recommends"].iter().map(ToString::to_string);
            words.chain(suite.iter().cloned()).chain(packages.iter().map(ToString::to_string)).collect()
        };
        let mut commands = vec![vec!["update".to_string(), "--quiet".to_string()]];
        if !self.drivers.is_empty() {
            let suite = ["--target-release".to_string(), backports(codename)];
            commands.push(install(if self.from_backports { &suite } else { &[] }, &self.drivers));
        }
        commands.extend(self.browsers.iter().map(|browser| install(&[], &[browser])));
        commands
    }
}

fn backports(codename: &str) -> String {
    format!("{codename}-backports")
}

/// Whether a file of sources names a suite, other than in a remark.
fn has_suite(sources: &str, suite: &str) -> bool {
    let lines = sources.lines().filter(|line| !line.trim_start().starts_with('#'));
    lines.flat_map(str::split_whitespace).any(|word| word == suite)
}

/// Version of a Debian package, if it is installed.
fn installed(package: &str) -> Option<String> {
    let status = output(Command::new("dpkg-query").args(["-W", "-f", "${db:Status-Status} ${Version}\n", package]))?;
    status.lines().find_map(|line| Some(line.strip_prefix("installed ")?.to_string()))
}

fn has_slow_mesa() -> bool {
    installed("mesa-vulkan-drivers").is_some_and(|version| major(&version) < FAST_MESA)
}

fn advise_on_mesa() -> Result<()> {
    if has_slow_mesa() {
        say!(
            "note: Mesa is older than {FAST_MESA}, its software Vulkan driver is slow, and CI tests with a newer one; on Debian 12, backports \
             have it, which is taken where root can be had"
        )?;
    }
    Ok(())
}

/// Node.js is left to the user: distributions' own are often too old.
fn advise_on_the_page() -> Result<()> {
    if let Err(error) = web::node() {
        say!("note: {error:#}; without it the step `web` fails")?;
    }
    Ok(())
}

/// The first number of a version.
fn major(version: &str) -> u32 {
    let upstream = version.split_once(':').map_or(version, |(_, upstream)| upstream);
    upstream.split('.').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// The files that name sources of packages.
pub fn source_files() -> Vec<std::path::PathBuf> {
    let mut files = vec!["/etc/apt/sources.list".into()];
    let folder = Path::new("/etc/apt/sources.list.d").read_dir().into_iter().flatten().flatten();
    files.extend(
        folder
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "list" || extension == "sources")),
    );
    files
}

/// The source entry of another suite, made from the release's own entry (one-line or deb822 style).
pub fn suite_entry(sources: &str, codename: &str, suite: &str) -> Option<String> {
    for stanza in sources.split("\n\n") {
        let field =
            |name: &str| stanza.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
        let (Some(mirror), Some(suites)) = (field("URIs"), field("Suites")) else { continue };
        if suites.split_whitespace().any(|suite| suite == codename) {
            let key = field("Signed-By").map(|key| format!("Signed-By: {key}\n")).unwrap_or_default();
            return Some(format!("Types: deb\nURIs: {mirror}\nSuites: {suite}\nComponents: main\n{key}"));
        }
    }
    sources.lines().find_map(|line| {
        let words: Vec<&str> = line.strip_prefix("deb ")?.split_whitespace().collect();
        let place = words.iter().position(|word| *word == codename)?;
        Some(format!("deb {} {suite} main\n", words[..place].join(" ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Debian 12 as it is installed, with Debian's own Mesa or without any.
    fn bookworm(missing_drivers: &[&'static str]) -> Machine {
        Machine {
            codename: "bookworm".into(),
            is_debian: true,
            missing_drivers: missing_drivers.to_vec(),
            has_slow_mesa: missing_drivers.is_empty(),
            lacks_chromium: true,
            lacks_firefox: false,
        }
    }

    #[test]
    fn on_debian_12_mesa_comes_from_the_backports_as_a_whole() {
        for missing in [&[][..], &["libegl1"], &DRIVERS] {
            let plan = Plan::of(&bookworm(missing), true);
            assert_eq!((&plan.drivers[..], plan.from_backports), (&DRIVERS[..], true));
            let commands: Vec<String> = plan.commands("bookworm").iter().map(|words| words.join(" ")).collect();
            assert_eq!(commands.len(), 3);
            assert!(commands[1].contains("--target-release bookworm-backports libvulkan1 mesa-vulkan-drivers"));
            assert!(commands[2].ends_with("--no-install-recommends chromium"));
        }
        let stable = Plan::of(&bookworm(&["libegl1"]), false);
        assert_eq!((&stable.drivers[..], stable.from_backports), (&["libegl1"][..], false));
        let trixie = Machine { codename: "trixie".into(), has_slow_mesa: false, ..bookworm(&["libegl1"]) };
        assert_eq!(Plan::of(&trixie, true), stable);
        let newer = Machine { has_slow_mesa: false, lacks_chromium: false, ..bookworm(&[]) };
        assert!(Plan::of(&newer, true).is_empty());
    }

    #[test]
    fn what_a_user_is_told_to_type_is_what_would_be_done() {
        let apt = Apt { root: None, distribution: "debian".into(), codename: "bookworm".into() };
        // Where the machine's own sources are another release's, there is nothing to add the backports from.
        if let Ok(typed) = apt.as_typed(&Plan::of(&bookworm(&DRIVERS), true)) {
            assert!(
                typed.contains("  apt-get update") && typed.contains("--target-release bookworm-backports libvulkan1")
            );
        }
    }

    #[test]
    fn ci_installs_by_the_command_of_the_readme() {
        let (ci, readme) = (include_str!("../../.ci/run"), include_str!("../../README.md"));
        assert!(ci.contains("xtask -- test --all") && readme.contains("cargo xtask test"));
        for text in [ci, readme, include_str!("../../.github/workflows/ci.yml")] {
            assert!(!text.contains("apt-get") && !text.contains("mesa-vulkan"), "packages are the set-up's alone");
        }
    }

    #[test]
    fn remarks_are_no_sources() {
        assert!(!has_suite("# deb http://mirror bookworm-backports main\n", "bookworm-backports"));
        assert!(has_suite("Suites: bookworm bookworm-backports\n", "bookworm-backports"));
    }

    #[test]
    fn backports_come_from_the_mirror_in_use() {
        let deb822 = "Types: deb\nURIs: http://mirror/security\nSuites: bookworm-security\n\n\
                      Types: deb\n# a remark\nURIs: http://mirror/debian\nSuites: bookworm bookworm-updates\nComponents: main\nSigned-By: /key\n";
        assert_eq!(
            suite_entry(deb822, "bookworm", "bookworm-backports").unwrap(),
            "Types: deb\nURIs: http://mirror/debian\nSuites: bookworm-backports\nComponents: main\nSigned-By: /key\n"
        );
        let one_line =
            "# deb http://old bookworm main\ndeb [signed-by=/key] http://mirror/debian bookworm main contrib\n";
        assert_eq!(
            suite_entry(one_line, "bookworm", "bookworm-backports").unwrap(),
            "deb [signed-by=/key] http://mirror/debian bookworm-backports main\n"
        );
        assert_eq!(suite_entry("", "bookworm", "sid"), None);
    }

    #[test]
    fn versions_have_a_first_number() {
        assert_eq!(major("25.0.7-2~bpo12+1"), 25);
        assert_eq!(major("2:22.3.6-1"), 22);
        assert_eq!(major("unknown"), 0);
    }
}
